"""Stop and target that rest at the exchange: placed, replaced, taken back, never in silence."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from bots import control, failpoints, invariants
from bots.models import BotState, Order, StateEvent
from tests.engine.bench import Bench, D
from tests.engine.conftest import Maker
from trading.exchange import Can, Fault, Rejected, Unreachable
from trading.market import OrderStatus

STOPS: dict[str, Any] = {"stop_loss_perc": D(5), "take_profit_perc": D(10)}


def protected(bench: Maker, *, can: frozenset[Can] | None = None, **values: Any) -> Bench:
    """A bot that has just bought 2 at 100 on an exchange that takes stops."""
    b = bench(**STOPS | values)
    exchange = b.scripted()
    exchange.can = frozenset({Can.STOP, Can.PAIR}) if can is None else can
    b.enter()
    return b


def protection(b: Bench) -> list[Order]:
    return [order for order in b.orders if order.purpose == "protect"]


def test_the_tick_that_buys_places_stop_and_target_as_a_pair(bench: Maker) -> None:
    b = protected(bench)
    stop, target = protection(b)
    assert (stop.type, stop.trigger, stop.side, stop.amount) == ("stop", D(95), "sell", D(2))
    assert (target.type, target.trigger, target.amount) == ("target", D(110), D(2))
    assert stop.pair == target.pair == stop.client_order_id
    assert b.exchange is not None
    assert b.exchange.partner[stop.client_order_id] == target.client_order_id
    assert (b.state.protection, b.state.has_protection) == ("resting", True)
    assert not b.state.has_unsettled_orders
    assert b.where == ("running", "entered", "trade")
    assert invariants.check() == []


def test_ticks_leave_what_rests_alone(bench: Maker) -> None:
    b = protected(bench)
    for _ in range(3):
        b.tick()
    assert len(protection(b)) == 2
    assert b.where == ("running", "in_position", "trade")


@pytest.mark.parametrize(("price", "gate"), [("94", "stop_loss"), ("111", "take_profit")])
def test_what_the_exchange_sold_is_booked_and_its_partner_ends(
    bench: Maker, price: str, gate: str
) -> None:
    b = protected(bench)
    b.market.price = D(price)
    found = b.tick()
    assert found is not None
    assert (found.action, found.gate, found.reason) == ("exit", gate, "exited")
    assert not b.state.in_position
    assert {order.status for order in protection(b)} == {"filled", "expired"}
    assert (b.state.protection, b.state.has_protection) == ("", False)
    assert [order.purpose for order in b.orders] == ["entry", "protect", "protect"]
    assert invariants.check() == []


def test_an_exit_takes_the_protection_back_first(bench: Maker) -> None:
    b = protected(bench)
    b.market.trend = "down"
    b.tick()
    sale = b.order
    assert (sale.purpose, sale.amount, sale.status) == ("exit", D(2), "filled")
    assert {order.status for order in protection(b)} == {"canceled"}
    assert {order.cancel_reason for order in protection(b)} == {"signal", ""}
    assert b.exchange is not None
    assert b.exchange.resting == {}
    assert invariants.check() == []


def test_a_stop_that_is_faster_than_the_exit_sells_once(bench: Maker) -> None:
    b = protected(bench)
    exchange, stop = b.exchange, protection(b)[0]
    assert exchange is not None
    b.market.trend = "down"
    exchange.on_cancel = lambda: exchange.fill(stop.client_order_id, price="95")
    found = b.tick()
    assert found is not None
    assert (found.action, found.gate) == ("exit", "stop_loss")
    assert [order.purpose for order in b.orders].count("exit") == 0
    assert exchange.holdings["BTC"] == 0
    assert invariants.check() == []


def test_after_a_stop_that_sold_a_part_the_exit_sells_the_rest_and_no_more(bench: Maker) -> None:
    b = protected(bench)
    exchange, stop = b.exchange, protection(b)[0]
    assert exchange is not None
    exchange.holdings["BTC"] += D(5)  # the owner's own
    b.market.trend = "down"
    exchange.on_cancel = lambda: exchange.fill(stop.client_order_id, "0.25", price="95")
    found = b.tick()
    assert found is not None
    assert found.gate == "outpaced"
    b.tick()
    assert (b.order.purpose, b.order.amount) == ("exit", D("1.5"))
    assert exchange.holdings["BTC"] == 5
    assert invariants.check() == []


def test_a_trailing_stop_is_replaced_when_it_moved_far_enough(bench: Maker) -> None:
    trail: dict[str, Any] = {"trailing_stop_active": True, "trailing_stop_perc": D(2)}
    b = protected(bench, take_profit_perc=None, **trail)
    assert protection(b)[-1].trigger == D(98)
    b.market.price = D("100.05")
    b.tick()
    assert len(protection(b)) == 1
    b.market.price = D(105)
    b.tick()
    old, new = protection(b)
    assert (old.status, old.cancel_reason) == ("canceled", "replaced")
    assert (new.trigger, new.status, new.reason) == (D("102.9"), "open", "trailing_stop")


def test_an_edited_stop_is_moved_at_the_exchange(bench: Maker) -> None:
    b = protected(bench)
    control.edit(b.bot, {"stop_loss_perc": D(3)}, by=b.owner, via="page")
    b.tick()
    assert [order.trigger for order in protection(b) if order.status == "open"] == [D(97), D(110)]


def test_a_refused_protection_is_told_and_the_tick_watches_the_stop(bench: Maker) -> None:
    b = bench(**STOPS)
    exchange = b.scripted()
    exchange.can = frozenset({Can.STOP, Can.PAIR})
    exchange.refuse_pair = Rejected(Fault.ORDER_REJECTED, "no stops today")
    b.enter()
    state = b.state
    assert (state.protection, state.protection_message) == ("failed", "no stops today")
    assert (state.in_position, state.has_protection) == (True, False)
    event = StateEvent.objects.filter(bot=b.bot, move="protect").get()
    assert event.why == "no stops today"
    b.tick()
    assert len(protection(b)) == 2, "the same order is not refused again every tick"
    b.market.price = D(94)
    b.tick()
    assert (b.order.purpose, b.order.reason) == ("exit", "stop_loss")
    assert not b.state.in_position


def test_after_some_minutes_a_refused_protection_is_tried_again(bench: Maker) -> None:
    b = bench(**STOPS)
    exchange = b.scripted()
    exchange.can = frozenset({Can.STOP, Can.PAIR})
    exchange.refuse_pair = Rejected(Fault.ORDER_REJECTED, "no stops today")
    b.enter()
    exchange.refuse_pair = None
    b.tick(after=301)
    assert b.state.protection == "resting"
    assert StateEvent.objects.filter(bot=b.bot, move="protect").count() == 2


def test_a_protection_without_an_answer_is_looked_up_not_sent_again(bench: Maker) -> None:
    b = bench(**STOPS)
    exchange = b.scripted()
    exchange.can = frozenset({Can.STOP, Can.PAIR})
    exchange.on_place = lambda: setattr(exchange, "lose_answer", None)
    lost = Unreachable(Fault.NETWORK, "timed out")
    place_pair = exchange.place_pair

    def silent(*pair: Any) -> Any:
        place_pair(*pair)
        raise lost

    exchange.place_pair = silent  # type: ignore[method-assign]
    b.enter()
    assert [order.status for order in protection(b)] == ["unknown", "unknown"]
    assert b.state.has_unsettled_orders
    b.tick()
    assert [order.status for order in protection(b)] == ["open", "open"]
    assert (b.state.protection, b.state.has_unsettled_orders) == ("resting", False)
    assert len(exchange.requests) == 3
    assert invariants.check() == []


def test_where_the_exchange_takes_no_pairs_the_stop_alone_rests(bench: Maker) -> None:
    b = protected(bench, can=frozenset({Can.STOP}))
    assert [order.type for order in protection(b)] == ["stop"]
    b.market.price = D(111)
    b.tick()
    assert (b.order.reason, b.state.in_position) == ("take_profit", False)


@pytest.mark.parametrize("why", ["exchange", "owner"])
def test_without_protection_at_the_exchange_each_tick_watches(bench: Maker, why: str) -> None:
    can = frozenset[Can]() if why == "exchange" else None
    b = protected(bench, can=can, protect_on_exchange=why != "owner")
    assert protection(b) == []
    assert b.state.protection == "watched"


def test_a_kill_between_entry_and_stop_is_mended_by_the_next_tick(
    bench: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def kill(point: str, bot_id: int) -> None:
        if point == "protect.before":
            raise Killed

    b = bench(**STOPS)
    b.scripted().can = frozenset({Can.STOP, Can.PAIR})
    with monkeypatch.context() as patch:
        patch.setattr(failpoints, "reach", kill)
        with pytest.raises(Killed):
            b.enter()
    assert (b.state.in_position, b.state.protection) == (True, "")
    BotState.objects.filter(pk=b.bot.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    b.market.trend = "flat"
    b.tick()
    assert (b.state.protection, len(protection(b))) == ("resting", 2)


def test_a_stop_that_leaves_the_position_leaves_its_protection(bench: Maker) -> None:
    b = protected(bench)
    b.stop("leave")
    assert b.where == ("stopped", "by_owner", "none")
    assert b.state.has_protection
    assert invariants.check() == []


def test_a_stop_that_closes_takes_it_back(bench: Maker) -> None:
    b = protected(bench)
    b.stop("close")
    b.tick()
    assert b.where == ("stopped", "by_owner", "none")
    assert (b.order.reason, b.state.has_protection) == ("closing", False)
    assert b.exchange is not None
    assert b.exchange.resting == {}


def test_dust_is_not_protected_and_says_why(bench: Maker) -> None:
    b = bench(**STOPS)
    exchange = b.scripted()
    exchange.can = frozenset({Can.STOP, Can.PAIR})
    b.enter()
    # The market's minimum rises above what the position is worth.
    for order in list(exchange.resting):
        exchange._end(order, OrderStatus.CANCELED)
    b.market.market = replace(b.market.market, min_notional=D(5000))
    b.tick()
    b.tick()
    assert b.state.protection == "watched"
    assert "below_minimum" in b.state.protection_message
