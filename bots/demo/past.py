"""The simulated market over a stretch of the past, its candles computed once."""

from collections.abc import Callable
from dataclasses import dataclass

from trading.exchanges.simulated import SimulatedFeed
from trading.market import TIMEFRAMES, Candles


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """One market's candles: `before` of them, and all that open from `start` to `end` (Unix ms)."""

    symbol: str
    timeframe: str
    before: int
    start: int
    end: int


class PastFeed(SimulatedFeed):
    """The simulated market, its candles of one stretch kept; `clock` returns Unix ms.

    The same prices as without: they are a function of seed, market and time alone. Candle by
    candle, each tick would compute two hundred of them anew.
    """

    def __init__(self, seed: int, clock: Callable[[], int], stretch: Stretch) -> None:
        super().__init__(seed, clock)
        length = TIMEFRAMES[stretch.timeframe]
        count = stretch.before + (stretch.end - stretch.start) // length + 2
        whole = SimulatedFeed(seed, lambda: stretch.end)
        self._stretch, self._length = stretch, length
        self._kept = whole.candles(stretch.symbol, stretch.timeframe, count)

    def candles(self, symbol: str, timeframe: str, count: int) -> Candles:
        """Return the newest `count` closed candles, of the stretch where they are all in it."""
        kept = self._kept
        if (symbol, timeframe) != (kept.symbol, kept.timeframe):
            return super().candles(symbol, timeframe, count)
        last = (self.now() // self._length * self._length - kept.times[0]) // self._length
        first = last - count
        if first < 0 or last > len(kept):
            return super().candles(symbol, timeframe, count)
        return kept.cut(first, last)
