"""The trading day rolls over once per bot and date, whatever ran, when, or how often."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from bots import control, invariants, lifecycle, reset, schedule
from bots.lifecycle import Duty, Reason, Status
from bots.models import BotConfig, BotState, DayStats, Heartbeat, StateEvent, User
from tests.engine.bench import Bench, D, make_bot
from tests.engine.conftest import Maker
from tests.engine.test_control import at_once
from trading.day import day_end, local_day


def set_day(b: Bench, day: date) -> datetime:
    """Let the bot be in trading day `day` of its owner's zone; returns when that ends."""
    ends = day_end(b.owner.zone, day)
    BotState.objects.filter(pk=b.bot.pk).update(
        counter_day=day, day_ends_at=ends, daily_pnl=D(-7), daily_trades_count=3
    )
    DayStats.objects.create(bot=b.bot, day=day, pnl=D(-7), trades=3)
    return ends


def put(b: Bench, status: str, reason: str, duty: str, **changes: Any) -> None:
    """Put the bot where it could be, with the row of settings and schedule that go with it."""
    BotState.objects.filter(pk=b.bot.pk).update(status=status, reason=reason, duty=duty, **changes)
    BotConfig.objects.filter(pk=b.bot.pk).update(is_active=duty == Duty.TRADE)
    schedule.sync(b.bot.pk, None if duty == Duty.NONE else 60)


def days(b: Bench) -> list[date]:
    return list(DayStats.objects.filter(bot=b.bot).order_by("day").values_list("day", flat=True))


DAY = date(2026, 11, 20)
AFTER = datetime(2026, 11, 21, 0, 0, 1, tzinfo=UTC)

#: Where a bot stands, where the reset leaves it, and whether it is on afterwards.
TABLE = [
    (("running", "no_signal", "trade"), ("stopped", "daily_reset", "trade"), True),
    (("running", "in_position", "trade"), ("stopped", "daily_reset", "trade"), True),
    (("pending", "start", "trade"), ("stopped", "daily_reset", "trade"), True),
    (("waiting", "network", "trade"), ("stopped", "daily_reset", "trade"), True),
    (("error", "stale_data", "trade"), ("stopped", "daily_reset", "trade"), True),
    (("stopped", "daily_reset", "trade"), ("stopped", "daily_reset", "trade"), True),
    (("paused", "max_daily_loss", "none"), ("stopped", "daily_reset", "trade"), True),
    (("paused", "max_daily_trades", "none"), ("stopped", "daily_reset", "trade"), True),
    (("paused", "daily_target", "none"), ("stopped", "daily_reset", "trade"), True),
    (("paused", "daily_target", "exit"), ("stopped", "daily_reset", "trade"), True),
    (("error", "api_key_invalid", "none"), ("stopped", "daily_reset", "none"), False),
    (("error", "reconcile", "exit"), ("stopped", "daily_reset", "exit"), False),
    (("stopped", "by_owner", "none"), ("stopped", "by_owner", "none"), False),
    (("stopped", "by_operator", "none"), ("stopped", "by_operator", "none"), False),
    (("stopped", "halt", "none"), ("stopped", "halt", "none"), False),
    (("stopped", "by_owner", "exit"), ("stopped", "by_owner", "exit"), False),
    (("stopped", "daily_reset", "none"), ("stopped", "daily_reset", "none"), False),
]


@pytest.mark.parametrize(("before", "after", "is_on"), TABLE)
def test_a_reset_leaves_each_bot_where_the_table_says(
    bench: Maker, before: tuple[str, str, str], after: tuple[str, str, str], is_on: bool
) -> None:
    b = bench()
    set_day(b, DAY)
    put(b, *before, last_error_message="it failed")
    assert reset.roll_over(AFTER) == [b.bot.pk]
    state = b.state
    assert b.where == after
    assert b.is_active is is_on
    assert (b.bot.pk in schedule.scheduled()) is (after[2] != "none")
    assert (state.daily_pnl, state.daily_trades_count, state.last_error_message) == (0, 0, "")
    assert (state.counter_day, state.day_forced_at) == (date(2026, 11, 21), None)
    assert state.day_ends_at == datetime(2026, 11, 22, tzinfo=UTC)
    assert b.events[-1].why == "it failed"
    assert b.events[-1].move == "reset"
    closed = DayStats.objects.get(bot=b.bot, day=DAY)
    assert (closed.closed_at, closed.pnl, closed.trades) == (AFTER, D(-7), 3)


