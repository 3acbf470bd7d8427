"""Strategies of other packages, by the entry point group `botsite.strategies`.

Their code is not ours: what cannot be used is refused with a reason, and what fails while it works
fails as StrategyFailed, so that neither takes a page, a worker or a position's stop with it.
"""

import logging
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from importlib.metadata import EntryPoint, entry_points

from trading.ladder import Ground
from trading.market import Candles, Quote, Rules
from trading.position import Position
from trading.risk import Settings
from trading.strategies.base import CLEANERS, HasLadder, Param, Strategy, clean
from trading.strategies.guarded import ANYTHING, Guarded, GuardedLadder, is_text

log = logging.getLogger(__name__)

GROUP = "botsite.strategies"
NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
NO_CANDLES = Candles.from_rows("BTC/USDT", "1m", [])
#: A flat bot at a price, on which a ladder is drawn once when it is loaded.
NOWHERE = Ground(
    settings=Settings(initial_capital=Decimal(1_000), position_size_fixed=Decimal(100)),
    rules=Rules(symbol="BTC/USDT", base="BTC", quote="USDT", price_tick=Decimal("0.01")),
    position=Position(),
    lots={},
    quote=Quote(symbol="BTC/USDT", bid=Decimal(100), ask=Decimal(100), last=Decimal(100), at=0),
)
#: What makes a strategy one of several orders that rest at once (HasLadder).
LADDER = ("sells", "most", "rungs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A plugin that is not used: its entry point's name, its package, and why."""

    name: str
    package: str
    why: str

    def __str__(self) -> str:
        return f"The strategy {self.name!r} of the package {self.package} is refused: {self.why}."


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
    guarded = _ladder(strategy) if _has_any(strategy, LADDER) else Guarded(strategy)
    guarded.window({param.name: param.default for param in guarded.params})
    values = clean(guarded, {})
    guarded.signal(NO_CANDLES, values)
    if isinstance(guarded, GuardedLadder):
        guarded.rungs(NOWHERE, values)
    return guarded


def _ladder(strategy: Strategy) -> GuardedLadder:
    if not isinstance(strategy, HasLadder) or type(strategy.sells) is not bool:
        raise Unfit("a ladder has sells (True or False), most() and rungs()")
    return GuardedLadder(strategy)


def _has_any(strategy: object, names: Iterable[str]) -> bool:
    return any(hasattr(strategy, name) for name in names)


def _check_texts(name: str, strategy: Strategy) -> None:
    if getattr(strategy, "name", None) != name:
        raise Unfit(f"its name is not that of its entry point: {getattr(strategy, 'name', None)!r}")
    for text in ("label", "help"):
        if not is_text(getattr(strategy, text, None)):
            raise Unfit(f"{text} must be a text")
    for verb in ("check", "window", "signal"):
        if not callable(getattr(strategy, verb, None)):
            raise Unfit(f"it has no {verb}()")
    reasons = getattr(strategy, "reasons", None)
    if not isinstance(reasons, Mapping) or not reasons:
        raise Unfit("reasons must say what each reason means")
    for why, text in reasons.items():
        if not (is_text(why) and why.startswith(f"{name}.") and is_text(text)):
            raise Unfit(f"the reason {why!r} must begin with {name + '.'!r} and have a text")


def _check_params(strategy: Strategy) -> None:
    params = getattr(strategy, "params", None)
    if not isinstance(params, tuple) or not all(isinstance(param, Param) for param in params):
        raise Unfit("params must be a tuple of Param")
    if len({param.name for param in params}) < len(params):
        raise Unfit("two parameters have one name")
    for param in params:
        if not (is_text(param.name) and NAME.fullmatch(param.name)) or param.type not in CLEANERS:
            raise Unfit(f"the parameter {param.name!r} has a wrong name or type")
        if not (is_text(param.label) and is_text(param.help)):
            raise Unfit(f"the parameter {param.name!r} must have a label and a help")
        try:
            same = param.clean(param.default) == param.default
        except ValueError:
            same = False
        if not same:
            raise Unfit(f"the default of the parameter {param.name!r} is not one of its values")
