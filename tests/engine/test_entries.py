"""Entry orders that wait at the exchange: how they end, and that nothing is sent beside them."""

from typing import Any

import pytest

from bots import control, invariants
from bots.change import Refusal
from bots.models import Command, Decision, Order
from tests.engine.bench import Bench, D
from tests.engine.conftest import Maker
from trading.exchange import Fault, Rejected, Unreachable

LIMIT: dict[str, Any] = {"entry_type": "limit", "entry_offset_perc": D(2)}


def waiting(bench: Maker, **values: Any) -> Bench:
    """A bot whose limit order to buy 2 % below the market waits at the exchange."""
    b = bench(**LIMIT | values)
    b.scripted()
    b.market.trend = "up"
    b.tick()
    return b


def test_a_limit_entry_waits_below_the_market_and_blocks_every_other_order(bench: Maker) -> None:
    b = waiting(bench)
    order = b.order
    assert (order.type, order.price, order.status) == ("limit", D(98), "open")
    assert order.amount == D("2.04081")  # 200 USDT at 98, down to the step
    assert b.where == ("running", "entry_resting", "trade")
    found = b.tick(after=30)
    assert found is not None
    assert (found.action, found.gate) == ("hold", "entry_resting")
    assert len(b.orders) == 1


def test_it_is_bought_when_the_price_comes_and_counts_as_one_trade(bench: Maker) -> None:
    b = waiting(bench, stop_loss_perc=D(5))
    b.market.price = D("97.5")
    b.tick(after=20)
    state = b.state
    assert (b.order.status, b.order.average) == ("filled", D(98))
    assert (state.in_position, state.entry_price, state.stop_loss_price) == (
        True,
        D(98),
        D("93.1"),
    )
    assert state.daily_trades_count == 1
    assert invariants.check() == []


def test_after_its_time_it_is_given_up_and_tried_anew_while_the_signal_stands(
    bench: Maker,
) -> None:
    b = waiting(bench, entry_timeout_seconds=60)
    b.tick(after=60)
    first, second = b.orders
    assert (first.status, first.cancel_reason) == ("canceled", "entry_timeout")
    assert (second.type, second.status) == ("limit", "open")
    assert invariants.check() == []


def test_after_its_time_the_fallback_buys_at_market_in_the_same_tick(bench: Maker) -> None:
    b = waiting(bench, entry_timeout_seconds=60, entry_fallback="market")
    b.tick(after=60)
    first, second = b.orders
    assert (first.status, second.type, second.status) == ("canceled", "market", "filled")
    assert b.where == ("running", "entered", "trade")
    assert b.state.daily_trades_count == 1


def test_the_fallback_is_not_lost_when_the_cancels_end_is_told_late(bench: Maker) -> None:
    b = waiting(bench, entry_timeout_seconds=60, entry_fallback="market")
    exchange = b.exchange
    assert exchange is not None
    exchange.on_cancel = lambda: setattr(exchange, "find_error", Unreachable(Fault.NETWORK, "x"))
    b.tick(after=60)
    assert (b.order.status, b.order.cancel_reason) == ("open", "entry_timeout")
    exchange.find_error = None
    b.tick(after=5)
    assert [order.type for order in b.orders] == ["limit", "market"]


def test_a_fallback_takes_no_price_that_the_spread_forbids(bench: Maker) -> None:
    values: dict[str, Any] = {"entry_fallback": "market", "max_spread_perc": D(1)}
    b = waiting(bench, entry_timeout_seconds=60, **values)
    b.market.ask = D(102)
    found = b.tick(after=60)
    assert found is not None
    assert (found.action, found.gate) == ("blocked", "spread")
    assert b.where == ("running", "held_back", "trade")


def test_when_the_signal_is_gone_the_order_is_taken_back(bench: Maker) -> None:
    b = waiting(bench)
    b.market.trend = "flat"
    b.tick(after=20)
    assert (b.order.status, b.order.cancel_reason) == ("canceled", "signal_gone")
    assert b.where == ("running", "no_signal", "trade")
    assert not b.state.has_unsettled_orders


def test_what_was_filled_before_the_cancel_is_a_position_with_its_own_stop(bench: Maker) -> None:
    b = waiting(bench, stop_loss_perc=D(5), entry_timeout_seconds=60, entry_fallback="market")
    assert b.exchange is not None
    b.exchange.fill(b.order.client_order_id, "0.25")
    b.tick(after=60)
    assert [order.status for order in b.orders] == ["canceled"]
    assert b.state.entry_amount == b.order.filled == D("0.5102025")
    assert b.state.stop_loss_price == D("93.1")
    b.market.trend, b.market.price = "flat", D(93)
    b.tick()
    assert (b.order.reason, b.state.in_position) == ("stop_loss", False)
    assert invariants.check() == []


def test_a_crumb_of_a_cancelled_entry_opens_no_position_and_joins_the_next(bench: Maker) -> None:
    b = waiting(bench, stop_loss_perc=D(5))
    assert b.exchange is not None
    least = b.market.market.dust_below(D(98))
    share = (least / 2 / b.order.amount).quantize(D("0.0001"))
    b.exchange.fill(b.order.client_order_id, str(share))
    b.market.trend = "flat"
    b.tick(after=20)
    crumb = b.order.filled
    assert 0 < crumb < least
    state = b.state
    assert (b.order.status, state.in_position, state.stop_loss_price) == ("canceled", False, None)
    assert (state.current_position_size, state.entry_price) == (crumb, None)
    assert (state.has_unsettled_orders, b.where) == (False, ("running", "no_signal", "trade"))
    assert invariants.check() == []
    control.edit(b.bot, {"entry_type": "market"}, by=b.owner, via="page")
    b.market.trend = "up"
    b.tick(after=20)
    entry = b.order
    state = b.state
    assert (state.in_position, state.current_position_size) == (True, crumb + entry.filled)
    assert state.entry_amount == crumb + entry.filled
    assert state.entry_quote == 98 * crumb + entry.average * entry.filled
    b.market.trend = "down"
    b.tick(after=20)
    assert b.order.amount == b.market.market.floor_amount(crumb + entry.filled)
    assert not b.state.in_position
    assert invariants.check() == []


