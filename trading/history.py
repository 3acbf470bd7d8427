"""Candles of the past from files: read, checked, and what is missing told. Nothing is made up."""

import csv
import gzip
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite
from pathlib import Path

from trading.market import TIMEFRAMES, Candles

COLUMNS = ("open", "high", "low", "close", "volume")
#: Seconds, milliseconds and microseconds since 1970 differ by their size: this is the year 2286.
SECONDS_END, MS_END = 10**10, 10**13


class BadHistory(ValueError):
    """A line that is no candle; the text names it and says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """`candles`, oldest first, each once. `repeated`: how many lines told one a second time.

    `gaps`: stretches without candles as (first missing, first that is there again), Unix ms.
    """

    candles: Candles
    repeated: int
    gaps: tuple[tuple[int, int], ...]

    @property
    def missing(self) -> int:
        """How many candles the gaps lack."""
        length = TIMEFRAMES[self.candles.timeframe]
        return sum((end - begin) // length for begin, end in self.gaps)


def read_csv(path: Path, symbol: str, timeframe: str) -> History:
    """Return the candles of a CSV file, gzipped if it is called .gz; any order, a header or none.

    Columns: opening instant (Unix s, ms or µs), open, high, low, close, volume; more are let be.
    BadHistory names the first line that is no candle of `timeframe`; OSError: it cannot be read.
    """
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", newline="", encoding="utf-8") as file:
        return gather(_rows(csv.reader(file), timeframe), symbol, timeframe)


def _rows(lines: Iterable[Sequence[str]], timeframe: str) -> Iterator[tuple[float, ...]]:
    length = TIMEFRAMES[timeframe]
    for number, line in enumerate(lines, start=1):
        if not line or (number == 1 and not line[0].strip().lstrip("-").isdigit()):
            continue
        try:
            at, *prices = int(line[0]), *(float(cell) for cell in line[1:6])
        except ValueError as error:
            raise BadHistory(f"line {number}: {error}") from error
        at = at * 1000 if at < SECONDS_END else at if at < MS_END else at // 1000
        if problem := problem_of(at, prices, length):
            raise BadHistory(f"line {number}: {problem}")
        yield at, *prices


def problem_of(at: int, prices: Sequence[float], length: int) -> str:
    """Return why an opening (ms) and its prices and volume are no candle; "": they are one."""
    if len(prices) != len(COLUMNS):
        return f"{len(prices) + 1} columns, not 6"
    opened, high, low, close, volume = prices
    if at % length:
        return "does not open on the grid of its timeframe"
    if not all(map(isfinite, prices)) or low <= 0 or volume < 0:
        return "a price or volume that is none"
    if not (low <= opened <= high and low <= close <= high):
        return "a high or low that does not hold its open and close"
    return ""


def gather(rows: Iterable[tuple[float, ...]], symbol: str, timeframe: str) -> History:
    """Put rows (opening ms, open, high, low, close, volume) in order, each candle once.

    BadHistory where two rows tell one candle differently.
    """
    kept: dict[int, tuple[float, ...]] = {}
    repeated = 0
    for row in rows:
        at = int(row[0])
        if kept.setdefault(at, row) is not row:
            repeated += 1
            if kept[at] != row:
                raise BadHistory(f"the candle at {at} is told twice, differently")
    candles = Candles.from_rows(symbol, timeframe, (kept[at] for at in sorted(kept)))
    return History(candles=candles, repeated=repeated, gaps=gaps(candles))


def gaps(candles: Candles) -> tuple[tuple[int, int], ...]:
    """Return the stretches without candles: (first missing, first that is there again), Unix ms.

    ValueError for candles that are out of order, twice there, or off the timeframe's grid.
    """
    length, found, times = TIMEFRAMES[candles.timeframe], [], candles.times
    if any(time % length for time in times[:1]):
        raise ValueError("the candles do not start on the grid of their timeframe")
    if not times or times == tuple(range(times[0], times[0] + len(times) * length, length)):
        return ()
    for before, after in pairwise(times):
        step = after - before
        if step == length:
            continue
        if step < length or step % length:
            raise ValueError(f"the candle at {after} does not follow the one at {before}")
        found.append((before + length, after))
    return tuple(found)
