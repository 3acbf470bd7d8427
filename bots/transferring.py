"""A worker's side of a transfer: sent once, and looked up where the answer was lost."""

from datetime import UTC, datetime, timedelta
from typing import cast

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from bots import schedule, transfers
from bots.connect import account_exchange
from bots.lifecycle import PositionType
from bots.models import Account, Transfer
from trading.exchange import ExchangeError, Unreachable
from trading.wallets import TransferReport, Wallets

Status = Transfer.Status
#: How far the exchange's time of a transfer may lie before its signature.
SLACK = timedelta(seconds=5)
#: For how long the exchange is asked what became of one; then it is the owner's to tell.
ASKED = timedelta(days=1)


def wallets_of(account: Account) -> Wallets:
    """Return what moves the account's funds. Raises ExchangeError."""
    return cast("Wallets", account_exchange(account, PositionType.FUTURES))


def send(transfer_id: int, wallets: Wallets | None = None) -> Transfer | None:
    """Send a requested transfer, once; None if it is not (any more) to be sent.

    The row says so before anything leaves: whatever happens after that, it is never sent again.
    """
    transfers.expire()
    row = Transfer.objects.select_related("account__owner").filter(pk=transfer_id).first()
    if row is None or not _claim(row):
        return None
    try:
        wallets = wallets or wallets_of(row.account)
        at = datetime.fromtimestamp(wallets.now() / 1000, UTC)
    except ExchangeError as error:
        return _end(row, Status.FAILED, error.text)
    if not Transfer.objects.filter(pk=row.pk, status=Status.SENT).update(signed_at=at):
        return None  # it took so long that it counts as never sent
    try:
        name = wallets.transfer(row.currency, row.amount, row.source, row.target)
    except Unreachable as error:
        return _end(row, Status.UNKNOWN if error.sent else Status.FAILED, error.text)
    except ExchangeError as error:
        return _end(row, Status.FAILED, error.text)
    return _end(row, Status.DONE, "", name)


def _claim(row: Transfer) -> bool:
    """Take the row, unless another worker did or the owner may not trade any more."""
    if not row.account.owner.is_active or not settings.LIVE_TRADING_ENABLED:
        Transfer.objects.filter(pk=row.pk, status=Status.REQUESTED).update(
            status=Status.FAILED,
            ended_at=timezone.now(),
            message="live trading was switched off meanwhile: nothing was sent",
        )
        return False
    free = Transfer.objects.filter(
        pk=row.pk, status=Status.REQUESTED, expires_at__gt=timezone.now()
    )
    return bool(free.update(status=Status.SENT, sent_at=timezone.now()))


def _end(row: Transfer, status: Status, message: str, exchange_id: str = "") -> Transfer:
    """Write what became of a transfer, unless that is known already."""
    Transfer.objects.filter(pk=row.pk, status__in=[Status.SENT, Status.UNKNOWN]).update(
        status=status,
        message=message[:500],
        exchange_id=exchange_id,
        ended_at=None if status == Status.UNKNOWN else timezone.now(),
    )
    row.refresh_from_db()
    if status == Status.DONE:
        schedule.send("bots.tasks.refresh_balance", row.account_id)
    return row


def unanswered() -> list[int]:
    """Return the transfers whose outcome a worker should ask for."""
    now = timezone.now()
    over = now - timedelta(seconds=settings.ORDER_FENCE_SECONDS)
    rows = Transfer.objects.filter(status__in=[Status.SENT, Status.UNKNOWN], sent_at__lt=over)
    rows = rows.filter(Q(status=Status.SENT) | Q(sent_at__gt=now - ASKED))
    return list(rows.values_list("pk", flat=True))


def look_up(transfer_id: int, wallets: Wallets | None = None) -> Transfer | None:
    """Ask the exchange's list of transfers what became of one whose answer was lost.

    One listed transfer of that currency, way and amount, of the seconds in which the request was
    valid, is it. None there proves nothing, several could be the owner's own: then it stays unknown
    until the owner has compared the balances. Raises ExchangeError.
    """
    row = Transfer.objects.select_related("account").filter(pk=transfer_id).first()
    if row is None or row.status not in (Status.SENT, Status.UNKNOWN):
        return None
    signed_at = row.signed_at
    if signed_at is None:
        return _never_signed(row)
    if row.status == Status.SENT:
        row = _end(row, Status.UNKNOWN, "the worker ended before the exchange answered")
    found = _listed(row, signed_at, wallets or wallets_of(row.account))
    if len(found) == 1 and found[0].is_done:
        return _end(row, Status.DONE, row.message, found[0].transfer_id)
    return row


def _never_signed(row: Transfer) -> Transfer:
    """Close a row whose worker ended before it signed: the time is written before anything leaves.

    A worker that still lives finds the row closed and sends nothing.
    """
    Transfer.objects.filter(pk=row.pk, status=Status.SENT, signed_at=None).update(
        status=Status.FAILED,
        ended_at=timezone.now(),
        message="the worker ended before it was sent: nothing was moved",
    )
    row.refresh_from_db()
    return row


def _listed(row: Transfer, signed: datetime, wallets: Wallets) -> list[TransferReport]:
    until = signed + timedelta(seconds=settings.ORDER_FENCE_SECONDS)
    reports = wallets.transfers(
        row.currency,
        row.source,
        since=round((signed - SLACK).timestamp() * 1000),
        until=round(until.timestamp() * 1000),
    )
    known = set(
        Transfer.objects.filter(account=row.account)
        .exclude(exchange_id="")
        .values_list("exchange_id", flat=True)
    )
    return [
        report
        for report in reports
        if report.amount == row.amount and report.transfer_id not in known
    ]
