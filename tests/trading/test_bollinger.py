"""The strategy bollinger: its bands against TA-Lib, and what is a signal."""

import numpy as np
import pytest
import talib
from hypothesis import given
from hypothesis import strategies as st

from tests.trading.candles import SERIES, from_closes, random_walk, series, windows
from trading import strategies
from trading.indicators import bollinger
from trading.strategies import Action, Signal, Values, clean

BOLLINGER = strategies.get("bollinger")
DEFAULTS = clean(BOLLINGER, {})
MIDDLE = clean(BOLLINGER, {"sell_at": "middle"})
PERIOD = 20


def signal_of(closes: list[float], **raw: object) -> Signal:
    return BOLLINGER.signal(from_closes(closes), clean(BOLLINGER, raw))


def by_talib(close: float, bands: tuple[float, float, float], values: Values) -> Action:
    upper, middle, lower = bands
    if close < lower:
        return Action.BUY
    if close > upper or (values["sell_at"] == "middle" and close >= middle):
        return Action.SELL
    return Action.NONE


def talib_bands(closes: object, values: Values) -> tuple[float, float, float]:
    width = float(values["deviations"])
    columns = talib.BBANDS(closes, int(values["period"]), width, width)
    upper, middle, lower = (float(column[-1]) for column in columns)
    return upper, middle, lower


@pytest.mark.parametrize("name", SERIES)
def test_every_window_of_real_candles_gives_talibs_bands_and_signal(name: str) -> None:
    candles = series(name)
    closes, seen = np.array(candles.close), set()
    for start, window in enumerate(windows(candles, PERIOD)):
        theirs = talib_bands(closes[start : start + PERIOD], DEFAULTS)
        ours = bollinger(window.close, PERIOD, 2.0)
        for band, expected in zip(ours, theirs, strict=True):
            assert abs(band - expected) <= 1e-10 * expected, start
        for values in (DEFAULTS, MIDDLE):
            signal = BOLLINGER.signal(window, values)
            # A close on a band within rounding is nobody's to decide.
            if min(abs(window.close[-1] - band) for band in theirs) > 1e-12 * window.close[-1]:
                assert signal.action == by_talib(window.close[-1], theirs, values), start
            seen.add(signal.why.removeprefix("bollinger."))
    assert seen >= {"buy", "sell", "sell_middle", "inside"}


@pytest.mark.parametrize("changed", [{"period": 8}, {"deviations": "1.25"}, {"sell_at": "middle"}])
def test_each_parameter_changes_signals_as_talib_says(changed: dict[str, object]) -> None:
    values = clean(BOLLINGER, changed)
    different = 0
    for seed in range(60):
        candles = from_closes(random_walk(PERIOD, seed=seed, start=100.0, step=0.01))
        theirs = talib_bands(np.array(candles.close), values)
        signal = BOLLINGER.signal(candles, values)
        assert signal.action == by_talib(candles.close[-1], theirs, values)
        different += signal.action != BOLLINGER.signal(candles, DEFAULTS).action
    assert different > 0


@given(st.lists(st.floats(1e-3, 1e6), min_size=2, max_size=60), st.integers(2, 60))
def test_any_window_gives_the_population_deviation(closes: list[float], period: int) -> None:
    period = min(period, len(closes))
    newest = np.array(closes[-period:])
    spread = 2.5 * newest.std()
    upper, middle, lower = bollinger(closes, period, 2.5)
    near = 1e-10 * max(closes)
    assert middle == pytest.approx(newest.mean(), rel=1e-10)
    assert upper == pytest.approx(newest.mean() + spread, abs=near)
    assert lower == pytest.approx(newest.mean() - spread, abs=near)


def test_bands_by_hand() -> None:
    # Mean 5, squared distances 9 1 1 1 0 0 4 16: variance 4.
    closes = [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]
    assert bollinger([100.0, *closes], 8, 1.5) == (8.0, 5.0, 2.0)


@pytest.mark.parametrize("period", [0, -1, 4])
def test_too_few_closes_or_no_period_is_an_error(period: int) -> None:
    with pytest.raises(ValueError, match="over 3 closes"):
        bollinger([1.0, 2.0, 3.0], period, 2.0)


@pytest.mark.parametrize(
    ("last", "raw", "why"),
    [
        # Seven closes and the last: mean and deviation by hand, 1 deviation wide.
        ([4, 4, 4, 5, 5, 7, 9, 2], {"deviations": "1"}, "buy"),
        ([2, 4, 4, 4, 5, 5, 7, 9], {"deviations": "1"}, "sell"),
        ([2, 4, 4, 4, 5, 5, 9, 7], {"deviations": "1"}, "inside"),  # on the upper band
        ([2, 4, 4, 4, 5, 5, 9, 7], {"deviations": "0.99"}, "sell"),
        ([2, 4, 4, 4, 5, 9, 7, 5], {"sell_at": "middle"}, "sell_middle"),  # on the middle
        ([2, 4, 4, 4, 5, 9, 7, 5], {"sell_at": "upper"}, "inside"),
        ([2, 4, 4, 5, 5, 9, 7, 4], {"sell_at": "middle"}, "inside_lower"),
        ([2, 4, 4, 4, 5, 5, 7, 9], {"deviations": "1", "sell_at": "middle"}, "sell"),
    ],
)
def test_where_it_buys_and_where_it_sells(
    last: list[float], raw: dict[str, object], why: str
) -> None:
    signal = signal_of([float(price) for price in last], period=8, **raw)
    assert signal.why == f"bollinger.{why}"
    assert signal.numbers["middle"] == "5"


@pytest.mark.parametrize("price", [0.006, 0.1, 0.3, 1e-8, 23_140.48, 1.1])
@pytest.mark.parametrize("sell_at", ["upper", "middle"])
def test_a_price_that_never_moves_has_no_bands(price: float, sell_at: str) -> None:
    signal = signal_of([price] * PERIOD, sell_at=sell_at)
    assert (signal.action, signal.why) == (Action.NONE, "bollinger.flat")
    assert set(signal.numbers) == {"close"}


def test_the_window_is_the_period() -> None:
    assert BOLLINGER.window(DEFAULTS) == PERIOD
    assert BOLLINGER.window(clean(BOLLINGER, {"period": 400})) == 400


def test_defaults_are_bollingers() -> None:
    assert DEFAULTS == {"period": 20, "deviations": "2", "sell_at": "upper"}
