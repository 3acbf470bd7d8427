"""The bridge to django-celery-beat and the broker: rows and messages are hints, duty is truth.

The only file that imports django_celery_beat. `sync` keeps one PeriodicTask per bot with duty,
inside the transaction that changes the bot; `nudge` queues ticks by name once that commits.
"""

import json
import logging
import time
from collections.abc import Iterable, Sequence

from celery import current_app
from django.conf import settings
from django.db import transaction
from django_celery_beat.models import (
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    PeriodicTasks,
)
from kombu.exceptions import OperationalError

log = logging.getLogger(__name__)

RUN_BOT = "bots.tasks.run_bot"
MIDNIGHT = "midnight reset"
SWEEP = "sweep"
CANARY = "canary"


def row_name(bot_id: int) -> str:
    """Return the name of a bot's PeriodicTask: unique, so two starts cannot make two."""
    return f"bot {bot_id}"


def sync(bot_id: int, interval: int | None) -> None:
    """Make the bot's row tick every `interval` seconds, or remove it (None: no duty).

    Call it inside the transaction that writes the bot's state.
    """
    if interval is None:
        # Deleted, not disabled: beat writes whole rows back and could switch one on again.
        for row in PeriodicTask.objects.filter(name=row_name(bot_id)):
            row.delete()
        return
    every = _every(interval)
    row = PeriodicTask.objects.filter(name=row_name(bot_id)).first()
    if row and row.enabled and row.interval_id == every.pk and row.expire_seconds == interval:
        return
    PeriodicTask.objects.update_or_create(
        name=row_name(bot_id), defaults=_fields(bot_id, every, interval)
    )


def sync_many(intervals: dict[int, int]) -> None:
    """Make rows for many bots at once (bot id -> seconds); beat is told a single time."""
    names = {row_name(bot_id) for bot_id in intervals}
    present = set(
        PeriodicTask.objects.filter(name__startswith="bot ").values_list("name", flat=True)
    )
    every = {seconds: _every(seconds) for seconds in set(intervals.values())}
    missing = [
        PeriodicTask(name=row_name(bot_id), **_fields(bot_id, every[seconds], seconds))
        for bot_id, seconds in intervals.items()
        if row_name(bot_id) in names - present
    ]
    if missing:
        PeriodicTask.objects.bulk_create(missing, batch_size=500, ignore_conflicts=True)
        PeriodicTasks.update_changed()


def repair(intervals: dict[int, int]) -> tuple[int, int, int]:
    """Bring all rows in line with `intervals` (bots with duty -> seconds).

    Returns how many rows were added, changed and removed.
    """
    rows = {row.name: row for row in PeriodicTask.objects.filter(task=RUN_BOT)}
    wanted = {row_name(bot_id): bot_id for bot_id in intervals}
    extra = [row for name, row in rows.items() if name not in wanted]
    for row in extra:
        row.delete()
    changed = 0
    for name, bot_id in wanted.items():
        row = rows.get(name)
        if row is None:
            continue
        seconds = intervals[bot_id]
        if (row.enabled, row.expire_seconds, row.interval_id) != (
            True,
            seconds,
            _every(seconds).pk,
        ):
            sync(bot_id, seconds)
            changed += 1
    added = len(set(wanted) - set(rows))
    sync_many(intervals)
    ensure_platform_rows()
    return added, changed, len(extra)


def scheduled() -> dict[int, int]:
    """Return what beat is told: bot id -> seconds, of the rows that are switched on."""
    rows = PeriodicTask.objects.filter(task=RUN_BOT, enabled=True).select_related("interval")
    return {json.loads(row.args)[0]: row.interval.every for row in rows}


def ensure_platform_rows() -> None:
    """Make sure that the midnight reset, the sweep and the worker's canary are scheduled."""
    midnight, _ = CrontabSchedule.objects.get_or_create(
        minute="0",
        hour="0",
        day_of_week="*",
        day_of_month="*",
        month_of_year="*",
        timezone=settings.TRADING_DAY_TIME_ZONE,
    )
    _platform_row(MIDNIGHT, "bots.tasks.daily_reset", crontab=midnight, expire_seconds=3600)
    sweep = settings.SWEEP_SECONDS
    _platform_row(SWEEP, "bots.tasks.sweep", interval=_every(sweep), expire_seconds=sweep)
    canary = max(settings.CANARY_SECONDS // 3, 1)
    _platform_row(CANARY, "bots.tasks.canary", interval=_every(canary), expire_seconds=canary)


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
        PeriodicTask.objects.update_or_create(name=name, defaults=defaults)


def _every(seconds: int) -> IntervalSchedule:
    # get_or_create would fail where an operator made a second equal row by hand.
    row = IntervalSchedule.objects.filter(every=seconds, period=IntervalSchedule.SECONDS).first()
    return row or IntervalSchedule.objects.create(every=seconds, period=IntervalSchedule.SECONDS)


def _fields(bot_id: int, every: IntervalSchedule, seconds: int) -> dict[str, object]:
    return {
        "task": RUN_BOT,
        "args": json.dumps([bot_id]),
        "interval": every,
        "expire_seconds": seconds,
        "enabled": True,
    }


def nudge(bot_id: int) -> None:
    """Queue a tick once the transaction commits. A lost nudge costs one interval, no more."""
    transaction.on_commit(lambda: send(RUN_BOT, bot_id))


def send(task: str, *args: int | str, expires: float = 60) -> bool:
    """Queue a task by name, now. Returns whether the broker took it; never raises."""
    try:
        current_app.send_task(task, args=args, expires=expires, retry=False)
    except (OperationalError, OSError) as error:
        log.warning("broker did not take %s%r: %s", task, args, error)
        return False
    return True


def nudge_spread(bot_ids: Sequence[int], seconds: float) -> None:
    """Queue many ticks evenly over `seconds`, so that a reset does not hit exchanges at once.

    Blocks for that time; gives up quietly when the broker is away (beat's rows go on).
    """
    slots = max(int(seconds * 10), 1)
    size = -(-len(bot_ids) // slots) or 1
    for start in range(0, len(bot_ids), size):
        if start:
            time.sleep(seconds / slots)
        if not _send_all(bot_ids[start : start + size]):
            return


def _send_all(bot_ids: Iterable[int]) -> bool:
    return all(send(RUN_BOT, bot_id) for bot_id in bot_ids)
