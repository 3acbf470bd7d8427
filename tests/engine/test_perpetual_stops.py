"""Stop and target of a perpetual are two orders: what becomes of one when the other one fails."""

from datetime import timedelta
from typing import Any

import pytest

from bots import invariants, reconcile
from bots.models import Account, Order, User
from tests.engine.bench import Bench, D
from tests.engine.exchange import ScriptedExchange
from trading.exchange import Can, ExchangeError, Fault, Rejected, Unreachable
from trading.market import OrderReport, OrderRequest, OrderType

SYMBOL = "BTC/USDT:USDT"
IMMEDIATE = Rejected(Fault.ORDER_REJECTED, "-2021 Order would immediately trigger.")


class Picky(ScriptedExchange):
    """Refuses orders of some types."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench.market, can=frozenset({Can.STOP, Can.FUTURES}))
        self.refuses: dict[OrderType, ExchangeError] = {}

    def place(self, request: OrderRequest) -> OrderReport:
        if request.type in self.refuses:
            raise self.refuses[request.type]
        return super().place(request)


@pytest.fixture
def perpetual(alice: User, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Bench:
    settings.LIVE_TRADING_ENABLED = True
    account = Account.objects.create(owner=alice, exchange="binance", mode="live", label="f")
    values: dict[str, Any] = {"mode": "live", "position_type": "futures", "symbol": SYMBOL}
    stops = {"stop_loss_perc": D(5), "take_profit_perc": D(5)}
    b = Bench(alice, start=False, account=account, **values, **stops)
    # As in a worker that has run for a day.
    monkeypatch.setattr(reconcile, "STARTED", b.market.at - timedelta(days=2))
    b.exchange = Picky(b)
    b.start()
    return b


def protection(b: Bench) -> dict[str, str]:
    return {order.type: order.status for order in b.orders if order.purpose == "protect"}


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (IMMEDIATE, "rejected"),
        (Unreachable(Fault.NETWORK, "connection refused", sent=False), "abandoned"),
    ],
)
def test_a_target_that_was_not_sent_does_not_keep_the_bot_from_its_stop(
    perpetual: Bench, error: ExchangeError, status: str
) -> None:
    b = perpetual
    assert isinstance(b.exchange, Picky)
    b.exchange.refuses[OrderType.STOP] = error
    b.enter()
    assert protection(b) == {"stop": status, "target": "abandoned"}
    assert not b.exchange.resting
    assert (b.state.protection, b.state.has_unsettled_orders) == ("failed", False)
    b.market.price = D(94)
    found = b.tick(after=5)
    assert found is not None
    assert (found.action, found.gate) == ("exit", "stop_loss")
    assert not b.state.in_position
    assert invariants.check() == []


def test_a_target_that_is_refused_leaves_the_stop_where_it_is(perpetual: Bench) -> None:
    b = perpetual
    assert isinstance(b.exchange, Picky)
    b.exchange.refuses[OrderType.TARGET] = IMMEDIATE
    b.enter()
    assert protection(b) == {"stop": "open", "target": "rejected"}
    assert [request.type for request in b.exchange.resting.values()] == ["stop"]
    assert not b.state.has_unsettled_orders


def test_a_stop_without_an_answer_is_followed_by_its_target(perpetual: Bench) -> None:
    b = perpetual
    assert isinstance(b.exchange, Picky)
    b.exchange.refuses[OrderType.STOP] = Unreachable(Fault.NETWORK, "read timed out")
    b.enter()
    assert protection(b) == {"stop": "unknown", "target": "open"}
    assert Order.objects.get(type="target").client_order_id in b.exchange.resting


def left_alone(b: Bench) -> None:
    """Stop the bot and leave its position to the stop, which then closes it."""
    b.enter()
    b.stop()
    assert b.where == ("stopped", "by_owner", "none")
    assert b.state.has_protection
    b.market.price = D(94)


def test_what_is_left_of_a_position_that_nobody_ticks_is_taken_back(perpetual: Bench) -> None:
    b = perpetual
    assert isinstance(b.exchange, Picky)
    left_alone(b)
    b.exchange.cancel_error = Unreachable(Fault.NETWORK, "read timed out")
    seen = []
    b.exchange.on_cancel = lambda: seen.append(invariants.check())
    (finding,) = reconcile.reconcile(b.bot.pk, b.world)
    assert not finding.ok
    assert seen == [[]], "what a comparison is about to take back is nobody's alarm"
    assert (b.state.in_position, b.state.has_protection) == (False, True)
    assert b.where == ("stopped", "by_owner", "exit"), "its ticks take the target back"
    assert invariants.check() == []
    b.exchange.cancel_error = None
    b.tick(after=5)
    assert b.where == ("stopped", "by_owner", "none")
    assert (b.exchange.resting, b.state.has_protection) == ({}, False)
    assert invariants.check() == []
