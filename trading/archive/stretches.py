"""Stretches of time as (begin, end), Unix ms, the end left out; lists of them are in order."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from trading.market import TIMEFRAMES, Candles

Stretch = tuple[int, int]


def joined(stretches: Iterable[Stretch]) -> list[Stretch]:
    """Return the same time in as few stretches as there can be, in order."""
    found: list[Stretch] = []
    for begin, end in sorted(stretches):
        if begin >= end:
            continue
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((begin, end))
    return found


def cut(stretches: Iterable[Stretch], begin: int, end: int) -> list[Stretch]:
    """Return the parts of joined stretches that lie between `begin` and `end`."""
    parts = ((max(first, begin), min(last, end)) for first, last in stretches)
    return [part for part in parts if part[0] < part[1]]


def lacking(stretches: Sequence[Stretch], begin: int, end: int) -> list[Stretch]:
    """Return the parts of `begin` to `end` that no one of the joined stretches holds."""
    found, at = [], begin
    for first, last in cut(stretches, begin, end):
        if first > at:
            found.append((at, first))
        at = last
    if at < end:
        found.append((at, end))
    return found


def present(candles: Candles) -> list[Stretch]:
    """Return the stretches in which no candle is missing."""
    length = TIMEFRAMES[candles.timeframe]
    return joined((at, at + length) for at in candles.times)


def month_of(at: int) -> str:
    """Return the month that an instant lies in, in UTC: 2026-03."""
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m")


def span_of(month: str) -> Stretch:
    """Return when a month (2026-03) begins and ends. ValueError for what is none."""
    first = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
    year, after = divmod(first.month, 12)
    following = first.replace(year=first.year + year, month=after + 1)
    return round(first.timestamp() * 1000), round(following.timestamp() * 1000)


def months(begin: int, end: int) -> Iterator[tuple[str, int, int]]:
    """Yield (month, begin, end) of each month that a stretch touches, cut to the stretch."""
    while begin < end:
        month = month_of(begin)
        until = min(span_of(month)[1], end)
        yield month, begin, until
        begin = until
