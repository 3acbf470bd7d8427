"""The code of the second factor, typed at the sign-in, again, and to switch it on."""

from typing import Any

from allauth.account.adapter import get_adapter as account_adapter
from allauth.core import context, ratelimit
from allauth.mfa.adapter import get_adapter
from allauth.mfa.base.forms import AuthenticateForm, ReauthenticateForm
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.forms import ActivateTOTPForm
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from bots import second_factor

LOST = _("Your second factor cannot be read here. Ask the operator: an encryption key is missing.")
NO_KEY = _("It cannot be stored: this installation has no FERNET_KEYS. Tell the operator.")
#: A telephone shows its keys for digits; it offers the code of a message or an app by itself.
DIGITS = {"autocomplete": "one-time-code", "inputmode": "numeric", "spellcheck": "false"}


class _Code:
    """A code counts once, and so many wrong ones a day are enough."""

    fields: Any
    user: Any
    cleaned_data: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["code"].label = _("Code of your app, or a recovery code")
        self.fields["code"].widget.attrs = {**DIGITS, "autofocus": True}

    def clean_code(self) -> str:
        key = f"user-{self.user.pk}"
        if not ratelimit.consume(context.request, action="second_factor", key=key):
            raise account_adapter().validation_error("too_many_login_attempts")
        try:
            code = self._checked()
        except second_factor.Unreadable:
            raise ValidationError(LOST) from None
        ratelimit.clear(context.request, action="second_factor", key=key)
        return code

    def _checked(self) -> str:
        totp = Authenticator.objects.filter(user=self.user, type=second_factor.TOTP).first()
        # First, since a code that is taken makes good for wrong ones before it.
        if totp and second_factor.is_spent(totp, self.cleaned_data["code"]):
            raise get_adapter().validation_error("incorrect_code")
        code: str = super().clean_code()  # type: ignore[misc]
        used = self.authenticator  # type: ignore[attr-defined]
        if used.type == second_factor.TOTP and not second_factor.spend(used, code):
            raise get_adapter().validation_error("incorrect_code")
        return code


class SignInForm(_Code, AuthenticateForm):  # type: ignore[misc]
    """The second step of the sign-in."""


class AgainForm(_Code, ReauthenticateForm):  # type: ignore[misc]
    """The code again, before keys and before real money."""


class SwitchOnForm(ActivateTOTPForm):  # type: ignore[misc]
    """The first code: it proves that the app has the secret."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["code"].label = _("Code that the app shows")
        self.fields["code"].widget.attrs = dict(DIGITS)

    def clean_code(self) -> str:
        if not settings.FERNET_KEYS:
            raise ValidationError(NO_KEY)
        code: str = super().clean_code()
        return code
