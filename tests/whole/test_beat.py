"""Beat, the sweep and the broker: ticks come by schedule, and come back when Redis does."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from django.test import Client
from django.utils import timezone

from bots import control, invariants, reset, schedule
from bots.models import BotConfig, BotState, DayStats, Heartbeat, User
from botsite.celery import app as site_app
from tests.doors.client import Caller
from tests.redis_server import RedisServer, redis_server
from tests.whole.api import state_of, wait_for
from tests.whole.processes import Beat, Worker, wait_until


def paper_bot(owner: User, **changes: Any) -> BotConfig:
    """Return a bot on the simulated market that is looked at each second."""
    values = {
        "name": "Paper",
        "symbol": "CALM/USDT",
        "position_size_fixed": Decimal(100),
        "check_interval_seconds": 1,
    }
    return control.create(owner, values | changes)


def fence_of(bot: BotConfig) -> int:
    return BotState.objects.get(pk=bot.pk).fence


@dataclass(frozen=True, kw_only=True)
class Platform:
    """A worker and a beat over a Redis of their own."""

    redis: RedisServer
    worker: Worker
    beat: Beat


@pytest.fixture
def platform(
    slate: None, settings: Any, worker_env: dict[str, str], tmp_path: Path
) -> Iterator[Platform]:
    """The processes, and this one, on a broker that the test may stop."""
    with ExitStack() as stack:
        server = stack.enter_context(redis_server(tmp_path / "redis"))
        stack.enter_context(speaking_to(server.url, settings))
        env = worker_env | {"REDIS_URL": server.url}
        worker, beat = Worker(tmp_path / "worker.log", env), Beat(tmp_path / "beat.log", env)
        stack.callback(worker.end)
        stack.callback(beat.end)
        schedule.ensure_platform_rows()
        worker.start()
        beat.start()
        yield Platform(redis=server, worker=worker, beat=beat)


@contextmanager
def speaking_to(url: str, settings: Any) -> Iterator[None]:
    """Send this process's messages to another broker."""
    settings.CELERY_BROKER_URL = settings.REDIS_URL = url
    app = Celery("botsite", set_as_current=False)
    app.config_from_object("django.conf:settings", namespace="CELERY")
    app.set_current()
    try:
        yield
    finally:
        app.close()
        site_app.set_current()


def test_beat_ticks_a_bot_by_its_row_until_it_is_stopped(
    platform: Platform, alice: User, as_alice: Caller
) -> None:
    bot = paper_bot(alice)
    assert as_alice.post(f"/bots/{bot.pk}/start").status == 200
    assert schedule.scheduled() == {bot.pk: 1}
    wait_for(as_alice, bot.pk, status="running")
    # The click's own nudge was one tick: the others are beat's.
    wait_until(lambda: fence_of(bot) >= 4)
    assert as_alice.post(f"/bots/{bot.pk}/stop").status == 200
    assert schedule.scheduled() == {}
    wait_for(as_alice, bot.pk, duty="none")
    seen = fence_of(bot)
    time.sleep(2)
    assert fence_of(bot) == seen
    assert invariants.check() == []


def test_the_sweep_rolls_over_a_day_that_ended_and_the_bot_goes_on(
    platform: Platform, alice: User, as_alice: Caller
) -> None:
    bot = paper_bot(alice, check_interval_seconds=60)
    control.start(bot, by=alice, via="page")
    wait_for(as_alice, bot.pk, status="running")
    today = BotState.objects.get(pk=bot.pk).counter_day
    yesterday = today - timedelta(days=1)
    BotState.objects.filter(pk=bot.pk).update(
        counter_day=yesterday, day_ends_at=timezone.now() - timedelta(hours=1)
    )
    wait_until(lambda: BotState.objects.get(pk=bot.pk).counter_day == today)
    closed = DayStats.objects.get(bot=bot, day=yesterday)
    assert closed.closed_at is not None
    assert Heartbeat.objects.filter(name="sweep").exists()
    moves = {row["move"] for row in as_alice.get(f"/bots/{bot.pk}/events").body["items"]}
    assert "reset" in moves
    assert reset.roll_over(timezone.now()) == []


def test_while_redis_is_down_the_site_goes_on_and_bots_tick_once_it_is_back(
    platform: Platform, alice: User, as_alice: Caller
) -> None:
    first, second = paper_bot(alice), paper_bot(alice, name="Second")
    as_alice.post(f"/bots/{first.pk}/start")
    wait_for(as_alice, first.pk, status="running")
    platform.redis.stop()
    began = time.monotonic()
    assert as_alice.post(f"/bots/{second.pk}/start").status == 200
    assert time.monotonic() - began < 5
    assert state_of(as_alice, second.pk)["status"] == "pending"
    browser = Client()
    words = {"login": "alice", "password": "alice-has-a-long-password"}
    assert browser.post("/accounts/login/", words).status_code == 302
    for path in ("/", f"/bots/{second.pk}/", f"/bots/{second.pk}/panel/", "/keys/"):
        assert browser.get(path).status_code == 200, path
    stopped = fence_of(first)
    platform.redis.start()
    wait_for(as_alice, second.pk, timeout=30, status="running")
    wait_until(lambda: fence_of(first) > stopped, timeout=30)
    for bot in (first, second):
        as_alice.post(f"/bots/{bot.pk}/stop")
        wait_for(as_alice, bot.pk, duty="none")
    assert invariants.check() == []
