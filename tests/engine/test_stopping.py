"""Halt, of many bots: a few statements, and no entry after them."""

from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bots import control, intents, invariants, lease, schedule, stopping, sweep
from bots.lifecycle import Duty, Reason
from bots.models import BotState, Command, Order, Outpaced, StateEvent, User
from tests.engine.bench import Bench
from trading.execution import Decision
from trading.market import Side
from trading.risk import Gate

BUY = Decision(
    action="enter", gate=Gate.SIGNAL, side=Side.BUY, amount=Decimal(2), price=Decimal(100)
)


def test_a_tick_in_flight_commits_no_entry_after_a_halt(alice: User) -> None:
    bench = Bench(alice)
    held = lease.claim(bench.bot.pk, bench.world)
    assert held is not None
    control.halt(alice, flatten=False, by=alice, via="page")
    with pytest.raises(Outpaced):
        intents.write_intent(held, BUY, bench.market.market, signed_at=0, command=None)
    assert not Order.objects.exists()
    # It may have sent something before: until it has told, the bot settles.
    assert bench.where == ("stopped", "halt", "exit")


@pytest.mark.parametrize("position", ["leave", "close"])
def test_halt_does_to_each_bot_what_stop_does(
    alice: User, bob: User, position: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopping, "CHUNK", 2)
    one_by_one, at_once = ([Bench(owner) for _ in range(4)] for owner in (bob, alice))
    for group in (one_by_one, at_once):
        group[1].enter()
        lease.claim(group[2].bot.pk, group[2].world)
        group[3].enter()
        group[3].stop("after_exit")
    for bench in one_by_one:
        control.stop(bench.bot, by=alice, via="page", position=position, reason=Reason.HALT)
    control.halt(alice, flatten=position == "close", by=alice, via="page")
    for alone, together in zip(one_by_one, at_once, strict=True):
        a, b = alone.state, together.state
        assert (a.text, a.duty, a.wind_down, a.run_epoch) == (
            b.text,
            b.duty,
            b.wind_down,
            b.run_epoch,
        )
        assert _history(alone) == _history(together)
        assert together.is_active is False
    at_work = {bench.bot.pk for bench in (*one_by_one, *at_once) if bench.state.duty != Duty.NONE}
    assert schedule.scheduled().keys() == at_work


def _history(bench: Bench) -> tuple[object, ...]:
    event = StateEvent.objects.filter(bot=bench.bot).order_by("-pk")[0]
    told = (event.move, event.old_status, event.old_reason, event.new_status, event.new_reason)
    return (*told, event.via, event.why, event.by_id)


def test_commands_that_wait_are_refused_by_a_halt(alice: User) -> None:
    bench = Bench(alice)
    waiting = bench.command("enter")
    control.halt(alice, flatten=False, by=alice, via="page")
    waiting.refresh_from_db()
    assert (waiting.status, waiting.result) == (Command.Status.REFUSED, "stopped")


def test_a_halt_of_many_bots_takes_few_statements_until_it_holds(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    benches = [Bench(alice) for _ in range(30)]
    monkeypatch.setattr(stopping, "_tidy_up", lambda _: None)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert control.halt(alice, flatten=False, by=alice, via="page") == 30
    assert len(queries) <= 10
    assert not BotState.objects.exclude(duty=Duty.NONE).exists()
    # What a crash before the tidying leaves behind is the sweep's to mend.
    assert len(schedule.scheduled()) == len(benches)
    sweep.sweep()
    assert schedule.scheduled() == {}
    assert invariants.check() == []
