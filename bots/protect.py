"""The stop and the target that rest at the exchange while a bot holds a position.

They work while nobody ticks. Each tick compares them with what the position wants, replaces them
when a trailing stop has moved, and takes them away with the position. Whatever cannot be placed is
told, and the tick watches the stop itself, as it always does.
"""

from collections.abc import Sequence
from datetime import timedelta

from bots import failpoints, intents, ledger, orders
from bots.change import record
from bots.lease import Held
from bots.lifecycle import Move
from bots.models import BotState, Order
from bots.models.state import Protection
from trading import protective, strategies
from trading.exchange import Can, Exchange, ExchangeError, Refused, Rejected, Unreachable
from trading.market import OrderReport, OrderStatus, OrderType, Rules, Side
from trading.protective import Protective
from trading.risk import Gate, Levels

#: After a refused order the same one is not tried again before this has passed.
PATIENCE = timedelta(minutes=5)


def keep(held: Held, levels: Levels, rules: Rules, exchange: Exchange) -> None:
    """Make what rests at the exchange what the position at these levels wants.

    Nothing here fails a tick: an order that cannot be placed leaves the position to the ticks, and
    says so. An outcome that is not known stays unsettled and is asked for by the next tick.
    """
    state = held.state
    if not state.in_position or state.has_unsettled_orders:
        return
    if not _is_offered(held, exchange):
        _tell(held, Protection.WATCHED, "")
        return
    position, is_futures = state.position, ":" in rules.symbol
    wanted = protective.wanted(rules, position, levels, position.amount, futures=is_futures)
    there = orders.protection(held)
    if not protective.differs([_as_protective(order) for order in there], wanted.orders, rules):
        _tell(held, Protection.RESTING if there else Protection.WATCHED, _why_not(wanted))
        return
    if _was_just_refused(held, wanted.orders):
        return
    try:
        if not orders.cancel_protection(held, "replaced", rules, exchange):
            return
        if not held.state.in_position or not wanted.orders:
            # It was filled on the way, or nothing can rest: then each tick watches the stop.
            _tell(held, Protection.WATCHED, _why_not(wanted))
            return
        _place(held, wanted.orders, rules, exchange)
    except (Rejected, Refused) as error:
        _tell(held, Protection.FAILED, error.text)
    except ExchangeError as error:
        _tell(held, Protection.FAILED, error.text)


def _is_offered(held: Held, exchange: Exchange) -> bool:
    ladder = strategies.ladder_of(held.bot.strategy)
    if ladder is not None and ladder.sells:
        return False
    return held.bot.protect_on_exchange and Can.STOP in exchange.can


def _why_not(wanted: protective.Wanted) -> str:
    if wanted.missing is None:
        return ""
    numbers = ", ".join(f"{name} {value}" for name, value in wanted.missing.numbers.items())
    return f"{wanted.missing.gate}: {numbers}"


def _as_protective(order: Order) -> Protective:
    """Return what is left of an order, as the comparison takes it."""
    return Protective(
        type=OrderType(order.type),
        gate=Gate(order.reason),
        side=Side(order.side),
        amount=order.amount - order.filled,
        trigger=order.trigger or order.amount * 0,
    )


def _was_just_refused(held: Held, wanted: Sequence[Protective]) -> bool:
    """Whether the same order was refused minutes ago: to ask again would only fill the ledger."""
    if held.state.protection != Protection.FAILED:
        return False
    refused = Order.objects.filter(
        bot=held.bot,
        purpose=Order.Purpose.PROTECT,
        status=OrderStatus.REJECTED,
        created_at__gt=held.started - PATIENCE,
    )
    triggers = {order.trigger for order in refused}
    return any(order.trigger in triggers for order in wanted)


def _place(held: Held, wanted: Sequence[Protective], rules: Rules, exchange: Exchange) -> None:
    """Write the orders down, send them once, book the answers."""
    is_futures = ":" in rules.symbol
    if len(wanted) == 2 and not is_futures and Can.PAIR not in exchange.can:
        # On spot two orders would share the same coins: the stop is the one that matters.
        wanted = [order for order in wanted if order.type is OrderType.STOP]
    failpoints.reach("protect.before", held.bot.pk)
    signed_at = exchange.now()
    written = intents.write_protection(held, wanted, rules, signed_at=signed_at)
    failpoints.reach("protect.after", held.bot.pk)
    if len(written) == 2 and not is_futures:
        _send_pair(held, written, rules, exchange)
    else:
        _send_each(held, written, rules, exchange)
    if held.state.has_unsettled_orders:
        _tell(held, Protection.FAILED, "the exchange has not confirmed it yet")
    else:
        _tell(held, Protection.RESTING, "")


def _send_pair(held: Held, pair: Sequence[Order], rules: Rules, exchange: Exchange) -> None:
    stop, target = pair
    try:
        reports = exchange.place_pair(stop.request, target.request)
    except ExchangeError as error:
        for order in pair:
            _note_failure(held, order, error)
        if not isinstance(error, Unreachable) or not error.sent:
            raise
        return
    for order, report in zip(pair, reports, strict=True):
        ledger.apply(held, order, report, rules, exchange)


def _send_each(held: Held, written: Sequence[Order], rules: Rules, exchange: Exchange) -> None:
    """Send orders one by one; after one that fails none is sent, and none is waited for."""
    for number, order in enumerate(written, 1):
        try:
            _send(held, order, rules, exchange)
        except ExchangeError:
            for unsent in written[number:]:
                text = "not sent: the order before it failed"
                ledger.close(held, unsent, OrderStatus.ABANDONED, text)
            raise


def _send(held: Held, order: Order, rules: Rules, exchange: Exchange) -> None:
    try:
        report: OrderReport = exchange.place(order.request)
    except ExchangeError as error:
        _note_failure(held, order, error)
        if not isinstance(error, Unreachable) or not error.sent:
            raise
        return
    ledger.apply(held, order, report, rules, exchange)


def _note_failure(held: Held, order: Order, error: ExchangeError) -> None:
    if isinstance(error, (Rejected, Refused)):
        ledger.close(held, order, OrderStatus.REJECTED, error.text)
    elif isinstance(error, Unreachable) and error.sent:
        ledger.mark_unknown(held, order, error.text)
    else:
        ledger.close(held, order, OrderStatus.ABANDONED, error.text)


def _tell(held: Held, protection: Protection, message: str) -> None:
    """Write who watches the stop; a change for the worse or back is history."""
    state = held.state
    if not state.in_position:
        return
    message = message[:500]
    if (state.protection, state.protection_message) == (protection, message):
        return
    BotState.objects.filter(**held.mine).update(protection=protection, protection_message=message)
    held.refresh()
    if Protection.FAILED in (state.protection, protection) and state.protection != protection:
        record(state, held.state, Move.PROTECT, by=None, via="tick", why=message or protection)
