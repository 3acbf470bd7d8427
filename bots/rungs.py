"""The ladder of a bot: what rests at the exchange is made what the strategy wants to rest.

Each rung is an order like any other: written down, sent once, answered or unknown. What nobody
wants any more is taken back first; then what is missing is placed, the most urgent first, as far
as the tick's time goes. The next tick goes on.
"""

from collections.abc import Sequence
from datetime import timedelta

from django.conf import settings

from bots import failpoints, intents, ledger, orders, outcome
from bots.lease import Held, Outcome
from bots.lifecycle import Move, Reason, WindDown, reason_of
from bots.models import Decision, Order
from trading.exchange import Exchange, Refused, Rejected, Unreachable
from trading.ladder import Rung, missing
from trading.market import OrderStatus, Rules, Side
from trading.risk import Gate

#: After a refused rung the same one is not tried again before this has passed.
PATIENCE = timedelta(minutes=5)
#: So many of the newest orders are looked through for it: more than a grid can send at once.
NEWEST = 60


def keep(held: Held, wanted: Sequence[Rung], rules: Rules, exchange: Exchange) -> Outcome | None:
    """Let these rungs rest and no other. Returns what kept it from that, None if nothing did.

    Whatever is filled on the way changes what is wanted: the next tick decides on it. Outpaced
    when stop or edit came first; ExchangeError when an order cannot be taken back.
    """
    state = held.state
    if state.has_unsettled_orders or not (state.has_ladder or wanted):
        return None
    before, left = state.current_position_size, list(wanted)
    resting = orders.ladder(held)
    for order in resting:
        rung = orders.as_rung(order)
        if rung in left:
            left.remove(rung)
        elif not orders.cancel(held, order, Gate.LADDER, rules, exchange):
            return outcome.unsettled(held)
    new = list(missing(wanted, [orders.as_rung(order) for order in resting]))
    for rung in new:
        if held.state.current_position_size != before:
            return None
        if held.seconds_left < settings.TICK_SEND_MARGIN_SECONDS:
            return None
        if ends := _place(held, rung, rules, exchange):
            return ends
    return None


def withdraw(held: Held, rules: Rules, exchange: Exchange) -> bool:
    """Take the buys of a bot that is off back, whatever the market says. Returns whether all are.

    Where its position is left to itself, the sales go with them. ExchangeError when one cannot be
    taken back.
    """
    for order in orders.ladder(held):
        leaves = order.side == Side.BUY or held.state.wind_down == WindDown.LEAVE
        if leaves and not orders.cancel(held, order, Gate.DUTY_EXIT, rules, exchange):
            return False
    return True


def _place(held: Held, rung: Rung, rules: Rules, exchange: Exchange) -> Outcome | None:
    """Write one rung down, send it once, book the answer."""
    if refused := _just_refused(held, rung):
        return _held_up(Reason.ORDER_REJECTED, refused, None)
    if rung.side is Side.SELL and held.state.has_protection:
        # Coins in a protective order cannot be sold; the ticks watch the stop from here on.
        before = held.state.current_position_size
        if not orders.cancel_protection(held, Gate.LADDER, rules, exchange):
            return outcome.unsettled(held)
        if not held.state.in_position:
            return outcome.closed_meanwhile(held)
        if held.state.current_position_size != before:
            return None  # it sold a part: what is left to be sold is the next tick's
    signed_at = exchange.now()
    failpoints.reach("rung.before", held.bot.pk)
    order = intents.write_rung(held, rung, rules, signed_at=signed_at)
    failpoints.reach("rung.after", held.bot.pk)
    try:
        report = exchange.place(order.request)
    except Unreachable as error:
        if not error.sent:
            ledger.close(held, order, OrderStatus.ABANDONED, error.text)
            return outcome.failed(held, error, order=order)
        ledger.mark_unknown(held, order, error.text)
        return outcome.unsettled(held)
    except Rejected as error:
        ledger.close(held, order, OrderStatus.REJECTED, error.text)
        return _held_up(reason_of(error.fault), error.text, order)
    except Refused as error:
        ledger.close(held, order, OrderStatus.REJECTED, error.text)
        return outcome.failed(held, error, order=order)
    ledger.apply(held, order, report, rules, exchange)
    return None


def _held_up(reason: Reason, text: str, order: Order | None) -> Outcome:
    """The bot goes on with what rests, and its owner has something to know."""
    return Outcome(
        move=Move.WAIT,
        reason=reason,
        action=Decision.Action.BLOCKED,
        gate=Gate.LADDER,
        message=outcome.message_for(reason, text),
        order=order,
    )


def _just_refused(held: Held, rung: Rung) -> str:
    """Return why the same rung was refused minutes ago; empty: it was not.

    Looked for among the bot's newest orders alone: over the years a grid has very many.
    """
    rows = Order.objects.filter(bot=held.bot).order_by("-pk")
    columns = ("purpose", "status", "level", "side", "price", "amount", "created_at", "message")
    same = [
        Order.Purpose.RUNG,
        OrderStatus.REJECTED,
        rung.level,
        rung.side,
        rung.price,
        rung.amount,
    ]
    for *told, created_at, message in rows.values_list(*columns)[:NEWEST]:
        if told == same and created_at > held.started - PATIENCE:
            return message or OrderStatus.REJECTED
    return ""
