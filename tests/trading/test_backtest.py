"""What a backtest assumes, on candles made by hand; that it equals the engine: tests/whole."""

from dataclasses import replace
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from trading.backtest import Costs, Plan, Result, Unsupported, report, run
from trading.backtest.signals import BUY, NONE, SELL
from trading.market import Candles, OrderType, Rules
from trading.risk import Settings
from trading.strategies import clean, get

D = Decimal
T = 1_677_628_800_000  # 2023-03-01T00:00Z
HOUR = 3_600_000
RULES = Rules(symbol="A/USDT", base="A", quote="USDT", price_tick=D("0.01"), amount_step=D("0.001"))
Row = tuple[float, float, float, float]
FREE = Costs(fee_rate=D(0), slippage=D(0))


def plan_of(rows: list[Row], *, costs: Costs = FREE, funds: int = 1000, **values: Any) -> Plan:
    candles = Candles.from_rows(
        "A/USDT", "1h", [(T + n * HOUR, *row, 1.0) for n, row in enumerate(rows)]
    )
    fields = {"initial_capital": D(1000), "position_size_fixed": D(100)} | values
    return Plan(
        candles=candles,
        rules=RULES,
        settings=Settings(**fields),
        strategy=get("ema_rsi"),
        values=clean(get("ema_rsi"), {}),
        zone=ZoneInfo("UTC"),
        funds=D(funds),
        costs=costs,
    )


def trade(rows: list[Row], said: list[int], **values: Any) -> Result:
    return run(plan_of(rows, **values), bytes(said))


