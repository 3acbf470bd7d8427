"""EMA and RSI against TA-Lib on the same windows."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import talib
from hypothesis import given
from hypothesis import strategies as st

from tests.trading.candles import btcusdt_1m, random_walk
from trading.indicators import ema, rsi

WINDOW = 200
PERIODS = (2, 7, 8, 21, 50, 199)


def talib_ema(closes: Sequence[float], period: int) -> float:
    return float(talib.EMA(np.array(closes), timeperiod=period)[-1])


def talib_rsi(closes: Sequence[float], period: int) -> float:
    return float(talib.RSI(np.array(closes), timeperiod=period)[-1])


PAIRS = [pytest.param(ema, talib_ema, id="ema"), pytest.param(rsi, talib_rsi, id="rsi")]
Indicator = Callable[[Sequence[float], int], float]


@pytest.mark.parametrize("period", PERIODS)
@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_real_candles_give_what_talib_gives(
    ours: Indicator, theirs: Indicator, period: int
) -> None:
    closes = btcusdt_1m().close
    for end in range(WINDOW, len(closes), 97):
        window = closes[end - WINDOW : end]
        assert ours(window, period) == pytest.approx(theirs(window, period), rel=1e-10), end


@pytest.mark.parametrize("start", [1e-12, 1.234e-8, 0.07, 1.0, 69_000.0, 1e9])
@pytest.mark.parametrize("period", [2, 7, 21])
@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_tiny_and_huge_prices_give_what_talib_gives(
    ours: Indicator, theirs: Indicator, period: int, start: float
) -> None:
    closes = random_walk(WINDOW, seed=7, start=start, step=0.02)
    assert ours(closes, period) == pytest.approx(theirs(closes, period), rel=1e-10)


@given(
    st.lists(st.floats(1e-6, 1e6), min_size=3, max_size=60),
    st.integers(min_value=2, max_value=59),
)
def test_any_window_gives_what_talib_gives(closes: list[float], period: int) -> None:
    period = min(period, len(closes) - 1)
    assert ema(closes, period) == pytest.approx(talib_ema(closes, period), rel=1e-9)
    assert rsi(closes, period) == pytest.approx(talib_rsi(closes, period), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("price", [0.1, 1e-9, 23_140.48])
def test_prices_that_never_move_give_their_price_and_talibs_zero(price: float) -> None:
    closes = [price] * WINDOW
    assert ema(closes, 21) == pytest.approx(price, rel=1e-14)
    assert rsi(closes, 7) == talib_rsi(closes, 7) == 0.0


def test_prices_that_only_rise_give_100_and_that_only_fall_give_0() -> None:
    rising = [100.0 + number for number in range(WINDOW)]
    assert rsi(rising, 14) == talib_rsi(rising, 14) == 100.0
    assert rsi(rising[::-1], 14) == talib_rsi(rising[::-1], 14) == 0.0


def test_the_seed_is_the_mean_of_the_first_closes() -> None:
    assert ema([1.0, 2.0, 6.0], 3) == 3.0
    assert ema([1.0, 2.0, 6.0, 7.0], 3) == 5.0  # 3 + (7 - 3) x 2 / (3 + 1)


def test_wilders_averages_by_hand() -> None:
    # Changes +2, -1, +3: first averages 2/2 and 1/2, then (1 + 3)/2 and 0.5/2.
    assert rsi([10.0, 12.0, 11.0], 2) == pytest.approx(100 * 2 / 3)
    assert rsi([10.0, 12.0, 11.0, 14.0], 2) == pytest.approx(100 * 2 / 2.25)


@pytest.mark.parametrize("period", [0, -1, 4])
def test_too_few_closes_or_no_period_is_an_error(period: int) -> None:
    with pytest.raises(ValueError, match="over 3 closes"):
        ema([1.0, 2.0, 3.0], period)
    with pytest.raises(ValueError, match="over 3 closes"):
        rsi([1.0, 2.0, 3.0], period)


def test_the_shortest_windows_are_enough() -> None:
    assert ema([1.0, 2.0, 3.0], 3) == 2.0
    assert rsi([1.0, 2.0, 3.0], 2) == 100.0
    with pytest.raises(ValueError, match="RSI of 3 over 3 closes"):
        rsi([1.0, 2.0, 3.0], 3)
