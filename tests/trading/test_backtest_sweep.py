"""Sweeps: a set's figures are those of its backtest, and every combination is tried once."""

from dataclasses import replace
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.trading.candles import SERIES, series
from trading import backtest, strategies
from trading.backtest import Costs, Plan, sweep
from trading.backtest.sets import applied, combined
from trading.market import Rules
from trading.risk import Settings
from trading.strategies import ParamErrors, clean

D = Decimal
STEPS = {
    "BTCUSDT-1m-2023-03": ("0.01", "0.00001"),
    "ETHBTC-5m-2018-01": ("0.000001", "0.001"),
    "XRPUSDT-perp-5m-2021-11": ("0.0001", "0.1"),
}


def plan_on(name: str, count: int = 2500, **limits: Any) -> Plan:
    tick, step = STEPS[name]
    strategy = strategies.get("ema_rsi")
    given = {"stop_loss_perc": D("0.4"), "take_profit_perc": D("0.6"), **limits}
    return Plan(
        candles=series(name).cut(0, count),
        rules=Rules(
            symbol="A/B",
            base="A",
            quote="B",
            price_tick=D(tick),
            amount_step=D(step),
            min_notional=D("0.0001"),
        ),
        settings=Settings(initial_capital=D(1000), position_size_fixed=D(90), **given),
        strategy=strategy,
        values=clean(strategy, {}),
        zone=ZoneInfo("UTC"),
        funds=D(1000),
        costs=Costs(fee_rate=D("0.001")),
    )


def exactly(plan: Plan, chosen: Any) -> tuple[int, int, float, float, float, float]:
    tried = applied(plan, chosen)
    result = backtest.run(tried)
    told = backtest.report(tried, result)
    money = (told.pnl, told.fees, told.drawdown.amount, told.value)
    return told.summary.trades, told.summary.wins, *map(float, money)


@pytest.mark.parametrize("name", SERIES)
def test_a_sets_figures_are_those_of_its_backtest(name: str) -> None:
    plan = plan_on(name)
    varied = {"ema_fast": [3, 8], "ema_slow": [13, 30], "stop_loss_perc": ["0", "0.2", "3"]}
    chosen = combined(plan, varied)
    assert len(chosen) == 12
    trades = 0
    for one in sweep.sweep(plan, chosen):
        exact = exactly(plan, one.chosen)
        assert (one.trades, one.wins) == exact[:2], one.chosen
        money = (one.pnl, one.fees, one.drawdown, one.value)
        assert money == pytest.approx(exact[2:], rel=1e-9, abs=1e-9), one.chosen
        trades += one.trades
    assert trades > 100


def test_small_funds_and_sizes_that_the_market_refuses_count_as_they_do_in_a_backtest() -> None:
    name = "BTCUSDT-1m-2023-03"
    plan = plan_on(name)
    poor = replace(plan, funds=D("90.2"))
    small = replace(plan, rules=replace(plan.rules, min_notional=D("89.9")))
    for tried in (poor, small):
        (one,) = sweep.sweep(tried, [{}])
        assert (one.trades, one.pnl) == pytest.approx(exactly(tried, {})[0:3:2], rel=1e-9)
    assert one.trades == 0
    (one,) = sweep.sweep(poor, [{}])
    assert 0 < one.trades < 20


def test_rules_that_need_the_clock_are_run_whole() -> None:
    plan = plan_on("BTCUSDT-1m-2023-03", max_daily_trades=3)
    (one,) = sweep.sweep(plan, [{}])
    assert one.trades == exactly(plan, {})[0] <= 9


def test_forked_processes_find_the_same_in_the_order_given() -> None:
    plan = plan_on("XRPUSDT-perp-5m-2021-11", 900)
    chosen = combined(plan, {"ema_fast": [3, 5, 8], "rsi_period": [5, 7]})
    assert list(sweep.sweep(plan, chosen, processes=2)) == list(sweep.sweep(plan, chosen))


def test_combinations_that_contradict_each_other_are_left_out() -> None:
    plan = plan_on("XRPUSDT-perp-5m-2021-11", 300)
    chosen = combined(plan, {"ema_fast": [5, 30], "ema_slow": [21, 40]})
    assert chosen == [
        {"ema_fast": 5, "ema_slow": 21},
        {"ema_fast": 5, "ema_slow": 40},
        {"ema_fast": 30, "ema_slow": 40},
    ]
    with pytest.raises(ParamErrors):
        combined(plan, {"ema_fast": [30], "ema_slow": [21]})
    with pytest.raises(ParamErrors, match="nonsense"):
        combined(plan, {"nonsense": [1]})
