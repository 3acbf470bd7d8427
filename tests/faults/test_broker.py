"""B2, R6: Redis restarts, is emptied, is away; two beats send."""

import signal
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import redis
from django.test import Client
from django.utils import timezone

from bots import schedule
from bots.models import BotConfig, BotState, StateEvent, User
from tests.doors.client import Caller
from tests.faults import stage
from tests.faults.stage import Traps
from tests.testexchange import ExchangeControl
from tests.whole.api import state_of, wait_for
from tests.whole.conftest import MakeBot
from tests.whole.platform import Platform
from tests.whole.processes import Beat, wait_until

pytestmark = pytest.mark.long(seconds=12)

#: The broker's clients wait longer and longer between two attempts; that is not scaled.
BACK = 120.0


def restarted(platform: Platform) -> None:
    platform.redis.stop()
    platform.redis.start()


def flushed(platform: Platform) -> None:
    with redis.Redis.from_url(platform.redis.url) as broker:
        broker.flushall()


def away(platform: Platform) -> None:
    platform.redis.stop()


@pytest.fixture
def bot(platform: Platform, live_bot: MakeBot, as_alice: Caller) -> BotConfig:
    made = live_bot()
    wait_for(as_alice, made.pk, status="running")
    return made


@pytest.mark.parametrize("trouble", [restarted, flushed, away], ids=lambda one: one.__name__)
def test_B2_redis_fails_in_mid_order_and_ticks_come_back(
    trouble: Callable[[Platform], None],
    platform: Platform,
    bot: BotConfig,
    live_bot: MakeBot,
    trap_folder: Path,
    exchange: ExchangeControl,
    as_alice: Caller,
    alice: User,
) -> None:
    traps = Traps(folder=trap_folder)
    traps.set("tick.claimed", bot, "hold")
    traps.wait_until_held("tick.claimed", bot)
    stage.ask(bot, "enter")
    trouble(platform)
    traps.let_go("tick.claimed", bot)
    # The order needs no broker: it is sent, answered and booked.
    wait_for(as_alice, bot.pk, in_position=True, has_unsettled_orders=False)
    second = live_bot(name="Second", start=False)
    began = time.monotonic()
    assert as_alice.post(f"/bots/{second.pk}/start").status == 200
    assert time.monotonic() - began < 5
    browser = Client()
    words = {"login": "alice", "password": "alice-has-a-long-password"}
    assert browser.post("/accounts/login/", words).status_code == 302
    for path in ("/", f"/bots/{second.pk}/", f"/bots/{second.pk}/panel/", "/keys/"):
        assert browser.get(path).status_code == 200, path
    if trouble is away:
        assert state_of(as_alice, second.pk)["status"] == "pending"
        platform.redis.start()
    wait_for(as_alice, second.pk, timeout=BACK, status="running")
    stage.wait_for_ticks(bot, 2, timeout=BACK)
    assert len(stage.orders_of(bot)) == 1
    stage.assert_all_holds(exchange, platform.beat)


def test_B2_a_worker_with_unacknowledged_tasks_takes_others_again(
    platform: Platform,
    bot: BotConfig,
    live_bot: MakeBot,
    trap_folder: Path,
    exchange: ExchangeControl,
    as_alice: Caller,
) -> None:
    second = live_bot(name="Second")
    wait_for(as_alice, second.pk, status="running")
    traps = Traps(folder=trap_folder)
    for one in (bot, second):
        traps.set("tick.claimed", one, "hold")
    for one in (bot, second):
        traps.wait_until_held("tick.claimed", one)
    # Both processes are busy: the next tasks are in the worker's hands, and only there.
    with redis.Redis.from_url(platform.redis.url) as broker:
        wait_until(lambda: broker.hlen("unacked") == int(platform.env["WORKER_CONCURRENCY"]))
    platform.redis.stop()
    for one in (bot, second):
        traps.let_go("tick.claimed", one)
    wait_until(lambda: "Couldn't ack" in platform.worker.output())
    platform.redis.start()
    for one in (bot, second):
        stage.wait_for_ticks(one, 2, timeout=BACK)
    stage.assert_all_holds(exchange, platform.beat)


def test_R6_two_beats_make_no_tick_and_no_day_more(
    platform: Platform, bot: BotConfig, live_bot: MakeBot, exchange: ExchangeControl, tmp_path: Path
) -> None:
    slow = live_bot(name="Slow", check_interval_seconds=2)
    second = Beat(tmp_path / "second.log", platform.env)
    try:
        second.start()
        platform.beat.send(signal.SIGSTOP)
        stage.wait_for_ticks(slow)  # the second one does send
        platform.beat.send(signal.SIGCONT)
        began, before = time.monotonic(), BotState.objects.get(pk=slow.pk).fence
        stage.wait_for_ticks(slow, 3)
        today = BotState.objects.get(pk=slow.pk).counter_day
        yesterday = today - timedelta(days=1)
        over = timezone.now() - timedelta(hours=1)
        BotState.objects.filter(pk=slow.pk).update(counter_day=yesterday, day_ends_at=over)
        turned = BotState.objects.filter(pk=slow.pk, counter_day=today)
        wait_until(turned.exists)
        stage.wait_for_ticks(slow, 1)
        second.send(signal.SIGSTOP)
        ticks = BotState.objects.get(pk=slow.pk).fence - before
        intervals = (time.monotonic() - began) / 2
        # The rollover itself asks for a tick; two beats without effect make no other.
        assert ticks <= intervals + 2
    finally:
        second.end()
    assert StateEvent.objects.filter(bot=slow, move="reset").count() == 1
    assert schedule.scheduled() == {bot.pk: 1, slow.pk: 2}
    stage.assert_all_holds(exchange, platform.beat)
