"""The rows that beat goes by: one PeriodicTask per bot with duty, and the platform's own four."""

import json
from collections.abc import Collection, Iterable
from contextlib import suppress
from datetime import datetime

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, OperationalError, transaction
from django.db.models import Max, QuerySet
from django_celery_beat.models import (
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    PeriodicTasks,
)

RUN_BOT = "bots.tasks.run_bot"
MIDNIGHT = "midnight reset"
SWEEP = "sweep"
CANARY = "canary"
ALERTS = "alerts"


def row_name(bot_id: int) -> str:
    """Return the name of a bot's PeriodicTask: unique, so two starts cannot make two."""
    return f"bot {bot_id}"


def bot_of(name: str) -> int:
    """Return the bot of a row with this name; 0 (there is none) for a name made by hand."""
    number = name.removeprefix("bot ")
    return int(number) if number.isdecimal() else 0


def sync(bot_id: int, interval: int | None) -> None:
    """Make the bot's row tick every `interval` seconds, or remove it (None: no duty).

    Call it inside the transaction that writes the bot's state.
    """
    if interval is None:
        # Deleted, not disabled: beat writes whole rows back and could switch one on again.
        _remove(PeriodicTask.objects.filter(name=row_name(bot_id)))
        return
    row = _bot_rows().filter(name=row_name(bot_id)).first()
    if row is None or not _fits(row, interval):
        PeriodicTask.objects.update_or_create(
            name=row_name(bot_id), defaults=_fields(bot_id, _every(interval), interval)
        )


def sync_many(intervals: dict[int, int]) -> None:
    """Make rows for many bots at once (bot id -> seconds); beat is told a single time."""
    present = set(
        PeriodicTask.objects.filter(name__startswith="bot ").values_list("name", flat=True)
    )
    every = {seconds: _every(seconds) for seconds in set(intervals.values())}
    missing = [
        PeriodicTask(name=row_name(bot_id), **_fields(bot_id, every[seconds], seconds))
        for bot_id, seconds in intervals.items()
        if row_name(bot_id) not in present
    ]
    if missing:
        PeriodicTask.objects.bulk_create(missing, batch_size=500, ignore_conflicts=True)
        PeriodicTasks.update_changed()


def drift(intervals: dict[int, int]) -> set[str]:
    """Return the names of rows that are missing, wrong, or of bots not in `intervals`."""
    rows = {row.name: row for row in _bot_rows()}
    wanted = {row_name(bot_id): seconds for bot_id, seconds in intervals.items()}
    wrong = {name for name in wanted.keys() & rows.keys() if not _fits(rows[name], wanted[name])}
    return wrong | (wanted.keys() ^ rows.keys())


def repair(intervals: dict[int, int], among: Collection[str] | None = None) -> tuple[int, int, int]:
    """Bring all rows, or those with a name in `among`, in line with `intervals`.

    `intervals`: bots with duty -> seconds. Returns how many rows were added, changed and removed.
    """
    rows = _bot_rows() if among is None else _bot_rows().filter(name__in=among)
    found = {row.name: row for row in rows}
    wanted = {row_name(bot_id): bot_id for bot_id in intervals}
    extra = [row for name, row in found.items() if name not in wanted]
    _remove(extra)
    known = [bot_id for name, bot_id in wanted.items() if name in found]
    wrong = [pk for pk in known if not _fits(found[row_name(pk)], intervals[pk])]
    for bot_id in wrong:
        sync(bot_id, intervals[bot_id])
    missing = {bot_id: intervals[bot_id] for name, bot_id in wanted.items() if name not in found}
    sync_many(missing)
    ensure_platform_rows()
    return len(missing), len(wrong), len(extra)


def _remove(rows: Iterable[PeriodicTask]) -> None:
    """Delete these rows and tell beat once: each would tell it by three statements of its own."""
    removed = False
    for row in rows:
        row.no_changes = True
        row.delete()
        removed = True
    if removed:
        PeriodicTasks.update_changed()


