"""Which programs make the platform, and in which order they come up.

Redis, worker, web, beat; they are stopped the other way round, so that nothing new is asked for
while the worker finishes its ticks.
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import connections

from bots import demo as demos
from botsite.gunicorn import listen_host
from botsite.platform import prepare
from botsite.platform.ports import in_use
from botsite.platform.probe import trouble
from botsite.platform.redis import PrivateRedis, announce
from botsite.platform.supervisor import Program, Supervisor, say

# A tick may take 30 s (TICK_DEADLINE_SECONDS); what is not over by then is for the next start.
WORKER_GRACE_SECONDS = 35.0


class PortTaken(RuntimeError):
    """Another program listens where the site is to be served."""


def tell(text: str) -> None:
    say("platform", text)


def _python(*arguments: str) -> list[str]:
    return [sys.executable, *arguments]


def _manage(*arguments: str) -> list[str]:
    return _python(str(settings.BASE_DIR / "manage.py"), *arguments)


def _celery(*arguments: str) -> list[str]:
    return _python("-m", "celery", "--quiet", "-A", "botsite", *arguments, "--loglevel", "INFO")


def programs(env: Mapping[str, str]) -> list[Program]:
    """Return the worker, the web server and beat, as they are started on every machine."""
    worker = _celery(
        "worker", "--without-gossip", "--without-mingle", "--without-heartbeat", "-O", "fair"
    )
    web = _python("-m", "gunicorn", "-c", "python:botsite.gunicorn", "botsite.wsgi")
    return [
        Program(name="worker", argv=worker, env=env, grace_seconds=WORKER_GRACE_SECONDS),
        Program(name="web", argv=web, env=env),
        Program(name="beat", argv=_celery("beat", "--pidfile="), env=env),
    ]


def run(lock: int, *, demo: bool) -> int:
    """Prepare, start and supervise everything; return the exit code when it has stopped.

    `lock`: the file descriptor that stays locked until the last program ended. `demo`: create the
    demo content where there is no user yet, and finish what of it is unfinished.
    Raises PortTaken, NoRedis, DatabaseError.
    """
    host = listen_host(settings.SITE_URL, os.environ.get("BIND", ""))
    if in_use(host, settings.PORT):
        raise PortTaken(
            f"Port {settings.PORT} is taken by another program."
            f" Choose another one: PORT={settings.PORT + 1} make run"
        )
    prepare.database(tell)
    prepare.schedule()
    prepare.static_files(tell)
    is_new = demo and not get_user_model().objects.exists()
    has_history_to_make = is_new or (demo and demos.is_unfinished())
    connections.close_all()

    env = {**os.environ, "PYTHONUNBUFFERED": "1", "BIND": host, "PORT": str(settings.PORT)}
    chain: list[Program] = []
    if not os.environ.get("REDIS_URL"):
        redis = PrivateRedis(folder=settings.DATA_DIR / "redis")
        env["REDIS_URL"] = redis.url
        announce(settings.DATA_DIR, redis.url)
        chain.append(_redis(redis, env, demo=is_new))
    elif is_new:
        _create_demo(env)
    supervisor = Supervisor([*chain, *programs(env)], keep=lock)

    def welcome() -> None:
        if _welcome(host) and has_history_to_make:
            supervisor.add(_history(env))

    threading.Thread(target=welcome, daemon=True).start()
    try:
        return supervisor.run()
    finally:
        announce(settings.DATA_DIR, "")


def _redis(redis: PrivateRedis, env: Mapping[str, str], *, demo: bool) -> Program:
    def ready(alive: Callable[[], bool]) -> None:
        redis.wait(alive=alive)
        if demo:
            _create_demo(env)

    tell(f"starting a Redis of our own ({redis.program})")
    return Program(name="redis", argv=redis.write_config(), env=env, ready=ready)


def _create_demo(env: Mapping[str, str]) -> None:
    """Fill an empty site with demo bots, in a process that knows the broker's address.

    Those that have a past wait for it: that is made once the site is up.
    """
    tell("creating the demo")
    done = subprocess.run(
        _manage("demo", "--prepare"), env=env, check=False, stdin=subprocess.DEVNULL
    )
    if done.returncode:
        tell(f"the demo could not be created (exit code {done.returncode}); going on without it")


def _history(env: Mapping[str, str]) -> Program:
    """Return the program that makes the demo's history; killed, it starts over where it was."""
    argv = _manage("demo", "--history", str(demos.HISTORY_DAYS), "--verbosity", "0")
    return Program(name="demo", argv=argv, env=env, once=True)


def _welcome(host: str, *, seconds: float = 120) -> bool:
    """Wait `seconds` at most until the site answers, then say where it is and how to sign in.

    Returns whether it answered.
    """
    name = "127.0.0.1" if host == "0.0.0.0" else host  # noqa: S104 - read, not listened on
    end = time.monotonic() + seconds
    while trouble(f"http://{name}:{settings.PORT}/healthz", {}):
        if time.monotonic() > end:
            tell("the site does not answer; see the lines of `web`, or run `manage.py doctor`")
            return False
        time.sleep(0.2)
    tell(f"ready: {settings.SITE_URL}")
    with suppress(OSError):
        login = (settings.DATA_DIR / "demo-login.txt").read_text(encoding="utf-8").strip()
        tell(f"demo login: {login}")
    tell("Ctrl-C stops everything")
    return True
