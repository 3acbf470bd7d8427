"""What keeps a long reckoning inside a worker within bounds: memory, and a look now and then."""

import resource
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

STATM = Path("/proc/self/statm")


@contextmanager
def memory(megabytes: int) -> Iterator[None]:
    """Let this process take so much more memory than it has: MemoryError beyond that.

    Only where the system tells how much it has (Linux); elsewhere nothing is bounded.
    """
    try:
        pages = int(STATM.read_text(encoding="ascii").split()[0])
    except OSError:
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = pages * resource.getpagesize() + megabytes * 1024 * 1024
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@contextmanager
def every(seconds: float, look: Callable[[], None]) -> Iterator[None]:
    """Call `look` so often while a function that knows nothing of it reckons; it may raise.

    By a timer signal, so only in a process's main thread, where Celery's tasks run; in another
    thread nothing is called. The function must not use what `look` does (the database).
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(_number: int, _frame: FrameType | None) -> None:
        look()

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
