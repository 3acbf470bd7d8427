"""The trading day: counters roll over once per bot and local date; limit pauses end.

Run as often as you like, by a tick, the sweep, beat at midnight or a command: the row's
`counter_day` decides, so a late, double or backward run does nothing. Bots that their owner
stopped, that never started, or that a fatal error switched off stay off.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from bots import schedule
from bots.lifecycle import Duty, Move, Reason, Status
from bots.models import BotConfig, BotState, DayStats, Heartbeat, Outpaced, StateEvent
from trading.day import day_end, local_day

CHUNK = 500
#: What a rollover reads: whole rows, with all their money, would take twice as long.
COLUMNS = [
    "status",
    "reason",
    "duty",
    "counter_day",
    "run_epoch",
    "last_error_message",
    "bot__check_interval_seconds",
    "bot__deleted_at",
    "bot__owner__is_active",
    "bot__owner__time_zone",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What one rollover does to one kind of bot; equal turns are written in one statement."""

    old_day: date
    new_day: date
    ends_at: datetime
    forced_at: datetime | None
    status: str
    reason: str
    duty: str
    resumes: bool


Turned: TypeAlias = Sequence[tuple[BotState, Turn]]


def is_due(state: BotState, now: datetime) -> bool:
    """Whether the bot's trading day has ended at `now`."""
    return state.day_ends_at <= now


def trading_day_of(state: BotState, zone: ZoneInfo, at: datetime) -> date:
    """Return the trading day that a fill at `at` (the exchange's time) counts to.

    The local date, but: a forced reset takes what comes after it along, and a changed zone counts
    from the next rollover on, so until then the running day keeps its 24 hours.
    """
    day = local_day(zone, at)
    if at >= state.day_ends_at:
        return max(day, state.counter_day)
    if state.day_forced_at is not None:
        return state.counter_day if at >= state.day_forced_at else day
    if state.day_ends_at == day_end(zone, state.counter_day):
        return day
    if at >= state.day_ends_at - timedelta(days=1):
        return state.counter_day
    return min(day, state.counter_day - timedelta(days=1))


def daily_reset(day: date | None = None, *, spread: float | None = None) -> int:
    """Roll over every bot whose day has ended; `day` beyond the local date forces it to that day.

    Nudges the bots that go on, over `spread` seconds (default RESET_SPREAD_SECONDS). Returns how
    many bots were rolled over.
    """
    rolled = roll_over(timezone.now(), day=day)
    Heartbeat.beat("reset", f"{len(rolled)} bots")
    go_on(rolled, settings.RESET_SPREAD_SECONDS if spread is None else spread)
    return len(rolled)


def go_on(rolled: Sequence[int], spread: float) -> None:
    """Nudge those of the rolled bots that have work left, over `spread` seconds."""
    for start in range(0, len(rolled), CHUNK):
        chunk = rolled[start : start + CHUNK]
        at_work = BotState.objects.filter(pk__in=chunk, duty__in=[Duty.TRADE, Duty.EXIT])
        share = spread * len(chunk) / len(rolled)
        schedule.nudge_spread(list(at_work.values_list("pk", flat=True)), share)


def roll_over(
    now: datetime, *, day: date | None = None, bot_ids: Iterable[int] | None = None
) -> list[int]:
    """Roll over the bots whose day has ended at `now`. Returns their ids.

    `day`: also roll every bot whose counter_day is before it, though its date has not come yet.
    `bot_ids`: these bots only.
    """
    due = Q(day_ends_at__lte=now)
    if day is not None:
        due |= Q(counter_day__lt=day)
    rows = BotState.objects.filter(due)
    if bot_ids is not None:
        rows = rows.filter(pk__in=list(bot_ids))
    ids = list(rows.order_by("pk").values_list("pk", flat=True))
    rolled: list[int] = []
    for start in range(0, len(ids), CHUNK):
        with transaction.atomic():
            rolled += _roll_chunk(ids[start : start + CHUNK], due, now, day)
    return rolled


