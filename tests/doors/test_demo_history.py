"""The demo's past: made by the engine alone, once, whole or not at all, and for the demo alone."""

from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from bots import control, demo, invariants, recompute, tick
from bots.demo import cast, history
from bots.demo.past import PastFeed, Stretch
from bots.management.commands import demo as command
from bots.models import (
    BotConfig,
    BotState,
    DayStats,
    Decision,
    Fill,
    Order,
    PaperBalance,
    StateEvent,
    User,
)
from tests.pages.builders import bot_of
from trading.exchanges.simulated import SimulatedFeed

pytestmark = pytest.mark.slow(seconds=5)
DAYS = 2
COUNTED = (BotConfig, BotState, DayStats, Decision, Fill, Order, PaperBalance, StateEvent)


@pytest.fixture(autouse=True)
def _surroundings(db: None, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.DATA_DIR = tmp_path
    monkeypatch.setattr(command, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(history, "LONGEST_SECONDS", 600.0)


def run(*arguments: str) -> list[str]:
    out = StringIO()
    call_command("demo", *arguments, stdout=out)
    return out.getvalue().splitlines()


def everything() -> list[list[dict[str, Any]]]:
    return [list(model._default_manager.order_by("pk").values()) for model in COUNTED]


def test_the_engine_made_it_once_for_the_demo_alone_and_nothing_has_to_be_put_right(
    alice: User,
) -> None:
    namesake = bot_of(alice, "Tide rider", symbol="TIDE/USDT")
    begun = timezone.now()
    lines = run("--history", str(DAYS))
    assert [f"history of {name}: {DAYS} days" for name in demo.WITH_A_PAST] == lines[:5]
    assert invariants.check() == []
    before = everything()
    for bot in BotConfig.objects.exclude(state=None):
        assert recompute.recompute(bot.pk, by=None, via="command") == []
    assert everything() == before
    bots = BotConfig.objects.filter(owner__username=demo.NAME)
    for bot in bots.filter(name__in=demo.WITH_A_PAST).select_related("state"):
        # Each tick left its decision, and nothing else did.
        assert sum(row.count for row in Decision.objects.filter(bot=bot)) == bot.state.fence
        days = DayStats.objects.filter(bot=bot, day__lt=timezone.now().date())
        assert days.count() == DAYS
        assert not days.filter(closed_at=None).exists()
        times = list(StateEvent.objects.filter(bot=bot).order_by("pk").values_list("at", flat=True))
        assert times == sorted(times)
        assert abs(times[0] - (begun - timedelta(days=DAYS))) < timedelta(minutes=5)
    past = Fill.objects.filter(at__lt=begun)
    assert past.exists()
    # It was booked in its own time: no alert takes it for news.
    assert max(abs(fill.booked_at - fill.at) for fill in past) < timedelta(minutes=5)
    # What is told in the order of time tells the past before the present.
    past = Order.objects.filter(fills__at__lt=begun)
    assert not past.filter(updated_at__gt=begun).exists()
    resting = BotState.objects.get(bot__name="At rest")
    assert (resting.text, resting.in_position) == ("stopped (by owner)", False)
    assert BotState.objects.get(bot__name="One trade a day").status == "paused"
    assert BotState.objects.get(bot__name="ETH holder").in_position
    # The past goes over into the present: the next tick is the worker's, at the same prices.
    rider = bots.get(name="Tide rider")
    assert tick.run(rider.pk) is not None
    assert invariants.check() == []
    _a_second_run_changes_nothing()
    _nobody_else_gets_a_past(namesake)


def _a_second_run_changes_nothing() -> None:
    before = everything()
    lines = run("--history", str(DAYS))
    assert lines[0].startswith("bot ")
    assert everything() == before
    assert not demo.is_unfinished()


def _nobody_else_gets_a_past(bot: BotConfig) -> None:
    given = cast.make_history(bot.owner, end=timezone.now(), days=1, pause=lambda: None)
    assert list(given) == []
    assert BotState.objects.filter(bot=bot).count() == 0
    assert demo.awaiting(bot.owner, [bot]) == []


@pytest.mark.replay
def test_two_weeks_show_one_that_wins_and_one_that_loses() -> None:
    end = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)
    user, _ = cast.make_user()
    bots = {bot.name: bot for bot in cast.make_bots(user, leave_past=True)}
    for name in ("Tide rider", "BTC scalper"):
        assert history.write(bots[name], end=end, days=14, seconds=600)
    rider, scalper = (
        BotState.objects.get(bot__name=name) for name in ("Tide rider", "BTC scalper")
    )
    assert rider.profit > 30
    assert scalper.profit < -20
    days = DayStats.objects.filter(bot=rider.pk)
    assert min(day.pnl for day in days) < 0 < max(day.pnl for day in days)
    paused = StateEvent.objects.filter(bot=scalper.pk, move="pause")
    assert {event.new_reason for event in paused} == {"max_daily_loss"}


def test_what_was_killed_in_the_middle_starts_over_and_never_doubles(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second, *_rest = demo.WITH_A_PAST
    user, _ = cast.make_user()
    bots = {bot.name: bot for bot in cast.make_bots(user, leave_past=True)}
    real, ticks = tick.run, 0

    def killed(bot_id: int, *arguments: Any, **words: Any) -> Any:
        nonlocal ticks
        ticks += bot_id == bots[second].pk
        if ticks == 10:
            raise KeyboardInterrupt
        return real(bot_id, *arguments, **words)

    monkeypatch.setattr(tick, "run", killed)
    with pytest.raises(KeyboardInterrupt):
        run("--history", "1")
    # One bot is there, of the other there is no trace, and both facts keep the promises.
    assert BotState.objects.filter(bot=bots[first]).exists()
    for model in (BotState, Decision, DayStats, Order, StateEvent):
        assert not model._default_manager.filter(bot=bots[second]).exists()
    assert invariants.check() == []
    assert demo.is_unfinished()
    whole = list(Decision.objects.filter(bot=bots[first]).values())
    monkeypatch.setattr(tick, "run", real)
    lines = run("--history", "1")
    assert [line for line in lines if line.startswith("history")] == [
        f"history of {name}: 1 days" for name in demo.WITH_A_PAST[1:]
    ]
    assert list(Decision.objects.filter(bot=bots[first]).values()) == whole
    assert invariants.check() == []
    assert not demo.is_unfinished()


def test_a_machine_that_is_too_slow_gets_the_bots_without_a_past(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(history, "LONGEST_SECONDS", 0.0)
    assert run("--history", "4")[1] == "history of Tide rider: 0 days"
    assert BotState.objects.get(bot__name="Tide rider").text == "pending (start)"
    assert not StateEvent.objects.filter(at__lt=timezone.now() - timedelta(hours=1)).exists()
    assert invariants.check() == []


def test_a_bot_that_was_started_or_deleted_meanwhile_is_left_alone() -> None:
    user, _ = cast.make_user()
    bots = {bot.name: bot for bot in cast.make_bots(user, leave_past=True)}
    started, deleted, *_rest = demo.WITH_A_PAST
    control.start(bots[started], by=user, via="page")
    control.delete(bots[deleted], by=user, via="page")
    assert not history.write(bots[started], end=timezone.now(), days=1, seconds=60)
    given = cast.make_history(user, end=timezone.now(), days=1, pause=lambda: None)
    assert {name for name, _days in given} == set(demo.WITH_A_PAST[2:])
    assert StateEvent.objects.filter(bot=bots[started]).count() == 1


def test_prepared_bots_wait_and_the_others_are_started() -> None:
    run("--prepare")
    waiting = BotConfig.objects.filter(state=None).values_list("name", flat=True)
    assert set(waiting) == {*demo.WITH_A_PAST, "Never started"}
    assert demo.is_unfinished()
    assert BotState.objects.get(bot__name="Wave rider").text == "pending (start)"


def test_days_out_of_range_are_refused() -> None:
    with pytest.raises(CommandError, match="between 1 and 60"):
        run("--history", "61")
    assert not User.objects.filter(username=demo.NAME).exists()


def test_the_kept_candles_are_those_of_the_market() -> None:
    hour, end = 3_600_000, 1_763_600_000_000
    at = end - 40 * hour
    now = [at]
    stretch = Stretch(symbol="TIDE/USDT", timeframe="1h", before=20, start=at, end=end)
    past, market = PastFeed(7, lambda: now[0], stretch), SimulatedFeed(7, lambda: now[0])
    for moment in range(at, end + 3 * hour, 25 * 60_000):
        now[0] = moment
        assert past.candles("TIDE/USDT", "1h", 20) == market.candles("TIDE/USDT", "1h", 20)
        assert past.quote("TIDE/USDT") == market.quote("TIDE/USDT")
    assert past.candles("BTC/USDT", "1h", 5) == market.candles("BTC/USDT", "1h", 5)
    assert past.candles("TIDE/USDT", "1h", 200) == market.candles("TIDE/USDT", "1h", 200)
