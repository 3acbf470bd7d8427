"""The scheduler of beat: what it sends when, what it reads and writes, and what it survives."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
import redis
from celery import Celery
from django.conf import settings as django_settings
from django.db import OperationalError, connection
from django_celery_beat.models import PeriodicTask

from bots import schedule
from bots.schedule import beat
from bots.schedule.beat import BotScheduler
from tests.redis_server import redis_server

pytestmark = pytest.mark.django_db
#: A moment before the rows of any test are made; their date_changed is set to it.
START = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)


class Stage:
    """A scheduler whose time a test moves, on a real broker with a queue of its own."""

    def __init__(self, url: str) -> None:
        self.now = START.timestamp()
        self.queue = f"beat-{uuid4().hex}"
        self.redis = redis.Redis.from_url(url)
        self.app = Celery("beat-test", broker=url, set_as_current=False)
        self.app.conf.task_default_queue = self.queue
        self.app.conf.broker_transport_options = django_settings.CELERY_BROKER_TRANSPORT_OPTIONS
        self.scheduler = self.another()

    def another(self) -> BotScheduler:
        return BotScheduler(app=self.app, clock=lambda: self.now)

    def bots(self, *ids: int, interval: int = 60) -> None:
        """Schedule these bots, as of the test's start."""
        schedule.sync_many(dict.fromkeys(ids, interval))
        PeriodicTask.objects.update(date_changed=START)

    def run(self, seconds: int) -> dict[str, list[int]]:
        """Tick every second; returns at which of them each bot (`[7]`) or task was sent."""
        found: dict[str, list[int]] = defaultdict(list)
        for second in range(1, seconds + 1):
            self.now += 1
            self.scheduler.tick()
            for name in self.taken():
                found[name].append(second)
        return found

    def taken(self) -> list[str]:
        """Take all messages from the queue."""
        messages = self.redis.lpop(self.queue, 100_000) or []
        heads = [json.loads(message)["headers"] for message in messages]
        return [h["argsrepr"] if h["task"] == schedule.RUN_BOT else h["task"] for h in heads]

    def close(self) -> None:
        self.scheduler.close()
        self.redis.delete(self.queue)
        self.redis.close()
        self.app.close()


@pytest.fixture(autouse=True)
def _one_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test lives in one transaction, as with Django's own test client, which does the same."""
    monkeypatch.setattr(beat, "close_old_connections", lambda: None)


@pytest.fixture
def stage() -> Iterator[Stage]:
    stage = Stage(django_settings.REDIS_URL)
    yield stage
    stage.close()


def row(bot_id: int) -> PeriodicTask:
    return PeriodicTask.objects.get(name=schedule.row_name(bot_id))


def test_a_bot_is_sent_once_an_interval_at_the_same_moment(stage: Stage) -> None:
    stage.bots(*range(1, 21), interval=60)
    stage.bots(21, 22, interval=20)
    found = stage.run(180)
    assert Counter({name: len(at) for name, at in found.items()}) == Counter(
        {f"[{n}]": 3 for n in range(1, 21)} | {"[21]": 9, "[22]": 9}
    )
    for name, at in found.items():
        gaps = {after - before for before, after in pairwise(at)}
        assert gaps == {20 if name in ("[21]", "[22]") else 60}


def test_all_that_is_due_goes_out_in_one_pass(stage: Stage) -> None:
    stage.bots(*range(1, 101), interval=5)
    stage.scheduler.tick()
    stage.now += 5
    stage.scheduler.tick()
    assert len(stage.taken()) == 100


def test_a_message_carries_the_task_its_bot_and_when_it_is_stale(stage: Stage) -> None:
    stage.bots(7, interval=5)
    for _ in range(6):
        stage.scheduler.tick()
        stage.now += 1
    message = json.loads(stage.redis.lpop(stage.queue))
    left = datetime.fromisoformat(message["headers"]["expires"]) - datetime.now(UTC)
    assert message["headers"]["task"] == "bots.tasks.run_bot"
    assert message["headers"]["argsrepr"] == "[7]"
    assert timedelta(seconds=3) < left <= timedelta(seconds=5)


def test_moments_are_spread_and_a_restart_keeps_them(stage: Stage) -> None:
    stage.bots(*range(1, 601))
    stage.scheduler.tick()
    first = stage.run(60)
    a_second = Counter(at for moments in first.values() for at in moments)
    assert len(first) == 600
    assert len(a_second) == 60
    assert max(a_second.values()) <= 30
    stage.scheduler.close()
    stage.scheduler = stage.another()
    stage.scheduler.tick()
    assert stage.run(60) == first


