"""The files: exchange/market/timeframe/2026-03.npz, each written under another name and renamed.

A file holds a month's closed candles, and the stretches of it that somebody was asked about: where
there is no candle in one of those, the market had none. A file that is not whole is noticed by the
checksums of its parts, and counts as missing.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from trading.archive import stretches
from trading.archive.files import SUFFIX, TORN, Damaged, alone, save
from trading.archive.stretches import Stretch
from trading.history import History, gaps, gather
from trading.market import TIMEFRAMES, Candles

if TYPE_CHECKING:
    from numpy.typing import NDArray

COLUMNS = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """The candles of one length of one market of one exchange."""

    exchange: str
    symbol: str
    timeframe: str

    def __str__(self) -> str:
        return f"{self.exchange} {self.symbol} {self.timeframe}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Candles, and the stretches (joined) in which nothing but them is known to have been."""

    candles: Candles
    asked: tuple[Stretch, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """What the archive has of a series: opening of the first candle, end of the last (Unix ms).

    `missing` candles lie between them: told by nobody, or not there at the market. `damaged`: the
    months whose files are not whole.
    """

    series: Series
    count: int
    first: int
    end: int
    missing: int
    size: int
    damaged: tuple[str, ...]


def empty(series: Series) -> Part:
    """Return nothing, of a series."""
    return Part(candles=Candles.from_rows(series.symbol, series.timeframe, ()), asked=())


class Archive:
    """All series under one folder; several processes may read and write it at once."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, series: Series) -> Path:
        """Return where the files of a series are. ValueError for a name that is none."""
        parts = (series.exchange, series.symbol, series.timeframe)
        if series.timeframe not in TIMEFRAMES or any(part[:1] in ("", ".") for part in parts):
            raise ValueError(f"{series} is no series of candles")
        return self.root.joinpath(*(quote(part, safe="") for part in parts))

    def months(self, series: Series) -> list[str]:
        """Return the months of which there is a file, in order."""
        return sorted(path.stem for path in self.folder(series).glob(f"*{SUFFIX}"))

    def load(self, series: Series, month: str) -> Part:
        """Return one month's file; nothing where there is none. Damaged."""
        path = self.folder(series) / f"{month}{SUFFIX}"
        return _read(path, series) if path.exists() else empty(series)

    def lacking(self, series: Series, since: int, until: int) -> list[Stretch]:
        """Return the stretches that nobody was asked about yet; damaged months among them."""
        asked: list[Stretch] = []
        for month, begin, end in stretches.months(since, until):
            try:
                asked += stretches.cut(self.load(series, month).asked, begin, end)
            except Damaged:
                continue
        return stretches.lacking(stretches.joined(asked), since, until)

    def read(self, series: Series, since: int, until: int) -> History:
        """Return the candles that opened from `since` up to `until`, and the gaps. Damaged.

        What the archive lacks at both ends is no gap: ask `lacking`.
        """
        parts = [
            _between(self.load(series, month).candles, begin, end)
            for month, begin, end in stretches.months(since, until)
        ]
        columns = {
            name: tuple(chain.from_iterable(getattr(part, name) for part in parts))
            for name in ("times", *COLUMNS)
        }
        candles = Candles(symbol=series.symbol, timeframe=series.timeframe, **columns)
        return History(candles=candles, repeated=0, gaps=gaps(candles))

    def add(self, series: Series, part: Part) -> None:
        """Put candles into their months' files. BadHistory where the archive tells them otherwise.

        A damaged file is written anew with what is known now.
        """
        if not part.asked:
            return
        with alone(self.folder(series)):
            for month, begin, end in stretches.months(part.asked[0][0], part.asked[-1][1]):
                asked = stretches.cut(part.asked, begin, end)
                if asked:
                    self._join(series, month, _between(part.candles, begin, end), asked)

    def _join(self, series: Series, month: str, candles: Candles, asked: Sequence[Stretch]) -> None:
        try:
            known = self.load(series, month)
        except Damaged:
            known = empty(series)
        rows = (*_rows(known.candles), *_rows(candles))
        merged = gather(rows, series.symbol, series.timeframe).candles
        every = tuple(stretches.joined((*known.asked, *asked)))
        if merged != known.candles or every != known.asked:
            path = self.folder(series) / f"{month}{SUFFIX}"
            _write(path, Part(candles=merged, asked=every))

    def size(self) -> int:
        """Return how many bytes all files take."""
        return sum(path.stat().st_size for path in self.root.glob(f"*/*/*/*{SUFFIX}"))

    def listed(self) -> Iterator[Shelf]:
        """Yield what there is of each series, by exchange, market and timeframe."""
        found = []
        for folder in self.root.glob("*/*/*"):
            exchange, symbol, timeframe = map(unquote, folder.relative_to(self.root).parts)
            if timeframe in TIMEFRAMES and not exchange.startswith("."):
                found.append(Series(exchange=exchange, symbol=symbol, timeframe=timeframe))
        length = list(TIMEFRAMES)
        for series in sorted(
            found, key=lambda one: (one.exchange, one.symbol, length.index(one.timeframe))
        ):
            if self.months(series):
                yield self._shelf(series)

    def _shelf(self, series: Series) -> Shelf:
        shelf = Shelf(series=series, count=0, first=0, end=0, missing=0, size=0, damaged=())
        length = TIMEFRAMES[series.timeframe]
        for month in self.months(series):
            size = (self.folder(series) / f"{month}{SUFFIX}").stat().st_size
            shelf = replace(shelf, size=shelf.size + size)
            try:
                times = self.load(series, month).candles.times
            except Damaged:
                shelf = replace(shelf, damaged=(*shelf.damaged, month))
                continue
            if times:
                first = shelf.first if shelf.count else times[0]
                count = shelf.count + len(times)
                shelf = replace(shelf, count=count, first=first, end=times[-1] + length)
        return replace(shelf, missing=(shelf.end - shelf.first) // length - shelf.count)


def _between(candles: Candles, begin: int, end: int) -> Candles:
    return candles.cut(bisect_left(candles.times, begin), bisect_left(candles.times, end))


def _rows(candles: Candles) -> Iterator[tuple[float, ...]]:
    return zip(candles.times, *(getattr(candles, name) for name in COLUMNS), strict=True)


def _read(path: Path, series: Series) -> Part:
    import numpy as np

    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            columns = {name: tuple(file[name].tolist()) for name in ("times", *COLUMNS)}
            asked = tuple((int(begin), int(end)) for begin, end in file["asked"].tolist())
        candles = Candles(symbol=series.symbol, timeframe=series.timeframe, **columns)
        # Also what is whole may have been put there by hand.
        gaps(candles)
    except TORN as error:
        raise Damaged(f"{path.name} of {series} is damaged: {error}") from error
    return Part(candles=candles, asked=asked)


def _write(path: Path, part: Part) -> None:
    import numpy as np

    arrays: dict[str, NDArray[Any]] = {
        name: np.array(getattr(part.candles, name), dtype=np.float64) for name in COLUMNS
    }
    arrays["times"] = np.array(part.candles.times, dtype=np.int64)
    arrays["asked"] = np.array(part.asked, dtype=np.int64).reshape(-1, 2)
    save(path, arrays)
