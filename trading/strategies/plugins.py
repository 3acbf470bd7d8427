"""Strategies of other packages, by the entry point group `botsite.strategies`.

Their code is not ours: what cannot be used is refused with a reason, and what fails while it works
fails as StrategyFailed, so that neither takes a page, a worker or a position's stop with it.
"""

import logging
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points

from trading.market import Candles
from trading.strategies.base import (
    CLEANERS,
    Action,
    Message,
    Param,
    ParamErrors,
    Signal,
    Strategy,
    Values,
    clean,
    gettext_noop,
)

log = logging.getLogger(__name__)

GROUP = "botsite.strategies"
NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
#: Five pages of an exchange's answer: a longer window would cost each tick of its market more.
MOST_CANDLES = 5_000
#: What a decision row has room for.
MOST_NUMBERS = 20
LONGEST_NUMBER = 60
#: What third-party code may raise where it is only asked something. Not what ends a process.
ANYTHING = (Exception, SystemExit)
NO_CANDLES = Candles.from_rows("BTC/USDT", "1m", [])


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A plugin that is not used: its entry point's name, its package, and why."""

    name: str
    package: str
    why: str

    def __str__(self) -> str:
        return f"The strategy {self.name!r} of the package {self.package} is refused: {self.why}."


class StrategyFailed(Exception):
    """A third-party strategy failed at work: it raised, or answered what is no signal."""


class Unfit(ValueError):
    """A plugin does not keep to the protocol; the text says where."""


def load(shipped: Iterable[str]) -> tuple[dict[str, Strategy], tuple[Refusal, ...]]:
    """Return the strategies of other packages by name, and what was refused. Never raises.

    No plugin replaces a `shipped` strategy, and two of one name are both refused: a bot must not
    trade by another rule because a package was installed.
    """
    found: dict[str, Strategy] = {}
    refused: list[Refusal] = []
    points = sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value))
    names = Counter(point.name for point in points)
    for point in points:
        try:
            if point.name in shipped:
                raise Unfit("a strategy of this name is built in")
            if names[point.name] > 1:
                raise Unfit("another package has a strategy of this name, too")
            found[point.name] = _loaded(point)
        except Unfit as error:
            why = str(error)
        except ANYTHING as error:
            why = f"it cannot be loaded ({type(error).__name__}: {error})"
        else:
            continue
        refused.append(Refusal(name=point.name, package=_package(point), why=why))
        log.warning("%s", refused[-1])
    return found, tuple(refused)


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist is not None else point.value


def _loaded(point: EntryPoint) -> Strategy:
    """Import a plugin and hold it to the protocol; raises Unfit, or whatever its code raises."""
    if not NAME.fullmatch(point.name):
        raise Unfit("a name has up to 40 of a-z, 0-9 and _, and begins with a letter")
    named = point.load()
    strategy = named() if isinstance(named, type) else named
    _check_texts(point.name, strategy)
    _check_params(strategy)
    guarded = Guarded(strategy)
    guarded.window({param.name: param.default for param in guarded.params})
    guarded.signal(NO_CANDLES, clean(guarded, {}))
    return guarded


def _check_texts(name: str, strategy: Strategy) -> None:
    if getattr(strategy, "name", None) != name:
        raise Unfit(f"its name is not that of its entry point: {getattr(strategy, 'name', None)!r}")
    for text in ("label", "help"):
        if not _is_text(getattr(strategy, text, None)):
            raise Unfit(f"{text} must be a text")
    for verb in ("check", "window", "signal"):
        if not callable(getattr(strategy, verb, None)):
            raise Unfit(f"it has no {verb}()")
    reasons = getattr(strategy, "reasons", None)
    if not isinstance(reasons, Mapping) or not reasons:
        raise Unfit("reasons must say what each reason means")
    for why, text in reasons.items():
        if not (_is_text(why) and why.startswith(f"{name}.") and _is_text(text)):
            raise Unfit(f"the reason {why!r} must begin with {name + '.'!r} and have a text")


def _check_params(strategy: Strategy) -> None:
    params = getattr(strategy, "params", None)
    if not isinstance(params, tuple) or not all(isinstance(param, Param) for param in params):
        raise Unfit("params must be a tuple of Param")
    if len({param.name for param in params}) < len(params):
        raise Unfit("two parameters have one name")
    for param in params:
        if not (_is_text(param.name) and NAME.fullmatch(param.name)) or param.type not in CLEANERS:
            raise Unfit(f"the parameter {param.name!r} has a wrong name or type")
        if not (_is_text(param.label) and _is_text(param.help)):
            raise Unfit(f"the parameter {param.name!r} must have a label and a help")
        try:
            same = param.clean(param.default) == param.default
        except ValueError:
            same = False
        if not same:
            raise Unfit(f"the default of the parameter {param.name!r} is not one of its values")


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value) and value.isprintable()


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
            self.window(values)
        except StrategyFailed as error:
            raise self._cannot_bear(error) from error

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
        texts: list[object] = [*signal.numbers, *signal.numbers.values()]
        return (
            isinstance(action, Action)
            and signal.why in self.reasons
            and len(texts) <= 2 * MOST_NUMBERS
            and all(_is_text(text) and len(str(text)) <= LONGEST_NUMBER for text in texts)
        )

    def _failed(self, error: BaseException) -> StrategyFailed:
        return StrategyFailed(f"{self.name}: {type(error).__name__}")

    def _cannot_bear(self, error: BaseException) -> ParamErrors:
        text = gettext_noop("The strategy cannot work with these parameters (%(error)s).")
        return ParamErrors({self.name: Message(text, error=type(error).__name__)})


def _message(text: object) -> Message:
    return text if isinstance(text, Message) else Message("%(text)s", text=str(text))
