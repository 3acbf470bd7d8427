"""The edges of a trading day, and what a rollover does in the cases that seldom come."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bots import reset, schedule
from bots.models import BotConfig, BotState, DayStats, Outpaced, StateEvent, User
from tests.engine.bench import Bench
from tests.engine.conftest import Maker
from tests.engine.test_reset import AFTER, DAY, put, set_day
from trading.day import day_end

ONE = timedelta(days=1)
TICK = timedelta(microseconds=1)
MIDNIGHT = datetime(2026, 11, 21, tzinfo=UTC)


def in_day(
    day: date, *, zone: str = "UTC", ends: datetime | None = None, forced: datetime | None = None
) -> tuple[BotState, ZoneInfo]:
    """Return the state of a bot in trading day `day` of its owner's zone, and that zone."""
    where = ZoneInfo(zone)
    ends_at = day_end(where, day) if ends is None else ends
    return BotState(counter_day=day, day_ends_at=ends_at, day_forced_at=forced), where


def test_a_day_is_over_from_its_end_on() -> None:
    state, _zone = in_day(DAY)
    instants = (MIDNIGHT - ONE, MIDNIGHT - TICK, MIDNIGHT, MIDNIGHT + ONE)
    assert [reset.is_due(state, at) for at in instants] == [False, False, True, True]


# -- which day a fill counts to --------------------------------------------------------------------
@pytest.mark.parametrize("day", [date(2026, 3, 29), date(2026, 10, 25), date(2026, 11, 20)])
def test_a_day_of_any_length_takes_its_own_fills_and_no_other(day: date) -> None:
    state, zone = in_day(day, zone="Europe/London")
    begins, ends = day_end(zone, day - ONE), day_end(zone, day)
    instants = (begins - TICK, begins, ends - TICK, ends, ends + ONE)
    days = [reset.trading_day_of(state, zone, at) for at in instants]
    assert days == [day - ONE, day, day, day + ONE, day + 2 * ONE]


def test_a_forced_day_takes_what_comes_after_the_reset_till_it_ends() -> None:
    forced = MIDNIGHT - timedelta(hours=5)
    state, zone = in_day(DAY + 2 * ONE, forced=forced)
    instants = (
        forced - TICK,
        forced,
        forced + timedelta(hours=8),
        state.day_ends_at - TICK,
        state.day_ends_at,
        state.day_ends_at + ONE,
    )
    days = [reset.trading_day_of(state, zone, at) - DAY for at in instants]
    assert days == [timedelta(0), 2 * ONE, 2 * ONE, 2 * ONE, 3 * ONE, 4 * ONE]


def test_no_fill_counts_to_a_day_before_the_running_one_once_that_is_over() -> None:
    """The owner moved west: at the end of the day the new zone still calls it by its old name."""
    state, zone = in_day(DAY, zone="Pacific/Pago_Pago", ends=MIDNIGHT - timedelta(hours=14))
    assert reset.trading_day_of(state, zone, state.day_ends_at) == DAY


def test_an_owner_who_moved_west_ends_the_running_day_in_the_old_zone() -> None:
    state, zone = in_day(DAY, zone="America/New_York", ends=MIDNIGHT)
    instants = (MIDNIGHT - ONE - TICK, MIDNIGHT - ONE, MIDNIGHT - TICK)
    days = [reset.trading_day_of(state, zone, at) for at in instants]
    assert days == [DAY - ONE, DAY, DAY]


# -- who is rolled over, and how -------------------------------------------------------------------
def test_a_day_that_only_ends_later_holds_no_other_bot_up(bench: Maker, bob: User) -> None:
    west, here = bench(), Bench(bob)
    for b in (west, here):
        set_day(b, DAY)
    User.objects.filter(pk=west.owner.pk).update(time_zone="America/New_York")
    assert reset.roll_over(now=AFTER) == [here.bot.pk]
    assert (west.state.counter_day, west.state.daily_trades_count) == (DAY, 3)
    assert west.state.day_ends_at == datetime(2026, 11, 21, 5, tzinfo=UTC)
    assert (here.state.counter_day, here.state.daily_trades_count) == (DAY + ONE, 0)
    assert [event.move for event in west.events] == ["start"]


