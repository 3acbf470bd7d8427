"""Starts Python programs from a process that has imported the packages of others already."""

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from botsite.platform.bootstrap import ROOT


class Child:
    """A program that was born there; what `subprocess.Popen` would offer of it."""

    def __init__(self, nursery: "Nursery", pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._nursery = nursery

    def poll(self) -> int | None:
        """Return the exit status, negative for a signal, or None while it runs."""
        if self.returncode is None:
            self.returncode = self._nursery.ask(what="poll", pid=self.pid)["status"]
        return self.returncode

    def wait(self, timeout: float = 60) -> int:
        """Wait for the end; raises subprocess.TimeoutExpired."""
        end = time.monotonic() + timeout
        while (status := self.poll()) is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            time.sleep(0.01)
        return status

    def terminate(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGTERM)


class Nursery:
    """The process (tests.whole.birth) and the line to it. It ends when the line is cut."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-m", "tests.whole.birth", str(theirs.fileno())]
            self._process = subprocess.Popen(
                command, cwd=ROOT, pass_fds=[theirs.fileno()], start_new_session=True
            )
        self._line = ours.makefile("rw", encoding="utf-8")
        ours.close()

    def ask(self, **order: Any) -> dict[str, Any]:
        """Give an order and return the answer; RuntimeError if nobody is there any more."""
        self._line.write(json.dumps(order) + "\n")
        self._line.flush()
        answer = self._line.readline()
        if not answer:
            raise RuntimeError("the process that tests start others from has ended")
        found: dict[str, Any] = json.loads(answer)
        return found

    def start(self, arguments: Sequence[str], *, env: Mapping[str, str], log: Path) -> Child:
        """Start `python -m` with these arguments, in a session of its own, its output in `log`."""
        log.touch()
        order = {"arguments": list(arguments), "env": dict(env), "log": str(log)}
        return Child(self, self.ask(what="start", **order)["pid"])

    def close(self) -> None:
        self._line.close()
        self._process.wait()


@cache
def nursery() -> Nursery:
    """Return the one of this test process, which ends with it."""
    made = Nursery()
    atexit.register(made.close)
    return made