def told(result: Result) -> list[tuple[str, str, Decimal, int]]:
    return [(o.side, o.reason, o.price, (o.at - T) * 4 // HOUR) for o in result.orders]


FLAT: Row = (10, 10, 10, 10)


def test_figures_are_of_the_capital_whatever_is_on_the_account() -> None:
    rows, said = [FLAT, FLAT, (8, 8, 8, 8), FLAT], bytes([NONE, BUY, SELL, BUY])
    values: dict[str, Any] = {"position_size_fixed": None, "position_size_perc": D(20)}
    plans = [plan_of(rows, funds=funds, **values) for funds in (1000, 10_000)]
    results = [run(plan, said) for plan in plans]
    assert results[0].orders == results[1].orders
    figures = [report(plan, result) for plan, result in zip(plans, results, strict=True)]
    assert figures[0] == figures[1]
    assert (figures[0].value, figures[0].percent) == (960, -4)
    # Ten times the capital is ten times the sizes, limits and results, and the same in percent.
    more = plan_of(rows, funds=10_000, initial_capital=D(10_000), **values)
    found = report(more, run(more, said))
    assert (found.value, found.percent) == (9600, -4)


def test_it_enters_at_the_open_after_the_signal_and_leaves_on_the_next_one() -> None:
    rows = [FLAT, (11, 12, 10, 12), (12, 12, 12, 12), (13, 14, 13, 13)]
    found = trade(rows, [NONE, BUY, NONE, SELL])
    assert told(found) == [("buy", "signal", D(11), 4), ("sell", "signal", D(13), 12)]
    assert found.orders[-1].pnl == D("18.180")
    assert (found.quote, found.base) == (D("1018.180"), D(0))


@pytest.mark.parametrize(
    ("row", "reason", "price", "quarter"),
    [
        ((10, 11.5, 8.5, 10), "stop_loss", "9", 9),  # both touched: the stop comes first
        ((10, 11.5, 9.5, 10), "take_profit", "11", 10),
        ((8, 12, 7, 11), "stop_loss", "8", 8),  # the price jumped over its stop
        ((12, 12, 7, 11), "take_profit", "12", 8),
    ],
)
def test_levels_are_left_at_their_own_price_the_stop_before_the_target(
    row: Row, reason: str, price: str, quarter: int
) -> None:
    levels = {"stop_loss_perc": D(10), "take_profit_perc": D(10)}
    found = trade([FLAT, FLAT, row, FLAT], [NONE, BUY, NONE, NONE], **levels)
    assert told(found)[1:] == [("sell", reason, D(price), quarter)]


def test_the_candle_of_the_entry_can_end_it() -> None:
    found = trade([FLAT, (10, 10, 8, 10)], [NONE, BUY], stop_loss_perc=D(10))
    assert told(found) == [("buy", "signal", D(10), 4), ("sell", "stop_loss", D(9), 5)]


def test_a_trailing_stop_follows_the_high_before_the_close_and_never_falls() -> None:
    trailing = {"trailing_stop_perc": D(10), "trailing_stop_active": True}
    rows = [FLAT, (10, 12, 10, 12), (12, 12, 11, 11.5), (11.5, 20, 11, 17), FLAT]
    found = trade(rows, [NONE, BUY, NONE, NONE, NONE], **trailing)
    # From 12 it is 10.8, which nobody touches; from 20 it is 18, met on the way to the close.
    assert told(found)[1:] == [("sell", "trailing_stop", D(18), 15)]


def test_fee_slippage_and_spread_are_paid() -> None:
    costs = Costs(fee_rate=D("0.01"), slippage=D("0.01"), spread=D("0.02"))
    found = trade([FLAT, FLAT, FLAT], [NONE, BUY, SELL], costs=costs)
    buy, sell = found.orders
    # The ask is 10.10, and slippage, up to the tick, makes 10.21 of it; the bid 9.90 gives 9.80.
    assert (buy.price, sell.price) == (D("10.21"), D("9.80"))
    assert buy.fee == buy.value * D("0.01")
    assert sell.pnl == sell.value - sell.fee - buy.value - buy.fee
    assert found.quote == 1000 + sell.pnl


def test_a_limit_of_the_day_pauses_until_midnight_in_the_owners_zone() -> None:
    rows, said = [FLAT] * 30, [NONE, *[BUY, SELL] * 14, BUY]
    plan = replace(plan_of(rows, max_daily_trades=2), zone=ZoneInfo("Europe/Istanbul"))
    found = run(plan, bytes(said))
    hours = [(o.at - T) // HOUR for o in found.orders if o.is_entry]
    # Midnight in Istanbul is 21:00 UTC.
    assert hours == [1, 3, 21, 23]
    assert [day.trades for day in found.days.values()] == [2, 2]


def test_a_drawdown_ends_it() -> None:
    rows = [FLAT, FLAT, (8, 8, 8, 8), FLAT, (8, 8, 8, 8), FLAT, FLAT]
    found = trade(rows, [NONE, BUY, SELL, BUY, SELL, BUY, SELL], max_drawdown_perc=D(3))
    assert len(found.orders) == 4
    assert found.ended == "max_drawdown"


def test_nothing_is_bought_that_cannot_be_paid() -> None:
    assert trade([FLAT, FLAT], [NONE, BUY], funds=99).orders == ()
    # The first entry of 100 is sold for 80.
    rows, said = [FLAT, FLAT, (8, 8, 8, 8), FLAT], [NONE, BUY, SELL, BUY]
    assert len(trade(rows, said, funds=119).orders) == 2
    assert len(trade(rows, said, funds=120).orders) == 3


def test_a_position_that_stays_open_is_told_with_its_value() -> None:
    plan = plan_of([FLAT, FLAT, (12, 12, 12, 12)])
    result = run(plan, bytes([NONE, BUY, NONE]))
    found = report(plan, result)
    assert result.position.is_open
    assert (found.pnl, found.open_pnl, found.value) == (D(0), D(20), D(1020))
    assert (found.percent, found.hold) == (D(2), D(20))
    assert found.summary.trades == 0


def test_what_cannot_be_tried_is_said() -> None:
    plan = plan_of([FLAT])
    limit = {"entry_type": OrderType.LIMIT, "entry_timeout_seconds": 900}
    with pytest.raises(Unsupported, match=r"Candles of 1h cannot tell .* more than 900 seconds"):
        run(replace(plan, settings=replace(plan.settings, **limit)))
    never_taking = {"entry_type": OrderType.POST_ONLY, "entry_timeout_seconds": 901}
    with pytest.raises(Unsupported, match="Give a spread, or a distance"):
        run(replace(plan, settings=replace(plan.settings, **never_taking)))
    perpetual = replace(plan, rules=replace(RULES, symbol="A/USDT:USDT"))
    with pytest.raises(Unsupported, match="at market on perpetuals"):
        run(replace(perpetual, settings=replace(plan.settings, **never_taking)))


def test_candles_out_of_order_are_refused() -> None:
    plan = plan_of([FLAT, FLAT])
    turned = replace(plan.candles, times=plan.candles.times[::-1])
    with pytest.raises(ValueError, match="does not follow"):
        run(replace(plan, candles=turned))


def test_without_candles_nothing_happens() -> None:
    found = run(plan_of([]))
    assert (found.orders, found.quote, found.first, found.end) == ((), D(1000), 0, 0)
    assert report(plan_of([]), found).hold is None


@pytest.mark.parametrize("strategy", ["ema_rsi", "dca"])
def test_a_walk_tells_how_far_it_is_and_may_be_ended(strategy: str) -> None:
    rows = [(10.0, 10.3, 9.7, 10.0), (10.0, 10.0, 9.0, 9.5)] * 1500
    rule, begin = get(strategy), {"take_profit_perc": D(1), "stop_loss_perc": D(1)}
    made = plan_of(rows, **begin)
    made = replace(made, strategy=rule, values=clean(rule, {}), funds=D(100_000))
    said, shares = bytes([BUY, SELL] * 1500), list[float]()
    run(made, said, shares.append)
    assert len(shares) > 2
    assert shares == sorted(shares)
    assert 0 <= shares[0] < shares[-1] <= 1

    def end(_share: float) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        run(made, said, end)