def test_the_stop_of_a_part_works_while_the_rest_still_waits(bench: Maker) -> None:
    b = waiting(bench, stop_loss_perc=D(1))
    assert b.exchange is not None
    b.exchange.fill(b.order.client_order_id, "0.5")
    b.exchange.on_cancel = lambda: None
    b.tick(after=10)
    assert b.state.in_position
    b.market.price = D("98.5")  # above the limit: no further fill
    control.edit(b.bot, {"stop_loss_perc": D("0.01")}, by=b.owner, via="page")
    b.market.price = D("97.9")
    b.exchange.resting.clear()  # nothing more is filled, whatever the price
    b.exchange.taken[b.order.client_order_id] = b.exchange.told(b.order.client_order_id)
    b.tick(after=10)
    assert b.orders[0].cancel_reason == "stop_loss"


def test_a_fill_that_overtakes_the_cancel_is_kept(bench: Maker) -> None:
    b = waiting(bench)
    exchange, name = b.exchange, b.order.client_order_id
    assert exchange is not None
    b.market.trend = "flat"
    exchange.on_cancel = lambda: exchange.fill(name)
    b.tick(after=20)
    assert (b.order.status, b.state.in_position) == ("filled", True)
    assert invariants.check() == []


def test_a_cancel_whose_answer_is_lost_is_asked_about(bench: Maker) -> None:
    b = waiting(bench)
    exchange = b.exchange
    assert exchange is not None
    b.market.trend = "flat"
    exchange.cancel_error = Unreachable(Fault.NETWORK, "timed out")
    b.tick(after=20)
    assert b.where == ("waiting", "network", "trade")
    exchange.cancel_error = None
    b.tick(after=20)
    assert b.order.status == "canceled"
    assert exchange.cancelled == [b.order.client_order_id]
    assert b.where == ("running", "no_signal", "trade")


def test_stop_takes_the_waiting_order_back(bench: Maker) -> None:
    b = waiting(bench)
    b.stop()
    assert b.where == ("stopped", "by_owner", "exit")
    b.tick(after=5)
    assert (b.order.status, b.order.cancel_reason) == ("canceled", "closing")
    assert b.where == ("stopped", "by_owner", "none")
    assert invariants.check() == []


def test_the_owner_cancels_the_waiting_order_and_nothing_else(bench: Maker) -> None:
    b = waiting(bench)
    command = b.command("cancel")
    b.market.trend = "flat"
    b.tick(after=5)
    command.refresh_from_db()
    assert (b.order.status, b.order.cancel_reason) == ("canceled", "command")
    assert command.status == Command.Status.DONE
    assert b.is_active
    with pytest.raises(Refusal, match="waiting"):
        b.command("cancel")


def test_an_exit_by_force_takes_back_the_rest_and_sells_the_part(bench: Maker) -> None:
    b = waiting(bench)
    assert b.exchange is not None
    b.exchange.fill(b.order.client_order_id, "0.5")
    b.tick(after=5)
    b.market.price = D(99)
    command = b.command("exit")
    b.tick(after=5)
    command.refresh_from_db()
    entry, sale = b.orders
    assert (entry.status, sale.purpose, sale.amount) == ("canceled", "exit", D("1.02040"))
    assert command.status == Command.Status.DONE
    assert not b.state.in_position


def test_a_post_only_order_that_would_take_is_refused_and_told(bench: Maker) -> None:
    b = bench(entry_type="post_only")
    exchange = b.scripted()
    b.market.trend = "up"
    exchange.refuse = Rejected(Fault.ORDER_REJECTED, "would immediately match and take")
    b.tick()
    assert (b.order.type, b.order.status) == ("post_only", "rejected")
    assert b.where[:2] == ("error", "order_rejected")


def test_a_forced_entry_stays_without_a_signal(bench: Maker) -> None:
    b = bench(**LIMIT, entry_timeout_seconds=60, entry_fallback="market")
    b.scripted()
    b.command("enter")
    b.tick(after=1)
    b.tick(after=30)
    assert b.order.status == "open"
    b.tick(after=30)
    assert [order.type for order in b.orders] == ["limit", "market"]
    assert b.state.in_position


def test_a_waiting_order_counts_once_against_the_days_trades(bench: Maker) -> None:
    b = waiting(bench, max_daily_trades=1)
    b.market.price = D(97)
    b.tick(after=10)
    assert b.state.in_position
    b.market.trend = "down"
    b.tick()
    assert not b.state.in_position
    b.tick()
    assert b.where == ("paused", "max_daily_trades", "none")


def test_a_decision_row_says_that_the_order_waits(bench: Maker) -> None:
    b = waiting(bench)
    b.tick(after=20)
    newest = Decision.objects.order_by("-pk")[0]
    assert (newest.gate, newest.numbers["limit_price"], newest.numbers["age"]) == (
        "entry_resting",
        "98",
        "20",
    )
    assert Order.objects.get().is_settled is False
