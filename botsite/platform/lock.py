"""One platform for each DATA_DIR."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class AlreadyRunning(RuntimeError):
    """Another platform holds this DATA_DIR."""


def _try(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _holder(handle: int) -> int:
    text = os.pread(handle, 20, 0)
    return int(text) if text.isdigit() else 0


@contextmanager
def platform_lock(data_dir: Path, *, wait_seconds: float = 30) -> Iterator[int]:
    """Hold this DATA_DIR and yield the lock's file descriptor; raise AlreadyRunning.

    The guard of a supervisor that was killed keeps the lock while it ends the programs: then the
    process named in the file is dead, and we wait for the guard, `wait_seconds` at most.
    """
    path = data_dir / "run" / "platform.lock"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        limit = time.monotonic() + wait_seconds
        while not _try(handle):
            pid = _holder(handle)
            if _lives(pid) or time.monotonic() > limit:
                raise AlreadyRunning(
                    f"The platform is already running on {data_dir} (process {pid})."
                    " Stop it first, or give this one a DATA_DIR of its own."
                )
            time.sleep(0.1)
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        yield handle
    finally:
        os.close(handle)
