"""R1 to R5: trading days over gaps, at once, around midnight, of odd lengths, by wrong clocks."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.core.management import call_command

from bots import control, invariants, reset, tick
from bots.lease import Outcome
from bots.models import BotConfig, BotState, DayStats, Fill, Order, StateEvent, User
from bots.world import World
from tests.doors.client import Caller
from tests.engine.bench import Bench
from tests.engine.test_control import at_once
from tests.engine.test_reset import days, set_day
from tests.faults import stage
from tests.testexchange import ExchangeControl
from tests.whole.api import state_of
from tests.whole.conftest import MakeBot
from trading.day import local_day
from trading.exchanges.ccxt_exchange import shared_feed
from trading.market_data import MarketData

pytestmark = pytest.mark.long(seconds=1)

Tick = Callable[[int], Outcome | None]


def resets_of(bot: BotConfig) -> int:
    return StateEvent.objects.filter(bot=bot, move="reset").count()


def test_R1_beat_down_over_midnight_the_day_ends_at_recovery_and_is_dated_right(
    alice: User,
) -> None:
    b = Bench(alice, max_daily_trades=1)
    b.enter()
    b.market.trend = "down"
    b.tick()
    b.tick()
    assert b.where == ("paused", "max_daily_trades", "none")
    day = b.state.counter_day
    evening = datetime(day.year, day.month, day.day, 22, tzinfo=UTC)
    assert reset.roll_over(evening) == []  # midnight's row must not count at 22:00
    assert b.where[0] == "paused"
    recovery = evening + timedelta(hours=8)
    assert reset.roll_over(recovery) == [b.bot.pk]
    assert b.state.counter_day == day + timedelta(days=1) == recovery.date()
    assert b.state.day_ends_at == datetime.combine(
        day + timedelta(days=2), datetime.min.time(), UTC
    )
    assert days(b) == [day]
    b.market.at = recovery
    b.market.trend = "up"
    b.tick()
    assert b.where == ("running", "entered", "trade")
    assert b.order.fills.get().trading_day == recovery.date()
    assert resets_of(b.bot) == 1
    assert invariants.check(recovery) == []


@pytest.mark.django_db(transaction=True)
def test_R2_reset_fifty_times_at_once_it_happens_once(alice: User) -> None:
    """Twenty-five times as beat's task does it, twenty-five times by the command."""
    benches = [Bench(alice) for _ in range(5)]
    for b in benches:
        set_day(b, b.state.counter_day - timedelta(days=1))
    jobs: list[Callable[[], object]] = [lambda: reset.daily_reset(spread=0)] * 25
    jobs += [lambda: call_command("daily_reset", verbosity=0)] * 25
    assert at_once(*jobs) == []
    for b in benches:
        assert resets_of(b.bot) == 1
        assert len(days(b)) == 1
        assert (b.state.daily_trades_count, b.state.daily_pnl) == (0, 0)
        assert b.where == ("stopped", "daily_reset", "trade")


def ticking_at(at: Callable[[], datetime]) -> Tick:
    """Return a tick whose world has another clock."""

    def run(bot_id: int) -> Outcome | None:
        shared_feed.cache_clear()
        data = MarketData(price_ttl_s=0, failure_ttl_s=0)
        return tick.run(bot_id, World(clock=at, data=data))

    return run


def test_R3_a_fill_before_midnight_that_is_reported_after_it_counts_to_yesterday(
    exchange: ExchangeControl, live_bot: MakeBot, tick_now: Tick
) -> None:
    bot = live_bot(symbol="ETH/USDT")
    state = BotState.objects.get(pk=bot.pk)
    yesterday, midnight = state.counter_day, state.day_ends_at
    now = midnight - timedelta(milliseconds=100)
    run = ticking_at(lambda: now)
    try:
        exchange.set_time(round(now.timestamp() * 1000), auth="exchange")
        stage.ask(bot, "enter")
        exchange.add_fault("html", path="api/v3/order", method="POST", when="after")
        run(bot.pk)
        assert Order.objects.get().status == "unknown"
        now = midnight + timedelta(seconds=3)
        exchange.set_time(round(now.timestamp() * 1000), auth="exchange")
        run(bot.pk)
        run(bot.pk)
    finally:
        exchange.real_time()
    fill = Fill.objects.get()
    assert midnight - timedelta(milliseconds=200) < fill.at < midnight
    assert fill.trading_day == yesterday
    state = BotState.objects.get(pk=bot.pk)
    assert state.in_position
    assert state.counter_day == yesterday + timedelta(days=1)
    assert (state.daily_trades_count, state.daily_pnl) == (0, 0)
    closed = DayStats.objects.get(bot=bot, day=yesterday)
    assert (closed.trades, closed.closed_at is not None) == (1, True)
    control.stop(bot, by=None, via="command")
    stage.assert_books_agree(exchange)


