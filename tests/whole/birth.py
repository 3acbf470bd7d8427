"""Gives birth to processes that have the packages of others imported already.

`python -m tests.whole.birth FD` takes orders from tests.whole.nursery over that socket and ends
with it. A child is what `python -m MODULE ...` would have been in its environment: settings and
all that is ours it reads and imports itself. Only the second that each start spends on importing
Celery, Django and ccxt is spent once.
"""

import gc
import importlib
import json
import os
import random
import runpy
import signal
import socket
import sys
from contextlib import suppress
from typing import Any

#: None of them reads Django's settings or the environment of a child, or starts a thread.
PACKAGES = (
    "argon2",
    "ccxt",
    "celery.apps.beat",
    "celery.apps.worker",
    "celery.bin.celery",
    "celery.concurrency.prefork",
    "celery.worker.consumer",
    "cron_descriptor",
    "crontab",
    "cryptography.fernet",
    "django.contrib.sessions.backends.base",
    "django.contrib.staticfiles",
    "django.core.handlers.wsgi",
    "django.core.management",
    "django.db.backends.postgresql.base",
    "django.db.backends.sqlite3.base",
    "django.db.models",
    "django.forms",
    "django.template.defaulttags",
    "django.template.loader_tags",
    "django.test.signals",
    "django.views.generic",
    "environ",
    "gunicorn.app.wsgiapp",
    "gunicorn.workers.gthread",
    "kombu.transport.redis",
    "numpy",
    "psycopg",
    "pydantic",
    "requests",
    "structlog",
    "structlog.dev",
    "structlog.stdlib",
    "whitenoise.middleware",
    "xml.sax.expatreader",
)


def _answer(order: dict[str, Any]) -> dict[str, Any] | None:
    """Carry an order out; returns None in the child that was born."""
    if order["what"] == "poll":
        pid, status = os.waitpid(order["pid"], os.WNOHANG)
        return {"status": os.waitstatus_to_exitcode(status) if pid else None}
    pid = os.fork()
    return {"pid": pid} if pid else None


def _become(order: dict[str, Any]) -> None:
    """Leave the nursery: session, environment, output, arguments and chance of one's own."""
    os.setsid()
    for number, name, flags in ((0, os.devnull, os.O_RDONLY), (1, order["log"], os.O_WRONLY)):
        handle = os.open(name, flags | os.O_APPEND)
        os.dup2(handle, number)
        os.close(handle)
    os.dup2(1, 2)
    os.environ.clear()
    os.environ.update(order["env"])
    sys.argv = order["arguments"]
    random.seed()
    gc.unfreeze()


def serve(handle: int) -> dict[str, Any] | None:
    """Carry out orders until nobody gives any more; in a child, returns what it is to run."""
    with socket.socket(fileno=handle) as orders, orders.makefile("rw", encoding="utf-8") as lines:
        for line in lines:
            order: dict[str, Any] = json.loads(line)
            answer = _answer(order)
            if answer is None:
                _become(order)
                return order
            lines.write(json.dumps(answer) + "\n")
            lines.flush()
    return None


def main() -> None:
    for package in PACKAGES:
        importlib.import_module(package)
    # Nothing that is here now is looked at by a child's collector: its pages stay shared.
    gc.freeze()
    # Ctrl-C is for the test run, which closes the socket.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    order = serve(int(sys.argv[1]))
    if order is not None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with suppress(KeyboardInterrupt):
            runpy.run_module(order["arguments"][0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