def _roll_chunk(ids: Sequence[int], due: Q, now: datetime, day: date | None) -> list[int]:
    """Roll one chunk in one transaction; the rows are locked (SQLite: the transaction is alone)."""
    rows = (
        BotState.objects.select_for_update(of=("self",))
        .select_related("bot__owner")
        .only(*COLUMNS)
        .filter(due, pk__in=ids)
        .order_by("pk")
    )
    groups: dict[Turn, list[BotState]] = {}
    for row in rows:
        groups.setdefault(_turn(row, now, day), []).append(row)
    turned: list[tuple[BotState, Turn]] = []
    for turn, states in groups.items():
        if turn.new_day == turn.old_day:
            # The owner moved west: the same day simply ends later.
            pks = [state.pk for state in states]
            BotState.objects.filter(pk__in=pks).update(day_ends_at=turn.ends_at)
            continue
        _write(turn, states)
        turned += [(state, turn) for state in states]
    _close_days(turned, now)
    _count_what_came_early(turned)
    _record(turned, now)
    _resume([state for state, turn in turned if turn.resumes])
    return [state.pk for state, _ in turned]


def _turn(state: BotState, now: datetime, forced: date | None) -> Turn:
    bot, zone = state.bot, state.bot.owner.zone
    local = local_day(zone, now)
    new_day = max(local, state.counter_day)
    if forced is not None:
        new_day = max(new_day, forced)
    resumes = state.status == Status.PAUSED and bot.owner.is_active and bot.deleted_at is None
    status, reason = Status.STOPPED, Reason.DAILY_RESET
    if state.status == Status.STOPPED:
        reason = Reason(state.reason)  # where its owner stopped it, that stays the reason
    return Turn(
        old_day=state.counter_day,
        new_day=new_day,
        ends_at=day_end(zone, new_day),
        forced_at=now if new_day > local else None,
        status=status,
        reason=reason,
        duty=Duty.TRADE if resumes else state.duty,
        resumes=resumes,
    )


def _write(turn: Turn, states: Sequence[BotState]) -> None:
    pks = [state.pk for state in states]
    changes: dict[str, Any] = {
        "counter_day": turn.new_day,
        "day_ends_at": turn.ends_at,
        "day_forced_at": turn.forced_at,
        "daily_pnl": 0,
        "daily_trades_count": 0,
        "closed_at_loss": False,
        "last_error_message": "",
        "status": turn.status,
        "reason": turn.reason,
        "duty": turn.duty,
    }
    if turn.resumes:
        # A tick that is just ending the pause's duty must not take the new one away.
        changes |= {"run_epoch": F("run_epoch") + 1, "failures": 0, "last_ok_at": None}
    # The old day is in the filter: the row count says that nobody rolled these bots meanwhile.
    if BotState.objects.filter(pk__in=pks, counter_day=turn.old_day).update(**changes) != len(pks):
        raise Outpaced("a bot was rolled over by another at the same time")


def _close_days(turned: Turned, now: datetime) -> None:
    rows = [DayStats(bot_id=state.pk, day=turn.old_day, closed_at=now) for state, turn in turned]
    DayStats.objects.bulk_create(rows, ignore_conflicts=True)
    for day, pks in _by_day(turned, lambda turn: turn.old_day).items():
        DayStats.objects.filter(bot_id__in=pks, day=day, closed_at=None).update(closed_at=now)


def _count_what_came_early(turned: Turned) -> None:
    """A tick over midnight may have booked a fill of the new day before the day was rolled over."""
    for day, pks in _by_day(turned, lambda turn: turn.new_day).items():
        for stats in DayStats.objects.filter(bot_id__in=pks, day=day):
            BotState.objects.filter(pk=stats.bot_id).update(
                daily_pnl=stats.pnl, daily_trades_count=stats.trades
            )


def _by_day(turned: Turned, day_of: Callable[[Turn], date]) -> dict[date, list[int]]:
    days: dict[date, list[int]] = {}
    for state, turn in turned:
        days.setdefault(day_of(turn), []).append(state.pk)
    return days


def _record(turned: Turned, now: datetime) -> None:
    """History of every bot whose status, reason or error changed; the error's text lives on."""
    StateEvent.objects.bulk_create(
        StateEvent(
            bot_id=state.pk,
            at=now,
            move=Move.RESET,
            old_status=state.status,
            old_reason=state.reason,
            new_status=turn.status,
            new_reason=turn.reason,
            via="reset",
            why=state.last_error_message,
            run_epoch=state.run_epoch + int(turn.resumes),
        )
        for state, turn in turned
        if (state.status, state.reason) != (turn.status, turn.reason) or state.last_error_message
    )


def _resume(states: Sequence[BotState]) -> None:
    """Switch bots on again that a daily limit had paused."""
    if states:
        pks = [state.pk for state in states]
        BotConfig.objects.filter(pk__in=pks).update(is_active=True)
        schedule.sync_many({state.pk: state.bot.check_interval_seconds for state in states})
