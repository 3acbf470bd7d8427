"""Beat and the sweep: ticks come by schedule, and days end though nobody ticks."""

import threading
import time
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from bots import control, invariants, reset, schedule
from bots.alerts import addresses, channels
from bots.models import AlertDelivery, AlertScan, BotConfig, BotState, DayStats, Heartbeat, User
from tests.doors.client import Caller
from tests.receivers import webhooks
from tests.whole.api import wait_for
from tests.whole.platform import Platform
from tests.whole.processes import wait_until


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


@pytest.mark.slow(seconds=7)
def test_alerts_leave_by_themselves_and_a_channel_that_hangs_holds_up_no_tick(
    platform: Platform, alice: User, as_alice: Caller
) -> None:
    release = threading.Event()
    with webhooks() as received:
        received.answer = lambda path: 200 if path == "/good" else (release.wait(30), 200)[1]
        for path in ("good", "hangs"):
            link = addresses.webhook(f"http://127.0.0.1:{received.port}/{path}")
            channels.add(alice, "webhook", link, label=path, kinds=["started"])
        # The scan's first look marks what is past.
        wait_until(lambda: AlertScan.objects.exclude(marked_at=None).exists())
        bot = paper_bot(alice)
        assert as_alice.post(f"/bots/{bot.pk}/start").status == 200
        wait_until(lambda: len(received.posts) == 2)
        seen = fence_of(bot)
        wait_until(lambda: fence_of(bot) >= seen + 2, timeout=5)
        assert not AlertDelivery.objects.filter(channel__label="hangs", status="sent").exists()
        late = AlertDelivery.objects.filter(channel__label="hangs", fault="timeout")
        wait_until(late.exists)
        release.set()
    assert AlertDelivery.objects.get(channel__label="good").status == "sent"
    assert [post[1]["title"] for post in received.posts] == ["↻ Paper: started"] * 2
    as_alice.post(f"/bots/{bot.pk}/stop")
