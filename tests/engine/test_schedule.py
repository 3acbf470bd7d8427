"""Beat's rows are in step with the bots through whatever happens to them."""

import json
import os
import subprocess
import sys
from threading import Thread
from typing import Any

import pytest
from django.db import connections
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from bots import control, reset, schedule, sweep
from bots.models import User
from botsite.platform.bootstrap import ROOT
from tests.engine.bench import Bench, make_bot
from tests.engine.conftest import Maker


def in_step() -> bool:
    return schedule.scheduled() == sweep.intervals()


def test_the_row_follows_the_bot_through_its_life(bench: Maker) -> None:
    b = bench(check_interval_seconds=30, max_daily_trades=1)
    pk = b.bot.pk
    assert schedule.scheduled() == {pk: 30}
    b.enter()
    control.edit(b.bot, {"check_interval_seconds": 45}, by=b.owner, via="page")
    assert schedule.scheduled() == {pk: 45}
    b.stop("close")
    assert schedule.scheduled() == {pk: 45}
    b.tick()
    assert schedule.scheduled() == {}
    b.start()
    assert schedule.scheduled() == {pk: 45}
    b.tick()
    assert b.where[0] == "paused"
    assert schedule.scheduled() == {}
    reset.roll_over(b.state.day_ends_at)
    assert schedule.scheduled() == {pk: 45}
    b.stop()
    control.delete(b.bot, by=b.owner, via="page")
    assert schedule.scheduled() == {}
    assert in_step()


def test_a_bot_that_is_off_has_no_row_to_edit(alice: User) -> None:
    bot = make_bot(alice)
    control.edit(bot, {"check_interval_seconds": 45}, by=alice, via="page")
    assert schedule.scheduled() == {}


def test_a_row_names_the_task_the_bot_and_how_long_it_is_worth_running(bench: Maker) -> None:
    b = bench(check_interval_seconds=30)
    row = PeriodicTask.objects.get(name=f"bot {b.bot.pk}")
    assert (row.task, json.loads(row.args)) == ("bots.tasks.run_bot", [b.bot.pk])
    assert (row.interval.every, row.interval.period, row.expire_seconds) == (30, "seconds", 30)
    assert row.enabled


def harm_missing(b: Bench) -> None:
    PeriodicTask.objects.filter(name=f"bot {b.bot.pk}").delete()


def harm_disabled(b: Bench) -> None:
    PeriodicTask.objects.filter(name=f"bot {b.bot.pk}").update(enabled=False)


def harm_interval(b: Bench) -> None:
    other = IntervalSchedule.objects.create(every=7, period=IntervalSchedule.SECONDS)
    PeriodicTask.objects.filter(name=f"bot {b.bot.pk}").update(interval=other)


def harm_period(b: Bench) -> None:
    other = IntervalSchedule.objects.create(every=60, period=IntervalSchedule.HOURS)
    PeriodicTask.objects.filter(name=f"bot {b.bot.pk}").update(interval=other)


def harm_expiry(b: Bench) -> None:
    PeriodicTask.objects.filter(name=f"bot {b.bot.pk}").update(expire_seconds=None)


def harm_extra(b: Bench) -> None:
    schedule.sync(987_654, 60)


def harm_by_hand(b: Bench) -> None:
    every = IntervalSchedule.objects.filter(every=60).first()
    PeriodicTask.objects.create(
        name="my own", task="bots.tasks.run_bot", args=f"[{b.bot.pk}]", interval=every
    )


@pytest.mark.parametrize(
    ("harm", "counts"),
    [
        (harm_missing, (1, 0, 0)),
        (harm_disabled, (0, 1, 0)),
        (harm_interval, (0, 1, 0)),
        (harm_period, (0, 1, 0)),
        (harm_expiry, (0, 1, 0)),
        (harm_extra, (0, 0, 1)),
        (harm_by_hand, (0, 0, 1)),
    ],
)
def test_drift_is_found_and_repaired(bench: Maker, harm: Any, counts: tuple[int, int, int]) -> None:
    bystander, b = bench(), bench()
    harm(b)
    assert sweep.repair_schedule() == counts
    assert in_step()
    assert schedule.scheduled() == {bystander.bot.pk: 60, b.bot.pk: 60}
    assert sweep.repair_schedule() == (0, 0, 0)


