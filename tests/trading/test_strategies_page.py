"""docs/strategies.md says what the strategies declare."""

import re
from decimal import Decimal
from pathlib import Path

import pytest

from trading import strategies
from trading.strategies import Param

PAGE = (Path(__file__).resolve().parents[2] / "docs/strategies.md").read_text(encoding="utf-8")
ALL = pytest.mark.parametrize("name", list(strategies.STRATEGIES))


def section(name: str) -> str:
    _, found, rest = PAGE.partition(f"\n## {name}\n")
    assert found, f"there is no section {name!r}"
    return rest.partition("\n## ")[0]


def rows(text: str) -> dict[str, list[str]]:
    """Return the cells behind each `code` that begins a row."""
    lines = [line.strip("|").split(" | ") for line in text.splitlines() if line.startswith("| `")]
    return {cells[0].strip(" `"): [cell.strip() for cell in cells[1:]] for cells in lines}


def shown(bound: Decimal | None) -> str:
    return "" if bound is None else str(bound)


@ALL
def test_each_parameter_is_on_the_page_with_default_range_and_help(name: str) -> None:
    told = rows(section(name))
    for param in strategies.get(name).params:
        default, low, high, meaning = told[param.name]
        assert (default, low, high) == (
            str(param.default),
            shown(param.minimum),
            shown(param.maximum),
        )
        assert param.help in meaning
        assert all(f"`{value}`: {label}" in meaning for value, label in param.choices)


@ALL
def test_each_reason_is_on_the_page_and_nothing_else_is(name: str) -> None:
    strategy = strategies.get(name)
    told = rows(section(name))
    names = {param.name for param in strategy.params}
    assert {key: cells[0] for key, cells in told.items() if key not in names} == dict(
        strategy.reasons
    )
    assert names <= told.keys()


def test_the_window_is_told_as_it_is() -> None:
    words = {
        "ema_rsi": "200 candles, or four times the longest period",
        "macd": "200 candles, or four times `slow` and `signal` together",
        "bollinger": "the period",
        "breakout": "the longer period and one candle",
        "dca": "one candle, with the RSI 200 or four times its period",
        "grid": "one candle",
        "signal": "one candle, which must be fresh",
    }
    for name, text in words.items():
        assert re.search(rf"Window: {re.escape(text)}", section(name).replace("\n", " ")), name


def test_a_parameter_knows_itself() -> None:
    for strategy in strategies.STRATEGIES.values():
        for param in strategy.params:
            assert isinstance(param, Param)
            assert param.clean(param.default) == param.default
