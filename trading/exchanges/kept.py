"""Keeps what was made from a secret for some minutes, so that not every tick makes it anew."""

import json
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b
from typing import Generic, TypeVar

T = TypeVar("T")

#: Without it a fingerprint could be compared with those of other processes. Never written down.
_SALT = secrets.token_bytes(32)


def fingerprint(*parts: str) -> bytes:
    """Return what stands for these secrets in this process; other secrets, another fingerprint."""
    return blake2b(json.dumps(parts).encode(), key=_SALT, digest_size=32).digest()


class Kept(Generic[T]):
    """At most `size` values, each until it was not asked for during `idle_s` seconds.

    A timer drops them, for a secret that is no longer used brings no call that could.
    """

    def __init__(self, *, size: int, idle_s: float, monotonic: Callable[[], float]) -> None:
        self._size = size
        self._idle_s = idle_s
        self._monotonic = monotonic
        self._values: OrderedDict[bytes, tuple[float, T]] = OrderedDict()  # used last, last
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: bytes, make: Callable[[], T]) -> T:
        """Return the value kept under `key`, else what `make` returns; its errors pass through."""
        self.drop_idle()
        with self._lock:
            _, value = self._values.get(key, (0.0, None))
        if value is None:
            value = make()
        with self._lock:
            self._values[key] = (self._monotonic(), value)
            self._values.move_to_end(key)
            while len(self._values) > self._size:
                self._values.popitem(last=False)
            self._arm()
        return value

    def drop_idle(self) -> None:
        """Drop what was not asked for during `idle_s`."""
        with self._lock:
            oldest = self._monotonic() - self._idle_s
            while self._values and next(iter(self._values.values()))[0] <= oldest:
                self._values.popitem(last=False)

    def _arm(self) -> None:
        """See to it that a timer runs while there is something to drop. Call it with the lock."""
        if self._timer is None and self._values:
            used, _ = next(iter(self._values.values()))
            wait = max(used + self._idle_s - self._monotonic(), 0.0)
            self._timer = threading.Timer(wait, self._ring)
            self._timer.daemon = True
            self._timer.start()

    def _ring(self) -> None:
        self.drop_idle()
        with self._lock:
            self._timer = None
            self._arm()
