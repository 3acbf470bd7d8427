"""The bridge to django-celery-beat and the broker: rows and messages are hints, duty is truth.

The only package that imports django_celery_beat. `sync` keeps one PeriodicTask per bot with duty,
inside the transaction that changes the bot; `nudge` queues ticks by name once that commits. What
beat itself runs is in `bots.schedule.beat`.
"""

from bots.schedule.nudge import nudge, nudge_spread, queued, send, silently, together
from bots.schedule.rows import (
    ALERTS,
    CANARY,
    MIDNIGHT,
    RUN_BOT,
    SWEEP,
    beat_seen,
    bot_of,
    drift,
    ensure_platform_rows,
    repair,
    row_name,
    scheduled,
    sync,
    sync_many,
)

__all__ = [
    "ALERTS",
    "CANARY",
    "MIDNIGHT",
    "RUN_BOT",
    "SWEEP",
    "beat_seen",
    "bot_of",
    "drift",
    "ensure_platform_rows",
    "nudge",
    "nudge_spread",
    "queued",
    "repair",
    "row_name",
    "scheduled",
    "send",
    "silently",
    "sync",
    "sync_many",
    "together",
]
