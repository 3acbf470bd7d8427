"""Market data shared by all bots of a process, and the checks without which no order is built.

However many bots watch a market, a candle is fetched once: it stays until the next one closes.
A fetch that failed is remembered for a moment, so that a dead exchange is asked by one bot, not by
all; when the exchange asks for silence, its whole feed is silent. Data is never invented: what
does not pass the checks is an Unusable error.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from math import isfinite
from operator import le
from typing import Generic, TypeVar

from trading.exchange import ExchangeError, Fault, Feed, Unreachable, Unusable
from trading.market import TIMEFRAMES, Candles, Quote, Rules

#: How far a candle may lie past our idea of the exchange's time before we disbelieve it.
CLOCK_TOLERANCE_MS = 1_000
#: After an answer without the candle that just closed, how long until the exchange is asked again.
LATE_CANDLE_MS = 1_000
#: Faults that concern the whole exchange, not one market.
OUTAGES = frozenset({Fault.NETWORK, Fault.MAINTENANCE, Fault.RATE_LIMIT})


def check_candles(candles: Candles, now: int) -> None:
    """Raise Unusable unless these closed candles may feed an order; `now`: exchange time, ms.

    BROKEN_DATA: a gap, a duplicate, out of order, NaN or infinite, a price that is not positive,
    a high below or a low above the rest, a negative volume, a candle that has not closed.
    STALE_DATA: none at all, or the newest closed more than two timeframes ago.
    """
    length = TIMEFRAMES[candles.timeframe]
    if not candles.times:
        raise Unusable(Fault.STALE_DATA, f"{candles.symbol}: no candles")
    problem = _broken(candles, length, now)
    if problem:
        raise Unusable(Fault.BROKEN_DATA, f"{candles.symbol} {candles.timeframe}: {problem}")
    age = now - (candles.times[-1] + length)
    if age > 2 * length:
        raise Unusable(
            Fault.STALE_DATA,
            f"{candles.symbol} {candles.timeframe}: newest candle closed {age // 1000} s ago",
        )


def _broken(candles: Candles, length: int, now: int) -> str:
    times, low, high = candles.times, candles.low, candles.high
    columns = (candles.open, high, low, candles.close, candles.volume)
    if any(len(column) != len(times) for column in columns):
        return "columns of unequal length"
    if times != tuple(range(times[0], times[0] + len(times) * length, length)):
        return "a gap, a duplicate or a wrong order"
    if times[0] % length:
        return "candles that do not start on the timeframe's grid"
    if times[-1] + length > now + CLOCK_TOLERANCE_MS:
        return "a candle that has not closed"
    # One NaN or infinity makes the sum NaN or infinite: cheaper than to look at each number.
    if not all(isfinite(sum(column)) for column in columns):
        return "a number that is NaN or infinite"
    if min(low) <= 0:
        return "a price that is not positive"
    if min(candles.volume) < 0:
        return "a negative volume"
    inside = (candles.open, candles.close)
    if not all(all(map(le, low, middle)) and all(map(le, middle, high)) for middle in inside):
        return "a high or low that does not hold its open and close"
    return ""


def check_quote(quote: Quote, now: int | None = None, max_age_ms: int = 600_000) -> None:
    """Raise Unusable unless this quote may feed an order; its age counts when `now` is given."""
    prices = (quote.bid, quote.ask, quote.last)
    if not all(price.is_finite() for price in prices):
        raise Unusable(Fault.BROKEN_DATA, f"{quote.symbol}: a price that is no number")
    if min(prices) <= 0:
        raise Unusable(Fault.BROKEN_DATA, f"{quote.symbol}: a price that is not positive")
    if quote.bid > quote.ask:
        raise Unusable(Fault.BROKEN_DATA, f"{quote.symbol}: bid {quote.bid} above ask {quote.ask}")
    if now is not None and now - quote.at > max_age_ms:
        age = (now - quote.at) // 1000
        raise Unusable(Fault.STALE_DATA, f"{quote.symbol}: the price is {age} s old")


#: Each feed has a `key` by which its data is shared.
SharedFeed = Feed

T = TypeVar("T", Candles, Quote, Rules)


@dataclass(slots=True)
class _Entry(Generic[T]):
    """One thing that is shared: what was fetched, when (exchange ms), or how that failed."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    value: T | None = None
    asked: int = 0  # candles asked for
    fetched_at: int = 0
    error: ExchangeError | None = None
    silent_until: float = 0.0  # on our own clock: a feed in trouble may not know its time
    slices: dict[int, Candles] = field(default_factory=dict)


