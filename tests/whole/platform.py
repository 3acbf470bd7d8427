"""Worker and beat over a Redis of their own, which a test may stop."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from celery import Celery

from bots import schedule
from botsite.celery import app as site_app
from tests.redis_server import RedisServer, redis_server
from tests.whole.processes import Beat, Worker


@dataclass(frozen=True, kw_only=True)
class Platform:
    """A worker and a beat over a Redis of their own; `env` is theirs."""

    redis: RedisServer
    worker: Worker
    beat: Beat
    env: Mapping[str, str]


@contextmanager
def running_platform(folder: Path, settings: Any, env: Mapping[str, str]) -> Iterator[Platform]:
    """Yield the processes; this one too speaks to their broker."""
    with ExitStack() as stack:
        server = stack.enter_context(redis_server(folder / "redis"))
        stack.enter_context(_speaking_to(server.url, settings))
        env = {**env, "REDIS_URL": server.url}
        worker, beat = Worker(folder / "worker.log", env), Beat(folder / "beat.log", env)
        stack.callback(worker.end)
        stack.callback(beat.end)
        schedule.ensure_platform_rows()
        worker.start()
        beat.start()
        yield Platform(redis=server, worker=worker, beat=beat, env=env)


@contextmanager
def _speaking_to(url: str, settings: Any) -> Iterator[None]:
    """Send this process's messages to another broker."""
    settings.CELERY_BROKER_URL = settings.REDIS_URL = url
    app = Celery("botsite", set_as_current=False)
    app.config_from_object("django.conf:settings", namespace="CELERY")
    app.set_current()
    try:
        yield
    finally:
        app.close()
        site_app.set_current()
