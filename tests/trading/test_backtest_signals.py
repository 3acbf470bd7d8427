"""Signals of a whole market at once: those of the strategy, window by window; none looks ahead."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trading.candles import COLUMNS, SERIES, from_closes, random_walk, series
from trading import strategies
from trading.backtest import actions
from trading.backtest.signals import CODES, stretches
from trading.market import Candles
from trading.strategies.ema_rsi import EmaRsi

SHIPPED = ["ema_rsi", "macd", "bollinger", "breakout"]
#: Parameters beside the defaults: short and long windows, and each choice.
OTHERS: list[tuple[str, dict[str, Any]]] = [
    ("ema_rsi", {"ema_fast": 3, "ema_slow": 70, "rsi_period": 2}),
    ("macd", {"fast": 2, "slow": 60, "signal": 30}),
    ("bollinger", {"period": 5, "deviations": "1", "sell_at": "middle"}),
    ("breakout", {"entry_period": 3, "exit_period": 40}),
]


def one_by_one(candles: Candles, name: str, params: dict[str, Any]) -> bytes:
    """Return what the strategy says before each candle, asked for every window by itself."""
    strategy = strategies.get(name)
    values = strategies.clean(strategy, params)
    window, said = strategy.window(values), bytearray(len(candles))
    for begin, end in stretches(candles):
        for at in range(begin + window, end):
            said[at] = CODES[strategy.signal(candles.cut(at - window, at), values).action]
    return bytes(said)


def at_once(candles: Candles, name: str, params: dict[str, Any]) -> bytes:
    strategy = strategies.get(name)
    return actions(candles, strategy, strategies.clean(strategy, params))


def without(candles: Candles, first: int, count: int) -> Candles:
    """Return the candles without `count` of them from place `first` on."""
    columns = {
        name: getattr(candles, name)[:first] + getattr(candles, name)[first + count :]
        for name in COLUMNS
    }
    return replace(candles, **columns)


@pytest.mark.parametrize("market", SERIES)
@pytest.mark.parametrize(("name", "params"), [*((name, {}) for name in SHIPPED), *OTHERS])
def test_all_at_once_is_what_each_window_says(
    market: str, name: str, params: dict[str, Any]
) -> None:
    candles = series(market).cut(0, 1400)
    found = at_once(candles, name, params)
    assert found == one_by_one(candles, name, params)
    assert set(found) == {0, 1, 2}


@settings(max_examples=25, deadline=None)
@given(
    case=st.sampled_from([*((name, {}) for name in SHIPPED), *OTHERS]),
    seed=st.integers(0, 10**6),
    step=st.sampled_from([0.0, 1e-7, 1e-4, 0.002]),
    still=st.integers(0, 230),
)
def test_prices_that_stand_still_or_hardly_move_are_judged_by_the_strategy_itself(
    case: tuple[str, dict[str, Any]], seed: int, step: float, still: int
) -> None:
    walk = random_walk(300, seed=seed, start=100.0, step=step)
    closes = [*walk[:150], *[walk[149]] * still, *walk[150:]]
    candles = from_closes(closes)
    assert at_once(candles, *case) == one_by_one(candles, *case)


@pytest.mark.parametrize(("name", "params"), [*((name, {}) for name in SHIPPED), *OTHERS])
def test_no_signal_looks_ahead(name: str, params: dict[str, Any]) -> None:
    whole = series("BTCUSDT-1m-2023-03").cut(0, 900)
    said = at_once(whole, name, params)
    for end in (1, 37, 201, 202, 450, 899):
        assert at_once(whole.cut(0, end), name, params) == said[:end], end


@pytest.mark.parametrize("name", SHIPPED)
def test_no_signal_looks_across_a_gap(name: str) -> None:
    candles = without(series("BTCUSDT-1m-2023-03").cut(0, 900), 420, 7)
    assert list(stretches(candles)) == [(0, 420), (420, 893)]
    found = at_once(candles, name, {})
    assert found == one_by_one(candles, name, {})
    window = strategies.get(name).window(strategies.clean(strategies.get(name), {}))
    assert not any(found[420 : 420 + window]), "the window is not full again"
    assert any(found[420 + window :])


def test_few_candles_have_no_signal() -> None:
    candles = series("BTCUSDT-1m-2023-03")
    for count in (0, 1, 199, 200):
        assert at_once(candles.cut(0, count), "ema_rsi", {}) == bytes(count)
    assert len(at_once(candles.cut(0, 201), "ema_rsi", {})) == 201


def test_a_strategy_of_another_package_is_asked_for_each_window() -> None:
    class Own(EmaRsi):
        name = "own"

        def window(self, values: strategies.Values) -> int:
            return 3

        def signal(self, candles: Candles, values: strategies.Values) -> strategies.Signal:
            rises = candles.close[-1] > candles.close[0]
            action = strategies.Action.BUY if rises else strategies.Action.NONE
            return strategies.Signal(action=action, why="own")

    candles = from_closes([1.0, 2.0, 3.0, 2.0, 1.0])
    assert actions(candles, Own(), {}) == bytes([0, 0, 0, 1, 0])