def test_every_legal_row_is_in_the_table_or_like_one_that_is() -> None:
    tried = {(status, duty) for (status, _, duty), _, _ in TABLE}
    legal = {(status, duty) for status, _, duties in lifecycle.rows() for duty in duties}
    assert legal == tried


def test_a_bot_that_never_started_is_not_touched(alice: User) -> None:
    bot = make_bot(alice)
    assert reset.daily_reset(date(2030, 1, 1), spread=0) == 0
    assert bot.state_or_none is None
    assert not DayStats.objects.exists()
    assert not BotConfig.objects.get(pk=bot.pk).is_active


def test_twice_backwards_and_fifty_times_is_once(bench: Maker) -> None:
    b = bench()
    set_day(b, DAY)
    assert reset.roll_over(AFTER - timedelta(seconds=2)) == []
    assert reset.roll_over(AFTER) == [b.bot.pk]
    version = b.state.version
    for seconds in [0, 1, 3600, -5, -86_400, -10 * 86_400]:
        assert reset.roll_over(AFTER + timedelta(seconds=seconds)) == []
    assert b.state.version == version
    assert len([event for event in b.events if event.move == "reset"]) == 1
    assert days(b) == [DAY]


@pytest.mark.parametrize("hours", [1, 7, 23, 24 * 3 + 5, 24 * 40])
def test_a_reset_that_comes_late_is_dated_right(bench: Maker, hours: int) -> None:
    b = bench()
    ends = set_day(b, DAY)
    now = ends + timedelta(hours=hours)
    assert reset.roll_over(now) == [b.bot.pk]
    assert b.state.counter_day == now.date()
    assert now < b.state.day_ends_at <= now + timedelta(days=1)
    assert days(b) == [DAY]


def test_a_clock_a_day_ahead_and_back_resets_once(bench: Maker) -> None:
    b = bench()
    ends = set_day(b, DAY)
    assert reset.roll_over(ends + timedelta(hours=5)) == [b.bot.pk]
    assert reset.roll_over(ends - timedelta(hours=19)) == []
    assert reset.roll_over(ends + timedelta(hours=1)) == []
    assert reset.roll_over(ends + timedelta(hours=24)) == [b.bot.pk]


def test_the_head_of_a_tick_rolls_over_and_goes_on(bench: Maker) -> None:
    b = bench()
    set_day(b, b.state.counter_day - timedelta(days=1))
    b.market.trend = "up"
    b.tick()
    assert b.where == ("running", "entered", "trade")
    assert b.state.counter_day == b.market.at.date()
    assert (b.state.daily_trades_count, b.state.daily_pnl) == (1, 0)
    assert "reset" in [event.move for event in b.events]


def test_a_paused_bot_trades_again_on_the_next_day(bench: Maker) -> None:
    b = bench(max_daily_trades=1)
    b.enter()
    b.market.trend = "down"
    b.tick()
    b.tick()
    assert b.where == ("paused", "max_daily_trades", "none")
    b.market.pass_time(13 * 3600)
    reset.roll_over(b.market.at)
    b.market.trend = "up"
    b.tick()
    assert b.where == ("running", "entered", "trade")
    assert b.state.daily_trades_count == 1


def test_a_paused_bot_of_a_deactivated_owner_stays_off(bench: Maker) -> None:
    b = bench()
    set_day(b, DAY)
    put(b, "paused", "max_daily_loss", "none")
    User.objects.filter(pk=b.owner.pk).update(is_active=False)
    reset.roll_over(AFTER)
    assert b.where == ("stopped", "daily_reset", "none")
    assert not b.is_active


def test_a_position_and_the_lease_stay_over_a_reset(bench: Maker) -> None:
    b = bench(stop_loss_perc=D(5))
    b.enter()
    before = b.state
    reset.roll_over(before.day_ends_at)
    after = b.state
    for name in ("in_position", "entry_price", "current_position_size", "stop_loss_price",
                 "fence", "lease_until", "run_epoch"):  # fmt: skip
        assert getattr(after, name) == getattr(before, name), name


