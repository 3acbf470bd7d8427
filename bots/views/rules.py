"""The rules of a decision as sentences with their numbers: passed, decided, or not asked."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.utils import formats, timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from bots.models import Decision
from bots.replaying import Replay, Verdict
from bots.views import words
from trading.gates import Check, Mark
from trading.market import Rules
from trading.risk import Gate

#: What a signal may say beside what only its strategy knows.
SIGNAL_NUMBERS = frozenset({*words.SIGNALS, "need", "have"})
#: The rules that the strategy answers.
SIGNALS = frozenset({Gate.SIGNAL, Gate.NO_SIGNAL, Gate.SIGNAL_GONE})
#: What a rule is called where it was not asked.
NAMES = {
    Gate.FLAT: _("Position to close"),
    Gate.DUTY_EXIT: _("Switched on"),
    Gate.MAX_DRAWDOWN: _("Drawdown limit"),
    Gate.MAX_DAILY_LOSS: _("Daily loss limit"),
    Gate.DAILY_TARGET: _("Daily target"),
    Gate.MAX_DAILY_TRADES: _("Trades a day"),
    Gate.ACCOUNT_DAILY_LOSS: _("Account's daily loss limit"),
    Gate.MARKET_HALTED: _("Market"),
    Gate.DIRECTION: _("Direction"),
    Gate.NO_SIGNAL: _("Signal"),
    Gate.COOLDOWN: _("Cooldown"),
    Gate.STOP_GUARD: _("Stop guard"),
    Gate.MAX_OPEN_POSITIONS: _("Account's positions"),
    Gate.SPREAD: _("Spread"),
    Gate.BELOW_MINIMUM: _("Market's minimum"),
    Gate.TOO_LARGE: _("Market's maximum"),
    Gate.INSUFFICIENT_FUNDS: _("Free funds"),
    Gate.LIQUIDATION: _("Liquidation"),
    Gate.STOP_LOSS: _("Stop loss"),
    Gate.TRAILING_STOP: _("Trailing stop"),
    Gate.TAKE_PROFIT: _("Take profit"),
    Gate.COMMAND: _("Your command"),
    Gate.CLOSING: _("Closing"),
    Gate.SIGNAL: _("Signal"),
    Gate.RECONCILE: _("Coins in the account"),
    Gate.SIGNAL_GONE: _("Signal"),
    Gate.ENTRY_TIMEOUT: _("Time of the entry order"),
    Gate.ENTRY_RESTING: _("Entry order"),
    Gate.IN_POSITION: _("Position"),
    Gate.LADDER: _("Ladder"),
}
PASSED = {
    Gate.DUTY_EXIT: _("The bot is switched on."),
    Gate.MAX_DRAWDOWN: _("Drawdown %(have)s is below your limit %(limit)s."),
    Gate.MAX_DAILY_LOSS: _("Today's result %(have)s is above your loss limit %(limit)s."),
    Gate.DAILY_TARGET: _("Today's result %(have)s is below your target %(limit)s."),
    Gate.MAX_DAILY_TRADES: _("%(have)s of %(limit)s trades of the day are used."),
    Gate.ACCOUNT_DAILY_LOSS: _("The account's result today %(have)s is above its limit %(limit)s."),
    Gate.MARKET_HALTED: _("The market trades."),
    Gate.DIRECTION: _("You asked for an entry, and the bot may go that way."),
    Gate.NO_SIGNAL: _("Entry signal: %(why)s"),
    Gate.COOLDOWN: _("The last loss is %(have)s ago: the rest of %(limit)s is over."),
    Gate.STOP_GUARD: _("Recent stops: %(have)s; %(limit)s would hold entries back."),
    Gate.MAX_OPEN_POSITIONS: _("Other bots of the account hold %(have)s of %(limit)s positions."),
    Gate.SPREAD: _("Spread %(have)s is within your limit %(limit)s."),
    Gate.BELOW_MINIMUM: _("%(have)s %(currency)s: the market takes %(need)s and more."),
    Gate.TOO_LARGE: _("%(have)s %(currency)s is within the market's maximum %(max_amount)s."),
    Gate.INSUFFICIENT_FUNDS: _("%(have)s %(currency)s is free, %(need)s is needed."),
    Gate.LIQUIDATION: _("The stop %(have)s comes before the liquidation at about %(limit)s."),
    Gate.STOP_LOSS: _("Price %(price)s has not reached the stop %(stop)s."),
    Gate.TRAILING_STOP: _("Price %(price)s has not reached the trailing stop %(trailing)s."),
    Gate.TAKE_PROFIT: _("Price %(price)s has not reached the target %(target)s."),
    Gate.CLOSING: _("The bot is switched on."),
    Gate.SIGNAL: _("No exit signal: %(why)s"),
    Gate.RECONCILE: _("The account holds the position's coins: %(have)s %(currency)s."),
    Gate.SIGNAL_GONE: _("The signal for the entry order still holds."),
    Gate.ENTRY_TIMEOUT: _("The entry order rests for %(have)s of at most %(limit)s."),
}
DECIDED = {
    Gate.FLAT: _("There is no position to close."),
    Gate.DUTY_EXIT: _("The bot is stopping: it opens nothing and leaves the position."),
    Gate.MAX_DRAWDOWN: _("Drawdown %(have)s has reached your limit %(limit)s."),
    Gate.MAX_DAILY_LOSS: _("Today's result %(have)s has reached your loss limit %(limit)s."),
    Gate.DAILY_TARGET: _("Today's result %(have)s has reached your target %(limit)s."),
    Gate.MAX_DAILY_TRADES: _("%(have)s of %(limit)s trades of the day are used: no more today."),
    Gate.ACCOUNT_DAILY_LOSS: _(
        "The account's result today %(have)s has reached its limit %(limit)s."
    ),
    Gate.MARKET_HALTED: _("The exchange has halted this market."),
    Gate.DIRECTION: _("You asked for an entry, but this bot may not go that way (%(direction)s)."),
    Gate.NO_SIGNAL: _("No entry signal: %(why)s"),
    Gate.COOLDOWN: _(
        "The last loss is %(have)s ago: the bot rests for %(limit)s, until %(until)s."
    ),
    Gate.STOP_GUARD: _("Recent stops: %(have)s; %(limit)s hold entries back, until %(until)s."),
    Gate.MAX_OPEN_POSITIONS: _(
        "Other bots of the account hold %(have)s positions; it allows %(limit)s."
    ),
    Gate.SPREAD: _("Spread %(have)s is above your limit %(limit)s."),
    Gate.BELOW_MINIMUM: _(
        "%(have)s %(currency)s is too little: the market takes %(need)s and more."
    ),
    Gate.TOO_LARGE: _("%(have)s %(currency)s is above the market's maximum %(max_amount)s."),
    Gate.INSUFFICIENT_FUNDS: _("Only %(have)s %(currency)s is free, %(need)s is needed."),
    Gate.LIQUIDATION: _(
        "The stop %(have)s lies beyond the liquidation at about %(limit)s: it would never work."
    ),
    Gate.STOP_LOSS: _("Price %(price)s has reached the stop %(stop)s."),
    Gate.TRAILING_STOP: _("Price %(price)s has reached the trailing stop %(trailing)s."),
    Gate.TAKE_PROFIT: _("Price %(price)s has reached the target %(target)s."),
    Gate.COMMAND: _("You asked for it."),
    Gate.CLOSING: _("The bot is closing its position."),
    Gate.SIGNAL: _("Exit signal: %(why)s"),
    Gate.RECONCILE: _(
        "The position is %(need)s %(currency)s, the account has only %(have)s: nothing was sent."
    ),
    Gate.SIGNAL_GONE: _("The signal for the entry order is gone: %(why)s"),
    Gate.ENTRY_TIMEOUT: _("The entry order rested for %(age)s: its time was over."),
    Gate.ENTRY_RESTING: _("The entry order waits for its price %(limit_price)s."),
    Gate.IN_POSITION: _("Nothing that closes the position was reached: it is held."),
    Gate.LADDER: _("%(rungs)s orders wait for their prices."),
}
#: Entries whose rules all passed end in an order.
ORDERED = _("All rules passed: %(amount)s for %(notional)s at %(price)s.")
NO_LOSS = _("No position closed with a loss since the start.")
ACTIONS = {**dict(Decision.Action.choices), "cancel": _("taken back")}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule for people. `mark` is passed, decided or unreached; `numbers` are the signal's."""

    mark: str
    text: str
    shape: str
    numbers: tuple[tuple[str, object], ...] = ()


