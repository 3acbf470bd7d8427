"""The decision log in words: which rule decided, and what its numbers are called."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from bots.lifecycle import Reason
from bots.messages import explain
from bots.models import Decision, Market, Order
from bots.models.bot import Direction
from bots.models.ledger import STATUSES
from bots.sentences import duration
from bots.templatetags.show import amount, at, money, number, price, read
from trading import strategies
from trading.market import Rules

__all__ = [
    "CANCEL_REASONS",
    "DOORS",
    "GATES",
    "LEVELS",
    "NUMBERS",
    "ORDER_REASONS",
    "STATUSES",
    "gate",
    "in_order",
    "label",
    "numbers",
    "order_status",
    "reason",
    "refusal",
    "why",
]

#: What let an order through or kept it back, as a sentence. Failures use the reasons' words.
GATES = {
    "signal": _("The strategy gave the signal."),
    "command": _("You asked for it."),
    "closing": _("The bot is closing its position."),
    "stop_loss": _("The stop loss was reached."),
    "trailing_stop": _("The trailing stop was reached."),
    "take_profit": _("The profit target was reached."),
    "no_signal": _("The strategy gives no signal."),
    "in_position": _("Holding: no exit was reached."),
    "flat": _("There is no position to close."),
    "duty_exit": _("Stopping: nothing is opened."),
    "direction": _("This bot may not go that way."),
    "entry_resting": _("The entry order waits for its price."),
    "entry_timeout": _("The entry order's time was over."),
    "signal_gone": _("The signal for the entry order is gone."),
    "ladder": _("The orders of its ladder wait for their prices."),
    "max_daily_loss": _("The daily loss limit is reached."),
    "daily_target": _("The daily target is reached."),
    "max_daily_trades": _("The daily number of trades is reached."),
    "account_daily_loss": _("The account's daily loss limit is reached."),
    "max_drawdown": _("The drawdown limit is reached."),
    "cooldown": _("The bot rests after a loss."),
    "stop_guard": _("Too many stops in a short time."),
    "max_open_positions": _("The account holds as many positions as you allow."),
    "spread": _("Ask and bid are too far apart."),
    "liquidation": _("The stop lies beyond the liquidation price: nothing was sent."),
    "market_halted": _("The exchange has halted this market."),
    "below_minimum": _(
        "The order, or what is left of it at its stop, would be below the market's minimum."
    ),
    "too_large": _("The order would be above the market's maximum."),
    "insufficient_funds": _("There are not enough free funds."),
    "order_unknown": _("An order's outcome is not known yet."),
    "reconcile": _("Account and ledger do not agree: nothing was sent."),
    "reconciled": _("The exchange was asked, and the ledger agrees with it."),
    "position_closed": _("The position is closed."),
    "replaced": _("It was replaced by another one."),
    "adjusted": _("What the exchange no longer holds was booked as left."),
    "adopted": _("It was found at the exchange and taken in."),
    "outpaced": _("You changed the bot meanwhile: nothing was sent."),
    "withdrawn": _("A signal took it back before a tick followed it."),
    "killed": _("The worker ended in the middle of this tick; the next one went on."),
}
#: Why an order was written, or taken back.
ORDER_REASONS = {
    **GATES,
    "liquidation": _("The exchange liquidated the position."),
    "ladder": _("It is an order of the strategy's ladder."),
}
#: Why an order was taken back: a ladder's is for another cause than that it was written.
CANCEL_REASONS = {
    **ORDER_REASONS,
    "ladder": _("The strategy's ladder no longer has this order."),
}
#: What an order that protects a position stands for.
LEVELS = {
    "stop_loss": _("Stop loss"),
    "trailing_stop": _("Trailing stop"),
    "take_profit": _("Take profit"),
}
#: What a strategy looked at. A name that is not in NUMBERS is a strategy's, too.
SIGNALS = {
    "rsi": _("RSI"),
    "ema_fast": _("fast EMA"),
    "ema_slow": _("slow EMA"),
    "macd": _("MACD line"),
    "macd_signal": _("signal line"),
    "close": _("close"),
    "lower": _("lower band"),
    "middle": _("middle of the bands"),
    "upper": _("upper band"),
    "highest": _("highest high"),
    "lowest": _("lowest low"),
    "rsi_limit": _("RSI limit"),
    "bottom": _("lowest line"),
    "top": _("highest line"),
}
NUMBERS = {
    "price": _("price"),
    "entry_price": _("entry"),
    "stop": _("stop"),
    "trailing": _("trailing"),
    "target": _("target"),
    "limit_price": _("limit price"),
    "direction": _("direction"),
    "amount": _("amount"),
    "filled": _("filled"),
    "age": _("waits for"),
    "notional": _("value"),
    "need": _("needed"),
    "have": _("there is"),
    "limit": _("limit"),
    "max_amount": _("at most"),
    "until": _("until"),
    "currency": _("currency"),
    "rungs": _("orders that rest"),
    "rungs_wanted": _("orders wished for"),
    **SIGNALS,
}
#: How they are rounded.
PRICES = frozenset(
    {"price", "entry_price", "limit_price", "stop", "trailing", "target"}
    | {"close", "highest", "lowest", "bottom", "top"}
)
AMOUNTS = frozenset({"amount", "filled", "max_amount"})
#: What a gate's "have" and "limit" are.
MONEY_GATES = frozenset({"max_daily_loss", "daily_target", "account_daily_loss", "max_drawdown"})
PRICE_GATES = frozenset({"liquidation"})
COMPARED = frozenset({"have", "limit"})
DIRECTIONS = dict(Direction.choices)
DOORS = {
    "page": _("page"),
    "api": _("API"),
    "admin": _("admin"),
    "command": _("command"),
    "tick": _("tick"),
    "reset": _("daily reset"),
    "sweep": _("sweep"),
    "signal": _("signal"),
}


def gate(name: str) -> str:
    """Return the sentence for a gate; a reason's label, or the word itself, where there is none."""
    if name in GATES:
        return str(GATES[name])
    try:
        return str(Reason(name).label)
    except ValueError:
        return name


