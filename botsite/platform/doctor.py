"""What `manage.py doctor` looks at: one finding each, with what to do about it."""

import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import redis
from cryptography.fernet import Fernet
from django.conf import settings
from django.db import DatabaseError, connection
from django.utils import timezone

from bots.models import Heartbeat
from botsite.platform.prepare import unapplied

SWEEPS_MISSED = 3


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line: `advice` is empty where all is well."""

    name: str
    text: str
    advice: str = ""

    @property
    def ok(self) -> bool:
        return not self.advice


def python() -> Iterator[Finding]:
    """The interpreter."""
    version = ".".join(map(str, sys.version_info[:3]))
    advice = "" if sys.version_info >= (3, 11) else "install Python 3.11 or later"
    yield Finding(name="python", text=version, advice=advice)


def _private(name: str, path: Path, *, wanted: int) -> Finding:
    mode = stat.S_IMODE(path.stat().st_mode)
    advice = f"others can read it: chmod {wanted:o} {path}" if mode & 0o077 else ""
    return Finding(name=name, text=f"{path} (mode {mode:o})", advice=advice)


def files() -> Iterator[Finding]:
    """The folder that holds everything written, and the file with the secrets."""
    folder = Path(settings.DATA_DIR)
    if folder.is_dir() and os.access(folder, os.W_OK | os.X_OK):
        yield _private("data", folder, wanted=0o700)
    else:
        advice = f"make it, writable for this user: mkdir -m 700 -p {folder}"
        yield Finding(name="data", text=f"{folder} cannot be written", advice=advice)
    if settings.ENV_FILE and Path(settings.ENV_FILE).is_file():
        yield _private("env file", Path(settings.ENV_FILE), wanted=0o600)


def database() -> Iterator[Finding]:
    """The database: does it answer, and does it have all tables?"""
    try:
        waiting = unapplied()
        with connection.cursor() as cursor:
            tables = connection.introspection.table_names(cursor)
    except DatabaseError as error:
        text = f"{connection.vendor}: {error}".strip()
        yield Finding(name="database", text=text, advice="start it, or correct DATABASE_URL")
        return
    yield Finding(name="database", text=connection.vendor)
    cached = settings.CACHES["default"]["LOCATION"] in tables
    advice = "python manage.py migrate && python manage.py createcachetable"
    missing = [f"{waiting} migrations to apply"] if waiting else []
    missing += [] if cached else ["no table for the cache"]
    yield Finding(
        name="tables",
        text=", ".join(missing) or "up to date",
        advice=advice if missing else "",
    )


def broker() -> Iterator[Finding]:
    """Redis; the site goes on without it, but clicks take until the next interval."""
    url = urlsplit(settings.REDIS_URL)
    where = f"{url.hostname or url.path}:{url.port or ''}".rstrip(":")
    client = redis.Redis.from_url(
        settings.REDIS_URL, socket_connect_timeout=2, socket_timeout=2, retry=None
    )
    try:
        client.ping()
    except redis.RedisError as error:
        advice = "start it, or correct REDIS_URL (`make run` brings its own where none is set)"
        yield Finding(name="redis", text=f"{where}: {error}", advice=advice)
    else:
        yield Finding(name="redis", text=where)
    finally:
        client.close()


def fernet_keys() -> Iterator[Finding]:
    """The keys that encrypt the exchange keys."""
    keys: list[str] = settings.FERNET_KEYS
    if not keys:
        advice = "set FERNET_KEYS (python -m botsite.platform.bootstrap writes a .env with one)"
        yield Finding(name="fernet", text="no key: none can be stored or read", advice=advice)
    for place, key in enumerate(keys, start=1):
        try:
            Fernet(key)
        except ValueError:
            advice = "it has to be 32 bytes in URL-safe base64; restore it from your copy"
            text = f"key {place} of {len(keys)} is no Fernet key"
            yield Finding(name="fernet", text=text, advice=advice)
            return
    if keys:
        yield Finding(name="fernet", text=f"{len(keys)} valid, the first encrypts")


def timings() -> Iterator[Finding]:
    """Each limit of a tick has to be over before the next wider one."""
    ladder = {
        "TICK_DEADLINE_SECONDS": settings.TICK_DEADLINE_SECONDS,
        "TASK_SOFT_LIMIT_SECONDS": settings.CELERY_TASK_SOFT_TIME_LIMIT,
        "TASK_HARD_LIMIT_SECONDS": settings.CELERY_TASK_TIME_LIMIT,
        "LEASE_SECONDS": settings.LEASE_SECONDS,
    }
    values = list(ladder.values())
    rising = all(low < high for low, high in pairwise(values))
    text = " < ".join(f"{value:g} s" for value in values)
    advice = "" if rising else "they must rise in this order: " + ", ".join(ladder)
    yield Finding(name="timings", text=text, advice=advice)


def signs_of_life() -> Iterator[Finding]:
    """What the worker and the sweep wrote last, where they ever wrote."""
    limits = {
        "worker": (settings.CANARY_SECONDS, "restart the worker: it takes no messages"),
        "sweep": (SWEEPS_MISSED * settings.SWEEP_SECONDS, "look at beat, Redis and the worker"),
    }
    for name, (limit, advice) in limits.items():
        age = Heartbeat.age(name, timezone.now())
        if age is None:
            yield Finding(name=name, text="has not run yet")
        else:
            late = age > limit
            yield Finding(name=name, text=f"ran {age:.0f} s ago", advice=advice if late else "")


def live_trading() -> Iterator[Finding]:
    """Whether real money can move."""
    if not settings.LIVE_TRADING_ENABLED:
        yield Finding(name="live", text="off: bots in mode live refuse to start")
        return
    moved = ", ".join(f"{name} at {url}" for name, url in settings.EXCHANGE_API_BASE.items())
    text = f"ON for {', '.join(settings.LIVE_EXCHANGES)}" + (f"; {moved}" if moved else "")
    yield Finding(name="live", text=text)


def examine() -> Iterator[Finding]:
    """Yield every finding; signs of life are looked for only where the tables are there."""
    for look in (python, files, fernet_keys, timings, live_trading, broker):
        yield from look()
    tables = list(database())
    yield from tables
    if all(finding.ok for finding in tables):
        yield from signs_of_life()
