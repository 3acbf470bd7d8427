"""The platform as `runplatform` starts it, as a child that may be killed in every part."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from botsite.platform.bootstrap import ROOT

#: What tells the parts apart, in the command lines of the platform's children.
PARTS: Mapping[str, str] = {
    "worker": " worker ",
    "beat": " beat ",
    "web": "gunicorn",
    "redis": "redis",
}


class Site:
    """One `manage.py runplatform` and its descendants."""

    def __init__(self, env: Mapping[str, str], log: Path) -> None:
        self.env = dict(env)
        self.log = log
        self.url = f"http://127.0.0.1:{env['PORT']}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, seconds: float = 90) -> None:
        """Start everything and wait until the site answers; RuntimeError when it does not."""
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "manage.py", "runplatform", "--no-demo"],
                cwd=ROOT,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        end = time.monotonic() + seconds
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"the site does not answer; see {self.log}")
            time.sleep(0.2)

    def answers(self) -> bool:
        with suppress(urllib.error.URLError, OSError):
            urllib.request.urlopen(f"{self.url}/healthz", timeout=2)
            return True
        return False

    def pids(self, part: str) -> list[int]:
        """Return the processes of a part, the one that the supervisor started first."""
        tree = _descendants(self._process.pid) if self._process else []
        return [pid for pid in tree if PARTS[part] in f" {_command(pid)} "]

    def children_of_worker(self) -> list[int]:
        """Return the processes that tick."""
        return self.pids("worker")[1:]

    def kill_everything(self) -> None:
        """SIGKILL to the supervisor and to all that it started, as a machine that loses power."""
        if self._process is None:
            return
        pids = [self._process.pid, *_descendants(self._process.pid)]
        for pid in pids:
            kill(pid)
        self._process.wait()
        self._process = None
        end = time.monotonic() + 10
        while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < end:
            time.sleep(0.05)

    def stop(self) -> None:
        """SIGTERM, as an operator does it; what does not obey within a minute is killed."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(timeout=60)
            self._process = None
        except subprocess.TimeoutExpired:
            self.kill_everything()


def kill(pid: int, number: signal.Signals = signal.SIGKILL) -> bool:
    """Send a signal to a process that may be gone; returns whether it was there."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def _command(pid: int) -> str:
    with suppress(OSError):
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
        return raw.replace(b"\0", b" ").decode(errors="replace")
    return ""


def _descendants(root: int) -> list[int]:
    """Return all processes below `root`, parents before their children."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = stat.read_text(errors="replace").rpartition(")")[2].split()
            if fields[0] not in "ZX":
                children.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found: list[int] = []
    queue = [root]
    while queue:
        below = sorted(children.get(queue.pop(0), []))
        found += below
        queue += below
    return found
