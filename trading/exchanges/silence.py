"""When an exchange must not be asked, and how much of what it allows is used up.

Weights and bans are counted per address, numbers of orders per account; other exchanges go on.
"""

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Any, Protocol

from trading.exchanges.errors import URGENT, Call

#: From this share of the weight of a minute on only what concerns orders is asked.
THRIFT = 0.8
UNITS: Mapping[str, int] = {"S": 1, "M": 60, "H": 3600, "D": 86_400}
INTERVALS: Mapping[str, str] = {"SECOND": "S", "MINUTE": "M", "HOUR": "H", "DAY": "D"}
#: Binance's headers: what is used of the weight of a minute, of the orders of ten seconds.
COUNTER = re.compile(r"(?i)x-mbx-(used-weight|order-count)-(\d{1,3})([smhd])")
#: Their names in exchangeInfo.
TYPES: Mapping[str, str] = {"used-weight": "REQUEST_WEIGHT", "order-count": "ORDERS"}


class Quiet(StrEnum):
    """What a silence covers."""

    ALL = "all"  # every call from this address
    READS = "reads"  # calls from this address on which no order depends
    ORDERS = "orders"  # new orders of one account


class Silences(Protocol):
    """Remembers silences by `scope` (exchange, market and mode) and `account` ("": the address)."""

    def keep(self, scope: str, quiet: Quiet, account: str, seconds: float, why: str) -> None:
        """Be quiet for so long, from now on; a longer silence that is known already stays."""
        ...

    def left(self, scope: str, quiet: Quiet, account: str = "") -> float:
        """Return for how many seconds more; not above 0 when there is no silence."""
        ...


class LocalSilences:
    """The silences of one process."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._until: dict[tuple[str, Quiet, str], float] = {}
        self._lock = threading.Lock()

    def keep(self, scope: str, quiet: Quiet, account: str, seconds: float, why: str) -> None:
        """Be quiet for so long."""
        until = self._monotonic() + seconds
        with self._lock:
            key = (scope, quiet, account)
            self._until[key] = max(until, self._until.get(key, until))

    def left(self, scope: str, quiet: Quiet, account: str = "") -> float:
        """Return for how many seconds more."""
        return self._until.get((scope, quiet, account), 0.0) - self._monotonic()


def left_for(silences: Silences, scope: str, what: Call, account: str) -> float:
    """Return for how many seconds more a call like this has to wait."""
    left = silences.left(scope, Quiet.ALL)
    if what not in URGENT:
        left = max(left, silences.left(scope, Quiet.READS))
    if what is Call.ORDER and account:
        left = max(left, silences.left(scope, Quiet.ORDERS, account))
    return left


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """How much of a limit is used up: `used` of `most` in a window that ends in `seconds`.

    `quiet` is what reaching it silences, `what` names it: weight/1M, orders/10S.
    """

    quiet: Quiet
    what: str
    used: int
    most: int
    seconds: float

    @property
    def is_spent(self) -> bool:
        """Whether it is time to be quiet."""
        return self.used >= self.most * (THRIFT if self.quiet is Quiet.READS else 1)

    @property
    def why(self) -> str:
        """Say it for a log: 4900 of 6000 weight/1M."""
        return f"{self.used} of {self.most} {self.what}"


class Limits:
    """The limits of one exchange and what its answers say of their use. `wall`: Unix seconds."""

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._limits: dict[tuple[str, str], int] = {}

    def learn(self, exchange_info: object) -> None:
        """Take the limits from an answer that holds them (exchangeInfo's rateLimits)."""
        found = exchange_info.get("rateLimits") if isinstance(exchange_info, Mapping) else None
        for limit in found if isinstance(found, list) else ():
            unit = INTERVALS.get(_text(limit, "interval"))
            number, most = _text(limit, "intervalNum"), _text(limit, "limit")
            if unit and number.isdecimal() and most.isdecimal():
                self._limits[_text(limit, "rateLimitType"), f"{number}{unit}"] = int(most)

    def uses(self, headers: Mapping[str, str]) -> Iterator[Use]:
        """Yield what the headers of an answer say of each limit that is known."""
        for name, used in headers.items():
            counter = COUNTER.fullmatch(name)
            if counter is None or not used.isdecimal():
                continue
            kind, number, unit = counter[1].lower(), counter[2], counter[3].upper()
            most = self._limits.get((TYPES[kind], f"{number}{unit}"))
            is_weight = kind == "used-weight"
            if most:
                window = int(number) * UNITS[unit]
                yield Use(
                    quiet=Quiet.READS if is_weight else Quiet.ORDERS,
                    what=f"{'weight' if is_weight else 'orders'}/{number}{unit}",
                    used=int(used),
                    most=most,
                    seconds=window - self._wall() % window,
                )

    def spent(self, headers: Mapping[str, str]) -> Iterator[Use]:
        """Yield each limit that the headers of an answer say is reached: be quiet until it ends."""
        return (use for use in self.uses(headers) if use.is_spent)


def account_mark(api_key: str) -> str:
    """Return what stands for an account where its key must not: a fingerprint, "" without a key."""
    return sha256(api_key.encode()).hexdigest() if api_key else ""


def _text(limit: Any, name: str) -> str:
    return str(limit.get(name, "")) if isinstance(limit, Mapping) else ""