#: Days of 23 and 25 hours, and days whose midnight does not exist.
ZONES = [
    ("Africa/Cairo", date(2026, 4, 24)),
    ("America/Sao_Paulo", date(2018, 11, 4)),
    ("Europe/London", date(2026, 10, 25)),
    ("Europe/London", date(2026, 3, 29)),
]


@pytest.mark.parametrize(("zone", "odd"), ZONES)
def test_R4_each_local_date_is_rolled_over_once_and_holds_its_own_fills(
    alice: User, zone: str, odd: date
) -> None:
    User.objects.filter(pk=alice.pk).update(time_zone=zone)
    alice.refresh_from_db()
    b = Bench(alice, max_daily_trades=1000)
    b.scripted()
    end = set_day(b, odd - timedelta(days=2))
    DayStats.objects.all().delete()  # what set_day made up has no fills
    BotState.objects.update(daily_pnl=0, daily_trades_count=0)
    b.market.at = end - timedelta(minutes=50)
    for turn in range(4 * 26):
        b.market.trend = "down" if turn % 2 else "up"
        b.tick(after=3600 if turn % 3 else 1800)
    b.owner.refresh_from_db()
    for fill in Fill.objects.all():
        assert fill.trading_day == local_day(b.owner.zone, fill.at)
    told = [event for event in b.events if event.move == "reset"]
    dates = [odd - timedelta(days=2) + timedelta(days=number) for number in range(len(told) + 1)]
    assert odd in dates
    assert days(b) == dates
    assert b.state.counter_day == dates[-1] == local_day(b.owner.zone, b.market.at)
    assert invariants.check(b.market.at) == []


def test_R5_a_clock_a_day_ahead_and_back_resets_once(alice: User) -> None:
    b = Bench(alice)
    noon = b.market.at
    b.tick()
    b.market.at = noon + timedelta(days=1)
    b.tick()
    assert resets_of(b.bot) == 1
    day = b.state.counter_day
    b.market.at = noon
    for hours in range(0, 30, 3):
        b.market.at = noon + timedelta(hours=hours)
        b.tick()
        assert reset.roll_over(b.market.at) == []
    assert (resets_of(b.bot), b.state.counter_day) == (1, day)
    b.market.at = noon + timedelta(days=2)
    b.tick()
    assert resets_of(b.bot) == 2
    assert invariants.check(b.market.at) == []


@pytest.mark.parametrize("skew_s", [90, -90])
def test_R5_after_90_seconds_of_skew_the_clock_is_read_again_once(
    skew_s: int, exchange: ExchangeControl, live_bot: MakeBot, tick_now: Tick, as_alice: Caller
) -> None:
    bot = live_bot()
    tick_now(bot.pk)  # the feed of this tick stays: it believes the clock that it read
    exchange.set_skew(skew_s * 1000)
    try:
        since = max(row["seq"] for row in exchange.requests())
        stage.ask(bot, "enter")
        tick.run(bot.pk, World(data=MarketData(price_ttl_s=0, failure_ttl_s=0)))
        asked = [row for row in exchange.requests(since) if row["path"] == "api/v3/time"]
        assert len(asked) == 1
        state = state_of(as_alice, bot.pk)
        assert (state["in_position"], state["status"]) == (True, "running")
        assert len(Order.objects.all()) == 1
        control.stop(bot, by=None, via="command")
        stage.assert_books_agree(exchange)
    finally:
        exchange.set_skew(0)


def test_R5_clocks_that_stay_apart_are_told(
    exchange: ExchangeControl, live_bot: MakeBot, tick_now: Tick, as_alice: Caller
) -> None:
    bot = live_bot(position_size_fixed=Decimal(100))
    tick_now(bot.pk)
    exchange.add_fault("error", path="api/v3/account", times=None, code=-1021, status=400)
    stage.ask(bot, "enter")
    tick_now(bot.pk)
    state = state_of(as_alice, bot.pk)
    assert (state["reason"], state["duty"]) == ("clock", "trade")
    assert not Order.objects.exists()
    exchange.clear_faults()
    tick_now(bot.pk)
    assert state_of(as_alice, bot.pk)["status"] == "running"
