"""A perpetual against its exchange: shorts, funding, liquidations, positions of somebody else."""

from typing import Any

import pytest

from bots import control, invariants
from bots.change import Refusal
from bots.models import Account, Fill, Order, StateEvent, User
from tests.engine.bench import Bench, D
from tests.engine.exchange import ScriptedExchange
from tests.engine.test_reconcile import STOPS, age_comparison
from trading.exchange import Can, Fault, Rejected
from trading.market import FundingReport, OrderRequest, OrderType, PositionReport, Side


@pytest.fixture
def perpetual(alice: User, settings: Any) -> Bench:
    settings.LIVE_TRADING_ENABLED = True
    account = Account.objects.create(owner=alice, exchange="binance", mode="live", label="f")
    b = Bench(
        alice,
        start=False,
        mode="live",
        position_type="futures",
        symbol="BTC/USDT:USDT",
        account=account,
        direction="both",
        leverage=4,
        **STOPS,
    )
    b.exchange = ScriptedExchange(b.market, can=frozenset({Can.STOP, Can.FUTURES}))
    b.start()
    return b


def test_a_short_is_opened_protected_and_closed(perpetual: Bench) -> None:
    b = perpetual
    exchange = b.exchange
    assert exchange is not None
    b.market.trend = "down"
    b.tick()
    b.market.trend = "flat"
    state = b.state
    assert exchange.prepared == [("BTC/USDT:USDT", 4)]
    assert (state.position_side, state.current_position_size) == ("short", D(2))
    assert (state.stop_loss_price, state.take_profit_price) == (D(105), D(90))
    entry, stop, target = b.orders
    assert (entry.side, entry.reduce_only) == ("sell", False)
    assert (stop.side, stop.trigger, stop.reduce_only) == ("buy", D(105), True)
    assert (target.trigger, target.pair) == (D(90), "")
    b.market.price = D(89)
    found = b.tick()
    assert found is not None
    assert found.gate == "take_profit"
    assert not b.state.in_position
    assert b.state.daily_pnl > 0
    assert {order.status for order in b.orders} == {"filled", "canceled"}, "no stop is left"
    assert exchange.resting == {}
    assert invariants.check() == []


def test_funding_is_in_the_profit_once(perpetual: Bench) -> None:
    b = perpetual
    exchange = b.exchange
    assert exchange is not None
    b.market.trend = "up"
    b.tick()
    before = b.state.daily_pnl
    b.market.pass_time(10)
    paid: dict[str, Any] = {"symbol": b.bot.symbol, "currency": "USDT"}
    for number, amount in enumerate(("-0.05", "0.02")):
        exchange.payments.append(
            FundingReport(funding_id=f"f{number}", amount=D(amount), at=b.market.now(), **paid)
        )
    for _ in range(2):
        age_comparison(b)
        b.tick()
    assert b.state.daily_pnl - before == D("-0.03")
    assert b.state.profit == b.state.daily_pnl
    assert invariants.check() == []


def liquidate(b: Bench) -> None:
    """Close the position as the exchange does, with an order of its own."""
    assert b.exchange is not None
    b.market.price = D(96)
    b.exchange._take(
        OrderRequest(
            client_order_id="autoclose-1",
            symbol=b.bot.symbol,
            side=Side.SELL,
            type=OrderType.MARKET,
            amount=b.state.current_position_size,
            signed_at=b.market.now(),
        )
    )


def test_a_liquidation_is_seen_and_booked(perpetual: Bench) -> None:
    b = perpetual
    exchange = b.exchange
    assert exchange is not None
    b.market.trend = "up"
    b.tick()
    b.market.trend = "flat"
    b.market.pass_time(10)
    liquidate(b)
    age_comparison(b)
    found = b.tick()
    assert found is not None
    assert (found.action, found.gate) == ("exit", "liquidation")
    order = Order.objects.get(purpose="liquidation")
    assert (order.client_order_id, order.filled) == ("autoclose-1", D(2))
    assert not b.state.in_position
    b.tick()
    assert exchange.resting == {}, "the stops go with the position"
    assert invariants.check() == []


def test_an_exit_that_is_refused_is_compared_at_once(perpetual: Bench) -> None:
    b = perpetual
    b.market.trend = "up"
    b.tick()
    liquidate(b)
    assert b.exchange is not None
    command = b.command("exit")
    b.market.pass_time(1)
    found = b.tick()
    assert found is not None
    assert (found.action, found.gate) == ("exit", "liquidation")
    exit_order = Order.objects.get(purpose="exit")
    assert (exit_order.status, exit_order.command) == ("rejected", command)
    assert not b.state.in_position
    assert b.state.current_position_size == 0
    assert invariants.check() == []


def test_an_exit_that_is_refused_while_the_position_is_there_fails_as_ever(
    perpetual: Bench,
) -> None:
    b = perpetual
    b.market.trend = "up"
    b.tick()
    assert b.exchange is not None
    b.exchange.refuse = Rejected(Fault.ORDER_REJECTED, "not now")
    b.command("exit")
    b.market.pass_time(1)
    before = b.state.reconciled_at
    found = b.tick()
    assert found is not None
    assert (found.action, found.reason) == ("failed", "order_rejected")
    assert b.state.in_position
    assert b.state.reconciled_at != before, "it was compared"


def test_a_position_of_somebody_else_keeps_the_bot_from_entering(perpetual: Bench) -> None:
    b = perpetual
    exchange = b.exchange
    assert exchange is not None
    exchange.positions[b.bot.symbol] = PositionReport(symbol=b.bot.symbol, amount=D("-1"))
    b.market.trend = "up"
    b.tick()
    assert b.where == ("error", "reconcile", "none")
    assert not Order.objects.exists()


def test_two_bots_cannot_trade_one_futures_market_of_an_account(perpetual: Bench) -> None:
    b = perpetual
    second = control.create(
        b.owner,
        {
            "name": "Second",
            "exchange": "binance",
            "mode": "live",
            "position_type": "futures",
            "symbol": b.bot.symbol,
            "account": b.bot.account,
            "position_size_fixed": D(100),
        },
    )
    with pytest.raises(Refusal) as refused:
        control.start(second, by=b.owner, via="page")
    assert refused.value.reason == "market_taken"
    b.stop()
    control.start(second, by=b.owner, via="page")
    assert StateEvent.objects.filter(bot=second, move="start").exists()
    assert Fill.objects.count() == 0
