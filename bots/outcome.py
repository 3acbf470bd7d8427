"""From what a tick met to where its bot stands: decisions and failures become outcomes."""

import logging

from django.utils import translation

from bots.lease import Held, Outcome
from bots.lifecycle import FATAL, Move, Reason, reason_of
from bots.messages import about_key, explain
from bots.models import Decision as DecisionRow
from bots.models import Order
from trading.exchange import ExchangeError, Fault
from trading.execution import Decision
from trading.market import OrderStatus
from trading.strategies import StrategyFailed

log = logging.getLogger(__name__)

#: Bad ticks in a row after which a bot that once worked shows error instead of waiting.
PATIENCE = 3
#: Gates that hold a bot up though nothing failed: the owner has something to know.
HELD_UP = {
    "market_halted": Reason.MARKET_HALTED,
    "below_minimum": Reason.BELOW_MINIMUM,
    "too_large": Reason.ORDER_REJECTED,
    "insufficient_funds": Reason.INSUFFICIENT_FUNDS,
    "reconcile": Reason.RECONCILE,
}


def message_for(reason: Reason, detail: str = "") -> str:
    """Return what happened and what to do, in English, with the raw (scrubbed) detail."""
    with translation.override("en"):
        text = str(explain(reason))
    return f"{text} [{detail}]" if detail else text


def key_message_for(fault: Fault, detail: str) -> str:
    """Return what the check of a key found, in English, with the raw (scrubbed) detail."""
    with translation.override("en"):
        return f"{about_key(fault.value)} [{detail}]"


def of_decision(held: Held, decision: Decision) -> Outcome:
    """The outcome of a tick that sent no order."""
    state = held.state
    reason = Reason.IN_POSITION if state.in_position else Reason.NO_SIGNAL
    move, message = Move.RUN, ""
    if state.has_unsettled_orders:
        reason = Reason.ENTRY_RESTING
    elif decision.action == "blocked" and decision.gate in HELD_UP:
        reason = HELD_UP[decision.gate]
        move = Move.SWITCH_OFF if reason in FATAL else Move.WAIT
        message = message_for(reason, _detail(decision))
    elif decision.switch_off and not state.in_position:
        move, reason = Move.SWITCH_OFF, Reason(decision.switch_off)
        message = message_for(reason, _detail(decision))
    elif decision.pause and not state.in_position:
        move, reason = Move.PAUSE, Reason(decision.pause)
    elif decision.action == "blocked" and not state.in_position:
        reason = Reason.HELD_BACK
    elif decision.rungs and not state.in_position:
        reason = Reason.ENTRY_RESTING
    return Outcome(
        move=move,
        reason=reason,
        action=decision.action,
        gate=decision.gate,
        numbers=decision.numbers,
        message=message,
        levels=decision.levels if held.state.in_position else None,
    )


def of_order(held: Held, decision: Decision, order: Order) -> Outcome:
    """The outcome of a tick whose order was answered; `held.state` has its fills already."""
    rests = order.status in (OrderStatus.OPEN, OrderStatus.PARTIAL) and order.price is not None
    unsettled = held.state.has_unsettled_orders and not rests
    entered = decision.action == "enter"
    reason = Reason.ENTERED if entered else Reason.EXITED
    message = ""
    if rests:
        reason = Reason.ENTRY_RESTING
    elif unsettled:
        reason = Reason.ORDER_UNKNOWN
        message = message_for(reason, f"{order.client_order_id}: {order.message or order.status}")
    return Outcome(
        move=Move.WAIT if unsettled else Move.RUN,
        reason=reason,
        action=decision.action,
        gate=decision.gate,
        numbers=decision.numbers,
        message=message,
        order=order,
        # After an entry the levels are those of the fill, written with it.
        levels=None if entered else decision.levels,
    )


def closed_meanwhile(held: Held) -> Outcome:
    """The outcome of a tick that finds its position closed: by stop, target or the exchange."""
    order = Order.objects.filter(bot=held.bot, filled__gt=0).order_by("-updated_at", "-pk")[0]
    return Outcome(
        move=Move.RUN,
        reason=Reason.EXITED,
        action=DecisionRow.Action.EXIT,
        gate=order.reason,
        numbers={"price": f"{order.average:f}"} if order.average else {},
        order=order,
    )


def unsettled(held: Held) -> Outcome:
    """An order's end is not known yet: nothing else is decided until the exchange tells."""
    return Outcome(
        move=Move.WAIT,
        reason=Reason.ORDER_UNKNOWN,
        action=DecisionRow.Action.BLOCKED,
        gate="order_unknown",
        message=message_for(Reason.ORDER_UNKNOWN),
    )


def failed(
    held: Held, error: ExchangeError, *, gate: str = "", order: Order | None = None
) -> Outcome:
    """The outcome of a tick that an exchange error ended."""
    return of_reason(
        held,
        reason_of(error.fault),
        error.text,
        gate=gate or error.fault.value,
        order=order,
        retry_after=error.retry_after,
    )


def blind(held: Held, error: ExchangeError | StrategyFailed) -> Outcome:
    """The outcome of a tick that saw a price, but had no signal to judge."""
    if isinstance(error, ExchangeError):
        return failed(held, error)
    return of_reason(held, Reason.INTERNAL, str(error))


def of_reason(
    held: Held,
    reason: Reason,
    detail: str,
    *,
    gate: str = "",
    order: Order | None = None,
    retry_after: float | None = None,
) -> Outcome:
    """Judge a failure: fatal switches off; transient waits, or is an error before it ever worked.

    From the third bad tick in a row a waiting bot shows error; it goes on trying all the same.
    """
    if reason in FATAL:
        move = Move.SWITCH_OFF
    elif held.state.last_ok_at is None or held.state.failures + 1 >= PATIENCE:
        move = Move.FAIL
    else:
        move = Move.WAIT
    return Outcome(
        move=move,
        reason=reason,
        action=DecisionRow.Action.FAILED,
        gate=gate or reason.value,
        message=message_for(reason, detail),
        order=order,
        retry_after=retry_after,
    )


def _detail(decision: Decision) -> str:
    return ", ".join(f"{name} {value}" for name, value in decision.numbers.items())
