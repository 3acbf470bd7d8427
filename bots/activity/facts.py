"""A line of the time line as it is stored, for machines: words are for pages."""

from dataclasses import dataclass
from decimal import Decimal

from bots.activity.timeline import Item
from bots.models import AccessEvent, Command, Funding, KeyEvent, Order, StateEvent, Transfer


@dataclass(frozen=True, kw_only=True)
class Facts:
    """A line as it is stored. Absent is None.

    `what` is the move, the purpose, the command, the direction, what happened to a key or a way in,
    "received" or "paid"; `result` the status that it led to, `reason` why; `price` the average,
    else the limit, else the trigger. The amount of a payment is negative when it was paid.
    """

    what: str
    result: str | None = None
    reason: str | None = None
    details: str | None = None
    by: str | None = None
    via: str | None = None
    order: str | None = None
    side: str | None = None
    amount: Decimal | None = None
    price: Decimal | None = None


def facts(item: Item) -> Facts:
    """Return a line as it is stored."""
    row = item.row
    if isinstance(row, StateEvent):
        return Facts(
            what=row.move,
            result=row.new_status,
            reason=row.new_reason,
            details=row.why,
            by=_name(row),
            via=row.via,
        )
    if isinstance(row, Order):
        return Facts(
            what=row.purpose,
            result=row.status,
            reason=row.reason,
            details=row.message,
            order=row.client_order_id,
            side=row.side,
            amount=row.filled or row.amount,
            price=row.average or row.price or row.trigger,
        )
    if isinstance(row, Command):
        return Facts(
            what=row.kind,
            result=item.row.outcome,
            reason=row.result or None,
            by=_name(row),
            via=row.via,
            order=row.order.client_order_id if row.order else None,
        )
    if isinstance(row, Funding):
        what = "paid" if row.amount < 0 else "received"
        return Facts(what=what, reason=row.currency, details=row.symbol, amount=row.amount)
    return _of_account(item)


def _of_account(item: Item) -> Facts:
    row = item.row
    if isinstance(row, Transfer):
        return Facts(
            what=row.direction,
            result=row.status,
            reason=row.currency,
            details=row.message,
            by=_name(row),
            via=row.via,
            amount=row.amount,
        )
    if isinstance(row, AccessEvent):
        return Facts(what=row.what, details=row.details or None, by=_name(row), via=row.via or None)
    if isinstance(row, KeyEvent):
        return Facts(what=row.what, details=row.last4, by=_name(row), via=row.via)
    return Facts(
        what="checked", result="refused", reason=row.check_fault, details=row.check_message
    )


def _name(row: StateEvent | Command | Transfer | KeyEvent | AccessEvent) -> str | None:
    return row.by.get_username() if row.by else None
