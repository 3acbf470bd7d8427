"""The decision log in words: which rule decided, and what its numbers are called."""

from collections.abc import Iterator

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from bots.lifecycle import Reason
from bots.models import Decision, Order
from bots.templatetags.show import plain_number
from trading import strategies

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
    "flat": _("There is no position to sell."),
    "duty_exit": _("Stopping: nothing is opened."),
    "max_daily_loss": _("The daily loss limit is reached."),
    "daily_target": _("The daily target is reached."),
    "max_daily_trades": _("The daily number of trades is reached."),
    "market_halted": _("The exchange has halted this market."),
    "below_minimum": _("The order would be below the market's minimum."),
    "too_large": _("The order would be above the market's maximum."),
    "insufficient_funds": _("There are not enough free funds."),
    "order_unknown": _("An order's outcome is not known yet."),
    "outpaced": _("You changed the bot meanwhile: nothing was sent."),
    "killed": _("The worker ended in the middle of this tick; the next one went on."),
}
NUMBERS = {
    "price": _("price"),
    "entry_price": _("entry"),
    "stop": _("stop"),
    "trailing": _("trailing"),
    "target": _("target"),
    "amount": _("amount"),
    "notional": _("value"),
    "need": _("needed"),
    "have": _("there is"),
    "limit": _("limit"),
    "max_amount": _("at most"),
    "currency": _("currency"),
    "rsi": _("RSI"),
    "ema_fast": _("fast EMA"),
    "ema_slow": _("slow EMA"),
}
STATUSES = {
    "sent": _("sent"),
    "unknown": _("outcome unknown"),
    "open": _("open"),
    "partial": _("partly filled"),
    "filled": _("filled"),
    "canceled": _("canceled"),
    "expired": _("expired"),
    "rejected": _("rejected"),
    "abandoned": _("never accepted"),
}
SIDES = {"buy": _("buy"), "sell": _("sell")}
DOORS = {
    "page": _("page"),
    "api": _("API"),
    "admin": _("admin"),
    "command": _("command"),
    "tick": _("tick"),
    "reset": _("daily reset"),
    "sweep": _("sweep"),
}


def gate(name: str) -> str:
    """Return the sentence for a gate; a reason's label, or the word itself, where there is none."""
    if name in GATES:
        return str(GATES[name])
    try:
        return str(Reason(name).label)
    except ValueError:
        return name


def why(decision: Decision, strategy: str) -> str:
    """Return why this tick did or did not trade, in one sentence of the active language."""
    code = str(decision.numbers.get("why", ""))
    known = strategies.STRATEGIES.get(strategy)
    if decision.gate in ("signal", "no_signal") and known and code in known.reasons:
        return gettext(known.reasons[code])
    return gate(decision.gate)


def numbers(decision: Decision) -> Iterator[tuple[str, object]]:
    """Yield the numbers a rule compared: (name, value) for people."""
    # PostgreSQL forgets the order of a JSON object's keys: the one of NUMBERS holds.
    order = [*NUMBERS, *sorted(set(decision.numbers) - set(NUMBERS) - {"why"})]
    for name in (name for name in order if name in decision.numbers):
        value = decision.numbers[name]
        label = str(NUMBERS.get(name, name))
        yield label, gate(str(value)) if name == "exit" else plain_number(value)


def order_status(order: Order) -> str:
    """Return an order's status for people."""
    return str(STATUSES.get(order.status, order.status))
