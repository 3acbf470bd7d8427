"""What must hold for every registered strategy, whatever the prices."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.trading.candles import START, from_closes, random_walk
from trading import strategies
from trading.market import Candles
from trading.strategies import Action, Param, Signal, Strategy, clean

#: Short windows, so that a property meets every branch.
SHORT: Mapping[str, Mapping[str, object]] = {
    "ema_rsi": {"ema_fast": 2, "ema_slow": 3, "rsi_period": 2},
    "macd": {"fast": 2, "slow": 3, "signal": 2},
    "bollinger": {"period": 3, "deviations": "0.5", "sell_at": "middle"},
    "breakout": {"entry_period": 2, "exit_period": 2},
    "dca": {"begin": "rsi", "rsi_period": 2},
    "grid": {"lowest": "90", "highest": "110", "below": "sell"},
}
#: What is said whatever the prices do, or of where they are.
WITHOUT_PRICES = {"dca.now", "dca.low", "grid.left"}
ALL = pytest.mark.parametrize("name", list(strategies.STRATEGIES))
#: Positive floats of which some hundreds still have a finite sum: what the data's checks let pass.
HOSTILE = st.floats(min_value=5e-324, max_value=1e300, exclude_min=False)
SEEDS = st.integers(0, 10_000)
quick = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def both(name: str) -> list[tuple[Strategy, dict[str, Any]]]:
    strategy = strategies.get(name)
    return [(strategy, dict(clean(strategy, raw))) for raw in ({}, SHORT.get(name, {}))]


def bars(prices: list[float], spread: float = 0.25) -> Candles:
    """Return candles around closes; high and low reach a part of the price further."""
    rows = [
        [START + i * 60_000, price, price * (1 + spread), price * (1 - spread), price, 1.0]
        for i, price in enumerate(prices)
    ]
    return Candles.from_rows("BTC/USDT", "1m", rows)


def numbers_are_finite(signal: Signal) -> bool:
    return all(Decimal(text).is_finite() for text in signal.numbers.values())


@ALL
def test_it_is_called_what_it_is_registered_as_and_says_what_it_is(name: str) -> None:
    strategy = strategies.get(name)
    assert strategy.name == name
    assert strategy.label
    assert strategy.help
    assert strategy.params or name == "signal"
    assert all(isinstance(p, Param) and p.label and p.help for p in strategy.params)
    assert all(why.startswith(f"{name}.") and text for why, text in strategy.reasons.items())


@ALL
@given(seed=SEEDS, more=st.integers(1, 30))
@quick
def test_a_signal_does_not_change_when_candles_come_or_old_ones_go(
    name: str, seed: int, more: int
) -> None:
    for strategy, values in both(name):
        window = strategy.window(values)
        full = from_closes(random_walk(window + 40 + more, seed=seed, start=100.0, step=0.01))
        prefix = full.last(window + more)
        past = replace(full, **columns(full, slice(0, len(full) - more)))
        first = strategy.signal(past, values)
        # Later candles, judged in between, leave no trace.
        strategy.signal(full, values)
        assert strategy.signal(past, values) == first
        # Only the window counts: without what is older, and with anything else in its place.
        assert strategy.signal(past.last(window), values) == first
        others = from_closes(random_walk(40, seed=seed + 1, start=9_000.0))
        assert strategy.signal(joined(others, past.last(window)), values) == first
        assert strategy.signal(prefix, values) == strategy.signal(full, values)


def columns(candles: Candles, at: slice) -> dict[str, Any]:
    names = ("times", "open", "high", "low", "close", "volume")
    return {name: getattr(candles, name)[at] for name in names}


def joined(older: Candles, newer: Candles) -> Candles:
    old, new = columns(older, slice(None)), columns(newer, slice(None))
    return replace(newer, **{name: old[name] + new[name] for name in new})


@ALL
@given(seed=SEEDS)
@quick
def test_the_oldest_candle_of_the_window_is_needed(name: str, seed: int) -> None:
    for strategy, values in both(name):
        need = strategy.window(values)
        candles = from_closes(random_walk(need, seed=seed, start=100.0)).last(need - 1)
        signal = strategy.signal(candles, values)
        assert (signal.action, signal.why) == (Action.NONE, f"{name}.too_few_candles")
        assert signal.numbers == {"need": str(need), "have": str(need - 1)}
        none = strategy.signal(candles.last(0), values)
        assert none.numbers == {"need": str(need), "have": "0"}


@ALL
@given(price=HOSTILE)
@example(price=0.1)
@example(price=0.006)
@example(price=5e-324)
@quick
def test_prices_that_never_move_are_no_signal(name: str, price: float) -> None:
    for strategy, values in both(name):
        signal = strategy.signal(bars([price] * strategy.window(values), spread=0.0), values)
        assert signal.action is Action.NONE or signal.why in WITHOUT_PRICES, signal
        assert signal.why in strategy.reasons
        assert numbers_are_finite(signal)


@ALL
@given(tail=st.lists(HOSTILE, min_size=1, max_size=12), before=HOSTILE)
@example(tail=[5e-324, 1e300, 5e-324, 1e300], before=1.0)
@example(tail=[1e300, 5e-324], before=1e300)
@example(tail=[1e-310] * 3, before=5e-324)
@quick
def test_hostile_prices_never_raise_and_never_make_a_number_up(
    name: str, tail: list[float], before: float
) -> None:
    for strategy, values in both(name):
        count = max(strategy.window(values) - len(tail), 0)
        for spread in (0.0, 0.25):
            signal = strategy.signal(bars([before] * count + tail, spread), values)
            assert signal.why in strategy.reasons
            assert numbers_are_finite(signal), signal


@ALL
def test_even_prices_beyond_all_sums_never_raise(name: str) -> None:
    # The checks of market data refuse such candles; a strategy must survive them all the same.
    for strategy, values in both(name):
        for tail in ([1.7e308, 1e308], [5e-324, 1.7e308, 5e-324]):
            closes = [1.7e308] * strategy.window(values) + tail
            assert strategy.signal(bars(closes, 0.0), values).why in strategy.reasons


@ALL
@given(seed=SEEDS)
@quick
def test_numbers_are_text_of_at_most_eight_digits(name: str, seed: int) -> None:
    for strategy, values in both(name):
        closes = random_walk(strategy.window(values), seed=seed, start=2.0, step=0.05)
        for text in strategy.signal(from_closes(closes), values).numbers.values():
            assert "e" not in text.lower()
            assert len(Decimal(text).as_tuple().digits) <= 8


def test_an_unknown_strategy_is_named() -> None:
    with pytest.raises(strategies.UnknownStrategy, match="unknown strategy: martingale"):
        strategies.get("martingale")
