"""The strategy breakout: its channel against TA-Lib, and what is a signal."""

import numpy as np
import pytest
import talib

from tests.trading.candles import SERIES, START, random_walk, series, windows
from trading import strategies
from trading.indicators import donchian
from trading.market import Candles
from trading.strategies import Action, Signal, clean

BREAKOUT = strategies.get("breakout")
DEFAULTS = clean(BREAKOUT, {})


def candles_of(bars: list[tuple[float, float, float]]) -> Candles:
    """Return 1m candles from (high, low, close)."""
    rows = [
        [START + number * 60_000, close, high, low, close, 1.0]
        for number, (high, low, close) in enumerate(bars)
    ]
    return Candles.from_rows("BTC/USDT", "1m", rows)


def signal_of(bars: list[tuple[float, float, float]], entry: int, exit_: int) -> Signal:
    values = clean(BREAKOUT, {"entry_period": entry, "exit_period": exit_})
    return BREAKOUT.signal(candles_of(bars), values)


@pytest.mark.parametrize("name", SERIES)
def test_every_window_of_real_candles_gives_talibs_channel_and_signal(name: str) -> None:
    candles = series(name)
    # TA-Lib's channel of the candle before: its own candle is no part of what it must break.
    tops = talib.MAX(np.array(candles.high), 20)
    bottoms = talib.MIN(np.array(candles.low), 10)
    seen = set()
    for start, window in enumerate(windows(candles, 21)):
        top, bottom = float(tops[start + 19]), float(bottoms[start + 19])
        assert donchian(window.high[:-1], window.low[:-1], 20, 10) == (top, bottom), start
        signal, close = BREAKOUT.signal(window, DEFAULTS), window.close[-1]
        expected = Action.NONE
        if close > top or close < bottom:
            expected = Action.BUY if close > top else Action.SELL
        assert signal.action == expected, start
        seen.add(signal.why)
    assert seen == {"breakout.buy", "breakout.sell", "breakout.inside"}


@pytest.mark.parametrize("changed", [{"entry_period": 5}, {"exit_period": 4}])
def test_each_parameter_changes_signals(changed: dict[str, object]) -> None:
    values, different = clean(BREAKOUT, changed), 0
    for seed in range(40):
        prices = random_walk(60, seed=seed, start=100.0)
        candles = candles_of([(price + 0.05, price - 0.05, price) for price in prices])
        one, other = BREAKOUT.signal(candles, values), BREAKOUT.signal(candles, DEFAULTS)
        different += one.action != other.action
    assert different > 0


#: Highs 10 12 11 and lows 5 4 6 before the candle that is judged.
BEFORE = [(10.0, 5.0, 7.0), (12.0, 4.0, 7.0), (11.0, 6.0, 7.0)]


@pytest.mark.parametrize(
    ("close", "entry", "exit_", "why"),
    [
        (12.01, 3, 3, "buy"),
        (12.0, 3, 3, "inside"),
        (11.5, 1, 3, "buy"),  # of the last high alone
        (3.99, 3, 3, "sell"),
        (4.0, 3, 3, "inside"),
        (5.5, 3, 1, "sell"),  # of the last low alone
    ],
)
def test_the_close_must_pass_the_extreme_before_it(
    close: float, entry: int, exit_: int, why: str
) -> None:
    # Its own high and low reach further than any before: they do not count.
    signal = signal_of([*BEFORE, (20.0, 1.0, close)], entry, exit_)
    assert signal.why == f"breakout.{why}"
    assert set(signal.numbers) == {"close", "highest", "lowest"}


def test_the_oldest_candles_of_the_longer_period_count() -> None:
    quiet = [(8.0, 6.0, 7.0)] * 9
    peak, last = (10.0, 6.0, 7.0), (9.0, 7.0, 9.0)
    assert signal_of([peak, *quiet, last], 10, 2).why == "breakout.inside"
    assert signal_of([peak, *quiet, last], 9, 10).why == "breakout.buy"


@pytest.mark.parametrize(
    ("entry", "exit_", "window"), [(20, 10, 21), (1, 1, 2), (5, 8, 9), (400, 400, 401)]
)
def test_the_window_holds_the_longer_period_and_the_candle(
    entry: int, exit_: int, window: int
) -> None:
    assert BREAKOUT.window({"entry_period": entry, "exit_period": exit_}) == window


@pytest.mark.parametrize(("up", "down"), [(0, 1), (1, 0), (4, 1), (1, 4)])
def test_too_few_candles_or_no_period_is_an_error(up: int, down: int) -> None:
    with pytest.raises(ValueError, match="over 3 candles"):
        donchian([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], up, down)


def test_defaults_are_the_turtles() -> None:
    assert DEFAULTS == {"entry_period": 20, "exit_period": 10}