def test_after_a_pause_each_bot_is_sent_once_and_not_all_together(stage: Stage) -> None:
    stage.bots(*range(1, 301))
    stage.bots(*range(301, 601), interval=3600)
    stage.run(60)
    stage.now += 3 * 3600 + 17
    stage.scheduler.tick()
    found = stage.run(60)
    assert {len(at) for name, at in found.items() if int(name[1:-1]) <= 300} == {1}
    assert len(found) == 600
    a_second = Counter(at for moments in found.values() for at in moments)
    assert max(a_second.values()) <= 30


def test_a_clock_set_back_silences_nobody(stage: Stage) -> None:
    schedule.ensure_platform_rows()
    stage.bots(1)
    stage.run(60)
    stage.now -= 24 * 3600
    found = stage.run(130)
    assert len(found["[1]"]) == 2
    assert len(found["bots.tasks.sweep"]) == 2


def test_what_was_written_back_revives_no_row(stage: Stage) -> None:
    stage.bots(1, 2, 3)
    stage.run(60)
    schedule.sync(1, None)
    PeriodicTask.objects.filter(pk=row(2).pk).update(enabled=False, last_run_at=None)
    stage.scheduler.sync()
    assert not PeriodicTask.objects.filter(name=schedule.row_name(1)).exists()
    assert (row(2).enabled, row(2).last_run_at, row(2).total_run_count) == (False, None, 0)
    ran_at = row(3).last_run_at
    assert START < ran_at <= START + timedelta(seconds=60)
    assert row(3).total_run_count == 1
    assert row(3).date_changed == START


def test_a_write_back_keeps_what_was_changed_meanwhile(stage: Stage) -> None:
    stage.bots(1)
    stage.run(60)
    schedule.sync(1, 300)
    stage.scheduler.sync()
    assert schedule.scheduled() == {1: 300}
    assert row(1).expire_seconds == 300


def test_nothing_is_written_twice(stage: Stage, django_assert_num_queries: Any) -> None:
    stage.bots(1, 2, 3)
    stage.run(61)
    stage.scheduler.sync()
    with django_assert_num_queries(0):
        stage.scheduler.sync()


def test_a_changed_interval_counts_from_the_next_look(stage: Stage) -> None:
    stage.bots(1, 2)
    stage.run(10)
    schedule.sync(1, 10)
    stage.run(6)
    found = stage.run(60)
    assert len(found["[1]"]) == 6
    assert len(found["[2]"]) == 1


@pytest.mark.parametrize("how", ["deleted", "switched off"])
def test_a_row_that_is_gone_is_sent_no_more(stage: Stage, how: str) -> None:
    stage.bots(1, 2, interval=5)
    stage.run(10)
    if how == "deleted":
        schedule.sync(1, None)
    else:
        off = row(1)
        off.enabled = False
        off.save()
    stage.run(6)
    assert set(stage.run(20)) == {"[2]"}


def test_a_new_row_joins_without_reading_the_others_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.bots(*range(1, 101))
    stage.run(10)
    schedule.sync(100, 61)
    stage.run(10)
    read = []

    def reading(values: Any) -> Any:
        read.append(values[1])
        return original(values)

    original = beat.BotRow
    monkeypatch.setattr(beat, "BotRow", reading)
    schedule.sync(101, 5)
    found = stage.run(12)
    assert len(found["[101]"]) >= 1
    # Those of the last minute are looked at again: a transaction may have committed late.
    assert set(read) == {"bot 100", "bot 101"}


def test_looking_for_changes_is_one_query_each_five_seconds(
    stage: Stage, django_assert_num_queries: Any
) -> None:
    stage.bots(*range(1, 101))
    stage.run(10)
    with django_assert_num_queries(4):
        stage.run(20)


def test_rows_changed_behind_beats_back_are_found_in_time(stage: Stage) -> None:
    stage.bots(1, 2, interval=5)
    stage.run(10)
    PeriodicTask.objects.filter(pk=row(1).pk).update(enabled=False)
    stage.run(300)
    assert set(stage.run(20)) == {"[2]"}


def test_a_row_that_cannot_be_read_stops_nobody(stage: Stage) -> None:
    stage.bots(1, 2, interval=5)
    PeriodicTask.objects.filter(pk=row(1).pk).update(args="[1")
    assert set(stage.run(20)) == {"[2]"}


