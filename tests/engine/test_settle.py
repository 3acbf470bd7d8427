"""Orders whose outcome nobody knows: looked up until the exchange decides, never sent again."""

import pytest

from bots import invariants, reconcile
from bots.lifecycle import Duty
from bots.models import BotState, Fill
from tests.before import FLAT
from tests.engine.bench import Bench, D
from tests.engine.conftest import Maker
from tests.engine.exchange import ScriptedExchange
from trading.exchange import Fault, Refused, Rejected, Unreachable

LOST = Unreachable(Fault.NETWORK, "read timed out", sent=True)
REFUSED = Unreachable(Fault.NETWORK, "connection refused", sent=False)


def lose_an_answer(b: Bench, *, executed: bool) -> ScriptedExchange:
    """Let the bot buy and hear nothing; `executed`: the exchange took the order all the same."""
    exchange = b.scripted()
    b.tick()
    if executed:
        exchange.lose_answer = LOST
    else:
        exchange.refuse = LOST
    b.enter()
    exchange.lose_answer = exchange.refuse = None
    assert b.order.status == "unknown"
    assert b.where == ("waiting", "order_unknown", "trade")
    assert not b.state.in_position
    return exchange


def test_an_order_whose_answer_was_lost_is_found_and_adopted(bench: Maker) -> None:
    b = bench()
    exchange = lose_an_answer(b, executed=True)
    b.market.trend = "up"
    b.tick()
    assert (b.order.status, b.order.is_settled) == ("filled", True)
    assert b.state.current_position_size == D(2)
    assert Fill.objects.count() == 1
    assert len(exchange.requests) == 1
    assert b.where[0] == "running"
    assert b.state.daily_trades_count == 1


def test_two_final_not_founds_after_the_fence_abandon_an_order(bench: Maker) -> None:
    b = bench()
    exchange = lose_an_answer(b, executed=False)
    b.tick(after=10)
    assert (b.order.status, b.order.not_found) == ("unknown", 0)
    b.tick(after=11)
    assert (b.order.status, b.order.not_found) == ("unknown", 1)
    b.tick(after=5)
    assert (b.order.status, b.order.not_found, b.order.is_settled) == ("abandoned", 2, True)
    assert len(exchange.requests) == 1
    assert not b.state.has_unsettled_orders
    assert b.state.daily_trades_count == 0
    b.tick()
    assert b.where == ("running", "no_signal", "trade")


def test_where_absence_proves_nothing_an_order_stays_unknown(bench: Maker) -> None:
    b = bench()
    lose_an_answer(b, executed=False).fence_ms = None
    for _ in range(10):
        b.tick(after=3600)
    assert (b.order.status, b.order.not_found) == ("unknown", 0)
    assert b.where == ("waiting", "order_unknown", "trade")


def test_an_order_that_was_seen_once_is_never_abandoned(bench: Maker) -> None:
    b = bench()
    exchange = b.scripted()
    exchange.parts, exchange.visible = ("0.5", "0.5"), 1
    b.enter()
    hidden = exchange.taken.pop(b.order.client_order_id)
    for _ in range(4):
        b.tick()
    assert (b.order.status, b.order.is_settled) == ("partial", False)
    exchange.taken[b.order.client_order_id], exchange.visible = hidden, None
    b.tick()
    assert b.order.status == "filled"


def test_nothing_else_is_ordered_while_an_order_is_unknown(bench: Maker) -> None:
    b = bench()
    exchange = lose_an_answer(b, executed=False)
    exchange.fence_ms = None
    b.market.trend = "up"
    for _ in range(5):
        b.tick()
    assert len(exchange.requests) == len(b.orders) == 1
    assert b.decisions[-1].gate == "order_unknown"


def test_an_exchange_that_cannot_be_asked_decides_nothing(bench: Maker) -> None:
    b = bench()
    exchange = lose_an_answer(b, executed=False)
    exchange.find_error = LOST
    for _ in range(3):
        b.tick()
    assert (b.order.status, b.order.not_found) == ("unknown", 0)
    assert b.where[:2] == ("error", "network")


