"""One tick at a time, and what happens to a tick that others overtake."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from bots import control, intents, lease, reset, tick
from bots.lease import Held, LeaseLost, Outcome
from bots.models import BotState, DayStats, Decision, Outpaced, User
from tests.engine.bench import Bench, D
from tests.engine.conftest import Maker
from tests.engine.test_control import at_once
from trading.exchange import Fault, Unreachable
from trading.execution import Decision as Verdict
from trading.market import OrderStatus, Side
from trading.risk import Gate

NOTHING = Outcome(move=None, reason=None, action=Decision.Action.HOLD, gate="nothing")
BUY = Verdict(action="enter", gate=Gate.SIGNAL, side=Side.BUY, amount=D(2), price=D(100))


def claimed(b: Bench) -> Held:
    held = lease.claim(b.bot.pk, b.world)
    assert held is not None
    return held


def expire(b: Bench) -> None:
    BotState.objects.filter(pk=b.bot.pk).update(lease_until=timezone.now() - timedelta(seconds=1))


# -- the lease ------------------------------------------------------------------------------------
def test_the_second_claim_leaves_quietly_until_the_first_is_released(bench: Maker) -> None:
    b = bench()
    held = claimed(b)
    assert lease.claim(b.bot.pk, b.world) is None
    assert b.tick() is None
    assert lease.release(held, NOTHING) is NOTHING
    assert b.state.fence == 1
    assert b.tick() is not None
    assert b.state.fence == 2


@pytest.mark.django_db(transaction=True)
def test_of_ten_claims_at_once_one_wins(alice: User) -> None:
    b = Bench(alice)
    won: list[Held] = []

    def claim() -> None:
        held = lease.claim(b.bot.pk, b.world)
        if held is not None:
            won.append(held)

    assert at_once(*[claim] * 10) == []
    assert len(won) == 1
    assert b.state.fence == 1


@pytest.mark.django_db(transaction=True)
def test_ten_ticks_at_once_buy_once(alice: User) -> None:
    b = Bench(alice)
    b.market.trend = "up"
    b.market.pass_time()
    assert at_once(*[lambda: tick.run(b.bot.pk, b.world)] * 10) == []
    assert len(b.orders) == 1


def test_the_lease_lasts_as_long_as_the_setting_says(bench: Maker, settings: Any) -> None:
    settings.LEASE_SECONDS = 1000
    b = bench()
    claimed(b)
    until = b.state.lease_until
    assert until is not None
    assert 900 < (until - timezone.now()).total_seconds() <= 1000


def test_copies_of_one_message_make_one_tick(bench: Maker) -> None:
    b = bench()
    assert tick.run(b.bot.pk, b.world, only_if_due=True) is not None
    assert tick.run(b.bot.pk, b.world, only_if_due=True) is None
    b.command("enter")
    assert tick.run(b.bot.pk, b.world, only_if_due=True) is not None
    control.edit(b.bot, {"stop_loss_perc": D(2)}, by=b.owner, via="page")
    assert tick.run(b.bot.pk, b.world, only_if_due=True) is not None
    b.market.pass_time(29)
    assert tick.run(b.bot.pk, b.world, only_if_due=True) is None
    b.market.pass_time(1)
    assert tick.run(b.bot.pk, b.world, only_if_due=True) is not None


# -- killed and frozen ticks ----------------------------------------------------------------------
def test_a_killed_tick_is_closed_as_interrupted_by_the_next(bench: Maker) -> None:
    b = bench()
    claimed(b)
    b.market.pass_time()
    assert tick.run(b.bot.pk, b.world) is None
    expire(b)
    b.tick()
    assert [(d.action, d.gate, d.fence) for d in b.decisions] == [
        ("interrupted", "killed", 1),
        ("hold", "no_signal", 2),
    ]
    assert b.where == ("running", "no_signal", "trade")


def test_a_tick_that_was_taken_over_writes_nothing_any_more(bench: Maker) -> None:
    b = bench()
    frozen = claimed(b)
    expire(b)
    b.tick()
    before = b.state.version
    with pytest.raises(Outpaced):
        intents.write_intent(frozen, BUY, b.market.market, signed_at=0, command=None)
    with pytest.raises(LeaseLost):
        frozen.refresh()
    with pytest.raises(LeaseLost):
        frozen.locked()
    assert lease.release(frozen, NOTHING) is None
    assert b.state.version == before
    assert b.orders == []
    assert len(b.decisions) == 2


def test_a_frozen_tick_whose_lease_has_run_out_sends_no_order(bench: Maker) -> None:
    b = bench()
    b.market.trend = "up"
    b.market.on_look = lambda: expire(b)
    found = b.tick()
    assert found is not None
    assert found.gate == "outpaced"
    assert b.orders == []


def test_an_answer_after_a_takeover_is_left_to_the_tick_that_took_over(bench: Maker) -> None:
    b = bench()
    exchange = b.scripted()

    def freeze_and_take_over() -> None:
        expire(b)
        b.market.pass_time(30)
        assert tick.run(b.bot.pk, b.world) is not None

    exchange.on_place = freeze_and_take_over
    b.market.trend = "up"
    assert b.tick() is None
    assert (b.order.status, b.order.fills.count()) == ("unknown", 0)
    b.tick()
    assert (b.order.status, b.order.fills.count()) == ("filled", 1)
    assert len(exchange.requests) == 1
    assert b.state.position.amount == D(2)


def test_a_tick_killed_between_intent_and_send_ends_as_abandoned(bench: Maker) -> None:
    b = bench()
    exchange = b.scripted()
    held = claimed(b)
    intents.write_intent(held, BUY, b.market.market, signed_at=b.market.now(), command=None)
    expire(b)
    b.tick()
    assert b.where[:2] == ("waiting", "order_unknown")
    b.tick()
    assert b.order.status == "abandoned"
    assert exchange.requests == []
    assert not b.state.has_unsettled_orders


# -- stop wins ------------------------------------------------------------------------------------
def test_a_stop_before_the_intent_leaves_no_order(bench: Maker) -> None:
    b = bench()
    b.market.trend = "up"
    b.market.on_look = b.stop
    found = b.tick()
    assert found is not None
    assert found.gate == "outpaced"
    assert b.orders == []
    assert b.where == ("stopped", "by_owner", "none")
    assert b.tick() is None


@pytest.mark.parametrize("position", ["leave", "close", "after_exit"])
def test_a_stop_after_the_intent_keeps_the_fill_and_stays_stopped(
    bench: Maker, position: str
) -> None:
    b = bench()
    exchange = b.scripted()
    exchange.on_place = lambda: b.stop(position)
    b.enter()
    assert b.order.status == "filled"
    assert b.state.in_position
    duty = "none" if position == "leave" else "exit"
    assert b.where == ("stopped", "by_owner", duty)
    assert not b.is_active
    b.tick()
    sold = position == "close"
    assert len(b.orders) == (2 if sold else 1)
    assert b.state.in_position is not sold


def test_a_stop_while_the_answer_is_lost_stays_until_it_is_found(bench: Maker) -> None:
    b = bench()
    exchange = b.scripted()
    exchange.on_place = b.stop
    exchange.lose_answer = Unreachable(Fault.NETWORK, "timed out", sent=True)
    b.enter()
    assert b.where == ("stopped", "by_owner", "exit")
    assert b.order.status == "unknown"
    b.tick()
    assert b.order.status == "filled"
    assert b.where == ("stopped", "by_owner", "none")
    assert b.state.in_position


def test_a_stop_while_a_tick_finds_an_error_is_not_overwritten(bench: Maker) -> None:
    b = bench()
    b.market.on_look = b.stop
    b.market.quote_error = None
    b.tick()
    assert b.where == ("stopped", "by_owner", "none")
    moves = [event.move for event in b.events]
    assert moves == ["start", "stop", "settle"]


# -- others who overtake --------------------------------------------------------------------------
def overtaken_by_edit(b: Bench) -> Callable[[], object]:
    changes = {"position_size_fixed": D(100)}
    return lambda: control.edit(b.bot, changes, by=b.owner, via="page")


def overtaken_by_restart(b: Bench) -> Callable[[], object]:
    return lambda: (b.stop(), b.start())


def overtaken_by_reset(b: Bench) -> Callable[[], object]:
    return lambda: reset.roll_over(b.market.at, day=b.state.counter_day + timedelta(days=1))


@pytest.mark.parametrize("other", [overtaken_by_edit, overtaken_by_restart, overtaken_by_reset])
def test_an_entry_decided_on_what_is_no_longer_true_is_not_sent(
    bench: Maker, other: Callable[[Bench], Callable[[], object]]
) -> None:
    b = bench()
    b.market.trend = "up"
    b.market.on_look = other(b)
    found = b.tick()
    assert found is not None
    assert found.gate == "outpaced"
    assert b.orders == []
    b.tick()
    assert len(b.orders) == 1


def test_a_tick_of_the_run_before_says_nothing_about_the_new_one(bench: Maker) -> None:
    b = bench()
    b.market.on_look = lambda: (b.stop(), b.start())
    b.tick()
    assert b.where == ("pending", "start", "trade")
    b.tick()
    assert b.where == ("running", "no_signal", "trade")


def test_a_reset_during_an_order_keeps_the_fill_and_the_resets_status(bench: Maker) -> None:
    b = bench()
    tomorrow = b.state.counter_day + timedelta(days=1)
    exchange = b.scripted()
    exchange.on_place = overtaken_by_reset(b)
    b.enter()
    assert b.where == ("stopped", "daily_reset", "trade")
    assert b.order.status == "filled"
    assert b.order.fills.get().trading_day == tomorrow
    assert (b.state.daily_trades_count, DayStats.objects.get(bot=b.bot, day=tomorrow).trades) == (
        1,
        1,
    )
    b.tick()
    assert b.where == ("running", "in_position", "trade")


def test_an_exit_is_sent_over_a_reset(bench: Maker) -> None:
    b = bench(stop_loss_perc=D(5))
    b.enter()
    b.market.price = D(90)
    b.market.on_look = overtaken_by_reset(b)
    b.tick()
    assert b.order.reason == "stop_loss"
    assert not b.state.in_position


def test_an_intent_is_in_the_ledger_before_it_is_sent(bench: Maker) -> None:
    b = bench()
    exchange = b.scripted()
    seen: list[tuple[str, bool]] = []
    exchange.on_place = lambda: seen.append((b.order.status, b.state.has_unsettled_orders))
    b.enter()
    assert seen == [(OrderStatus.SENT, True)]
    assert b.order.client_order_id == exchange.requests[0].client_order_id
