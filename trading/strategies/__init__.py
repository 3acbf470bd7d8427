"""The strategies, by name. Add one: declare it as `ema_rsi` does and list it here."""

from collections.abc import Mapping
from types import MappingProxyType

from trading.strategies.base import (
    Action,
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
from trading.strategies.ema_rsi import EmaRsi
from trading.strategies.macd import Macd

__all__ = [
    "STRATEGIES",
    "Action",
    "Message",
    "Param",
    "ParamErrors",
    "Signal",
    "Strategy",
    "UnknownStrategy",
    "Value",
    "Values",
    "clean",
    "get",
]


class UnknownStrategy(KeyError):
    """No strategy has this name; `name` is the name asked for."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"unknown strategy: {self.name}"


def _by_name(*strategies: Strategy) -> Mapping[str, Strategy]:
    return MappingProxyType({strategy.name: strategy for strategy in strategies})


STRATEGIES: Mapping[str, Strategy] = _by_name(EmaRsi(), Macd(), Bollinger(), Breakout())


def get(name: str) -> Strategy:
    """Return the strategy called `name`, or raise UnknownStrategy."""
    try:
        return STRATEGIES[name]
    except KeyError:
        raise UnknownStrategy(name) from None
