"""Request weights and order counts: counted always, enforced where a limit is set.

Weights are per address (here: all clients together), separately for spot (with sapi) and USDT-M;
order counts are per account. Windows are those of the clock that timestamps are checked against.
Too much weight gives 429 with Retry-After; after `ban_after` of those, 418 for `ban_s` seconds.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from tests.testexchange.errors import ApiError

MINUTE = 60_000
SPOT, FUTURES = "spot", "futures"
# Name in the headers, length of the window in ms; by side.
ORDER_WINDOWS = {
    SPOT: (("10S", 10_000), ("1D", 86_400_000)),
    FUTURES: (("10S", 10_000), ("1M", MINUTE)),
}


@dataclass(kw_only=True)
class Settings:
    """What is enforced; None: nothing. Binance has 6000, 100, 200000, 2400, 300 and 1200."""

    weight_1m: int | None = None
    orders_10s: int | None = None
    orders_1d: int | None = None
    futures_weight_1m: int | None = None
    futures_orders_10s: int | None = None
    futures_orders_1m: int | None = None
    ban_after: int | None = None
    ban_s: int = 120


class TooMany(ApiError):
    """429 or 418 with the seconds to wait."""

    def __init__(self, code: int, message: str, wait_ms: int, *, status: int = 429) -> None:
        super().__init__(code, message, status=status)
        self.retry_after = -(-wait_ms // 1000)


def side_of(path: str) -> str:
    return FUTURES if path.startswith("fapi/") else SPOT


class Limits:
    """The counters of an exchange."""

    def __init__(self) -> None:
        self.settings = Settings()
        self.weights: dict[str, Counter[int]] = {SPOT: Counter(), FUTURES: Counter()}
        self.orders: Counter[tuple[str, str, str, int]] = Counter()
        self.refused = 0
        self.banned_until_ms = 0

    def start_anew(self) -> None:
        """Nothing is used of any limit, and nobody is banned."""
        self.weights = {SPOT: Counter(), FUTURES: Counter()}
        self.orders.clear()
        self.refused = self.banned_until_ms = 0

    def weigh(self, path: str, weight: int, now_ms: int) -> dict[str, str]:
        """Counts a request; the headers that say so. TooMany when it is too heavy."""
        if now_ms < self.banned_until_ms:
            raise TooMany(
                -1003,
                f"Way too much request weight used; IP banned until {self.banned_until_ms}.",
                self.banned_until_ms - now_ms,
                status=418,
            )
        side, minute = side_of(path), now_ms // MINUTE * MINUTE
        self.weights[side][minute] += weight
        used = self.weights[side][minute]
        limit = self.settings.weight_1m if side == SPOT else self.settings.futures_weight_1m
        if limit is not None and used > limit:
            self._refuse(limit, now_ms)
        if path.startswith("sapi/"):
            return {"X-SAPI-USED-IP-WEIGHT-1M": str(used)}
        return {"X-MBX-USED-WEIGHT": str(used), "X-MBX-USED-WEIGHT-1M": str(used)}

    def _refuse(self, limit: int, now_ms: int) -> None:
        self.refused += 1
        if self.settings.ban_after is not None and self.refused > self.settings.ban_after:
            self.refused = 0
            self.banned_until_ms = now_ms + self.settings.ban_s * 1000
            raise TooMany(
                -1003,
                f"Way too much request weight used; IP banned until {self.banned_until_ms}.",
                self.settings.ban_s * 1000,
                status=418,
            )
        raise TooMany(
            -1003,
            f"Too much request weight used; current limit is {limit} request weight per 1 MINUTE. "
            "Please use WebSocket Streams for live updates to avoid polling the API.",
            MINUTE - now_ms % MINUTE,
        )

    def count_orders(self, path: str, account: str, orders: int, now_ms: int) -> dict[str, str]:
        """Counts new orders; the headers that say so. TooMany (-1015) when there are too many."""
        side = side_of(path)
        prefix = "futures_" if side == FUTURES else ""
        headers: dict[str, str] = {}
        for name, length in ORDER_WINDOWS[side]:
            key = (side, account, name, now_ms // length)
            limit = getattr(self.settings, f"{prefix}orders_{name.lower()}")
            if limit is not None and self.orders[key] + orders > limit:
                raise TooMany(
                    -1015,
                    f"Too many new orders; current limit is {limit} orders per {name}.",
                    length - now_ms % length,
                )
            self.orders[key] += orders
            headers[f"X-MBX-ORDER-COUNT-{name}"] = str(self.orders[key])
        return headers

    def dump(self, side: str) -> dict[str, int]:
        return {str(minute): used for minute, used in sorted(self.weights[side].items())}
