"""What a reset does to many bots at once, in chunks, and what it leaves to each of them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from bots import reset, schedule
from bots.models import BotConfig, BotState, DayStats, StateEvent, User
from tests.engine.bench import D, make_bot
from tests.engine.conftest import Maker
from tests.engine.test_reset import AFTER, DAY, put, set_day
from trading.day import local_day


@pytest.fixture
def bots(alice: User, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Five bots whose day has ended, the second without duty; a chunk takes two."""
    monkeypatch.setattr(reset, "CHUNK", 2)
    made = []
    for number in range(5):
        bot = make_bot(alice, name=f"Chunk {number}")
        ends = datetime(2026, 11, 21, tzinfo=UTC)
        status = {"status": "running", "reason": "no_signal", "duty": "trade"}
        if number == 1:
            status = {"status": "stopped", "reason": "by_owner", "duty": "none"}
        BotState.objects.create(bot=bot, counter_day=DAY, day_ends_at=ends, **status)
        BotConfig.objects.filter(pk=bot.pk).update(is_active=number != 1)
        made.append(bot.pk)
    return made


def test_chunks_take_every_bot_once(bots: list[int]) -> None:
    assert reset.roll_over(AFTER) == bots
    assert set(BotState.objects.values_list("counter_day", flat=True)) == {DAY + timedelta(days=1)}
    assert StateEvent.objects.filter(move="reset").count() == 4
    assert reset.roll_over(AFTER) == []


def test_nudges_share_the_spread_by_the_size_of_their_chunk(
    bots: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[list[int], float]] = []
    monkeypatch.setattr(
        schedule, "nudge_spread", lambda pks, seconds: sent.append((sorted(pks), seconds))
    )
    reset.go_on(bots, 100.0)
    first, _off, third, fourth, fifth = bots
    assert sent == [([first], 40.0), ([third, fourth], 40.0), ([fifth], 20.0)]


def test_a_day_that_ends_is_rolled_over_and_told_of(
    bots: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[float] = []
    monkeypatch.setattr(schedule, "nudge_spread", lambda _pks, seconds: sent.append(seconds))
    monkeypatch.setattr(timezone, "now", lambda: AFTER)
    assert reset.daily_reset(spread=10.0) == 5
    assert sum(sent) == pytest.approx(10.0)


def test_only_the_bots_that_are_named_are_rolled_over(bots: list[int]) -> None:
    assert reset.roll_over(AFTER, bot_ids=bots[1:3]) == bots[1:3]
    untouched = BotState.objects.filter(counter_day=DAY).order_by("pk")
    assert list(untouched.values_list("pk", flat=True)) == [bots[0], *bots[3:]]


def test_a_bot_that_resumes_starts_a_run_of_its_own_and_others_go_on_with_theirs(
    bench: Maker,
) -> None:
    b = bench()
    set_day(b, DAY)
    paused: dict[str, Any] = {"failures": 3, "last_ok_at": AFTER, "run_epoch": 7}
    put(b, "paused", "max_daily_loss", "none", **paused)
    reset.roll_over(AFTER)
    assert (b.state.run_epoch, b.state.failures, b.state.last_ok_at) == (8, 0, None)
    assert StateEvent.objects.get(bot=b.bot, move="reset").run_epoch == 8
    put(b, "running", "no_signal", "trade", **paused)
    reset.roll_over(AFTER + timedelta(days=1))
    assert (b.state.run_epoch, b.state.failures, b.state.last_ok_at) == (7, 3, AFTER)
    event = StateEvent.objects.filter(bot=b.bot, move="reset").order_by("-pk")[0]
    assert (event.run_epoch, event.old_status, event.new_status) == (7, "running", "stopped")


def test_before_a_day_that_a_moved_owner_is_still_in_it_is_an_earlier_one(bench: Maker) -> None:
    b = bench()
    ends = set_day(b, DAY)
    User.objects.filter(pk=b.owner.pk).update(time_zone="Asia/Tokyo")
    b.owner.refresh_from_db()
    evening = ends - timedelta(days=1, hours=4)
    # In Tokyo it is DAY already; but the running DAY began at midnight in the old zone.
    assert local_day(b.owner.zone, evening) == DAY
    day_of = [
        reset.trading_day_of(b.state, b.owner.zone, at)
        for at in (
            ends - timedelta(days=3),
            evening,
            ends - timedelta(days=1),
            ends - timedelta(microseconds=1),
            ends,
        )
    ]
    tomorrow, yesterday = DAY + timedelta(days=1), DAY - timedelta(days=1)
    assert day_of == [DAY - timedelta(days=2), yesterday, DAY, DAY, tomorrow]


def test_what_came_early_counts_on_the_new_day(bench: Maker) -> None:
    b = bench()
    set_day(b, DAY)
    DayStats.objects.create(bot=b.bot, day=DAY + timedelta(days=1), pnl=D("1.5"), trades=2)
    reset.roll_over(AFTER)
    assert (b.state.daily_pnl, b.state.daily_trades_count) == (D("1.5"), 2)
