"""The strategy macd: line and signal line against TA-Lib, and what is a signal."""

import numpy as np
import pytest
import talib
from hypothesis import given
from hypothesis import strategies as st

from tests.trading.candles import SERIES, from_closes, random_walk, series, windows
from trading import strategies
from trading.indicators import macd
from trading.strategies import Action, ParamErrors, Signal, clean

MACD = strategies.get("macd")
DEFAULTS = clean(MACD, {})
WINDOW = 200


def signal_of(closes: list[float], **raw: object) -> Signal:
    return MACD.signal(from_closes(closes), clean(MACD, raw))


def by_talib(line: float, average: float) -> Action:
    if line == average:
        return Action.NONE
    return Action.BUY if line > average else Action.SELL


@pytest.mark.parametrize("name", SERIES)
def test_every_window_of_real_candles_gives_talibs_lines_and_signal(name: str) -> None:
    candles = series(name)
    closes, seen = np.array(candles.close), set()
    for start, window in enumerate(windows(candles, WINDOW)):
        lines, averages, _ = talib.MACD(closes[start : start + WINDOW], 12, 26, 9)
        line, average = macd(window.close, 12, 26, 9)
        near = 1e-14 * window.close[-1]
        assert abs(line - lines[-1]) <= 1e-10 * abs(lines[-1]) + near, start
        assert abs(average - averages[-1]) <= 1e-10 * abs(averages[-1]) + near, start
        signal = MACD.signal(window, DEFAULTS)
        assert signal.action == by_talib(lines[-1], averages[-1]), start
        seen.add(signal.why)
    assert seen == {"macd.buy", "macd.sell"}


@pytest.mark.parametrize("changed", [{"fast": 5}, {"slow": 40}, {"signal": 4}])
def test_each_parameter_changes_signals_as_talib_says(changed: dict[str, object]) -> None:
    values = clean(MACD, changed)
    periods = [int(values[name]) for name in ("fast", "slow", "signal")]
    different = 0
    for seed in range(40):
        candles = from_closes(random_walk(WINDOW, seed=seed, start=100.0))
        lines, averages, _ = talib.MACD(np.array(candles.close), *periods)
        signal = MACD.signal(candles, values)
        assert signal.action == by_talib(lines[-1], averages[-1])
        different += signal.action != MACD.signal(candles, DEFAULTS).action
    assert different > 0


@given(
    st.lists(st.floats(1e-6, 1e6), min_size=12, max_size=60),
    st.integers(2, 4),
    st.integers(5, 7),
    st.integers(2, 5),
)
def test_any_window_gives_what_talib_gives(
    closes: list[float], fast: int, slow: int, signal: int
) -> None:
    lines, averages, _ = talib.MACD(np.array(closes), fast, slow, signal)
    line, average = macd(closes, fast, slow, signal)
    near = 1e-10 * max(closes)
    assert line == pytest.approx(lines[-1], rel=1e-10, abs=near)
    assert average == pytest.approx(averages[-1], rel=1e-10, abs=near)


def test_both_averages_begin_where_the_slow_one_can() -> None:
    # Slow: (1 + 2 + 6) / 3 = 3. Fast, of the last two of these: 4. Then 4 + (9 - 4) x 2/3 and
    # 3 + (9 - 3) x 2/4.
    assert macd([1.0, 2.0, 6.0], 2, 3, 1) == (1.0, 1.0)
    line, average = macd([1.0, 2.0, 6.0, 9.0], 2, 3, 2)
    assert line == pytest.approx(4 + 10 / 3 - 6)
    assert average == pytest.approx((1 + line) / 2)


@pytest.mark.parametrize("periods", [(0, 3, 2), (4, 3, 2), (2, 3, 0), (2, 3, 4), (2, 6, 1)])
def test_periods_that_cannot_be_are_an_error(periods: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="over 5 closes"):
        macd([1.0, 2.0, 3.0, 4.0, 5.0], *periods)


@pytest.mark.parametrize("price", [0.006, 0.1, 0.3, 1e-8, 23_140.48, 1.1])
def test_a_price_that_stopped_moving_is_no_signal(price: float) -> None:
    # Rounding leaves both averages a last bit apart, in either direction.
    closes = [price * 0.8] * 10 + [price] * 190
    signal = signal_of(closes, fast=2, slow=3, signal=2)
    assert (signal.action, signal.why) == (Action.NONE, "macd.no_trend")
    assert signal.numbers == {"macd": "0", "macd_signal": "0"}


def test_the_level_counts_not_the_crossing() -> None:
    # A rise that accelerates: the line stays above its average for many candles.
    closes = [100.0] * 180 + [100.0 + 0.01 * number**2 for number in range(20)]
    for held in range(15):
        assert signal_of([100.0] * held + closes[: 200 - held]).why == "macd.buy"


@pytest.mark.parametrize(
    ("raw", "window"),
    [({}, 200), ({"slow": 41}, 200), ({"slow": 42}, 204), ({"slow": 250, "signal": 100}, 1400)],
)
def test_the_window_is_200_or_four_times_slow_and_signal(
    raw: dict[str, object], window: int
) -> None:
    assert MACD.window(clean(MACD, raw)) == window


@pytest.mark.parametrize("fast", [26, 27])
def test_the_fast_average_must_be_faster(fast: int) -> None:
    with pytest.raises(ParamErrors) as caught:
        clean(MACD, {"fast": fast})
    assert caught.value.errors == {"fast": "Must be less than the slow EMA."}
    assert clean(MACD, {"fast": 25})["fast"] == 25


def test_defaults_are_appels() -> None:
    assert DEFAULTS == {"fast": 12, "slow": 26, "signal": 9}
