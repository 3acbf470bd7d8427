"""Backtests of entries that rest: when they are filled, at what, and when they are given up."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from tests.trading.candles import series
from tests.trading.test_backtest import FLAT, FREE, HOUR, RULES, D, Row, T, plan_of, told
from trading.backtest import Costs, Plan, Result, actions, climb, run, waiting
from trading.backtest.result import Waits
from trading.backtest.signals import BUY, NONE, SELL
from trading.backtest.sweep import sweep
from trading.market import Candles
from trading.strategies import clean, get

#: 1 % below the market, for two candles.
LIMIT = {"entry_type": "limit", "entry_offset_perc": D(1), "entry_timeout_seconds": 7200}


def trade(rows: list[Row], said: list[int], **values: Any) -> Result:
    return run(plan_of(rows, **LIMIT | values), bytes(said))


def test_an_entry_is_filled_whole_at_its_price_when_a_candle_comes_there_and_pays_as_a_maker() -> (
    None
):
    rows = [FLAT, (10, 10, 9.91, 10), (10, 10, 9.9, 10), (11, 11, 11, 11)]
    plan = plan_of(rows, costs=Costs(), **LIMIT)
    plan = replace(plan, rules=replace(RULES, maker_fee=D("0.0002"), taker_fee=D("0.001")))
    buy, sell = run(plan, bytes([NONE, BUY, BUY, SELL])).orders
    assert (buy.price, buy.amount, buy.at) == (D("9.90"), D("10.101"), T + 2 * HOUR + HOUR // 4)
    assert (buy.fee / buy.value, sell.fee / sell.value) == (D("0.0002"), D("0.001"))


def test_stop_and_target_count_from_the_fill_on_in_the_same_candle() -> None:
    levels = {"stop_loss_perc": D(5), "take_profit_perc": D(5)}
    large = {"position_size_fixed": D(900), "max_drawdown_perc": D(4)}
    stopped = trade([FLAT, (10, 12, 9, 10)], [NONE, BUY], **levels, **large)
    assert stopped.ended == "max_drawdown"
    # 9.405, down to the tick, on the way on to the low; nothing is bought before the next opening.
    assert told(stopped) == [("buy", "signal", D("9.90"), 5), ("sell", "stop_loss", D("9.40"), 5)]
    won = trade([FLAT, (10, 12, 9.8, 10)], [NONE, BUY], **levels)
    assert told(won)[1] == ("sell", "take_profit", D("10.39"), 6)
    rows: list[Row] = [FLAT, (10, 10, 9.9, 10), (12, 12, 11, 12)]
    trails = {"trailing_stop_perc": D(5), "trailing_stop_active": True}
    trailed = trade(rows, [NONE, BUY, NONE], **trails)
    assert told(trailed)[1] == ("sell", "trailing_stop", D("11.40"), 9)  # from the opening at 12


def test_a_price_that_opens_beyond_the_limit_fills_it_at_the_limit() -> None:
    found = trade([FLAT, FLAT, (9, 9, 9, 9)], [NONE, BUY, NONE])
    assert told(found) == [("buy", "signal", D("9.90"), 8)]


def test_without_its_signal_an_entry_is_given_up() -> None:
    assert trade([FLAT, FLAT, (10, 10, 9, 10)], [NONE, BUY, NONE]).orders == ()
    # The next one is placed at the price of its own signal, 12.
    rows: list[Row] = [FLAT, FLAT, FLAT, (12, 12, 9, 12)]
    found = trade(rows, [NONE, BUY, NONE, BUY], entry_timeout_seconds=86_400)
    assert told(found) == [("buy", "signal", D("11.88"), 13)]


@pytest.mark.parametrize(
    ("patience", "found"),
    [
        (2701, [("buy", "signal", D("9.90"), 7)]),  # the fall to the close comes after 2700 s
        (2700, []),
    ],
)
def test_what_comes_after_its_time_does_not_fill_an_entry(patience: int, found: list[Any]) -> None:
    rows: list[Row] = [FLAT, (10, 11, 10, 9.8), (10, 10, 10, 10)]
    said = [NONE, BUY, NONE]
    assert told(trade(rows, said, entry_timeout_seconds=patience)) == found


def test_after_its_time_it_is_placed_anew_at_the_price_of_then_or_bought_at_market() -> None:
    rows: list[Row] = [FLAT, FLAT, FLAT, (20, 20, 20, 20), (20, 20, 19.8, 20)]
    said = [NONE, BUY, BUY, BUY, BUY]
    assert told(trade(rows, said)) == [("buy", "signal", D("19.80"), 17)]
    costs = Costs(fee_rate=D(0), slippage=D("0.01"))
    market = trade(rows, said, entry_fallback="market", costs=costs)
    assert told(market) == [("buy", "signal", D("20.20"), 12)]
    assert market.waits == Waits(sent=1, filled=0)
    again = trade(rows, said).waits
    assert again == Waits(sent=2, filled=1)


def test_the_fill_counts_on_its_own_day_and_ends_a_day_of_one_trade() -> None:
    rows: list[Row] = [FLAT] * 24 + [(10, 10, 9.9, 10), (11, 11, 11, 11), (11, 11, 9, 11), FLAT]
    said = [NONE] * 23 + [BUY, BUY, SELL, BUY, BUY]
    found = trade(rows, said, max_daily_trades=1)
    assert [(o.side, o.day.day) for o in found.orders] == [("buy", 2), ("sell", 2)]
    assert [day.trades for day in found.days.values()] == [1]


def test_with_a_spread_the_ask_has_to_come_to_the_limit() -> None:
    costs = replace(FREE, spread=D("0.02"))
    # The bid 9.90 less 1 % is 9.80; the ask is there when a trade at 9.70 has been made.
    rows: list[Row] = [FLAT, (10, 10, 9.71, 10), (10, 10, 9.7, 10)]
    assert told(trade(rows, [NONE, BUY, BUY], costs=costs)) == [("buy", "signal", D("9.80"), 9)]


def test_at_the_market_a_limit_order_takes_and_one_that_must_not_is_refused() -> None:
    costs = Costs(fee_rate=D(0), slippage=D("0.01"))
    near = {"entry_offset_perc": None, "costs": costs}
    found = trade([FLAT, FLAT], [NONE, BUY], **near)
    assert told(found) == [("buy", "signal", D(10), 4)]  # never beyond its limit
    plan = plan_of([FLAT, FLAT], **LIMIT | near | {"entry_type": "post_only"})
    assert waiting.Wait(plan, bytes([NONE, BUY])).run(()).orders == ()


@pytest.mark.parametrize(
    ("rows", "said", "quarter"),
    [
        ([FLAT, (10, 10, 9.8, 10)], [NONE, BUY], 5),
        ([FLAT, FLAT, FLAT, (9.8, 9.8, 9.8, 9.8)], [NONE, BUY, BUY, NONE], 12),
    ],
)
def test_a_round_begins_where_the_price_comes_to_its_base_order(
    rows: list[Row], said: list[int], quarter: int
) -> None:
    plan, rule = plan_of(rows, take_profit_perc=D(5), **LIMIT), get("dca")
    plan = replace(plan, strategy=rule, values=clean(rule, {"step": "10"}))
    assert told(run(plan, bytes(said))) == [("buy", "signal", D("9.90"), quarter)]


def made(strategy: str, **values: Any) -> Plan:
    candles = series("BTCUSDT-1m-2023-03").cut(0, 1500)
    rule = get(strategy)
    limits = {"stop_loss_perc": D("0.4"), "take_profit_perc": D("0.5"), "max_daily_trades": 20}
    entries = {"entry_type": "limit", "entry_offset_perc": D("0.05")}
    plan = plan_of([], funds=100_000, costs=Costs(spread=D("0.0001")), **entries | limits | values)
    given = {"begin": "rsi", "rsi_limit": 55} if strategy == "dca" else {}
    return replace(plan, candles=candles, strategy=rule, values=clean(rule, given))


@pytest.mark.parametrize("strategy", ["ema_rsi", "dca"])
def test_no_entry_looks_ahead_and_what_is_passed_over_changes_nothing(
    strategy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = made(strategy)
    whole = run(plan)
    assert len(whole.orders) > 10
    for end in (400, 777, 1203):
        candles = plan.candles.cut(0, end)
        begun = [one for one in whole.orders if one.at < candles.times[-1] + 60_000]
        assert list(run(replace(plan, candles=candles)).orders) == begun
    monkeypatch.setattr(waiting.Wait, "_stirs", lambda _self, _entry, at: _each(plan.candles, at))
    monkeypatch.setattr(climb.Climb, "_until", lambda *_: None)
    assert run(plan) == whole


def _each(candles: Candles, at: int) -> int | None:
    return at if at < len(candles) else None


def test_a_sweep_has_the_figures_of_whole_backtests() -> None:
    plan = replace(made("ema_rsi", max_daily_trades=None), costs=Costs())
    (trial,) = sweep(plan, [{"stop_loss_perc": "0.3"}])
    single = replace(plan, settings=replace(plan.settings, stop_loss_perc=D("0.3")))
    found = run(single, actions(plan.candles, plan.strategy, plan.values))
    assert trial.trades == sum(not one.is_entry for one in found.orders) > 3
    assert trial.pnl == float(sum((one.pnl for one in found.orders), Decimal(0)))