def refusal(result: str) -> str:
    """Return why a command was not followed, as a sentence: a gate, a failure, or the stop."""
    if result == "stopped":
        return gettext("The bot was stopped first.")
    if result in GATES or result not in Reason.values:
        return gate(result)
    explained = explain(result)
    return str(explained.what if explained else Reason(result).label)


def reason(code: str) -> str:
    """Return the sentence for what a strategy said; empty where none has such a reason (now)."""
    strategy, _dot, _rest = code.partition(".")
    known = strategies.STRATEGIES.get(strategy)
    return gettext(known.reasons[code]) if known and code in known.reasons else ""


def why(decision: Decision) -> str:
    """Return why this tick did or did not trade, in the active language."""
    said = reason(str(decision.numbers.get("why", "")))
    if said and decision.gate in ("signal", "no_signal"):
        return said
    if said and decision.gate == "in_position":
        return f"{gate(decision.gate)} {said}"
    if decision.action == Decision.Action.EXIT and decision.gate in ORDER_REASONS:
        return str(ORDER_REASONS[decision.gate])
    return gate(decision.gate)


def numbers(
    decision: Decision, market: Market | Rules | None = None
) -> Iterator[tuple[str, object]]:
    """Yield the numbers a rule compared, rounded to the market's steps: (name, value)."""
    for name in in_order(decision.numbers):
        value = decision.numbers[name]
        is_gate = name == "exit"
        shown = gate(str(value)) if is_gate else rounded(decision.gate, name, value, market)
        yield label(name), shown


def in_order(numbers: Mapping[str, object]) -> list[str]:
    """Return the names of a decision's numbers: PostgreSQL forgets the order of JSON's keys."""
    order = [*NUMBERS, *sorted(set(numbers) - set(NUMBERS) - {"why"})]
    return [name for name in order if name in numbers]


def label(name: str) -> str:
    """Return what a number is called; one that only its strategy knows keeps its name."""
    return str(NUMBERS.get(name, name))


def rounded(rule: str, name: str, value: object, market: Market | Rules | None) -> object:
    """Write a number as what it is: a price, an amount, money, a time, or else up to 8 digits."""
    if name == "until":
        return _time(value)
    if name == "direction":
        return DIRECTIONS.get(str(value), value)
    exact = read(value)
    if exact is None:
        return value
    if name == "age":
        return duration(float(exact))
    if name in PRICES or (name in COMPARED and rule in PRICE_GATES):
        return price(exact, market.price_tick if market else None)
    if name in AMOUNTS:
        return amount(exact, market.amount_step if market else None)
    if name == "notional" or (name in COMPARED and rule in MONEY_GATES):
        return money(exact)
    if name in COMPARED and rule == "spread":
        return f"{number(exact, 3)} %"
    if name in COMPARED and rule == "entry_timeout":
        return duration(float(exact))
    if name in COMPARED and rule == "cooldown":
        return duration(float(exact) * 60)
    return number(exact, 2) if name == "rsi" else number(exact)


def _time(value: object) -> object:
    """Show an instant that was written as ISO text in the reader's zone."""
    try:
        return at(datetime.fromisoformat(str(value)))
    except ValueError:
        return value


def order_status(order: Order) -> str:
    """Return an order's status for people."""
    return str(STATUSES.get(order.status, order.status))
