"""A feed made from recorded candles, for replay: tests, benchmarks, backtest.

Inside a candle the price takes one fixed path: open, then the nearer story of a rising candle
(open, low, high, close) or of a falling one (open, high, low, close), straight between the four.
So a replay sees no price that the finished candle does not contain, and sees the same each time.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import count as counter

from trading.exchange import Fault, Unusable
from trading.market import TIMEFRAMES, Candles, Quote, Rules

_numbers = counter(1)


class ReplayClock:
    """A clock that is set by hand: `clock.at = ms` sets it, `clock()` reads it."""

    def __init__(self, at: int) -> None:
        self.at = at

    def __call__(self) -> int:
        return self.at

    def advance(self, ms: int) -> None:
        """Move the clock on by `ms` milliseconds."""
        self.at += ms


class RecordedFeed:
    """Implements trading.exchange.Feed for one symbol.

    `rows` are (time ms, open, high, low, close, volume) of `timeframe`, oldest first; `clock`
    gives Unix ms, as ReplayClock does. Longer timeframes are aggregated, shorter ones do not
    exist (Unusable MARKET_UNKNOWN). Bid and ask are the price itself: a spread is up to the fill.
    """

    name = "recorded"

    def __init__(
        self,
        rows: Iterable[Sequence[float]],
        symbol: str,
        rules: Rules,
        clock: Callable[[], int],
        *,
        timeframe: str = "1m",
    ) -> None:
        # Two recordings of one symbol are two markets to whoever caches by key.
        self.key = f"recorded:{next(_numbers)}"
        self.symbol = symbol
        self._rules = rules
        self._clock = clock
        self._base = Candles.from_rows(symbol, timeframe, rows)
        self._length = TIMEFRAMES[timeframe]
        self._frames: dict[str, Candles] = {timeframe: self._base}

    def now(self) -> int:
        """Return what the clock says."""
        return self._clock()

    def symbols(self) -> Mapping[str, Rules]:
        """Return the one market that was recorded."""
        return {self.symbol: self._rules}

    def rules(self, symbol: str) -> Rules:
        """Return the rules given at construction; Unusable(MARKET_UNKNOWN) for another symbol."""
        self._check(symbol)
        return self._rules

    def candles(self, symbol: str, timeframe: str, count: int) -> Candles:
        """Return the newest `count` candles that have closed by the clock (fewer at the start)."""
        self._check(symbol)
        frame = self._frames.get(timeframe)
        if frame is None:
            frame = self._frames[timeframe] = self._aggregate(timeframe)
        end = bisect_right(frame.times, self._clock() - TIMEFRAMES[timeframe])
        return frame.cut(max(end - count, 0), end)

    def quote(self, symbol: str) -> Quote:
        """Return the price inside the candle that is open; STALE_DATA outside the recording."""
        self._check(symbol)
        now, base = self._clock(), self._base
        at = bisect_right(base.times, now) - 1
        if at < 0 or now - base.times[at] >= self._length:
            raise Unusable(Fault.STALE_DATA, f"{symbol}: nothing recorded for this time")
        price = Decimal(repr(self._price(at, now - base.times[at])))
        return Quote(symbol=symbol, bid=price, ask=price, last=price, at=now)

    def _price(self, at: int, elapsed: int) -> float:
        base = self._base
        start, close = base.open[at], base.close[at]
        if not elapsed:
            return start
        low, high = base.low[at], base.high[at]
        path = (start, low, high, close) if close >= start else (start, high, low, close)
        leg, rest = divmod(elapsed * 3, self._length)
        price = path[leg] + (path[leg + 1] - path[leg]) * (rest / self._length)
        tick = self._rules.price_tick
        return min(max(round(price, -int(tick.adjusted())), low), high)

    def _check(self, symbol: str) -> None:
        if symbol != self.symbol:
            raise Unusable(Fault.MARKET_UNKNOWN, f"{symbol} is not in this recording")

    def _aggregate(self, timeframe: str) -> Candles:
        length, base = TIMEFRAMES[timeframe], self._base
        if length < self._length:
            text = f"{base.timeframe} candles were recorded, {timeframe} cannot be made of them"
            raise Unusable(Fault.MARKET_UNKNOWN, text)
        rows = []
        start = 0
        while start < len(base):
            opened = base.times[start] // length * length
            end = bisect_right(base.times, opened + length - 1, start)
            # The recording may begin or end inside a candle; a part of one would be invented.
            if end - start == length // self._length:
                rows.append(
                    (
                        opened,
                        base.open[start],
                        max(base.high[start:end]),
                        min(base.low[start:end]),
                        base.close[end - 1],
                        sum(base.volume[start:end]),
                    )
                )
            start = end
        return Candles.from_rows(base.symbol, timeframe, rows)
