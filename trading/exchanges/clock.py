"""An exchange's clock, kept by our monotonic one: what our wall clock does is of no consequence."""

import threading
from collections.abc import Callable
from contextlib import suppress

from trading.exchange import ExchangeError

#: After a failed question for the time, how long until it is asked again.
RETRY_S = 30.0


class ExchangeClock:
    """The time of one exchange, asked for again after `ttl_s` seconds.

    `ask` returns it in Unix ms or raises ExchangeError.
    """

    def __init__(
        self, ask: Callable[[], int], *, ttl_s: float, monotonic: Callable[[], float]
    ) -> None:
        self._ask = ask
        self._ttl_s = ttl_s
        self._monotonic = monotonic
        self._lock = threading.RLock()
        self._offset_ms: float | None = None  # exchange time minus our monotonic time
        self._ask_at = 0.0

    def now(self) -> int:
        """Return the exchange's time, Unix ms.

        A measurement that has grown old stays in use while the exchange does not answer.
        """
        with self._lock:
            if self._offset_ms is None:
                self.measure()
            elif self._monotonic() >= self._ask_at:
                self._ask_at = self._monotonic() + RETRY_S
                # Who asks the exchange for something that it must answer gets the error.
                with suppress(ExchangeError):
                    self.measure()
            return int(self._monotonic() * 1000 + (self._offset_ms or 0))

    def measure(self) -> None:
        """Ask the exchange now; half of the way there and back is taken for the way back."""
        with self._lock:
            before = self._monotonic()
            time = self._ask()
            after = self._monotonic()
            self._offset_ms = time - (before + after) * 500
            self._ask_at = after + self._ttl_s

    def forget(self) -> None:
        """Measure before the next use: the exchange did not like our time."""
        with self._lock:
            self._offset_ms = None
