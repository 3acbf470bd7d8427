"""Fill the archive from an exchange, page by page; what is there already is not asked again."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

from trading.archive.store import Archive, Part, Series
from trading.archive.stretches import Stretch
from trading.exchange import Unreachable
from trading.history import problem_of
from trading.market import TIMEFRAMES, Candles

#: Candles that are written at once: what a killed process has to fetch again.
BLOCK = 10_000
#: How often a page is asked for, and the longest pause before the next time (seconds).
TRIES, LONGEST_PAUSE = 4, 30.0
#: Candles that an empty page steps over, and as many as each exchange surely spoke of with it.
LEAP, STEP = 1000, 100
#: A candle may come this late: until then its absence proves nothing.
LATE_MS = 3_600_000

Row = Sequence[float]
Answer = TypeVar("Answer")


class Past(Protocol):
    """An exchange that is asked for candles of the past."""

    def now(self) -> int:
        """Return the exchange's time, Unix ms."""
        ...

    def past(self, symbol: str, timeframe: str, since: int) -> Sequence[Row]:
        """Return a page of closed candles that opened at `since` (Unix ms) or later, oldest first.

        Rows of (opening ms, open, high, low, close, volume). May raise ExchangeError.
        """
        ...


@dataclass(slots=True, kw_only=True)
class Fetched:
    """What a fetch brought: `candles`, and how many were `refused` as none, with the first reason.

    A refused candle is missing: nothing stands in its place.
    """

    candles: int = 0
    refused: int = 0
    reason: str = ""


def fetch(
    feed: Past,
    archive: Archive,
    series: Series,
    since: int,
    until: int,
    *,
    tell: Callable[[float], None] = lambda _share: None,
    sleep: Callable[[float], None] = time.sleep,
) -> Fetched:
    """Bring the closed candles from `since` up to `until` (Unix ms) that the archive lacks.

    `tell` hears which share is done, and may raise to end it: what came until then is kept, as it
    is when an ExchangeError ends it. ValueError for a series that is none.
    """
    length = TIMEFRAMES[series.timeframe]
    now = feed.now()
    since, until = -(-since // length) * length, min(until, now) // length * length
    brought = Fetched()
    wanted = archive.lacking(series, since, until)
    every, done = sum(end - begin for begin, end in wanted), 0
    for begin, end in wanted:
        block = _Block(archive, series, brought, begin, settled=now - LATE_MS)
        try:
            while block.reach < end:
                tell((done + block.reach - begin) / every)
                ask = partial(feed.past, series.symbol, series.timeframe, block.reach)
                block.take(patiently(ask, sleep), end)
        finally:
            block.keep()
        done += end - begin
    tell(1.0)
    return brought


def patiently(ask: Callable[[], Answer], sleep: Callable[[float], None]) -> Answer:
    """Ask for a page, some times where no answer comes."""
    for attempt in range(TRIES - 1):
        try:
            return ask()
        except Unreachable as error:
            pause = 2.0**attempt if error.retry_after is None else error.retry_after
            if pause > LONGEST_PAUSE:
                raise
            sleep(pause)
    return ask()


class _Block:
    """Candles that came and are not written yet; `reach`: up to where the exchange has spoken."""

    def __init__(
        self, archive: Archive, series: Series, brought: Fetched, begin: int, *, settled: int
    ) -> None:
        self.archive, self.series, self.brought = archive, series, brought
        self.settled = settled
        self.length = TIMEFRAMES[series.timeframe]
        self.begin = self.reach = begin
        self.rows: list[Row] = []
        #: After a leap: up to where nothing was surely there; None: all up to `reach` is known.
        self.sure: int | None = None
        self.steps_until = begin

    def take(self, page: Sequence[Row], end: int) -> None:
        """Keep what a page says of the time up to `end`."""
        rows = [row for row in page if row[0] >= self.reach]
        if rows and self.sure is not None:
            self._go_back()
            return
        for row in rows:
            at = int(row[0])
            if self.reach <= at < end:
                self._one(at, row)
                self.reach = (at // self.length + 1) * self.length
        if not rows:
            self._pass_over(end)
        elif rows[-1][0] >= end:
            self.reach = end  # what comes alone after it proves that nothing was there
        if len(self.rows) >= BLOCK:
            self.keep()

    def _pass_over(self, end: int) -> None:
        """Go on after a page without candles.

        Some exchanges speak of 1000 candles in a page and some of 100 only; which, none tells. So
        long stretches without any are leapt over, and the last leap is gone again in small steps.
        """
        sure = min(self.reach + STEP * self.length, end)
        if self.reach < self.steps_until:
            self.reach = min(sure, self.steps_until)
            return
        self.sure, self.reach = sure, min(self.reach + LEAP * self.length, end)
        if self.reach == sure:
            self.sure = None
        elif self.reach == end:
            self._go_back()

    def _go_back(self) -> None:
        self.steps_until, self.reach = self.reach, self.sure or self.reach
        self.sure = None

    def _one(self, at: int, row: Row) -> None:
        problem = problem_of(at, row[1:], self.length)
        if problem:
            self.brought.refused += 1
            self.brought.reason = self.brought.reason or f"the candle at {at}: {problem}"
        else:
            self.rows.append(row)

    def keep(self) -> None:
        """Write what came so far."""
        last = int(self.rows[-1][0]) + self.length if self.rows else self.begin
        reach = self.reach if self.sure is None else self.sure
        span: Stretch = (self.begin, min(reach, max(self.settled, last)))
        if span[0] >= span[1]:
            return
        candles = Candles.from_rows(self.series.symbol, self.series.timeframe, self.rows)
        self.archive.add(self.series, Part(candles=candles, asked=(span,)))
        self.brought.candles += len(self.rows)
        self.begin, self.rows = reach, []