class MarketData:
    """Candles, quotes and rules per `feed.key` and market: fetched once, checked, shared.

    One per process. Threads may share it: a market is fetched by one while the others wait.
    Times to live are seconds: prices and rules age by the feed's time (so replay works), a failure
    by our own `monotonic` clock.
    """

    def __init__(
        self,
        *,
        price_ttl_s: float = 2.0,
        markets_ttl_s: float = 60.0,
        failure_ttl_s: float = 2.0,
        max_entries: int = 4096,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._price_ttl_ms = int(price_ttl_s * 1000)
        self._markets_ttl_ms = int(markets_ttl_s * 1000)
        self._failure_ttl_s = failure_ttl_s
        self._max_entries = max_entries
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._candles: OrderedDict[tuple[str, str, str], _Entry[Candles]] = OrderedDict()
        self._quotes: OrderedDict[tuple[str, str, str], _Entry[Quote]] = OrderedDict()
        self._rules: OrderedDict[tuple[str, str, str], _Entry[Rules]] = OrderedDict()
        self._outages: dict[str, tuple[float, ExchangeError]] = {}

    def candles(self, feed: Feed, symbol: str, timeframe: str, count: int) -> Candles:
        """Return the newest `count` closed candles, fewer if the market has no more; checked.

        Raises ExchangeError: what the feed raised, or Unusable (see check_candles).
        """
        entry = self._entry(self._candles, (feed.key, symbol, timeframe))
        with entry.lock:
            self._still_failing(feed, entry)
            try:
                return self._fresh_candles(feed, entry, symbol, timeframe, count)
            except ExchangeError as error:
                self._remember(feed, entry, error)
                raise

    def quote(self, feed: Feed, symbol: str) -> Quote:
        """Return a quote fetched at most `price_ttl_s` ago, checked. Raises ExchangeError."""
        entry = self._entry(self._quotes, (feed.key, symbol, ""))
        with entry.lock:
            self._still_failing(feed, entry)
            try:
                now = feed.now()
                if entry.value is None or not 0 <= now - entry.fetched_at < self._price_ttl_ms:
                    quote = feed.quote(symbol)
                    check_quote(quote, now)
                    entry.value, entry.fetched_at = quote, now
                return entry.value
            except ExchangeError as error:
                self._remember(feed, entry, error)
                raise

    def rules(self, feed: Feed, symbol: str) -> Rules:
        """Return the market's rules, at most `markets_ttl_s` old. Raises ExchangeError.

        A market that the exchange does not have (any more) is Unusable(MARKET_UNKNOWN).
        """
        entry = self._entry(self._rules, (feed.key, symbol, ""))
        with entry.lock:
            self._still_failing(feed, entry)
            try:
                now = feed.now()
                if entry.value is None or not 0 <= now - entry.fetched_at < self._markets_ttl_ms:
                    entry.value, entry.fetched_at = feed.rules(symbol), now
                return entry.value
            except ExchangeError as error:
                self._remember(feed, entry, error)
                raise

    def _fresh_candles(
        self, feed: Feed, entry: _Entry[Candles], symbol: str, timeframe: str, count: int
    ) -> Candles:
        now, length = feed.now(), TIMEFRAMES[timeframe]
        kept = entry.value
        if kept is None or entry.asked < count or not _current(kept, entry.fetched_at, now, length):
            asked = max(count, entry.asked)
            fetched = feed.candles(symbol, timeframe, asked)
            _check_new(fetched, kept, now)
            entry.value, entry.asked, entry.fetched_at = fetched, asked, now
            entry.slices.clear()
            kept = fetched
        elif now - kept.times[-1] > 3 * length:
            check_candles(kept, now)
        if count not in entry.slices:
            entry.slices[count] = kept if len(kept) <= count else kept.last(count)
        return entry.slices[count]

    def _entry(
        self, kind: OrderedDict[tuple[str, str, str], _Entry[T]], key: tuple[str, str, str]
    ) -> _Entry[T]:
        with self._lock:
            entry = kind.get(key)
            if entry is None:
                entry = kind[key] = _Entry()
                if len(kind) > self._max_entries:
                    kind.popitem(last=False)
            else:
                kind.move_to_end(key)
            return entry

    def _still_failing(self, feed: Feed, entry: _Entry[T]) -> None:
        """Raise what went wrong a moment ago, as long as nobody is to ask again."""
        if entry.error is None and feed.key not in self._outages:
            return
        now = self._monotonic()
        until, error = self._outages.get(feed.key, (0.0, None))
        if error is not None and now < until:
            raise _again(error, until - now)
        self._outages.pop(feed.key, None)
        if entry.error is not None and now < entry.silent_until:
            raise _again(entry.error, entry.silent_until - now)
        entry.error = None

    def _remember(self, feed: Feed, entry: _Entry[T], error: ExchangeError) -> None:
        until = self._monotonic() + max(self._failure_ttl_s, error.retry_after or 0.0)
        entry.error, entry.silent_until = error, until
        if isinstance(error, Unreachable) and error.fault in OUTAGES:
            self._outages[feed.key] = (until, error)


def _current(kept: Candles, fetched_at: int, now: int, length: int) -> bool:
    """Whether no newer candle can have closed, or we asked for it only just now."""
    if not kept.times or now < fetched_at:
        return False
    return now < kept.times[-1] + 2 * length or now - fetched_at < LATE_CANDLE_MS


def _check_new(fetched: Candles, kept: Candles | None, now: int) -> None:
    """Check fetched candles; of those that were checked before, only that they are the same."""
    if kept is None or not fetched.times or not kept.times:
        return check_candles(fetched, now)
    length = TIMEFRAMES[fetched.timeframe]
    new = (fetched.times[-1] - kept.times[-1]) // length
    overlap = len(fetched) - new
    if not (0 < overlap <= len(kept) and new >= 0):
        return check_candles(fetched, now)
    at = len(kept) - overlap
    for name in ("times", "open", "high", "low", "close", "volume"):
        column = getattr(fetched, name)
        if len(column) != len(fetched.times) or column[:overlap] != getattr(kept, name)[at:]:
            return check_candles(fetched, now)
    return check_candles(fetched.last(new + 1), now)


def _again(error: ExchangeError, seconds: float) -> ExchangeError:
    """A fresh copy of an error that is still true (an exception gathers tracebacks if reused)."""
    if isinstance(error, Unreachable):
        after = seconds if error.retry_after else None
        return Unreachable(error.fault, error.text, sent=False, retry_after=after)
    return type(error)(error.fault, error.text, retry_after=error.retry_after)
