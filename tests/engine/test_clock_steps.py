"""Our clock is stepped and put back: nothing that the exchange did meanwhile is missed for it."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from bots import invariants, reconcile, tick
from bots.models import Account, Funding, Order, User
from bots.world import World
from tests.engine.bench import Bench, D
from tests.engine.exchange import ScriptedExchange
from trading.exchange import Can
from trading.market import FundingReport, OrderRequest, OrderType, Side
from trading.market_data import MarketData

SYMBOL = "BTC/USDT:USDT"
STEPS = (timedelta(hours=24), timedelta(hours=1), timedelta(hours=-24))


class Stepped(Bench):
    """A bench whose own clock may differ from the exchange's."""

    skew = timedelta(0)

    def clock(self) -> datetime:
        return self.market.at + self.skew

    @property
    def world(self) -> World:
        data = MarketData(price_ttl_s=0, markets_ttl_s=0, failure_ttl_s=0)
        return World(clock=self.clock, data=data, feed=self.market, exchange=self.exchange)

    def compare(self) -> None:
        """Compare after more than RECONCILE_SECONDS."""
        self.market.pass_time(301)
        assert tick.run(self.bot.pk, self.world) is not None


@pytest.fixture
def stepped(alice: User, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Stepped:
    settings.LIVE_TRADING_ENABLED = True
    account = Account.objects.create(owner=alice, exchange="binance", mode="live", label="f")
    values: dict[str, Any] = {"mode": "live", "position_type": "futures", "symbol": SYMBOL}
    b = Stepped(alice, start=False, account=account, **values)
    monkeypatch.setattr(reconcile, "STARTED", b.market.at - timedelta(days=2))
    b.exchange = ScriptedExchange(b.market, can=frozenset({Can.STOP, Can.FUTURES}))
    b.start()
    b.enter()
    assert b.state.in_position
    return b


@pytest.mark.parametrize("step", STEPS)
def test_funding_is_booked_though_our_clock_was_elsewhere(
    stepped: Stepped, step: timedelta
) -> None:
    b = stepped
    assert isinstance(b.exchange, ScriptedExchange)
    b.skew = step
    b.compare()
    b.market.pass_time(700)
    paid = {"symbol": SYMBOL, "amount": D("-0.5"), "currency": "USDT"}
    b.exchange.payments.append(FundingReport(funding_id="1", at=b.market.now(), **paid))
    b.compare()
    assert Funding.objects.count() == 1
    b.market.pass_time(700)
    b.exchange.payments.append(FundingReport(funding_id="2", at=b.market.now(), **paid))
    b.skew = timedelta(0)
    b.compare()
    assert Funding.objects.count() == 2
    assert invariants.check(b.clock()) == []


@pytest.mark.parametrize("step", STEPS)
def test_a_liquidation_is_found_though_our_clock_was_elsewhere(
    stepped: Stepped, step: timedelta
) -> None:
    b = stepped
    assert isinstance(b.exchange, ScriptedExchange)
    b.skew = step
    b.compare()
    b.skew = timedelta(0)
    b.market.pass_time(700)
    order = {"symbol": SYMBOL, "side": Side.SELL, "type": OrderType.MARKET, "amount": D(2)}
    b.exchange.place(OrderRequest(client_order_id="autoclose-1", signed_at=b.market.now(), **order))
    b.compare()
    assert Order.objects.get(purpose="liquidation").filled == D(2)
    assert not b.state.in_position
