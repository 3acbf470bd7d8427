"""Orders: the intent before the network, the answer after it; what was filled is booked.

Everything here runs in the tick that holds the bot's lease and carries its fence.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import localcontext
from typing import Any

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from bots import limits
from bots.booking import book, price_fee
from bots.lease import Held, LeaseLost
from bots.lifecycle import Duty
from bots.models import BotState, Command, Installation, Order, Outpaced
from bots.models.ledger import new_client_order_id
from bots.models.state import Protection
from trading.exchange import Exchange, ExchangeError
from trading.execution import Decision
from trading.market import EXACT, OrderReport, OrderStatus, Rules, quantize
from trading.protective import Protective


def write_intent(
    held: Held, decision: Decision, rules: Rules, *, signed_at: int, command: Command | None
) -> Order:
    """Commit an order before it is sent (I6). Outpaced if stop, edit, limit or day came first.

    The conditional update is on the row that Stop updates, so the two serialise: whoever
    commits second sees the other (I4). `signed_at`: exchange time, Unix ms.
    """
    order = _intended(held, decision, rules, signed_at)
    with transaction.atomic():
        rows = BotState.objects.filter(**held.mine, **_may_order(held, order.purpose))
        if not rows.update(has_unsettled_orders=True):
            raise Outpaced(f"bot {held.bot.pk}: the intent came too late")
        if order.purpose == Order.Purpose.ENTRY:
            limits.check(held)
        order.save()
        if command is not None:
            Command.objects.filter(pk=command.pk).update(
                status=Command.Status.DONE, order=order, ended_at=held.started
            )
    held.refresh()
    return order


def _may_order(held: Held, purpose: str) -> dict[str, Any]:
    """Return what must still be true of the state row for an order to be written."""
    guard: dict[str, Any] = {
        "run_epoch": held.epoch,
        "lease_until__gt": Now(),
        "has_unsettled_orders": False,
        # Coins in a protective order cannot be sold, and an entry has nothing to protect yet.
        "has_protection": False,
    }
    if purpose != Order.Purpose.ENTRY:
        return guard | {"in_position": True, "duty__in": [Duty.TRADE, Duty.EXIT]}
    return guard | {
        "duty": Duty.TRADE,
        "in_position": False,
        "counter_day": held.state.counter_day,
        "daily_trades_count": held.state.daily_trades_count,
    }


def _intended(held: Held, decision: Decision, rules: Rules, signed_at: int) -> Order:
    if decision.side is None or decision.amount is None or decision.price is None:
        raise ValueError(f"decision {decision.gate} has no order")
    entry = decision.action == "enter"
    return _unsent(
        held,
        signed_at,
        side=decision.side,
        type=decision.order_type,
        purpose=Order.Purpose.ENTRY if entry else Order.Purpose.EXIT,
        reason=decision.gate,
        amount=decision.amount,
        price=decision.limit,
        reduce_only=decision.reduce_only,
        expected_price=decision.price,
        dust=quantize(rules.dust_below(decision.price)),
    )


def _unsent(held: Held, signed_at: int, **values: Any) -> Order:
    """Return a new order of the bot, under a client order id of its own."""
    return Order(
        bot=held.bot,
        account=held.account,
        client_order_id=new_client_order_id(Installation.get().mark, held.bot.pk),
        symbol=held.bot.symbol,
        signed_at=datetime.fromtimestamp(signed_at / 1000, UTC),
        fence=held.state.fence,
        run_epoch=held.epoch,
        created_at=held.started,
        **values,
    )


def write_protection(
    held: Held, wanted: Sequence[Protective], rules: Rules, *, signed_at: int
) -> list[Order]:
    """Commit protective orders before they are sent; two of spot share a name as a pair."""
    is_futures = ":" in rules.symbol
    rows = [
        _unsent(
            held,
            signed_at,
            side=one.side,
            type=one.type,
            purpose=Order.Purpose.PROTECT,
            reason=one.gate,
            amount=one.amount,
            trigger=one.trigger,
            reduce_only=is_futures,
            expected_price=one.trigger,
            dust=quantize(rules.dust_below(one.trigger)),
        )
        for one in wanted
    ]
    if len(rows) == 2 and not is_futures:
        for order in rows:
            order.pair = rows[0].client_order_id
    with transaction.atomic():
        state = BotState.objects.filter(**held.mine, **_may_order(held, Order.Purpose.PROTECT))
        if not state.update(has_unsettled_orders=True, has_protection=True):
            raise Outpaced(f"bot {held.bot.pk}: the protection came too late")
        for order in rows:
            order.save()
    held.refresh()
    return rows


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

    A protective order that rests is as it should be: it holds nothing up but other orders.
    """
    rows = Order.objects.filter(bot_id=row.pk, is_settled=False)
    left = list(rows.values_list("purpose", "status"))
    protects = Order.Purpose.PROTECT
    is_protected = any(purpose == protects for purpose, _status in left)
    changes: dict[str, Any] = {
        "has_unsettled_orders": any(
            purpose != protects or status != OrderStatus.OPEN for purpose, status in left
        ),
        "has_protection": is_protected,
    }
    if not is_protected and row.protection == Protection.RESTING:
        changes["protection"] = ""  # nothing rests any more: who watches now, the tick will tell
    BotState.objects.filter(**held.mine).update(**changes)
