"""The last one standing: ends the programs of a supervisor that was killed.

A supervisor that gets SIGKILL can tell its children nothing. This process, in a session of its own,
reads from it the process groups that live (`+123`, `-123`, a line each); when the pipe breaks, the
supervisor is gone, and the groups are asked to stop and then killed.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import IO

GRACE_SECONDS = 15.0


def signal_group(group: int, number: int) -> bool:
    """Send a signal to a process group; return False when nobody is left in it."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def end(groups: Iterable[int], *, grace_seconds: float) -> None:
    """Ask the leaders to stop, and kill what is left of their groups after the grace."""
    left = set(groups)
    for group in left:
        try:
            # The leader alone: a worker's own children finish what they are at.
            os.kill(group, signal.SIGTERM)
        except ProcessLookupError:
            signal_group(group, signal.SIGTERM)
    limit = time.monotonic() + grace_seconds
    while left and time.monotonic() < limit:
        left = {group for group in left if signal_group(group, 0)}
        time.sleep(0.1)
    for group in left:
        signal_group(group, signal.SIGKILL)


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        group = int(line[1:])
        if line[0] == "+":
            groups.add(group)
        else:
            groups.discard(group)
    end(groups, grace_seconds=GRACE_SECONDS)


class Guard:
    """The supervisor's end of the pipe."""

    def __init__(self, *, keep: tuple[int, ...] = ()) -> None:
        """Start the guard. `keep`: file descriptors that it holds as long as it lives."""
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__],
            stdin=subprocess.PIPE,
            text=True,
            start_new_session=True,
            pass_fds=keep,
        )

    @property
    def _pipe(self) -> IO[str]:
        assert self._process.stdin is not None  # noqa: S101 - PIPE was asked for
        return self._process.stdin

    def add(self, group: int) -> None:
        self._tell(f"+{group}")

    def remove(self, group: int) -> None:
        self._tell(f"-{group}")

    def _tell(self, line: str) -> None:
        # Should somebody have killed the guard, the platform runs on without it.
        with suppress(BrokenPipeError):
            self._pipe.write(line + "\n")
            self._pipe.flush()

    def dismiss(self) -> None:
        """Everything has stopped: let the guard go."""
        with suppress(BrokenPipeError):
            self._pipe.close()
        self._process.wait()


if __name__ == "__main__":
    main()
