"""The strategies, by name: those listed here, and those of other packages (plugins.py).

Add one of ours: declare it as `ema_rsi` does and list it here.
"""

from collections.abc import Iterator, Mapping
from threading import RLock

from trading.strategies import plugins
from trading.strategies.base import (
    Action,
    Answer,
    HasLadder,
    Message,
    Param,
    ParamErrors,
    Signal,
    Strategy,
    Value,
    Values,
    clean,
)
from trading.strategies.bollinger import Bollinger
from trading.strategies.breakout import Breakout
from trading.strategies.dca import Dca
from trading.strategies.ema_rsi import EmaRsi
from trading.strategies.grid import Grid
from trading.strategies.guarded import StrategyFailed
from trading.strategies.macd import Macd
from trading.strategies.outside import Outside
from trading.strategies.plugins import Refusal

__all__ = [
    "STRATEGIES",
    "Action",
    "Answer",
    "HasLadder",
    "Message",
    "Param",
    "ParamErrors",
    "Refusal",
    "Signal",
    "Strategy",
    "StrategyFailed",
    "UnknownStrategy",
    "Value",
    "Values",
    "clean",
    "get",
    "ladder_of",
    "refused",
]


class UnknownStrategy(KeyError):
    """No strategy has this name; `name` is the name asked for."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"unknown strategy: {self.name}"


class Registry(Mapping[str, Strategy]):
    """The strategies by name, ours first. Other packages' are looked for once, when first asked."""

    def __init__(self, *shipped: Strategy) -> None:
        self._shipped = {strategy.name: strategy for strategy in shipped}
        self._all: dict[str, Strategy] | None = None
        self._refused: tuple[Refusal, ...] = ()
        self._lock = RLock()
        self._is_loading = False

    def refused(self) -> tuple[Refusal, ...]:
        """Return the plugins that are not used, each with its reason."""
        self._load()
        return self._refused

    def _load(self) -> Mapping[str, Strategy]:
        if self._all is not None:
            return self._all
        with self._lock:
            if self._is_loading:
                return self._shipped  # a plugin that asks while it is being imported
            if self._all is None:
                self._is_loading = True
                try:
                    found, self._refused = plugins.load(self._shipped)
                    self._all = {**self._shipped, **found}
                finally:
                    self._is_loading = False
            return self._all

    def __getitem__(self, name: str) -> Strategy:
        return self._load()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._load())

    def __len__(self) -> int:
        return len(self._load())


STRATEGIES = Registry(EmaRsi(), Macd(), Bollinger(), Breakout(), Dca(), Grid(), Outside())


def ladder_of(name: str) -> HasLadder | None:
    """Return the strategy called `name` if it is one of several orders that rest at once."""
    found: object = STRATEGIES.get(name)
    return found if isinstance(found, HasLadder) else None


def refused() -> tuple[Refusal, ...]:
    """Return the strategies of other packages that are not used, each with its reason."""
    return STRATEGIES.refused()


def get(name: str) -> Strategy:
    """Return the strategy called `name`, or raise UnknownStrategy."""
    try:
        return STRATEGIES[name]
    except KeyError:
        raise UnknownStrategy(name) from None
