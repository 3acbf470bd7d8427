"""An exchange's clock, kept by our monotonic one.

That one stands still while a machine sleeps and the wall clock does not: when the two come apart,
the exchange is asked anew. A wall clock that was merely set costs a question, no more.
"""

import threading
from collections.abc import Callable
from contextlib import suppress

from trading.exchange import ExchangeError, Fault, Unreachable

#: After a failed question for the time, how long until it is asked again.
RETRY_S = 30.0
#: How far wall and monotonic clock may come apart before a measurement counts no more.
JUMP_S = 1.0


class ExchangeClock:
    """The time of one exchange, asked for again after `ttl_s` seconds.

    `ask` returns it in Unix ms or raises ExchangeError. `monotonic` and `wall` are our own clocks,
    in seconds. `measured` is told after each question by how many ms the exchange is ahead of us.
    """

    def __init__(
        self,
        ask: Callable[[], int],
        *,
        ttl_s: float,
        monotonic: Callable[[], float],
        wall: Callable[[], float],
        measured: Callable[[float], None] | None = None,
    ) -> None:
        self._ask = ask
        self._measured = measured
        self._ttl_s = ttl_s
        self._monotonic = monotonic
        self._wall = wall
        self._lock = threading.RLock()
        self._offset_ms: float | None = None  # exchange time minus our monotonic time
        self._skew = 0.0  # wall clock minus monotonic clock before the exchange was asked
        self._ask_at = 0.0

    def now(self) -> int:
        """Return the exchange's time, Unix ms.

        A measurement that has grown old stays in use while the exchange does not answer; one from
        before our clocks came apart does not: then ExchangeError.
        """
        with self._lock:
            if self._holds() and self._monotonic() >= self._ask_at:
                self._ask_at = self._monotonic() + RETRY_S
                # Who asks the exchange for something that it must answer gets the error.
                with suppress(ExchangeError):
                    self.measure()
            if not self._holds():
                self.measure()
            if not self._holds():
                text = "our clocks came apart while the exchange was asked for its time"
                raise Unreachable(Fault.CLOCK, text, sent=False)
            return int(self._monotonic() * 1000 + (self._offset_ms or 0))

    def _holds(self) -> bool:
        apart = self._wall() - self._monotonic() - self._skew
        return self._offset_ms is not None and abs(apart) <= JUMP_S

    def measure(self) -> None:
        """Ask the exchange now; half of the way there and back is taken for the way back."""
        with self._lock:
            before = self._monotonic()
            skew = self._wall() - before
            time = self._ask()
            after = self._monotonic()
            self._offset_ms = time - (before + after) * 500
            self._skew = skew
            self._ask_at = after + self._ttl_s
            if self._measured is not None:
                self._measured(self._offset_ms - skew * 1000)

    def forget(self) -> None:
        """Measure before the next use: the exchange did not like our time."""
        with self._lock:
            self._offset_ms = None