def test_a_bot_that_stopped_while_the_drift_was_looked_at_stays_unscheduled(
    bench: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sweep reads which bots have duty; start and stop may commit before it writes."""
    stops, starts = bench(), bench()
    starts.stop()
    look = schedule.drift

    def look_and_click(intervals: dict[int, int]) -> set[str]:
        stops.stop()
        starts.start()
        return look(intervals)

    monkeypatch.setattr(schedule, "drift", look_and_click)
    sweep.repair_schedule()
    assert schedule.scheduled() == {starts.bot.pk: 60}


def test_equal_intervals_made_by_hand_do_not_confuse_it(bench: Maker) -> None:
    bench()
    IntervalSchedule.objects.create(every=60, period=IntervalSchedule.SECONDS)
    bench()
    assert sweep.repair_schedule() == (0, 0, 0)
    used = PeriodicTask.objects.filter(task=schedule.RUN_BOT).values("interval").distinct()
    assert len(used) == 1


def test_the_platforms_own_rows_are_made_once_and_made_right_again(db: None, settings: Any) -> None:
    schedule.ensure_platform_rows()
    schedule.ensure_platform_rows()
    names = {"midnight reset", "sweep", "canary", "alerts"}
    own = PeriodicTask.objects.filter(name__in=names)
    assert {row.name: row.task for row in own} == {
        "midnight reset": "bots.tasks.daily_reset",
        "sweep": "bots.tasks.sweep",
        "canary": "bots.tasks.canary",
        "alerts": "bots.tasks.send_alerts",
    }
    own.update(enabled=False)
    settings.SWEEP_SECONDS = 17
    schedule.ensure_platform_rows()
    assert own.filter(enabled=True).count() == 4
    assert PeriodicTask.objects.get(name="sweep").interval.every == 17
    crontab = PeriodicTask.objects.get(name="midnight reset").crontab
    assert (crontab.hour, crontab.minute, str(crontab.timezone)) == ("0", "0", "UTC")
    assert CrontabSchedule.objects.filter(hour="0", minute="0").count() == 1


def test_many_rows_are_made_at_once_and_present_ones_are_kept(db: None) -> None:
    schedule.sync(1, 60)
    kept = PeriodicTask.objects.get(name="bot 1").pk
    schedule.sync_many({1: 60, 2: 60, 3: 30})
    assert schedule.scheduled() == {1: 60, 2: 60, 3: 30}
    assert PeriodicTask.objects.get(name="bot 1").pk == kept


def test_a_broker_that_is_away_breaks_nothing() -> None:
    """In a process of its own: this one has its connections to a broker that works."""
    program = (
        "import django; django.setup(); from bots import schedule;"
        "print([schedule.send(schedule.RUN_BOT, 1), schedule.nudge_spread([1, 2], 0)])"
    )
    env = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "botsite.settings",
        "REDIS_URL": "redis://127.0.0.1:1/0",
    }
    ran = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stdout.strip()) == (0, "[False, None]"), ran.stderr


@pytest.mark.django_db(transaction=True)
def test_platform_rows_that_many_make_at_once_are_made_once() -> None:
    failures: list[Exception] = []

    def make() -> None:
        try:
            schedule.ensure_platform_rows()
        except Exception as error:
            failures.append(error)
        finally:
            connections.close_all()

    threads = [Thread(target=make) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    names = PeriodicTask.objects.exclude(task=schedule.RUN_BOT).values_list("name", flat=True)
    assert sorted(names) == [schedule.ALERTS, schedule.CANARY, schedule.MIDNIGHT, schedule.SWEEP]


def test_two_equal_midnights_are_no_error(db: None) -> None:
    schedule.ensure_platform_rows()
    row = CrontabSchedule.objects.get(hour="0", minute="0")
    row.pk = None
    row.save(force_insert=True)
    schedule.ensure_platform_rows()
    assert PeriodicTask.objects.get(name=schedule.MIDNIGHT).crontab.pk != row.pk
