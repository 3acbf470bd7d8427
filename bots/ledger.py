"""Orders after they were sent: what the exchange answers, and what was filled is booked.

Everything here runs in the tick that holds the bot's lease and carries its fence.
"""

from decimal import localcontext
from typing import Any

from django.db import transaction
from django.db.models import F

from bots.booking import book, price_fee
from bots.lease import Held, LeaseLost
from bots.models import BotState, Order
from bots.models.state import Protection
from trading.exchange import Exchange, ExchangeError
from trading.market import EXACT, OrderReport, OrderStatus, Rules


def reopen(held: Held, order: Order) -> None:
    """Ask again about an order that had ended: the exchange has filled more of it since."""
    with transaction.atomic():
        row = held.locked()
        Order.objects.filter(pk=order.pk, is_settled=True).update(is_settled=False)
        _note_settled(held, row)
    held.refresh()


def note_cancel(held: Held, order: Order, gate: str) -> None:
    """Write down why an order is about to be taken back; the first reason stays."""
    if order.cancel_reason:
        return
    with transaction.atomic():
        held.locked()
        Order.objects.filter(pk=order.pk).update(cancel_reason=gate)
    order.cancel_reason = gate


def close(held: Held, order: Order, status: OrderStatus, message: str) -> None:
    """End an order that was surely not accepted (REJECTED, ABANDONED): nothing was filled."""
    with transaction.atomic():
        row = held.locked()
        _forward(held, order, status, is_settled=True, message=message[:500])
        _note_settled(held, row)
    held.refresh()


def mark_unknown(held: Held, order: Order, message: str) -> None:
    """Keep an order whose outcome nobody knows; only the exchange can decide it."""
    with transaction.atomic():
        row = held.locked()
        _forward(held, order, OrderStatus.UNKNOWN, message=message[:500])
        _note_settled(held, row)
    held.refresh()


def count_not_found(held: Held, order: Order) -> int:
    """Note one more final "no such order" from the exchange; returns how many there are."""
    with transaction.atomic():
        held.locked()
        Order.objects.filter(pk=order.pk).update(not_found=F("not_found") + 1)
    order.refresh_from_db(fields=["not_found"])
    return order.not_found


def apply(held: Held, order: Order, report: OrderReport, rules: Rules, exchange: Exchange) -> None:
    """Book what the exchange says of an order: fills once each, position, counters, status.

    Replaying any report changes nothing. Fees are priced before the transaction, since that may
    ask the exchange; when it cannot tell, the order stays unsettled and is asked for again.
    """
    known = set(order.fills.values_list("trade_id", flat=True))
    fresh = [fill for fill in report.fills if fill.trade_id not in known]
    try:
        priced = [price_fee(fill, rules, exchange, held.world.data) for fill in fresh]
    except ExchangeError:
        _note_answer(held, order, report)
        raise
    final = report.status.is_final or OrderStatus(order.status).is_final
    # Python's own 28 digits are less than a column holds.
    with localcontext(EXACT), transaction.atomic():
        row = held.locked()
        booked = book(held, row, order, priced)
        told = _told(order, report)
        settled = final and told["filled"] == booked
        _forward(held, order, report.status, **told, booked=booked, is_settled=settled)
        _note_settled(held, row)
    held.refresh()
    order.refresh_from_db()


def _note_answer(held: Held, order: Order, report: OrderReport) -> None:
    """Keep what the exchange said of an order whose fills cannot be booked yet."""
    with transaction.atomic():
        row = held.locked()
        message = "filled; a fee cannot be converted yet"
        _forward(held, order, report.status, **_told(order, report), message=message)
        _note_settled(held, row)
    held.refresh()


def _told(order: Order, report: OrderReport) -> dict[str, Any]:
    """Return what a report says of an order, less what a later one has said already."""
    late = report.filled < order.filled
    filled, average = (order.filled, order.average) if late else (report.filled, report.average)
    return {
        "exchange_order_id": report.exchange_order_id,
        "filled": filled,
        "average": average,
    }


def _forward(held: Held, order: Order, status: OrderStatus, **changes: Any) -> None:
    """Move an order forward, never back (I13)."""
    old = OrderStatus(order.status)
    # A late report of an earlier stage may still bring fills; the status stays where it is.
    new = status if old.may_become(status) else old
    if not Order.objects.filter(pk=order.pk, status=order.status).update(
        status=new, updated_at=held.world.clock(), **changes
    ):
        raise LeaseLost(f"order {order.client_order_id} was changed by another")
    order.status = new
    for name, value in changes.items():
        setattr(order, name, value)


def _note_settled(held: Held, row: BotState) -> None:
    """Bring the flags of the state row in line with its orders.

    A protective order or a rung that rests is as it should be.
    """
    left = list(Order.objects.filter(bot_id=row.pk, is_settled=False))
    is_protected = any(order.purpose == Order.Purpose.PROTECT for order in left)
    changes: dict[str, Any] = {
        "has_unsettled_orders": not all(order.rests_as_wished for order in left),
        "has_protection": is_protected,
        "has_ladder": any(order.purpose == Order.Purpose.RUNG for order in left),
    }
    if not is_protected and row.protection == Protection.RESTING:
        changes["protection"] = ""  # nothing rests any more: who watches now, the tick will tell
    BotState.objects.filter(**held.mine).update(**changes)