class _Told(dict[str, object]):
    """Numbers for a sentence; one that is missing is a dash, never a failure."""

    def __missing__(self, name: str) -> object:
        return "-"


def rules_of(found: Replay) -> list[Rule]:
    """Return the rules of a replayed decision in the order asked; none where it cannot be."""
    if found.view is None:
        return []
    is_entry, steps = found.view.resting is None, found.view.rules
    return [_rule(check, steps, is_entry=is_entry) for check in found.checks]


def said(verdict: Verdict) -> str:
    """Return a verdict in a few words: what was done, and the rule."""
    action = ACTIONS.get(verdict.action, verdict.action)
    is_signal = verdict.gate in (Gate.SIGNAL, Gate.NO_SIGNAL)
    text = _why(verdict.numbers) if is_signal else ""
    return f"{action}: {text or words.gate(verdict.gate)}"


def _rule(check: Check, market: Rules, *, is_entry: bool) -> Rule:
    is_order = is_entry and not check.closes and check.gate in (Gate.SIGNAL, Gate.COMMAND)
    numbers = check.numbers
    if check.mark is Mark.UNREACHED:
        name = _("Order") if is_order else NAMES.get(check.gate, check.gate.value)
        return Rule(mark=check.mark.value, text=str(name), shape="·")
    told = _Told(
        {name: words.rounded(check.gate, name, value, market) for name, value in numbers.items()}
    )
    if "until" in numbers:
        told["until"] = _time(numbers["until"])
    told["why"] = _why(numbers)
    text = str(ORDERED if is_order else _text(check)) % told
    is_signal = check.gate in SIGNALS and not is_order
    shown = tuple(_signal(numbers, check.gate, market)) if is_signal else ()
    shape = "✓" if check.mark is Mark.PASSED else "►"
    return Rule(mark=check.mark.value, text=text, shape=shape, numbers=shown)


def _time(text: str) -> str:
    """Return an instant (ISO text) in the reader's zone; anything else as it is."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return text
    return formats.date_format(timezone.localtime(at), "j M H:i:s")


def _text(check: Check) -> object:
    if check.gate is Gate.COOLDOWN and not check.numbers:
        return NO_LOSS
    texts = PASSED if check.mark is Mark.PASSED else DECIDED
    return texts.get(check.gate, NAMES.get(check.gate, check.gate.value))


def _signal(numbers: Mapping[str, str], gate: Gate, market: Rules) -> list[tuple[str, object]]:
    return [
        (words.label(name), words.rounded(gate, name, numbers[name], market))
        for name in words.in_order(numbers)
        if name in SIGNAL_NUMBERS or name not in words.NUMBERS
    ]


def _why(numbers: Mapping[str, str]) -> str:
    """Return the reason that a strategy gave, in the active language; one unknown as it is."""
    code = str(numbers.get("why", ""))
    if code == "no_candles":
        return gettext("There were no candles to judge.")
    return words.reason(code) or code
