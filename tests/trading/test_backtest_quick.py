"""Whole numbers against Decimals: both walks come to the same orders, whatever the settings."""

from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trading.candles import from_closes, random_walk, series
from trading.backtest import Costs, Plan, Result, actions
from trading.backtest.engine import Walk
from trading.backtest.quick import Quick
from trading.backtest.result import quickly
from trading.backtest.whole import Doubt
from trading.market import Candles, Rules
from trading.risk import Settings
from trading.strategies import clean, get

D = Decimal
percents = st.decimals("0.01", "3", places=2)
maybe = st.one_of(st.none(), percents)
bot_settings = st.fixed_dictionaries(
    {
        "initial_capital": st.just(D(1000)),
        "position_size_fixed": st.decimals("50", "999", places=2),
        "stop_loss_perc": maybe,
        "take_profit_perc": maybe,
        "trailing_stop_perc": percents,
        "trailing_stop_active": st.booleans(),
        "max_daily_trades": st.one_of(st.none(), st.integers(1, 9)),
        "max_daily_loss_perc": maybe,
        "daily_target_perc": maybe,
        "cooldown_minutes": st.one_of(st.none(), st.integers(1, 200)),
        "stop_guard_stops": st.one_of(st.none(), st.integers(1, 3)),
        "stop_guard_minutes": st.one_of(st.none(), st.integers(5, 300)),
        "max_drawdown_perc": st.one_of(st.none(), st.decimals("1", "9", places=1)),
    }
)
costs = st.builds(
    Costs,
    fee_rate=st.decimals("0", "0.002", places=5),
    slippage=st.decimals("0", "0.002", places=6),
    spread=st.sampled_from([D(0), D("0.0001"), D("0.0013")]),
)


def plan_of(candles: Candles, values: dict[str, Any], cost: Costs, zone: str, **rules: Any) -> Plan:
    market = {"price_tick": D("0.01"), "amount_step": D("0.00001"), "min_notional": D(10)}
    return Plan(
        candles=candles,
        rules=Rules(symbol="BTC/USDT", base="BTC", quote="USDT", **market | rules),
        settings=Settings(**values),
        strategy=get("ema_rsi"),
        values=clean(get("ema_rsi"), {}),
        zone=ZoneInfo(zone),
        funds=D(1000),
        costs=cost,
    )


def quick(plan: Plan, said: bytes) -> Result:
    walk = Quick(plan, said)
    walk.run()
    return quickly(plan, walk, ())


def same(plan: Plan, said: bytes) -> Result:
    """Return what both come to; their dust differs, as nothing is left of what is sold whole."""
    slow, fast = Walk(plan, said).run(()), quick(plan, said)
    for one, other in zip(slow.orders, fast.orders, strict=True):
        for name in ("at", "day", "is_entry", "reason", "amount", "price", "value", "fee", "pnl"):
            assert getattr(one, name) == getattr(other, name), (name, one, other)
    for name in ("quote", "base", "position", "last", "ended", "first", "end"):
        assert getattr(slow, name) == getattr(fast, name), name
    assert {day: (x.pnl, x.trades) for day, x in slow.days.items()} == {
        day: (x.pnl, x.trades) for day, x in fast.days.items()
    }
    return fast


@settings(max_examples=60, deadline=None)
@given(
    values=bot_settings,
    cost=costs,
    seed=st.integers(0, 10**6),
    step=st.sampled_from([0.0004, 0.002, 0.01]),
    zone=st.sampled_from(["UTC", "Asia/Kathmandu", "America/Sao_Paulo"]),
    said=st.lists(st.sampled_from(b"\x00\x00\x00\x01\x01\x02"), min_size=600, max_size=600),
)
def test_both_walks_come_to_the_same_orders(
    values: dict[str, Any], cost: Costs, seed: int, step: float, zone: str, said: list[int]
) -> None:
    candles = from_closes(random_walk(600, seed=seed, start=100.0, step=step))
    plan = plan_of(candles, values, cost, zone)
    same(plan, bytes(said))


@pytest.mark.parametrize("trailing", [False, True])
@pytest.mark.parametrize("spread", ["0", "0.0002"])
def test_on_a_real_market_nothing_is_in_doubt(trailing: bool, spread: str) -> None:
    candles = series("BTCUSDT-1m-2023-03").cut(0, 6000)
    values = {
        "initial_capital": D(1000),
        "position_size_perc": D(40),
        "stop_loss_perc": D("0.3"),
        "take_profit_perc": D("0.6"),
        "trailing_stop_perc": D("0.2"),
        "trailing_stop_active": trailing,
    }
    plan = plan_of(candles, values, Costs(spread=D(spread)), "UTC", max_amount=D(9000))
    found = same(plan, actions(candles, plan.strategy, plan.values))
    reasons = {order.reason for order in found.orders}
    assert reasons == {"signal", "take_profit", "trailing_stop" if trailing else "stop_loss"}
    assert len(found.orders) > 60


SIMPLE: dict[str, Any] = {"initial_capital": D(1000), "position_size_fixed": D(100)}


@pytest.mark.parametrize(
    ("values", "rules"),
    [
        ({"loss_includes_open": True}, {}),
        (
            {"position_size_fixed": D("10.005")},
            {"min_notional": D(10)},
        ),  # its fee would leave less than the minimum
        ({"position_size_fixed": D("999.2")}, {}),  # just what the account has
        ({"stop_loss_perc": D(100)}, {}),  # a level of nothing
        ({}, {"max_amount": D("1.00000001")}),
        ({}, {"active": False}),
    ],
)
def test_what_is_not_beyond_doubt_is_left_to_decimals(
    values: dict[str, Any], rules: dict[str, Any]
) -> None:
    candles = from_closes([100.0] * 4)
    cost = Costs(fee_rate=D("0.0008"), slippage=D(0))
    plan = plan_of(candles, SIMPLE | values, cost, "UTC", **rules)
    with pytest.raises(Doubt):
        quick(plan, b"\x00\x01\x00\x02")


def test_an_account_that_cannot_pay_is_beyond_doubt() -> None:
    candles = from_closes([100.0] * 4)
    plan = plan_of(candles, SIMPLE | {"position_size_fixed": D(1001)}, Costs(), "UTC")
    assert same(plan, b"\x00\x01\x00\x02").orders == ()
