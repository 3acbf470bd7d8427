"""The exchange's clock: real time, or a virtual one that stands or runs."""

from __future__ import annotations

import time


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


class Clock:
    """`now` drives prices, candles and trades; `auth_now` drives `GET time` and timestamp checks.

    The time stands (rate 0), runs with real time (1) or faster or slower. `auth` is "exchange"
    (both are the same) or "wall" (timestamps are checked against real time, so that a client with
    an ordinary clock can trade in a replayed past). `skew_ms` shifts auth_now only.
    """

    def __init__(
        self,
        *,
        now_ms: int | None = None,
        running: bool = False,
        auth: str = "exchange",
        rate: float | None = None,
    ) -> None:
        self.skew_ms = 0
        self.auth = "exchange"
        self.set_real()
        if now_ms is not None:
            self.set(now_ms, rate=float(running) if rate is None else rate)
        self.set_auth(auth)

    def now(self) -> int:
        return self._from_ms + int((wall_ms() - self._wall_ms) * self.rate)

    def auth_now(self) -> int:
        return (wall_ms() if self.auth == "wall" else self.now()) + self.skew_ms

    def set(self, now_ms: int, *, rate: float = 0.0) -> None:
        """It is `now_ms`, and from now on `rate` ms pass in a real one; ValueError below 0."""
        if rate < 0:
            raise ValueError("time does not run backwards")
        self._from_ms, self._wall_ms, self.rate = now_ms, wall_ms(), rate

    def set_rate(self, rate: float) -> None:
        self.set(self.now(), rate=rate)

    def set_auth(self, auth: str) -> None:
        if auth not in ("exchange", "wall"):
            raise ValueError(f"auth clock {auth!r} is neither 'exchange' nor 'wall'")
        self.auth = auth

    def advance(self, ms: int) -> None:
        self._from_ms += ms

    def set_real(self) -> None:
        self.set(wall_ms(), rate=1.0)
