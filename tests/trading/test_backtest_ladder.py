"""Backtests of ladders: what is passed over is nothing, and each rung is filled where it rests."""

from dataclasses import replace
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.trading.candles import SERIES, START, series
from trading import backtest, strategies
from trading.backtest import Costs, Plan, Result, climb
from trading.market import Candles, Rules
from trading.risk import Settings
from trading.strategies import clean

D = Decimal
SYMBOL = "BTC/USDT"
RULES = Rules(
    symbol=SYMBOL,
    base="BTC",
    quote="USDT",
    price_tick=D("0.01"),
    amount_step=D("0.00001"),
    min_notional=D(5),
)
FINE = replace(RULES, price_tick=D("0.000001"), amount_step=D("0.001"), min_notional=D("0.0001"))
FREE = Costs(fee_rate=D(0), slippage=D(0))
GRID = {"lowest": 80, "highest": 120, "lines": 5, "resting": 5}


def from_bars(bars: list[tuple[float, float, float, float]]) -> Candles:
    """Return 1m candles from (open, high, low, close)."""
    rows = [(START + number * 60_000, *bar, 1.0) for number, bar in enumerate(bars)]
    return Candles.from_rows(SYMBOL, "1m", rows)


def plan(candles: Candles, name: str, params: dict[str, Any], **more: Any) -> Plan:
    strategy = strategies.get(name)
    given = {"initial_capital": D(1000), "position_size_fixed": D(100), **more.pop("limits", {})}
    standard: dict[str, Any] = {"costs": FREE, "rules": RULES, "funds": D(10_000)}
    return Plan(
        candles=candles,
        settings=Settings(**given),
        strategy=strategy,
        values=clean(strategy, params),
        zone=ZoneInfo("UTC"),
        **standard | more,
    )


def told(result: Result) -> list[tuple[str, Decimal, str]]:
    return [(one.side.value, one.price, one.reason.value) for one in result.orders]


def test_each_rung_is_filled_at_its_own_price_in_the_order_in_which_the_price_comes() -> None:
    bars = [(100.5, 100.5, 100.5, 100.5)] * 2 + [(100.5, 112.0, 79.0, 101.0)]
    found = backtest.run(plan(from_bars(bars), "grid", GRID))
    down, up = ["100", "90", "80"], ["90", "100", "110"]
    assert told(found) == [
        *[("buy", D(price), "ladder") for price in down],
        *[("sell", D(price), "ladder") for price in up],
        ("buy", D(110), "ladder"),  # from the high of 112 down to the close
    ]
    assert found.position.is_open
    assert [one.trades for one in found.days.values()] == [2]


def test_after_a_gap_nothing_is_bought_beyond_a_limit() -> None:
    bars = [(95.0, 95.0, 95.0, 95.0), (95.0, 95.0, 89.0, 95.0), (95.0, 101.0, 94.0, 79.0)]
    candles = from_bars(bars)
    *before, last = candles.times
    candles = replace(candles, times=[*before, last + 600_000])
    sold = [("buy", D(90), "ladder"), ("sell", D(100), "ladder")]
    below = ("buy", D(80), "ladder")
    assert told(backtest.run(plan(candles, "grid", GRID))) == [*sold, below]
    limits = {"max_daily_trades": 1}
    assert told(backtest.run(plan(candles, "grid", GRID, limits=limits))) == sold


def test_a_price_that_jumps_over_rungs_fills_them_at_their_own_prices() -> None:
    bars = [(100.5, 100.5, 100.5, 100.5)] * 2 + [(85.0, 85.0, 85.0, 85.0)]
    assert told(backtest.run(plan(from_bars(bars), "grid", GRID))) == [
        ("buy", D(100), "ladder"),
        ("buy", D(90), "ladder"),
    ]


def test_the_average_moves_stop_and_target_on_the_way_inside_a_candle() -> None:
    """The safety order at 90 is met before the stop, which then lies below it."""
    params = {"orders": 1, "step": 10}
    limits = {"stop_loss_perc": D(8), "take_profit_perc": D(3)}
    still = [(100.0, 100.0, 100.0, 100.0)] * 3
    bars = [*still, (100.0, 100.0, 91.9, 92.5)]
    stopped = backtest.run(plan(from_bars(bars), "dca", params, limits=limits))
    assert told(stopped)[1] == ("sell", D(92), "stop_loss")
    limits = limits | {"stop_loss_perc": D(12)}
    bars = [*still, (100.0, 100.0, 89.0, 97.9)]
    saved = backtest.run(plan(from_bars(bars), "dca", params, limits=limits))
    assert told(saved)[:3] == [
        ("buy", D(100), "signal"),
        ("buy", D(90), "ladder"),
        # 3 % above the average of 1 at 100 and 1.11111 at 90.
        ("sell", D("97.57"), "take_profit"),
    ]


@pytest.mark.parametrize(("name", "spread"), list(zip(SERIES, ["0", "0.001", "0"], strict=True)))
@pytest.mark.parametrize("strategy", ["dca", "grid"])
def test_what_is_passed_over_changes_nothing(
    name: str, strategy: str, spread: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    candles = series(name).cut(0, 1000)
    low, high = min(candles.low), max(candles.high)
    params: dict[str, Any] = {"begin": "rsi", "rsi_limit": 45, "step": "0.4"}
    if strategy == "grid":
        edge = (high - low) / 6
        params = {"lowest": f"{low + edge:.6f}", "highest": f"{high - edge:.6f}", "below": "sell"}
    limits = {"take_profit_perc": D(1), "stop_loss_perc": D(6), "max_daily_trades": 6}
    costs = Costs(fee_rate=D("0.001"), spread=D(spread))
    made = plan(
        candles, strategy, params, limits=limits, rules=RULES if high > 100 else FINE, costs=costs
    )
    quick = backtest.run(made)
    monkeypatch.setattr(climb.Climb, "_until", lambda *_: None)
    assert backtest.run(made) == quick
    assert len(quick.orders) > 5
