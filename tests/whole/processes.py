"""Real processes for tests: a Celery worker, beat, and a patient look at what they do."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import TypeVar

from botsite.platform.ports import free_port
from tests.whole.nursery import Child, nursery

T = TypeVar("T")

#: Times as the suite scales them down; every one is a setting of the product.
FAST: Mapping[str, str] = {
    "LEASE_SECONDS": "6",
    "TICK_DEADLINE_SECONDS": "4",
    "TICK_SEND_MARGIN_SECONDS": "0.5",
    "HTTP_TIMEOUT_SECONDS": "1.5",
    "TASK_SOFT_LIMIT_SECONDS": "4.5",
    "TASK_HARD_LIMIT_SECONDS": "5",
    "ORDER_FENCE_SECONDS": "2.5",
    "RECV_WINDOW_MS": "2000",
    "SWEEP_SECONDS": "2",
    "CANARY_SECONDS": "6",
    "MIN_CHECK_INTERVAL_SECONDS": "1",
    "PRICE_TTL_SECONDS": "0.2",
    "MARKETS_TTL_SECONDS": "1",
    "RESET_SPREAD_SECONDS": "0",
    "ALERTS_SECONDS": "2",
    "ALERTS_ALLOW_PRIVATE": "true",
    "LIVE_TRADING_ENABLED": "true",
    "WORKER_CONCURRENCY": "2",
    "LOG_LEVEL": "DEBUG",
}


def wait_until(what: Callable[[], T], timeout: float = 15.0, every: float = 0.05) -> T:
    """Return the first true value of `what()`; AssertionError after `timeout` seconds."""
    end = time.monotonic() + timeout
    while True:
        found = what()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"still {found!r} after {timeout} s")
        time.sleep(every)


def database_url() -> str:
    """Return the address of the tests' database, for a process that shares it."""
    from django.db import connection

    name = connection.settings_dict["NAME"]
    if connection.vendor == "sqlite":
        return f"sqlite:///{name}"
    host, port = (connection.settings_dict[part] for part in ("HOST", "PORT"))
    return f"postgres://{connection.settings_dict['USER']}@{host}:{port}/{name}"


class Process:
    """A child in a session of its own, its output in a file: killed whole, never left behind."""

    def __init__(self, name: str, log: Path, env: Mapping[str, str], arguments: Sequence[str]):
        self.name = name
        self.log = log
        self._env = dict(env)
        self._arguments = arguments
        self._process: Child | None = None

    def start(self) -> None:
        self._process = nursery().start(self._arguments, env=self._env, log=self.log)

    @property
    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def wait_for(self, text: str, times: int = 1, timeout: float = 30) -> None:
        """Wait until the output holds `text` so many times."""
        try:
            wait_until(lambda: self.output().count(text) >= times, timeout)
        except AssertionError:
            raise AssertionError(
                f"no {text!r} from {self.name}:\n{self.output()[-3000:]}"
            ) from None

    def output(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError(f"{self.name} does not run")
        return self._process.pid

    def send(self, how: signal.Signals) -> None:
        """Send a signal to the process itself, not to what it started."""
        os.kill(self.pid, how)

    def wait_for_end(self, timeout: float = 15) -> int:
        """Wait until the process has ended by itself; returns its exit status."""
        if self._process is None:
            raise RuntimeError(f"{self.name} does not run")
        return self._process.wait(timeout=timeout)

    def end(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End the process and all that it started; SIGTERM may take a few seconds."""
        process, self._process = self._process, None
        if process is None:
            return
        if how == signal.SIGTERM and process.poll() is None:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=8)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


class Worker(Process):
    """`celery -A botsite worker`."""

    def __init__(self, log: Path, env: Mapping[str, str]) -> None:
        arguments = ["celery", "-A", "botsite", "worker", "--without-gossip", "--without-mingle"]
        super().__init__("the worker", log, env, [*arguments, "--loglevel", "INFO"])
        self._starts = 0

    def start(self) -> None:
        super().start()
        self._starts += 1
        self.wait_for(" ready.", times=self._starts)


class Beat(Process):
    """`celery -A botsite beat`, looking at its rows every second."""

    def __init__(self, log: Path, env: Mapping[str, str]) -> None:
        pid = f"--pidfile={log.with_suffix('.pid')}"
        arguments = ["celery", "-A", "botsite", "beat", pid, "--max-interval", "1"]
        super().__init__("beat", log, env, arguments)


class Web(Process):
    """gunicorn with the site, on a port of its own."""

    def __init__(self, log: Path, env: Mapping[str, str]) -> None:
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        arguments = ["gunicorn", "-c", "python:botsite.gunicorn", "botsite.wsgi:application"]
        super().__init__("the site", log, {**env, "PORT": str(port)}, arguments)

    def start(self) -> None:
        super().start()
        wait_until(self._answers, timeout=30)

    def _answers(self) -> bool:
        with suppress(OSError):
            return self.ask("GET", "/healthz")[0] > 0
        return False

    def ask(
        self, method: str, path: str, headers: Mapping[str, str] | None = None
    ) -> tuple[int, str]:
        """Make one request; returns status and body."""
        connection = HTTPConnection("127.0.0.1", int(self.url.rsplit(":", 1)[1]), timeout=60)
        try:
            connection.request(method, path, headers=dict(headers or {}))
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()
