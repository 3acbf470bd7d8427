"""Leases of processes that are gone: freed at once, and only those."""

import os
import subprocess
import sys
from datetime import timedelta

import pytest
from django.utils import timezone

from bots import holders, lease, schedule, sweep
from bots.models import BotState, Decision, User
from tests.engine.bench import Bench

TELL = "from bots import holders; print(holders.me())"


def held_by(bench: Bench, holder: str) -> None:
    """Leave the bot as a tick of that process does in its midst."""
    held = lease.claim(bench.bot.pk, bench.world)
    assert held is not None
    later = timezone.now() + timedelta(seconds=60)
    BotState.objects.filter(pk=bench.bot.pk).update(lease_holder=holder, lease_until=later)


def name_of_a_dead_process() -> str:
    code = "import django; django.setup(); " + TELL
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "botsite.settings"}
    told = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    return told.stdout.strip()


def test_a_lease_bears_the_name_of_its_process(alice: User) -> None:
    bench = Bench(alice)
    lease.claim(bench.bot.pk, bench.world)
    place, pid, started = bench.state.lease_holder.split(" ")
    assert int(pid) == os.getpid()
    assert place
    assert int(started) > 0
    assert not holders.is_gone(bench.state.lease_holder)


def test_the_lease_of_a_dead_process_is_freed_and_its_bot_ticks_at_once(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(alice)
    sent: list[tuple[object, ...]] = []
    monkeypatch.setattr(schedule, "send", lambda *given, **_: sent.append(given))
    held_by(bench, name_of_a_dead_process())
    assert lease.claim(bench.bot.pk, bench.world) is None
    assert sweep.sweep()["late"] == 1
    assert (schedule.RUN_BOT, bench.bot.pk) in sent
    assert bench.tick(after=1) is not None
    first, second = Decision.objects.order_by("pk")
    assert (first.action, second.action) == ("interrupted", "hold")


@pytest.mark.parametrize("other", ["pid", "place", "nobody"])
def test_a_lease_stays_where_its_holder_may_be_alive(alice: User, other: str) -> None:
    bench = Bench(alice)
    place, pid, started = holders.me().split(" ")
    names = {
        "pid": f"{place} {pid} {started}",  # alive: this one
        "place": f"another-machine {pid} 1",
        "nobody": "",
    }
    held_by(bench, names[other])
    assert holders.free_dead() == []
    assert lease.claim(bench.bot.pk, bench.world) is None


def test_a_process_number_that_was_given_again_is_another_process(alice: User) -> None:
    bench = Bench(alice)
    place, pid, started = holders.me().split(" ")
    held_by(bench, f"{place} {pid} {int(started) - 1}")
    assert holders.free_dead() == [bench.bot.pk]


def test_a_zombie_holds_nothing() -> None:
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    place = holders.me().split(" ")[0]
    while holders._started(child.pid):
        pass
    assert holders.is_gone(f"{place} {child.pid} 1")
    child.wait()