def test_a_broker_that_is_away_is_waited_for(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        stage = Stage(server.url)
        stage.bots(*range(1, 31))
        stage.run(60)
        server.stop()
        for _ in range(120):
            waits = stage.scheduler.tick()
            assert waits >= 0.2
            stage.now += waits
        assert stage.now > START.timestamp() + 500
        schedule.sync(31, 60)
        server.start()
        stage.run(10)
        found = stage.run(60)
        assert found == {f"[{n}]": found[f"[{n}]"] for n in range(1, 32)}
        assert {len(at) for at in found.values()} == {1}
        stage.close()


def test_a_short_outage_loses_nothing(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        stage = Stage(server.url)
        stage.bots(*range(1, 31), interval=5)
        stage.run(10)
        server.stop()
        stage.now += 5
        assert stage.scheduler.tick() == beat.RETRY_SECONDS
        server.start()
        stage.now += 1
        stage.scheduler.tick()
        assert Counter(stage.taken()) == Counter(f"[{n}]" for n in range(1, 31))
        stage.close()


def test_without_workers_the_queue_ends_somewhere(stage: Stage) -> None:
    stage.bots(*range(1, 101), interval=5)
    for _ in range(80):
        stage.now += 1
        stage.scheduler.tick()
    waiting = stage.redis.llen(stage.queue)
    assert 1000 <= waiting < 1200
    stage.taken()
    assert set(stage.run(5)) == {f"[{n}]" for n in range(1, 101)}


@contextmanager
def no_database() -> Iterator[None]:
    def refuse(*_: Any) -> None:
        raise OperationalError("the server closed the connection")

    with connection.execute_wrapper(refuse):
        yield


@pytest.mark.django_db(transaction=True)
def test_a_database_that_is_away_stops_no_tick(stage: Stage) -> None:
    stage.bots(1, 2, interval=5)
    stage.run(10)
    with no_database():
        found = stage.run(20)
        stage.scheduler.sync()
    assert {name: len(at) for name, at in found.items()} == {"[1]": 4, "[2]": 4}
    assert row(1).last_run_at is None
    stage.scheduler.sync()
    assert row(1).total_run_count == 6


@pytest.mark.django_db(transaction=True)
def test_beat_comes_up_before_its_database(stage: Stage) -> None:
    stage.bots(1, interval=5)
    with no_database():
        assert stage.run(10) == {}
    assert set(stage.run(20)) == {"[1]"}


@pytest.fixture
def midnight(stage: Stage, settings: Any) -> Callable[[str], None]:
    """Schedule the platform's midnight in a zone, as if it had just run."""

    def make(zone: str) -> None:
        settings.TRADING_DAY_TIME_ZONE = zone
        schedule.ensure_platform_rows()
        PeriodicTask.objects.exclude(name=schedule.MIDNIGHT).delete()
        last = datetime.fromtimestamp(stage.now, UTC)
        PeriodicTask.objects.update(last_run_at=last, date_changed=last)

    return make


@pytest.mark.parametrize(
    ("zone", "day"),
    [
        ("UTC", date(2026, 5, 4)),
        ("Europe/Istanbul", date(2026, 5, 4)),
        ("America/New_York", date(2026, 3, 7)),  # the 8th has 23 hours
        ("America/New_York", date(2026, 10, 31)),  # the 1st has 25 hours
        ("Asia/Kathmandu", date(2026, 5, 4)),
    ],
)
def test_midnight_comes_once_a_day_in_its_zone(
    stage: Stage, midnight: Callable[[str], None], zone: str, day: date
) -> None:
    stage.now = datetime.combine(day, time(9), ZoneInfo(zone)).timestamp()
    midnight(zone)
    stage.scheduler.tick()
    fired = []
    for number in range(1, 4):
        local = datetime.combine(day + timedelta(days=number), time(), ZoneInfo(zone))
        at = local.timestamp()
        for before in (43_200, 7200):
            stage.now = at - before
            stage.scheduler.tick()
        stage.now = at - 30
        found = stage.run(60)
        fired.append(found["bots.tasks.daily_reset"])
    assert fired == [[30], [30], [30]]


def test_a_midnight_that_was_missed_fires_when_beat_is_back(
    stage: Stage, midnight: Callable[[str], None]
) -> None:
    stage.now = datetime(2026, 5, 4, 22, tzinfo=UTC).timestamp()
    midnight("UTC")
    stage.now += 8 * 3600
    assert stage.run(60) == {"bots.tasks.daily_reset": [1]}
