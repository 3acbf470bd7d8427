"""Commands: the owner's enter and exit by force, taken by the next tick or not at all."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from bots.control import Refusal
from bots.models import BotState, Command
from tests.engine.bench import Bench, D
from tests.engine.conftest import Maker


def test_a_forced_enter_buys_without_a_signal(bench: Maker) -> None:
    b = bench()
    command = b.command("enter")
    assert command.expires_at - command.created_at <= timedelta(seconds=61)
    b.tick()
    command.refresh_from_db()
    assert (command.status, command.order, command.by) == ("done", b.order, b.owner)
    assert (b.order.side, b.order.reason) == ("buy", "command")
    assert b.where == ("running", "entered", "trade")


def test_a_forced_exit_sells_what_the_bot_holds(bench: Maker) -> None:
    b = bench()
    b.enter()
    b.command("exit")
    b.tick()
    assert (b.order.side, b.order.reason, b.order.amount) == ("sell", "command", D(2))
    assert not b.state.in_position


def test_a_command_waits_for_one_tick_only(bench: Maker) -> None:
    b = bench()
    first = b.command("enter")
    with pytest.raises(Refusal) as refused:
        b.command("enter")
    assert refused.value.reason == "pending"
    Command.objects.filter(pk=first.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    b.tick()
    first.refresh_from_db()
    assert (first.status, b.orders) == ("expired", [])
    assert first.ended_at is not None


def test_an_expired_command_does_not_stand_in_the_way_of_the_next(bench: Maker) -> None:
    b = bench()
    first = b.command("enter")
    Command.objects.filter(pk=first.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    second = b.command("enter")
    first.refresh_from_db()
    assert (first.status, second.status) == ("expired", "pending")


@pytest.mark.parametrize(
    ("prepare", "kind", "reason"),
    [
        (lambda b: b.stop(), "enter", "not_running"),
        (lambda b: b.stop(), "exit", "not_running"),
        (lambda b: None, "exit", "flat"),
        (lambda b: b.enter(), "enter", "in_position"),
        (lambda b: (b.enter(), b.stop("after_exit")), "enter", "not_running"),
        (
            lambda b: BotState.objects.filter(pk=b.bot.pk).update(has_unsettled_orders=True),
            "enter",
            "order_unknown",
        ),
    ],
)
def test_a_command_that_makes_no_sense_is_refused_at_once(
    bench: Maker, prepare: Callable[[Bench], object], kind: str, reason: str
) -> None:
    b = bench()
    prepare(b)
    with pytest.raises(Refusal) as refused:
        b.command(kind)
    assert refused.value.reason == reason
    assert not Command.objects.filter(bot=b.bot).exists()


def test_a_watched_position_can_be_left_by_force_while_the_bot_stops(bench: Maker) -> None:
    b = bench()
    b.enter()
    b.stop("after_exit")
    b.command("exit")
    b.tick()
    assert b.order.reason == "command"
    assert b.where == ("stopped", "by_owner", "none")


def test_a_command_that_the_tick_cannot_follow_says_which_gate_refused_it(bench: Maker) -> None:
    b = bench(max_daily_trades=1)
    b.enter()
    b.command("exit")
    b.tick()
    command = b.command("enter")
    b.tick()
    command.refresh_from_db()
    assert (command.status, command.result) == ("refused", "max_daily_trades")
    assert len(b.orders) == 2


def test_stop_takes_a_waiting_command_back(bench: Maker) -> None:
    b = bench()
    command = b.command("enter")
    b.stop()
    command.refresh_from_db()
    assert (command.status, command.result) == ("refused", "stopped")
    b.start()
    b.tick()
    assert b.orders == []
