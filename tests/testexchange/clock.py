"""The exchange's clock: real time, or a virtual one that stands or runs."""

from __future__ import annotations

import time


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


class Clock:
    """`now` drives prices, candles and trades; `auth_now` drives `GET time` and timestamp checks.

    `auth` is "exchange" (both are the same) or "wall" (timestamps are checked against real time,
    so that a client with an ordinary clock can trade in a replayed past). `skew_ms` shifts auth_now
    only.
    """

    def __init__(
        self, *, now_ms: int | None = None, running: bool = False, auth: str = "exchange"
    ) -> None:
        self.skew_ms = 0
        self._frozen: int | None = None
        self._offset = 0
        self.auth = "exchange"
        if now_ms is not None:
            self.set(now_ms, running=running)
        self.set_auth(auth)

    def now(self) -> int:
        return wall_ms() + self._offset if self._frozen is None else self._frozen

    def auth_now(self) -> int:
        return (wall_ms() if self.auth == "wall" else self.now()) + self.skew_ms

    def set(self, now_ms: int, *, running: bool = False) -> None:
        self._frozen = None if running else now_ms
        self._offset = now_ms - wall_ms() if running else 0

    def set_auth(self, auth: str) -> None:
        if auth not in ("exchange", "wall"):
            raise ValueError(f"auth clock {auth!r} is neither 'exchange' nor 'wall'")
        self.auth = auth

    def advance(self, ms: int) -> None:
        if self._frozen is None:
            self._offset += ms
        else:
            self._frozen += ms

    def set_real(self) -> None:
        self._frozen, self._offset = None, 0
