"""Strategies of other packages at work: what they answer is checked, what they raise has a name."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Protocol, TypeGuard

from trading.ladder import BASE, Drawn, Ground, Rung
from trading.market import Candles, Rules, Side, floor_to
from trading.strategies.base import (
    Action,
    Answer,
    HasLadder,
    Message,
    ParamErrors,
    Signal,
    Strategy,
    Values,
    gettext_noop,
)

#: Five pages of an exchange's answer: a longer window would cost each tick of its market more.
MOST_CANDLES = 5_000
#: What a decision row has room for.
MOST_NUMBERS = 20
LONGEST_NUMBER = 60
#: As many orders as a grid rests at the most: exchanges bound them, too.
MOST_RUNGS = 40
#: What an order's row has room for.
HIGHEST_LEVEL = 32_767
#: More position sizes than any ladder takes.
LARGEST = 100_000
#: What third-party code may raise where it is only asked something. Not what ends a process.
ANYTHING = (Exception, SystemExit)


class StrategyFailed(Exception):
    """A third-party strategy failed at work: it raised, or answered what cannot be used."""


class Guarded:
    """A third-party strategy as all else sees it: what it answers is checked."""

    def __init__(self, strategy: Strategy) -> None:
        self.name = strategy.name
        self.label = strategy.label
        self.help = strategy.help
        self.params = strategy.params
        self.reasons: Mapping[str, str] = dict(strategy.reasons)
        self._strategy = strategy

    def check(self, values: Values) -> None:
        """Raise ParamErrors where the strategy refuses these values, or cannot bear them."""
        try:
            self._strategy.check(values)
        except ParamErrors as error:
            said = {str(name): _message(text) for name, text in error.errors.items()}
            raise ParamErrors(said) from None
        except ANYTHING as error:
            raise self._cannot_bear(error) from error
        try:
            self._try_out(values)
        except StrategyFailed as error:
            raise self._cannot_bear(error) from error

    def _try_out(self, values: Values) -> None:
        """Ask what has to be known of cleaned values before they are used."""
        self.window(values)

    def window(self, values: Values) -> int:
        """Return how many candles it looks at; StrategyFailed where it cannot say."""
        try:
            count: object = self._strategy.window(values)
        except ANYTHING as error:
            raise self._failed(error) from error
        if type(count) is not int or not 1 <= count <= MOST_CANDLES:
            raise StrategyFailed(f"{self.name}: window() is {count!r}, not 1 to {MOST_CANDLES}")
        return count

    def signal(self, candles: Candles, values: Values) -> Signal:
        """Return its signal for the newest window; StrategyFailed where it gives none."""
        try:
            signal: object = self._strategy.signal(candles.last(self.window(values)), values)
            if not isinstance(signal, Signal) or not self._is_sound(signal):
                raise StrategyFailed(f"{self.name}: {signal!r:.200} is no signal")
        except StrategyFailed:
            raise
        except ANYTHING as error:
            raise self._failed(error) from error
        return signal

    def _is_sound(self, signal: Signal) -> bool:
        action: object = signal.action
        answers = [one for one in (signal, signal.buy, signal.sell) if one is not None]
        return isinstance(action, Action) and all(map(self._is_answer, answers))

    def _is_answer(self, answer: object) -> bool:
        if not isinstance(answer, Answer):
            return False
        texts: list[object] = [*answer.numbers, *answer.numbers.values()]
        return (
            answer.why in self.reasons
            and len(texts) <= 2 * MOST_NUMBERS
            and all(is_text(text) and len(str(text)) <= LONGEST_NUMBER for text in texts)
        )

    def _failed(self, error: BaseException) -> StrategyFailed:
        return StrategyFailed(f"{self.name}: {type(error).__name__}")

    def _cannot_bear(self, error: BaseException) -> ParamErrors:
        text = gettext_noop("The strategy cannot work with these parameters (%(error)s).")
        return ParamErrors({self.name: Message(text, error=type(error).__name__)})


class GuardedLadder(Guarded):
    """A third-party ladder as all else sees it; StrategyFailed where it is none that can rest."""

    _strategy: "LadderStrategy"

    def __init__(self, strategy: "LadderStrategy") -> None:
        super().__init__(strategy)
        self.sells = strategy.sells

    def _try_out(self, values: Values) -> None:
        super()._try_out(values)
        self.most(values)

    def most(self, values: Values) -> Decimal:
        """Return how many position sizes it may take."""
        try:
            most: object = self._strategy.most(values)
        except ANYTHING as error:
            raise self._failed(error) from error
        if not (_is_number(most) and most <= LARGEST):
            raise StrategyFailed(f"{self.name}: most() is {most!r:.200}, not above 0")
        return most

    def rungs(self, ground: Ground, values: Values) -> Drawn:
        """Return the orders that it wants to rest."""
        try:
            drawn: object = self._strategy.rungs(ground, values)
            if not isinstance(drawn, Drawn) or not self._can_rest(drawn, ground.rules):
                raise StrategyFailed(f"{self.name}: {drawn!r:.200} is no ladder")
        except StrategyFailed:
            raise
        except ANYTHING as error:
            raise self._failed(error) from error
        return drawn

    def _can_rest(self, drawn: Drawn, rules: Rules) -> bool:
        rungs: object = drawn.rungs
        if not isinstance(rungs, tuple) or len(rungs) > MOST_RUNGS:
            return False
        if len({(rung.level, rung.side) for rung in rungs}) < len(rungs):
            return False
        ends = [end for end in (drawn.low, drawn.high) if end is not None]
        return all(map(_is_number, ends)) and all(self._is_rung(rung, rules) for rung in rungs)

    def _is_rung(self, rung: object, rules: Rules) -> bool:
        if not isinstance(rung, Rung):
            return False
        may = (Side.BUY, Side.SELL) if self.sells else (Side.BUY,)
        return (
            type(rung.level) is int
            and BASE < rung.level <= HIGHEST_LEVEL
            and rung.side in may
            and _is_number(rung.price)
            and _is_number(rung.amount)
            and floor_to(rung.price, rules.price_tick) == rung.price
            and rules.floor_amount(rung.amount) == rung.amount
        )


class LadderStrategy(Strategy, HasLadder, Protocol):
    """A strategy that is a ladder, too."""


def _is_number(value: object) -> TypeGuard[Decimal]:
    """Whether it is a Decimal above zero."""
    return isinstance(value, Decimal) and value.is_finite() and value > 0


def is_text(value: object) -> bool:
    """Whether it is a text that can be shown."""
    return isinstance(value, str) and bool(value) and value.isprintable()


def _message(text: object) -> Message:
    return text if isinstance(text, Message) else Message("%(text)s", text=str(text))
