"""How much of a core beat needs for 10,000 bots at 60 s, and how many messages come out.

The schedule runs in this process as `celery beat` runs it: tick, sleep, write back. 167 messages a
second are what 10,000 bots need. The rows look as if all had run within the last minute.
"""

import sys
import time
from datetime import datetime, timedelta

from bench import scene

BOTS = 10_000
SECONDS = 20.0
SCHEDULERS = {
    "Botsite's": "bots.schedule.beat:BotScheduler",
    "stock": "django_celery_beat.schedulers:DatabaseScheduler",
}


def fill(now: datetime) -> None:
    """Make the rows, with runs spread evenly over the last minute."""
    from bots import schedule

    schedule.sync_many(dict.fromkeys(range(1, BOTS + 1), 60))
    rows = schedule.rows.PeriodicTask.objects
    pks = list(rows.values_list("pk", flat=True))
    for second in range(60):
        rows.filter(pk__in=pks[second::60]).update(last_run_at=now - timedelta(seconds=second))


def main(name: str) -> None:
    scene.setup()
    from celery.utils.imports import symbol_by_name
    from django.conf import settings
    from django.utils import timezone

    from botsite.celery import app

    fill(timezone.now())
    app.conf.task_default_queue = f"bench-{time.time_ns()}"
    scheduler = symbol_by_name(SCHEDULERS[name])(app=app)
    scheduler.tick()
    begun, cpu = time.perf_counter(), time.process_time()
    while time.perf_counter() - begun < SECONDS:
        time.sleep(max(scheduler.tick(), 0))
        if scheduler.should_sync():
            scheduler._do_sync()
    seconds, used = time.perf_counter() - begun, time.process_time() - cpu
    import redis

    with redis.Redis.from_url(settings.REDIS_URL) as broker:
        sent = broker.llen(app.conf.task_default_queue)
        broker.delete(app.conf.task_default_queue)
    scene.tell(
        f"beat with {BOTS:,} bots at 60 s, {name} scheduler",
        f"{sent / seconds:.0f} messages a second, {used / seconds:.0%} of a core",
        per_second=sent / seconds,
        cpu=used / seconds,
    )


if __name__ == "__main__":
    main(sys.argv[1])
