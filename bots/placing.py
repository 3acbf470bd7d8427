"""One order of a decision: what has to be out of its way, its intent, its sending, its answer."""

from django.conf import settings

from bots import failpoints, intents, ledger, orders, outcome, reconcile
from bots.lease import Held, Outcome
from bots.lifecycle import Duty, PositionType, Reason
from bots.models import Command, Decision
from bots.reconcile import Mismatch
from trading import execution
from trading.exchange import Exchange, Refused, Rejected, Unreachable
from trading.market import OrderStatus, Rules


def place(
    held: Held,
    exchange: Exchange,
    rules: Rules,
    decision: execution.Decision,
    command: Command | None,
) -> Outcome:
    """Write the intent, send it once, book the answer; an unanswered one stays unknown."""
    ends = _clear(held, exchange, rules, decision)
    if ends is not None:
        return ends
    # All that had to be asked before has been asked: from here on the order may be sent.
    if held.seconds_left < settings.TICK_SEND_MARGIN_SECONDS:
        return outcome.of_reason(held, Reason.NETWORK, "too late in the tick to send an order")
    signed_at = exchange.now()
    failpoints.reach("intent.before", held.bot.pk)
    order = intents.write_intent(held, decision, rules, signed_at=signed_at, command=command)
    failpoints.reach("intent.after", held.bot.pk)
    try:
        report = exchange.place(order.request)
        failpoints.reach("answer.before", held.bot.pk)
    except Unreachable as error:
        if not error.sent:
            ledger.close(held, order, OrderStatus.ABANDONED, error.text)
            return outcome.failed(held, error, order=order)
        ledger.mark_unknown(held, order, error.text)
        return outcome.of_order(held, decision, order)
    except (Rejected, Refused) as error:
        ledger.close(held, order, OrderStatus.REJECTED, error.text)
        found = outcome.failed(held, error, order=order)
        is_no = isinstance(error, Rejected) and decision.action == "exit"
        return _doubt(held, exchange, rules, found) if is_no else found
    ledger.apply(held, order, report, rules, exchange)
    failpoints.reach("answer.after", held.bot.pk)
    return outcome.of_order(held, decision, order)


def _doubt(held: Held, exchange: Exchange, rules: Rules, found: Outcome) -> Outcome:
    """Compare at once when an exit was refused: what it was to sell may not be there any more.

    Returns `found` while the position is; Mismatch, ExchangeError as from a comparison.
    """
    if held.seconds_left < settings.TICK_SEND_MARGIN_SECONDS:
        return found
    compare(held, exchange, rules)
    return found if held.state.in_position else outcome.closed_meanwhile(held)


def _clear(
    held: Held, exchange: Exchange, rules: Rules, decision: execution.Decision
) -> Outcome | None:
    """Take back what is in the order's way; the outcome of the tick if that ends it.

    Rungs in any case; before an exit what protects the position as well.
    """
    before, was_open = held.state.current_position_size, held.state.in_position
    if not orders.cancel_ladder(held, decision.gate, rules, exchange):
        return outcome.unsettled(held)
    is_exit = decision.action == "exit"
    if is_exit and not orders.cancel_protection(held, decision.gate, rules, exchange):
        return outcome.unsettled(held)
    if was_open and not held.state.in_position:
        return outcome.closed_meanwhile(held)  # the order at the exchange was faster
    if held.state.current_position_size != before:
        return outpaced()  # it was filled in part: the rest is decided anew
    if not is_exit:
        _prepare(held, exchange)
    return None


def _prepare(held: Held, exchange: Exchange) -> None:
    """Futures: see to margin and leverage, and that nobody else holds a position there."""
    bot = held.bot
    if bot.position_type != PositionType.FUTURES:
        return
    there = exchange.position(bot.symbol)
    if there.amount:
        text = f"the account already holds {there.amount:f} in {bot.symbol}"
        raise Mismatch(text)
    exchange.prepare(bot.symbol, bot.leverage)


def compare(held: Held, exchange: Exchange, rules: Rules) -> None:
    """Compare with the exchange; a bot that only winds down goes on reducing what is there."""
    try:
        reconcile.compare(held, exchange, rules)
    except Mismatch:
        if trades(held):
            raise


def trades(held: Held) -> bool:
    """Whether the bot is on; one that is not only winds down."""
    return held.state.duty == Duty.TRADE


def outpaced() -> Outcome:
    """Stop, edit or reset came between decision and intent: the next tick decides anew."""
    return Outcome(move=None, reason=None, action=Decision.Action.BLOCKED, gate="outpaced")