def test_an_order_that_surely_was_not_sent_is_abandoned_at_once(bench: Maker) -> None:
    b = bench()
    exchange = b.scripted()
    b.tick()
    exchange.refuse = REFUSED
    b.enter()
    assert (b.order.status, b.order.is_settled) == ("abandoned", True)
    assert b.where == ("waiting", "network", "trade")
    exchange.refuse = None
    b.enter()
    assert [order.status for order in b.orders] == ["abandoned", "filled"]


def test_a_key_refused_at_the_order_switches_off_and_leaves_nothing_open(bench: Maker) -> None:
    b = bench()
    b.scripted().refuse = Refused(Fault.KEY_INVALID, "Invalid API-key")
    b.enter()
    assert b.order.status == "rejected"
    assert b.where == ("error", "api_key_invalid", "none")


def test_an_unknown_exit_is_not_sold_twice(bench: Maker) -> None:
    b = bench(stop_loss_perc=D(5))
    exchange = b.scripted()
    b.enter()
    exchange.lose_answer = LOST
    b.market.price = D(90)
    b.tick()
    assert (b.order.side, b.order.status) == ("sell", "unknown")
    assert b.state.in_position
    exchange.lose_answer = None
    b.tick()
    assert not b.state.in_position
    assert [request.side for request in exchange.requests] == ["buy", "sell"]


def test_a_rejected_exit_keeps_the_position_and_tries_again(bench: Maker) -> None:
    b = bench(stop_loss_perc=D(5))
    exchange = b.scripted()
    b.enter()
    exchange.refuse = Rejected(Fault.ORDER_REJECTED, "try later")
    b.market.price = D(90)
    b.tick()
    assert b.state.in_position
    assert b.where[1] == "order_rejected"
    exchange.refuse = None
    b.tick()
    assert [order.status for order in b.orders] == ["filled", "rejected", "filled"]
    assert not b.state.in_position


def test_a_stopped_bot_settles_before_its_duty_ends(bench: Maker) -> None:
    b = bench()
    lose_an_answer(b, executed=False)
    b.stop()
    assert b.where == ("stopped", "by_owner", "exit")
    b.tick(after=30)
    assert b.state.duty == Duty.EXIT
    b.tick()
    assert b.order.status == "abandoned"
    assert b.where == ("stopped", "by_owner", "none")


@pytest.mark.parametrize("executed", [True, False])
def test_reconcile_settles_like_a_tick_and_sends_nothing(bench: Maker, executed: bool) -> None:
    b = bench()
    exchange = lose_an_answer(b, executed=executed)
    b.market.pass_time(60)
    reconcile.reconcile(b.bot.pk, b.world)
    (finding,) = reconcile.reconcile(None if executed else b.bot.pk, b.world)
    assert finding.ok
    assert b.order.status == ("filled" if executed else "abandoned")
    assert len(exchange.requests) == 1


def test_reconcile_shows_a_deficit_on_both_sides(bench: Maker) -> None:
    b = bench()
    exchange = b.scripted()
    b.enter()
    exchange.holdings["BTC"] = D("1.25")
    (finding,) = reconcile.reconcile(None, b.world)
    assert not finding.ok
    assert "2 BTC" in finding.text
    assert "1.25" in finding.text
    exchange.holdings["BTC"] = D(5)
    (finding,) = reconcile.reconcile(b.bot.pk, b.world)
    assert finding.ok


def test_a_paper_order_that_was_answered_but_not_booked_is_booked_once(bench: Maker) -> None:
    """A worker killed between the book's commit and ours: the book says the same again."""
    b = bench()
    b.enter()
    order = b.order
    Fill.objects.filter(order=order).delete()
    type(order).objects.filter(pk=order.pk).update(
        status="sent", is_settled=False, booked=0, filled=0, exchange_order_id=None
    )
    b.bot.days.all().delete()
    BotState.objects.filter(pk=b.bot.pk).update(**FLAT, has_unsettled_orders=True)
    b.tick()
    assert b.order.status == "filled"
    assert b.state.current_position_size == D(2)
    assert invariants.check() == []
