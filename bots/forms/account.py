"""Keys, the limits of their accounts, tokens and the profile."""

from typing import Any
from uuid import uuid4
from zoneinfo import available_timezones

from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from bots.forms.fields import UNSEEN, NumberField
from bots.lifecycle import Mode
from bots.models import Account, User
from bots.setup import ACCOUNT_LIMITS

#: What a page may grant to everybody.
SCOPES = [
    ("read", _("read: see bots, orders, balances")),
    ("trade", _("trade: create, edit, start and stop bots")),
    ("keys", _("keys: add and remove exchange keys")),
]
#: Moves real money without a page: for who has a second factor, or by the operator's command.
LIVE = ("live", _("live: whatever spends real money"))
SECRET_WORDS = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "off"}


class SecretLines(forms.Textarea):
    """A text area that takes a secret of several lines and never renders one back."""

    def format_value(self, value: Any) -> str:
        return ""


def _secret(label: Any, **options: Any) -> forms.CharField:
    """A field that takes a secret and never renders one back, not even after an error."""
    widget = forms.PasswordInput(
        render_value=False, attrs={**SECRET_WORDS, "autocomplete": "new-password"}
    )
    return forms.CharField(label=label, max_length=500, widget=widget, **options)


class KeyForm(forms.Form):
    """A new exchange key; one with the label of an account replaces that account's key."""

    exchange = forms.ChoiceField(label=_("exchange"))
    mode = forms.ChoiceField(
        label=_("mode"),
        choices=[(Mode.TESTNET.value, Mode.TESTNET.label), (Mode.LIVE.value, Mode.LIVE.label)],
    )
    label = forms.CharField(
        label=_("label"),
        max_length=60,
        help_text=_("Your name for the account. The same label replaces its key."),
    )
    api_key = _secret(_("API key"), min_length=8)
    # A private key in PEM form has lines.
    secret_key = forms.CharField(
        label=_("secret key"),
        min_length=8,
        max_length=5000,
        widget=SecretLines(attrs={**SECRET_WORDS, **UNSEEN, "rows": 3}),
    )
    passphrase = _secret(
        _("passphrase"), required=False, help_text=_("Only where the exchange wants one.")
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        exchange = self.fields["exchange"]
        assert isinstance(exchange, forms.ChoiceField)  # noqa: S101 - for the type checker
        exchange.choices = [(name, name) for name in settings.LIVE_EXCHANGES]


class LimitsForm(forms.ModelForm[Account]):
    """The limits that all bots of an account share; control.edit_account checks them."""

    class Meta:
        model = Account
        fields = list(ACCOUNT_LIMITS)
        field_classes = {"max_daily_loss": NumberField}
        widgets = {"max_daily_loss": forms.TextInput}

    @property
    def values(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in ACCOUNT_LIMITS}


class TokenForm(forms.Form):
    """A new API token. `number` is another in each form that is drawn: it tells a repetition.

    `may_live`: whether the right to spend real money is among what may be granted.
    """

    name = forms.CharField(label=_("token name"), max_length=60)
    scopes = forms.MultipleChoiceField(
        label=_("rights"),
        choices=SCOPES,
        initial=["read"],
        widget=forms.CheckboxSelectMultiple,
    )
    number = forms.UUIDField(initial=uuid4, widget=forms.HiddenInput)

    def __init__(self, *args: Any, may_live: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        scopes = self.fields["scopes"]
        assert isinstance(scopes, forms.MultipleChoiceField)  # noqa: S101 - for the type checker
        scopes.choices = [*SCOPES, LIVE] if may_live else SCOPES

    @property
    def is_grave(self) -> bool:
        """Whether a valid form grants what only somebody who is surely there may grant."""
        return bool({"keys", "live"} & set(self.cleaned_data["scopes"]))


class ProfileForm(forms.ModelForm[User]):
    """Language, time zone and colours."""

    class Meta:
        model = User
        fields = ["language", "time_zone", "theme"]
        widgets = {"time_zone": forms.Select}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        zones = sorted(zone for zone in available_timezones() if "/" in zone or zone == "UTC")
        default = _("as the installation (%(zone)s)") % {"zone": settings.TRADING_DAY_TIME_ZONE}
        self.fields["time_zone"].widget.choices = [("", default), *((z, z) for z in zones)]
