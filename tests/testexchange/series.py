"""Base candles: from a file or from a seeded generator.

Prices and volumes are integers in units of 1e-8, which is Binance's precision and exact.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, Protocol

UNIT = 10**8
MINUTE = 60_000
DAY = 86_400_000
MASK = 2**64 - 1


class Candle(NamedTuple):
    """One candle; `at` is its open time in ms, the rest (but `trades`) is in units of 1e-8."""

    at: int
    open: int
    high: int
    low: int
    close: int
    volume: int
    quote: int
    trades: int


def units(value: str | Decimal) -> int:
    """`value` in units of 1e-8, rounded half to even (files carry floating-point noise)."""
    return int((Decimal(value) * UNIT).to_integral_value(ROUND_HALF_EVEN))


def text(value: int) -> str:
    """Units of 1e-8 with the eight decimals that Binance prints."""
    sign = "-" if value < 0 else ""
    return f"{sign}{abs(value) // UNIT}.{abs(value) % UNIT:08d}"


def base_candle(at: int, prices: Sequence[int], volume: int) -> Candle:
    """A candle of the source; quote volume and number of trades are derived from it."""
    opened, high, low, close = prices
    quote = volume * (opened + high + low + close) // (4 * UNIT)
    return Candle(at, opened, high, low, close, volume, quote, 1 + volume % 997)


class Series(Protocol):
    """A source of base candles."""

    step_ms: int
    first_ms: int

    @property
    def last_ms(self) -> int | None:
        """The open time of the last candle; None when the series never ends."""

    def day(self, number: int) -> list[Candle]:
        """The base candles of one UTC day (days since 1970), in order, without the missing."""


class FileSeries:
    """Candles of a csv or csv.gz with the columns timestamp_ms, open, high, low, close, volume."""

    def __init__(self, path: Path) -> None:
        self._days: dict[int, list[Candle]] = defaultdict(list)
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rt", newline="") as lines:
            rows = list(csv.DictReader(lines))
        times = [int(row["timestamp_ms"]) for row in rows]
        for at, row in zip(times, rows, strict=True):
            prices = [units(row[name]) for name in ("open", "high", "low", "close")]
            self._days[at // DAY].append(base_candle(at, prices, units(row["volume"])))
        self.first_ms, self.last_ms = times[0], times[-1]
        self.step_ms = min(b - a for a, b in pairwise(times))

    def day(self, number: int) -> list[Candle]:
        return self._days.get(number, [])


class GeneratedSeries:
    """An endless market of one-minute candles: a pure function of seed, symbol and time.

    The open of a minute is a sum of value noises (straight lines between hashed lattice points)
    from a week down to a minute; it closes where the next one opens.
    """

    step_ms = MINUTE
    first_ms = 1_502_928_000_000  # 2017-08-17: the first day of BTCUSDT on Binance
    last_ms: int | None = None
    OCTAVES = ((10080, 60), (1440, 30), (240, 15), (60, 8), (15, 4), (5, 2), (1, 1))
    PER_MILLE = 1000

    def __init__(self, *, seed: int, symbol: str, price: Decimal, tick: Decimal) -> None:
        digest = hashlib.blake2b(f"{seed}:{symbol}".encode(), digest_size=8).digest()
        self._key = int.from_bytes(digest, "big")
        self._price, self._tick = units(price), units(tick)

    def _hash(self, stream: int, index: int) -> int:
        """splitmix64 of the key, a stream number and an index."""
        x = (self._key + stream * 0xD1342543DE82EF95 + index * 0x9E3779B97F4A7C15) & MASK
        x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
        return x ^ (x >> 31)

    def _noise(self, stream: int, period: int, start: int, count: int) -> Iterator[int]:
        """`count` values in -2**20..2**20 from minute `start` on, one lattice point per period."""
        left = right = index = -1
        for minute in range(start, start + count):
            if minute // period != index:
                index = minute // period
                left = (self._hash(stream, index) >> 43) - 2**20
                right = (self._hash(stream, index + 1) >> 43) - 2**20
            yield left + (right - left) * (minute % period) // period

    def _opens(self, start: int, count: int) -> list[int]:
        noises = [
            [value * weight for value in self._noise(stream, period, start, count)]
            for stream, (period, weight) in enumerate(self.OCTAVES)
        ]
        scale = self.PER_MILLE << 20
        moves = (self._price * sum(values) // scale for values in zip(*noises, strict=True))
        return [max(self._tick, self._ticks(self._price + move)) for move in moves]

    def _ticks(self, value: int) -> int:
        return value // self._tick * self._tick

    def day(self, number: int) -> list[Candle]:
        start = number * 1440
        opens = self._opens(start, 1441)
        candles = []
        for offset in range(1440):
            opened, close = opens[offset], opens[offset + 1]
            dice = self._hash(len(self.OCTAVES), start + offset)
            wick = self._price * (dice % 1000) // 2_000_000
            high = self._ticks(max(opened, close) + wick)
            low = max(
                self._tick, self._ticks(min(opened, close) - wick * (dice >> 20 & 1023) // 1024)
            )
            volume = (1 + (dice >> 32) % 9973) * UNIT // 1000
            candles.append(
                base_candle(number * DAY + offset * MINUTE, (opened, high, low, close), volume)
            )
        return candles