def test_a_day_that_began_with_a_loss_leaves_the_next_one_free(bench: Maker) -> None:
    b = bench()
    set_day(b, DAY)
    BotState.objects.filter(pk=b.bot.pk).update(closed_at_loss=True)
    reset.roll_over(AFTER)
    assert not b.state.closed_at_loss


@pytest.mark.parametrize(
    ("status", "reason", "duty", "count"),
    [
        ("error", "network", "trade", 1),
        ("running", "in_position", "trade", 1),
        ("waiting", "network", "trade", 1),
        ("stopped", "daily_reset", "trade", 0),
        ("stopped", "halt", "none", 0),
    ],
)
def test_history_tells_of_a_reset_where_it_changed_something(
    bench: Maker, status: str, reason: str, duty: str, count: int
) -> None:
    b = bench()
    set_day(b, DAY)
    put(b, status, reason, duty)
    reset.roll_over(AFTER)
    assert StateEvent.objects.filter(bot=b.bot, move="reset").count() == count


def test_a_deleted_bot_stays_off(bench: Maker) -> None:
    b = bench()
    set_day(b, DAY)
    put(b, "paused", "max_daily_loss", "none")
    BotConfig.objects.filter(pk=b.bot.pk).update(deleted_at=AFTER - ONE)
    reset.roll_over(AFTER)
    assert b.where == ("stopped", "daily_reset", "none")
    assert not b.is_active


def test_a_bot_that_another_rolled_over_meanwhile_is_left_as_that_one_put_it(
    bench: Maker, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = bench(), Bench(bob)
    for b in (first, second):
        set_day(b, DAY)

    def and_meanwhile(zone: ZoneInfo, day: date) -> datetime:
        BotState.objects.filter(pk=second.bot.pk).update(counter_day=day)
        return day_end(zone, day)

    monkeypatch.setattr(reset, "day_end", and_meanwhile)
    with pytest.raises(Outpaced):
        reset.roll_over(AFTER)
    assert (first.state.counter_day, first.state.daily_trades_count) == (DAY, 3)
    assert not StateEvent.objects.filter(move="reset").exists()
    assert not DayStats.objects.exclude(closed_at=None).exists()


# -- what follows ----------------------------------------------------------------------------------
@pytest.fixture
def nudged(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[int], float]]:
    sent: list[tuple[list[int], float]] = []
    monkeypatch.setattr(schedule, "nudge_spread", lambda pks, spread: sent.append((pks, spread)))
    return sent


def test_bots_that_go_on_are_nudged_over_the_spread_of_the_settings(
    bench: Maker, settings: Any, nudged: list[tuple[list[int], float]]
) -> None:
    settings.RESET_SPREAD_SECONDS = 33.0
    b = bench()
    tomorrow = b.state.counter_day + ONE
    assert reset.daily_reset(day=tomorrow) == 1
    assert reset.daily_reset(day=tomorrow + ONE, spread=4.0) == 1
    assert nudged == [([b.bot.pk], 33.0), ([b.bot.pk], 4.0)]


def test_a_spread_is_shared_in_parts_of_a_second(
    bench: Maker, monkeypatch: pytest.MonkeyPatch, nudged: list[tuple[list[int], float]]
) -> None:
    monkeypatch.setattr(reset, "CHUNK", 2)
    pks = sorted(bench(name=f"Bench {number}").bot.pk for number in range(3))
    reset.go_on(pks, 1.0)
    assert [sorted(part) for part, _ in nudged] == [pks[:2], pks[2:]]
    assert [spread for _, spread in nudged] == pytest.approx([2 / 3, 1 / 3])
