"""The second factor: TOTP by an app, recovery codes for the day it is lost (django-allauth's mfa).

What is ours: secrets under the Fernet keys, a code that counts once, when somebody is asked again,
how an operator helps out, and the trace of all that.
"""

import logging
import time
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import Any

from allauth.account.adapter import get_adapter as account_adapter
from allauth.account.authentication import get_authentication_records
from allauth.account.internal.flows.login import record_authentication
from allauth.core.internal.cryptokit import compare_user_code
from allauth.mfa import app_settings, signals
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth
from allauth.mfa.utils import decrypt
from cryptography.fernet import InvalidToken
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from bots.models import AccessEvent, User
from bots.models.fields import keyring

log = logging.getLogger(__name__)
TOTP = Authenticator.Type.TOTP
RECOVERY = Authenticator.Type.RECOVERY_CODES
#: The newest time step whose code was taken, in the authenticator's row.
STEP = "step"


class Unreadable(PermissionDenied):
    """No key in FERNET_KEYS opens a stored secret: nobody gets in by it, and nobody past it."""


class Adapter(DefaultMFAAdapter):  # type: ignore[misc]
    """allauth's hooks: the account's name in the app, encryption, our words."""

    error_messages = {
        **DefaultMFAAdapter.error_messages,
        "incorrect_code": _("This code is wrong or was used already. Wait for the next one."),
    }

    def get_totp_label(self, user: User) -> str:
        """Return what an app lists the account under: what people sign in with."""
        return user.get_username()

    def build_totp_svg(self, url: str) -> str:
        """Return the picture on white: a camera wants it so on a dark page as well."""
        import qrcode
        from qrcode.image.svg import SvgPathFillImage

        drawn = BytesIO()
        qrcode.make(url, image_factory=SvgPathFillImage).save(drawn)
        return drawn.getvalue().decode()

    def encrypt(self, text: str) -> str:
        """Return `text` under the first Fernet key."""
        return keyring().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """Return the secret behind a stored token; Unreadable where no key opens it."""
        try:
            return keyring().decrypt(encrypted_text.encode()).decode()
        except (InvalidToken, ValueError) as error:
            log.error("a second factor cannot be decrypted: is a key of FERNET_KEYS missing?")
            raise Unreadable from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """What the profile tells of the second factor of a user. None: it is off."""

    since: datetime
    codes_left: int
    codes: int


def of(user: User) -> Factor | None:
    """Return the user's second factor without opening its secrets, or None where it is off."""
    rows = {row.type: row for row in Authenticator.objects.filter(user=user)}
    totp = rows.get(TOTP)
    if totp is None:
        return None
    return Factor(
        since=totp.created_at,
        codes_left=_left(rows[RECOVERY]) if RECOVERY in rows else 0,
        codes=app_settings.RECOVERY_CODE_COUNT,
    )


def is_on(user: User) -> bool:
    """Whether the user has the second factor switched on."""
    return bool(Authenticator.objects.filter(user=user, type=TOTP).exists())


def _left(codes: Authenticator) -> int:
    used: int = codes.data["used_mask"]
    return int(app_settings.RECOVERY_CODE_COUNT - used.bit_count())


def is_fresh(request: HttpRequest) -> bool:
    """Whether this session showed lately that its user is there: in the last ten minutes.

    With the second factor on only a code of it counts, else the password.
    """
    user = request.user
    if not isinstance(user, User):
        return False
    method = "mfa" if is_on(user) else "password"
    records = get_authentication_records(request, user)
    newest = max((row["at"] for row in records if row["method"] == method), default=0)
    return bool(time.time() - newest < settings.ACCOUNT_REAUTHENTICATION_TIMEOUT)


def is_spent(totp: Authenticator, code: str) -> bool:
    """Whether `code` is of a time step that was used already, or of one before it."""
    step = _step(totp, code)
    return step is not None and step <= totp.data.get(STEP, 0)


def spend(totp: Authenticator, code: str) -> bool:
    """Use a code up, for good and for all processes; False: it is wrong, or somebody was faster.

    RFC 6238, 5.2: a code must not be taken a second time. allauth's own note of it lives for one
    time step, which is shorter than the code with a tolerance for clocks.
    """
    with transaction.atomic():
        row = Authenticator.objects.select_for_update().get(pk=totp.pk)
        step = _step(row, code)
        if step is None or step <= row.data.get(STEP, 0):
            return False
        row.data[STEP] = step
        row.save(update_fields=["data"])
    return True


def _step(totp: Authenticator, code: str) -> int | None:
    """Return the time step (30 s since 1970) that the code is of, if it is one of now."""
    secret = decrypt(totp.data["secret"])
    for step in auth.yield_hotp_counters_from_time():
        expected = auth.format_hotp_value(auth.hotp_value(secret, step))
        if compare_user_code(actual=code, expected=expected):
            return int(step)
    return None


def switch_off(user: User, *, by: User | None, via: str, why: str) -> bool:
    """Take a lost second factor away, recovery codes and all; False: it was off already."""
    with transaction.atomic():
        gone, _kinds = Authenticator.objects.filter(user=user).delete()
        if gone:
            _note(user, AccessEvent.What.FACTOR_OFF, by=by, via=via, details=why)
    return bool(gone)


def note(request: HttpRequest, user: User, what: AccessEvent.What, details: str = "") -> None:
    """Write down what happened to a user's ways in, at a page of theirs."""
    ip = account_adapter().get_client_ip(request)
    _note(user, what, by=user, via="page", details=details, ip=ip)


def _note(
    user: User,
    what: AccessEvent.What,
    *,
    by: User | None,
    via: str,
    details: str = "",
    ip: str | None = None,
) -> None:
    AccessEvent.objects.create(owner=user, what=what, details=details[:300], ip=ip, by=by, via=via)


@receiver(signals.authenticator_added)
def _added(request: HttpRequest, user: User, authenticator: Authenticator, **_: Any) -> None:
    if authenticator.type != TOTP:
        return
    # The code that switched it on is used, too, and whoever typed it is there.
    spend(authenticator, request.POST.get("code", ""))
    record_authentication(request, user, "mfa", type=TOTP.value, reauthenticated=True)
    note(request, user, AccessEvent.What.FACTOR_ON)


@receiver(signals.authenticator_removed)
def _removed(request: HttpRequest, user: User, authenticator: Authenticator, **_: Any) -> None:
    if authenticator.type == TOTP:
        note(request, user, AccessEvent.What.FACTOR_OFF)


@receiver(signals.authenticator_reset)
def _made_anew(request: HttpRequest, user: User, **_: Any) -> None:
    note(request, user, AccessEvent.What.CODES_MADE)


@receiver(signals.authenticator_used)
def _used(request: HttpRequest, user: User, authenticator: Authenticator, **_: Any) -> None:
    if authenticator.type == RECOVERY:
        left = _left(Authenticator.objects.get(pk=authenticator.pk))
        note(request, user, AccessEvent.What.CODE_USED, str(left))


@receiver(signals.authentication_failed)
def _refused(request: HttpRequest, user: User, **_: Any) -> None:
    note(request, user, AccessEvent.What.CODE_REFUSED)
