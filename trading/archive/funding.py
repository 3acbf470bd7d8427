"""Funding rates of the past: exchange/market/funding/2026-03.npz, a file a month beside candles.

A file holds the times of a month with their rates, and the stretches of it that somebody was asked
about: at no other time of those was funding paid. Who was ended goes on there when run again.
"""

import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, unquote

from trading.archive import stretches
from trading.archive.fetch import LATE_MS, patiently
from trading.archive.files import SUFFIX, TORN, Damaged, alone, save
from trading.archive.stretches import Stretch

FOLDER = "funding"
MINUTE_MS = 60_000
#: No exchange pays funding less often than every 8 hours.
LONGEST_MS = 28_800_000
#: A funding time (Unix ms), and the fraction that longs paid to shorts then.
Rate = tuple[int, Decimal]


class PastRates(Protocol):
    """An exchange that is asked for funding rates of the past."""

    def now(self) -> int:
        """Return the exchange's time, Unix ms."""
        ...

    def rates(self, symbol: str, since: int) -> Sequence[Rate]:
        """Return a page of rates from `since` (Unix ms) on, oldest first; ExchangeError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Rates, oldest first, and the joined stretches in which there were no others."""

    rates: tuple[Rate, ...] = ()
    asked: tuple[Stretch, ...] = ()


class RateArchive:
    """The funding rates of all markets under one folder, the one of the candles."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, exchange: str, symbol: str) -> Path:
        """Return where a market's rates are. ValueError for a name that is none."""
        if any(part[:1] in ("", ".") for part in (exchange, symbol)):
            raise ValueError(f"{exchange} {symbol} is no market")
        return self.root.joinpath(quote(exchange, safe=""), quote(symbol, safe=""), FOLDER)

    def read(self, exchange: str, symbol: str, since: int, until: int) -> Told:
        """Return what is kept of a time (Unix ms); damaged months count as never asked about."""
        rates: list[Rate] = []
        asked: list[Stretch] = []
        for month, begin, end in stretches.months(since, until):
            try:
                found = self._load(exchange, symbol, month)
            except Damaged:
                continue
            rates += found.rates[_place(found, begin) : _place(found, end)]
            asked += stretches.cut(found.asked, begin, end)
        return Told(rates=tuple(rates), asked=tuple(stretches.joined(asked)))

    def lacking(self, exchange: str, symbol: str, since: int, until: int) -> list[Stretch]:
        """Return the stretches that nobody was asked about yet."""
        return stretches.lacking(self.read(exchange, symbol, since, until).asked, since, until)

    def add(self, exchange: str, symbol: str, told: Told) -> None:
        """Put rates into their months' files; one that is kept already stays."""
        if not told.asked:
            return
        folder = self.folder(exchange, symbol)
        with alone(folder):
            for month, begin, end in stretches.months(told.asked[0][0], told.asked[-1][1]):
                asked = stretches.cut(told.asked, begin, end)
                if asked:
                    part = told.rates[_place(told, begin) : _place(told, end)]
                    self._join(exchange, symbol, month, Told(rates=part, asked=tuple(asked)))

    def listed(self) -> Iterator[tuple[str, str, int, int, int]]:
        """Yield (exchange, symbol, count, first, last) of each market with rates."""
        for folder in sorted(self.root.glob(f"*/*/{FOLDER}")):
            exchange, symbol, _name = map(unquote, folder.relative_to(self.root).parts)
            times: list[int] = []
            for path in sorted(folder.glob(f"*{SUFFIX}")):
                try:
                    times += [at for at, _rate in self._load(exchange, symbol, path.stem).rates]
                except Damaged:
                    continue
            if times:
                yield exchange, symbol, len(times), times[0], times[-1]

    def _load(self, exchange: str, symbol: str, month: str) -> Told:
        import numpy as np

        path = self.folder(exchange, symbol) / f"{month}{SUFFIX}"
        if not path.exists():
            return Told()
        try:
            with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                times, rates = file["times"].tolist(), file["rates"].tolist()
                pairs = tuple(zip(map(int, times), map(Decimal, map(repr, rates)), strict=True))
                asked = tuple((int(begin), int(end)) for begin, end in file["asked"].tolist())
        except TORN as error:
            text = f"{path.name} of {exchange} {symbol} {FOLDER} is damaged: {error}"
            raise Damaged(text) from error
        return Told(rates=pairs, asked=asked)

    def _join(self, exchange: str, symbol: str, month: str, told: Told) -> None:
        import numpy as np

        try:
            known = self._load(exchange, symbol, month)
        except Damaged:
            known = Told()
        rates = sorted((dict(told.rates) | dict(known.rates)).items())
        asked = stretches.joined((*known.asked, *told.asked))
        arrays = {
            "times": np.array([at for at, _rate in rates], dtype=np.int64),
            "rates": np.array([float(rate) for _at, rate in rates], dtype=np.float64),
            "asked": np.array(asked, dtype=np.int64).reshape(-1, 2),
        }
        save(self.folder(exchange, symbol) / f"{month}{SUFFIX}", arrays)


def _place(told: Told, at: int) -> int:
    return bisect_left(told.rates, at, key=lambda rate: rate[0])


def fetch_rates(
    feed: PastRates,
    archive: RateArchive,
    exchange: str,
    symbol: str,
    since: int,
    until: int,
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Bring the rates from `since` up to `until` (Unix ms) that the archive lacks; how many came.

    Each page is kept as it comes: what an ExchangeError, or whatever `sleep` raises, ends goes on
    there when it is asked for again.
    """
    brought, now = 0, feed.now()
    for begin, end in archive.lacking(exchange, symbol, since, min(until, now)):
        at = begin
        while at < end:
            page = patiently(partial(feed.rates, symbol, at), sleep)
            # Exchanges tell them some milliseconds late.
            rates = [(told // MINUTE_MS * MINUTE_MS, rate) for told, rate in page]
            mine = tuple((told, rate) for told, rate in rates if at <= told < end)
            if rates and rates[-1][0] >= end:
                reach = end
            elif mine:
                reach = mine[-1][0] + MINUTE_MS
            else:
                # One may come late: until then its absence proves nothing.
                reach = min(end, now - LATE_MS)
            # Some tell the newest of them first: of the time before those nothing was said.
            spoken = mine[0][0] if mine and mine[0][0] - at > LONGEST_MS else at
            if spoken < reach:
                archive.add(exchange, symbol, Told(rates=mine, asked=((spoken, reach),)))
            brought += len(mine)
            if not mine:
                break
            at = reach
    return brought
