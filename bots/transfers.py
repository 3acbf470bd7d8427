"""The owner's verbs about funds between wallets: ask for a transfer, say what became of one.

Nothing else in the platform moves funds. A worker sends what is asked for here (bots.transferring).
"""

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from bots import schedule
from bots.change import Refusal
from bots.lifecycle import Mode
from bots.models import Account, ApiKey, Transfer, User
from trading.exchanges.account import FENCED
from trading.market import EXACT

CURRENCY = re.compile(r"[A-Z0-9]{1,20}")
#: Decimals that exchanges keep of a wallet.
DECIMALS = 8
SEND = "bots.tasks.send_transfer"


def request(
    account: Account,
    currency: str,
    amount: Decimal,
    direction: str,
    *,
    by: User | None,
    via: str,
    number: UUID | None = None,
) -> Transfer:
    """Ask a worker to move funds between the account's wallets, once. Returns the row.

    A repetition with the same `number` returns the row of the first. Refusal when another one is
    under way or it cannot be done; ValidationError names the field that is wrong.
    """
    number = number or uuid4()
    wanted = _clean(currency, amount, direction)
    try:
        with transaction.atomic():
            if (first := _first(account, number, wanted)) is not None:
                return first
            expire(account)
            _check(account)
            row = Transfer.objects.create(
                account=account,
                number=number,
                by=by,
                via=via,
                expires_at=timezone.now() + timedelta(seconds=settings.COMMAND_TTL_SECONDS),
                **wanted,
            )
            transaction.on_commit(lambda: schedule.send(SEND, row.pk))
    except IntegrityError:
        # Two at once: this one came second.
        if (first := _first(account, number, wanted)) is not None:
            return first
        raise _pending() from None
    return row


def _clean(currency: str, amount: Decimal, direction: str) -> dict[str, Any]:
    errors: dict[str, Any] = {}
    currency = currency.strip().upper()
    if not CURRENCY.fullmatch(currency):
        errors["currency"] = _("Write the currency's short name, for example USDT.")
    if not amount.is_finite() or amount <= 0:
        errors["amount"] = _("Must be more than zero.")
    elif amount >= Decimal(10) ** 18:
        errors["amount"] = _("This number is too large.")
    elif amount != amount.quantize(Decimal(1).scaleb(-DECIMALS), context=EXACT):
        errors["amount"] = _("At most %d decimals.") % DECIMALS
    if direction not in Transfer.Direction.values:
        errors["direction"] = _("Choose one of the two directions.")
    if errors:
        raise ValidationError(errors)
    return {"currency": currency, "amount": amount, "direction": direction}


def _first(account: Account, number: UUID, wanted: dict[str, Any]) -> Transfer | None:
    """Return the transfer that already bears this number; Refusal if it is another one."""
    row = Transfer.objects.filter(account=account, number=number).first()
    if row is None or all(getattr(row, name) == value for name, value in wanted.items()):
        return row
    raise Refusal("number_used", _("Another transfer was asked for under this number."))


def refusal(account: Account) -> Refusal | None:
    """Return why funds of this account cannot be moved now, whatever the amount; None: they can."""
    try:
        _check(account)
    except Refusal as error:
        return error
    return None


def _check(account: Account) -> None:
    if account.mode != Mode.LIVE or account.exchange not in FENCED:
        raise Refusal("no_wallets", _("This account has no futures wallet here."))
    if not account.owner.is_active:
        raise Refusal("owner_inactive", _("The owner of this account is deactivated."))
    if not settings.LIVE_TRADING_ENABLED:
        raise Refusal(
            "live_disabled", _("Live trading is switched off here (LIVE_TRADING_ENABLED).")
        )
    key = ApiKey.objects.filter(account=account).first()
    if key is None:
        raise Refusal("no_key", _("The account has no api key."))
    if key.is_valid is False:
        raise Refusal("key_refused", _("The api key of this account was refused: see its check."))
    rows = Transfer.objects.filter(account=account, status__in=Transfer.PENDING)
    over = Q(status=Transfer.Status.REQUESTED, expires_at__lte=timezone.now())
    if rows.exclude(over).exists():
        raise _pending()


def _pending() -> Refusal:
    return Refusal("pending", _("Another transfer of this account has not ended yet."))


def expire(account: Account | None = None) -> int:
    """Close the requests (of all accounts, or of one) that no worker took in time."""
    now = timezone.now()
    rows = Transfer.objects.filter(status=Transfer.Status.REQUESTED, expires_at__lte=now)
    if account is not None:
        rows = rows.filter(account=account)
    message = "no worker took it in time: nothing was sent"
    return rows.update(status=Transfer.Status.FAILED, ended_at=now, message=message)


def close(transfer: Transfer, *, moved: bool, by: User | None, via: str) -> Transfer:
    """Say what became of a transfer without an answer, after comparing both wallets.

    `moved`: the funds arrived. Refusal unless its outcome is unknown. Nothing is sent.
    """
    status = Transfer.Status.DONE if moved else Transfer.Status.FAILED
    changed = Transfer.objects.filter(pk=transfer.pk, status=Transfer.Status.UNKNOWN).update(
        status=status,
        ended_at=timezone.now(),
        closed_by=by,
        message=f"{transfer.message} [closed by hand via {via}]".strip()[:500],
    )
    if not changed:
        raise Refusal("not_unknown", _("What became of this transfer is known already."))
    transfer.refresh_from_db()
    return transfer
