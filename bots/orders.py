"""Orders that rest at the exchange: the entry that waits for its price, and cancelling for good.

Cancelling is asked for as often as it takes: unlike an order it may be said twice. What counts is
what the exchange says of the order afterwards, since it may have been filled on the way.
"""

from contextlib import suppress
from decimal import Decimal

from bots import failpoints, ledger
from bots.lease import Held
from bots.models import Order
from trading.exchange import Exchange, Rejected
from trading.execution import Resting
from trading.ladder import Rung
from trading.market import OrderStatus, OrderType, Rules, Side

RESTING_TYPES = (OrderType.LIMIT.value, OrderType.POST_ONLY.value)
#: No rung of any strategy has this level.
NOWHERE = -1
AT_THE_EXCHANGE = (OrderStatus.OPEN.value, OrderStatus.PARTIAL.value)


def resting_entry(held: Held) -> Order | None:
    """Return the bot's entry order that is known to rest at the exchange."""
    rows = Order.objects.filter(
        bot=held.bot,
        is_settled=False,
        purpose=Order.Purpose.ENTRY,
        type__in=RESTING_TYPES,
        status__in=AT_THE_EXCHANGE,
    )
    return next(iter(rows), None)


def as_resting(held: Held, order: Order) -> Resting:
    """Return the order as a decision sees it."""
    return Resting(
        side=Side(order.side),
        price=order.price or order.amount * 0,
        filled=order.filled,
        age=(held.started - order.created_at).total_seconds(),
        forced=order.reason == "command",
    )


def protection(held: Held) -> list[Order]:
    """Return the bot's protective orders that are not final yet."""
    if not held.state.has_protection:
        return []
    rows = Order.objects.filter(bot=held.bot, purpose=Order.Purpose.PROTECT, is_settled=False)
    return list(rows.order_by("pk"))


def ladder(held: Held) -> list[Order]:
    """Return the bot's rungs that are not final yet, oldest first."""
    if not held.state.has_ladder:
        return []
    rows = Order.objects.filter(bot=held.bot, purpose=Order.Purpose.RUNG, is_settled=False)
    return list(rows.order_by("pk"))


def as_rung(order: Order) -> Rung:
    """Return what is left of a rung; one that was taken in without its level has no place."""
    return Rung(
        level=NOWHERE if order.level is None else order.level,
        side=Side(order.side),
        price=order.price or order.amount * 0,
        amount=order.amount - order.filled,
    )


def locked(held: Held) -> Decimal:
    """Return the base units that the bot's own resting orders hold; a pair shares its own."""
    held_by: dict[str, Decimal] = {}
    sales = (order for order in ladder(held) if order.side == Side.SELL)
    for order in [*protection(held), *sales]:
        name = order.pair or order.client_order_id
        held_by[name] = max(held_by.get(name, Decimal(0)), order.amount - order.filled)
    return sum(held_by.values(), Decimal(0))


def cancel(held: Held, order: Order, gate: str, rules: Rules, exchange: Exchange) -> bool:
    """Take an order back. Returns whether it is settled now: cancelled, or filled before.

    Raises ExchangeError when the exchange cannot be asked; the next tick goes on.
    """
    ledger.note_cancel(held, order, gate)
    failpoints.reach("cancel.before", held.bot.pk)
    # Rejected: there is nothing to cancel any more; what became of it, the next question tells.
    with suppress(Rejected):
        exchange.cancel(order.request, order.exchange_order_id or "")
    report = exchange.find(order.request, order.exchange_order_id or "")
    if report is not None:
        ledger.apply(held, order, report, rules, exchange)
    return order.is_settled


def cancel_ladder(held: Held, gate: str, rules: Rules, exchange: Exchange) -> bool:
    """Take all rungs back. Returns whether none is left."""
    for order in ladder(held):
        if not cancel(held, order, gate, rules, exchange):
            return False
    return not held.state.has_ladder


def cancel_protection(held: Held, gate: str, rules: Rules, exchange: Exchange) -> bool:
    """Take all protective orders back. Returns whether none is left.

    One of a pair takes the other along, so each is asked about before it is cancelled.
    """
    for order in protection(held):
        report = exchange.find(order.request, order.exchange_order_id or "")
        if report is not None:
            ledger.apply(held, order, report, rules, exchange)
        if not order.is_settled:
            cancel(held, order, gate, rules, exchange)
    return not held.state.has_protection