ZONES = [
    ("Africa/Cairo", date(2026, 4, 22)),
    ("America/Sao_Paulo", date(2018, 11, 2)),
    ("Europe/London", date(2026, 10, 23)),
    ("Europe/London", date(2026, 3, 27)),
    ("Europe/Istanbul", date(2026, 11, 20)),
]


@pytest.mark.parametrize(("zone", "first"), ZONES)
def test_one_rollover_per_local_date_whatever_its_length(
    bench: Maker, zone: str, first: date
) -> None:
    b = bench()
    User.objects.filter(pk=b.owner.pk).update(time_zone=zone)
    b.owner.refresh_from_db()
    now = set_day(b, first) - timedelta(hours=1)
    turns = []
    for _ in range(94 * 4):
        now += timedelta(minutes=15)
        if reset.roll_over(now):
            turns.append(b.state.counter_day)
            assert local_day(b.owner.zone, now) == b.state.counter_day
            assert local_day(b.owner.zone, now - timedelta(minutes=15)) < b.state.counter_day
    assert turns == [first + timedelta(days=number) for number in range(1, 5)]


# -- zones that change ----------------------------------------------------------------------------
@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Tokyo"])
def test_a_changed_zone_counts_from_the_next_rollover(bench: Maker, zone: str) -> None:
    b = bench(max_daily_trades=5)
    b.scripted()
    b.enter()
    today = b.state.counter_day
    User.objects.filter(pk=b.owner.pk).update(time_zone=zone)
    for hours in range(0, 60, 3):
        b.market.pass_time(3 * 3600)
        b.market.trend = "up" if hours % 2 else "down"
        b.tick()
    b.owner.refresh_from_db()
    state = b.state
    assert state.counter_day == local_day(b.owner.zone, b.market.at)
    assert state.day_ends_at == day_end(b.owner.zone, state.counter_day)
    assert days(b)[0] == today
    found = [v for v in invariants.check() if v.code in ("I3", "I7") and "rolled" not in v.text]
    assert found == []


def test_after_moving_west_the_running_day_ends_later_and_is_counted_whole(bench: Maker) -> None:
    b = bench()
    b.scripted()
    today = b.state.counter_day
    User.objects.filter(pk=b.owner.pk).update(time_zone="America/New_York")
    b.market.at = b.market.at.replace(hour=2)
    b.enter()
    assert b.order.fills.get().trading_day == today
    assert b.state.daily_trades_count == 1
    ends = b.state.day_ends_at
    assert reset.roll_over(ends) == []
    assert b.state.counter_day == today
    assert b.state.daily_trades_count == 1
    assert b.state.day_ends_at > ends


# -- fills around midnight ------------------------------------------------------------------------
def ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def test_a_fill_before_midnight_reported_after_it_counts_to_yesterday(bench: Maker) -> None:
    b = bench()
    exchange = b.scripted()
    midnight = b.state.day_ends_at
    yesterday = b.state.counter_day
    exchange.times, exchange.visible = (ms(midnight) - 100,), 0
    b.market.at = midnight - timedelta(seconds=61)
    b.enter()
    assert not b.order.fills.exists()
    exchange.visible = None
    b.tick(after=4)
    b.tick(after=0)
    assert b.market.at > midnight
    assert b.order.fills.get().trading_day == yesterday
    assert b.state.counter_day == yesterday + timedelta(days=1)
    assert (b.state.daily_trades_count, b.state.daily_pnl) == (0, 0)
    assert DayStats.objects.get(bot=b.bot, day=yesterday).trades == 1


def test_a_fill_after_midnight_in_a_tick_before_it_counts_to_today(bench: Maker) -> None:
    b = bench()
    exchange = b.scripted()
    midnight = b.state.day_ends_at
    today = midnight.date()
    exchange.times = (ms(midnight) + 500,)
    b.market.at = midnight - timedelta(seconds=61)
    b.enter()
    assert b.order.fills.get().trading_day == today
    assert b.state.daily_trades_count == 0
    b.tick()
    assert b.state.counter_day == today
    assert b.state.daily_trades_count == DayStats.objects.get(bot=b.bot, day=today).trades == 1


