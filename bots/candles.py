"""The newest closed candles of each market, as rows that pages read.

Ticks bring them: what a tick saw anyway is stored after it has ended, once per newly closed candle
and market, however many bots and workers look at it. Readers call `latest`, `latest_of`, `stamp`.
"""

import logging
import zlib
from array import array
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from bots.lifecycle import Mode
from bots.models import BotConfig, StoredCandles
from trading.market import Candles

log = logging.getLogger(__name__)

#: Candles kept of a market and timeframe.
LIMIT = 500
#: Markets that a process remembers; then it starts anew.
REMEMBERED = 4096
_FIELDS = ("open", "high", "low", "close", "volume")


class Key(NamedTuple):
    """Whose candles: `mode` is testnet or live; make it with `key_of`."""

    exchange: str
    mode: str
    symbol: str
    timeframe: str


class _Span(NamedTuple):
    oldest: int
    newest: int


#: What this process knows to be stored, so that a tick without a new candle asks nobody.
_known: dict[Key, _Span] = {}


def key_of(exchange: str, mode: str, symbol: str, timeframe: str) -> Key:
    """Return the key of a market's candles for a bot in `mode`: paper sees the live market."""
    feed = Mode.TESTNET if mode == Mode.TESTNET else Mode.LIVE
    return Key(exchange, feed.value, symbol, timeframe)


def latest(exchange: str, mode: str, symbol: str, timeframe: str, *, count: int = LIMIT) -> Candles:
    """Return the newest stored closed candles of a market, oldest first; empty where none are.

    At most `count`, and LIMIT. A gap in the times is a gap in what was seen. One query.
    """
    key = key_of(exchange, mode, symbol, timeframe)
    found = latest_of([key], count=count).get(key)
    return found or Candles.from_rows(symbol, timeframe, ())


def latest_of(keys: Iterable[Key], *, count: int = LIMIT) -> dict[Key, Candles]:
    """Return the same of several markets in one query; those without candles are left out."""
    wanted = set(keys)
    if not wanted:
        return {}
    # Wider than asked where exchanges cross symbols, but no OR that is too deep for SQLite.
    near = Q(symbol__in={k.symbol for k in wanted}, timeframe__in={k.timeframe for k in wanted})
    rows = StoredCandles.objects.filter(near, exchange__in={k.exchange for k in wanted})
    found = {Key(row.exchange, row.mode, row.symbol, row.timeframe): row for row in rows}
    return {key: _unpack(found[key]).last(count) for key in wanted & found.keys()}


def keep(bot: BotConfig, seen: Candles | None) -> None:
    """Store what a tick of `bot` saw of its market, if that is news. Never raises."""
    if seen is None or not seen.times:
        return
    key = key_of(bot.exchange, bot.mode, seen.symbol, seen.timeframe)
    span = _Span(seen.times[0], seen.times[-1])
    known = _known.get(key)
    if known is not None and known.newest >= span.newest and known.oldest <= span.oldest:
        return
    try:
        stored = store(key, seen)
    except Exception:
        # A door: the tick has ended well, and a picture is not worth its failure. The next candle
        # tries again.
        log.exception("candles of %s are not stored", " ".join(key))
        stored = span
    if len(_known) >= REMEMBERED:
        _known.clear()
    _known[key] = stored


def store(key: Key, seen: Candles) -> _Span:
    """Merge closed candles into their row; returns what the row now spans.

    What is stored stays as it is; what is missing is added, and only the newest LIMIT are kept.
    Whoever comes second with the same candle writes nothing.
    """
    row = StoredCandles.objects.filter(**key._asdict()).first()
    if row is None:
        merged = seen.last(LIMIT)
        new = StoredCandles(**key._asdict(), **_columns(merged))
        # Another worker may be first: then its row stays, and the next candle joins it. The block
        # is ours, since that of bulk_create takes a caller's with it where it fails.
        with transaction.atomic():
            StoredCandles.objects.bulk_create([new], ignore_conflicts=True)
        return _Span(merged.times[0], merged.times[-1])
    span = _Span(row.oldest, row.newest)
    is_full = row.count >= LIMIT
    if span.newest >= seen.times[-1] and (is_full or span.oldest <= seen.times[0]):
        return _Span(min(span.oldest, seen.times[0]), span.newest)
    merged = _merge(_unpack(row), seen)
    same = StoredCandles.objects.filter(pk=row.pk, **span._asdict(), count=row.count)
    if not same.update(**_columns(merged)):
        return span
    return _Span(min(merged.times[0], seen.times[0]), merged.times[-1])


def stamp(key: Key) -> tuple[int, int, int] | None:
    """Return what changes whenever stored candles do (oldest, newest, count), or None."""
    rows = StoredCandles.objects.filter(**key._asdict())
    return rows.values_list("oldest", "newest", "count").first()


def _merge(stored: Candles, seen: Candles) -> Candles:
    rows = {row[0]: row for candles in (seen, stored) for row in rows_of(candles)}
    newest = sorted(rows.values())[-LIMIT:]
    return Candles.from_rows(stored.symbol, stored.timeframe, newest)


def rows_of(candles: Candles) -> Iterator[tuple[float, ...]]:
    """Yield the candles as rows (opening time in Unix ms, open, high, low, close, volume)."""
    columns = (getattr(candles, name) for name in _FIELDS)
    yield from zip(candles.times, *columns, strict=True)


def _columns(candles: Candles) -> dict[str, object]:
    return {
        "oldest": candles.times[0],
        "newest": candles.times[-1],
        "count": len(candles),
        "data": _pack(candles),
        "updated_at": timezone.now(),
    }


def _pack(candles: Candles) -> bytes:
    """Return times as 64-bit integers and five columns of doubles, compressed: exact, and small."""
    times = array("q", candles.times).tobytes()
    columns = (array("d", getattr(candles, name)).tobytes() for name in _FIELDS)
    return zlib.compress(b"".join((times, *columns)), 1)


def _unpack(row: StoredCandles) -> Candles:
    raw = zlib.decompress(bytes(row.data))
    times = array("q")
    times.frombytes(raw[: row.count * times.itemsize])
    numbers = array("d")
    numbers.frombytes(raw[row.count * times.itemsize :])
    values = iter(numbers)
    columns = {name: tuple(islice(values, row.count)) for name in _FIELDS}
    return Candles(symbol=row.symbol, timeframe=row.timeframe, times=tuple(times), **columns)