def _bot_rows() -> QuerySet[PeriodicTask]:
    rows: QuerySet[PeriodicTask] = PeriodicTask.objects.filter(task=RUN_BOT)
    return rows.select_related("interval")


def _fits(row: PeriodicTask, seconds: int) -> bool:
    """Whether a bot's row ticks it every `seconds`."""
    every = row.interval
    return (
        row.enabled
        and row.expire_seconds == seconds
        and every is not None
        and (every.every, every.period) == (seconds, IntervalSchedule.SECONDS)
    )


def scheduled() -> dict[int, int]:
    """Return what beat is told: bot id -> seconds, of the rows that are switched on."""
    rows = _bot_rows().filter(enabled=True)
    return {json.loads(row.args)[0]: row.interval.every for row in rows}


def beat_seen() -> datetime | None:
    """Return when beat last sent one of the platform's rows; it writes that once a minute."""
    rows = PeriodicTask.objects.filter(name__in=[SWEEP, CANARY])
    newest: datetime | None = rows.aggregate(newest=Max("last_run_at"))["newest"]
    return newest


def ensure_platform_rows() -> None:
    """Make sure that midnight reset, sweep, the worker's canary and alerts are scheduled."""
    # Those who make them at once may lock beat's own row in a circle; the next sweep looks again.
    with suppress(OperationalError), transaction.atomic():
        _make_platform_rows()


def _make_platform_rows() -> None:
    midnight = _midnight()
    _platform_row(MIDNIGHT, "bots.tasks.daily_reset", crontab=midnight, expire_seconds=3600)
    sweep = settings.SWEEP_SECONDS
    _platform_row(SWEEP, "bots.tasks.sweep", interval=_every(sweep), expire_seconds=sweep)
    canary = max(settings.CANARY_SECONDS // 3, 1)
    _platform_row(CANARY, "bots.tasks.canary", interval=_every(canary), expire_seconds=canary)
    alerts = settings.ALERTS_SECONDS
    _platform_row(ALERTS, "bots.tasks.send_alerts", interval=_every(alerts), expire_seconds=alerts)


def _midnight() -> CrontabSchedule:
    when = {
        "minute": "0",
        "hour": "0",
        "day_of_week": "*",
        "day_of_month": "*",
        "month_of_year": "*",
        "timezone": settings.TRADING_DAY_TIME_ZONE,
    }
    # As with intervals: two equal ones (made at once, or by hand) must not end in an error.
    row = CrontabSchedule.objects.filter(**when).order_by("pk").first()
    return row or CrontabSchedule.objects.create(**when)


def _platform_row(name: str, task: str, **fields: object) -> None:
    row = PeriodicTask.objects.filter(name=name, task=task, enabled=True, **fields).first()
    if row is None:
        defaults = {
            "task": task,
            "enabled": True,
            "interval": None,
            "crontab": None,
            **fields,
        }
        # Worker, sweep and set-up may all find it missing at once: one of them makes it.
        with suppress(IntegrityError, ValidationError), transaction.atomic():
            PeriodicTask.objects.update_or_create(name=name, defaults=defaults)


def _every(seconds: int) -> IntervalSchedule:
    # get_or_create would fail where an operator made a second equal row by hand.
    # The oldest of those, always: another choice would look like a change of the bot's interval.
    rows = IntervalSchedule.objects.filter(every=seconds, period=IntervalSchedule.SECONDS)
    row = rows.order_by("pk").first()
    return row or IntervalSchedule.objects.create(every=seconds, period=IntervalSchedule.SECONDS)


def _fields(bot_id: int, every: IntervalSchedule, seconds: int) -> dict[str, object]:
    return {
        "task": RUN_BOT,
        "args": json.dumps([bot_id]),
        "interval": every,
        "expire_seconds": seconds,
        "enabled": True,
    }