# -- the forced reset -----------------------------------------------------------------------------
def test_a_forced_reset_run_twice_is_one(alice: User) -> None:
    benches = [Bench(alice), Bench(alice), Bench(alice)]
    put(benches[1], "paused", "max_daily_loss", "none", last_error_message="x")
    benches[2].stop()
    tomorrow = benches[0].state.counter_day + timedelta(days=1)
    assert reset.daily_reset(tomorrow, spread=0) == 3
    assert reset.daily_reset(tomorrow, spread=0) == 0
    assert [b.is_active for b in benches] == [True, True, False]
    assert {b.where[0] for b in benches} == {"stopped"}
    assert [len(days(b)) for b in benches] == [1, 1, 1]
    assert Heartbeat.objects.filter(name="reset").exists()


def test_after_a_forced_reset_fills_carry_its_day_until_the_calendar_catches_up(
    bench: Maker,
) -> None:
    b = bench()
    exchange = b.scripted()
    today = b.state.counter_day
    b.enter()
    early = b.order
    forced = today + timedelta(days=2)
    reset.roll_over(b.market.at, day=forced)
    assert (b.state.counter_day, b.state.day_forced_at) == (forced, b.market.at)
    b.market.trend = "down"
    b.tick()
    assert b.order.fills.get().trading_day == forced
    assert early.fills.get().trading_day == today
    midnight = day_end(b.owner.zone, today)
    b.market.at = midnight + timedelta(hours=1)
    assert reset.roll_over(b.market.at) == []
    b.enter()
    assert b.order.fills.get().trading_day == forced
    assert b.state.daily_trades_count == 1
    b.market.at = day_end(b.owner.zone, forced) + timedelta(minutes=1)
    b.market.trend = "down"
    b.tick()
    assert b.order.fills.get().trading_day == forced + timedelta(days=1)
    assert b.state.day_forced_at is None
    assert len(exchange.requests) == 4


def test_a_forced_reset_to_a_day_that_is_over_does_nothing(bench: Maker) -> None:
    b = bench()
    version = b.state.version
    assert reset.daily_reset(b.state.counter_day - timedelta(days=3), spread=0) == 0
    assert b.state.version == version


# -- at the same time -----------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_resets_at_the_same_time_roll_each_bot_over_once(alice: User) -> None:
    benches = [Bench(alice) for _ in range(6)]
    for b in benches:
        set_day(b, timezone.now().date() - timedelta(days=1))
        put(b, "paused", "daily_target", "none")
    now = timezone.now()
    counts: list[int] = []
    job: Callable[[], object] = lambda: counts.append(len(reset.roll_over(now)))  # noqa: E731
    assert at_once(*[job] * 8) == []
    assert sum(counts) == 6
    for b in benches:
        assert b.where == ("stopped", "daily_reset", "trade")
        assert len(days(b)) == 1
        assert StateEvent.objects.filter(bot=b.bot, move="reset").count() == 1
    assert len(schedule.scheduled()) == 6


@pytest.mark.django_db(transaction=True)
def test_starts_and_stops_during_a_reset_do_no_harm(alice: User) -> None:
    benches = [Bench(alice) for _ in range(4)]
    for b in benches:
        set_day(b, timezone.now().date() - timedelta(days=1))
        put(b, "paused", "daily_target", "none")
    now = timezone.now()

    def click(b: Bench) -> Callable[[], object]:
        return lambda: (b.start(), b.stop(), b.start())

    jobs = [lambda: reset.roll_over(now) for _ in range(4)]
    assert at_once(*[click(b) for b in benches], *jobs) == []
    for b in benches:
        assert b.where[2] == Duty.TRADE
        assert b.is_active
        assert b.state.counter_day == now.date()
    assert [v for v in invariants.check() if v.code in ("I5", "I15")] == []


def test_the_reasons_of_a_pause_are_the_daily_limits(bench: Maker) -> None:
    b = bench()
    put(b, Status.PAUSED, Reason.MAX_DAILY_LOSS, Duty.NONE)
    control.start(b.bot, by=b.owner, via="page")
    assert b.where == ("pending", "start", "trade")
