"""The candles of a market in every interval, aggregated as Binance does, and the price between.

The price within a base candle is a pure function of the candle and the time: it starts at the open,
visits the low and then the high of a rising candle (the high and then the low of a falling one) and
ends at the close, in three straight legs of equal duration and in whole ticks from each corner.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import lru_cache

from tests.testexchange.series import DAY, MINUTE, Candle, Series

INTERVALS = {
    "1m": MINUTE,
    "3m": 3 * MINUTE,
    "5m": 5 * MINUTE,
    "15m": 15 * MINUTE,
    "30m": 30 * MINUTE,
    "1h": 60 * MINUTE,
    "4h": 240 * MINUTE,
    "1d": DAY,
}
Block = tuple[list[Candle], list[int], list[str | None]]


def merge(candles: Sequence[Candle], at: int) -> Candle:
    """The candle that opens at `at` and holds `candles` (at least one)."""
    return Candle(
        at,
        candles[0].open,
        max(candle.high for candle in candles),
        min(candle.low for candle in candles),
        candles[-1].close,
        sum(candle.volume for candle in candles),
        sum(candle.quote for candle in candles),
        sum(candle.trades for candle in candles),
    )


def legs(candle: Candle) -> tuple[int, int, int, int]:
    """The corners of the price path within a base candle."""
    if candle.close >= candle.open:
        return candle.open, candle.low, candle.high, candle.close
    return candle.open, candle.high, candle.low, candle.close


def price_within(candle: Candle, elapsed: int, step_ms: int, tick: int) -> int:
    """The price `elapsed` ms after the open of a base candle that lasts `step_ms`."""
    third = step_ms // 3
    leg = min(elapsed // third, 2)
    done, (start, end) = elapsed - leg * third, legs(candle)[leg : leg + 2]
    if done >= third:
        return end
    # Cut towards the start, so that a price off the ticks (old files have some) is not overrun.
    moved = abs(end - start) * done // third // tick * tick
    return start + moved if end >= start else start - moved


def so_far(candle: Candle, elapsed: int, step_ms: int, tick: int) -> Candle:
    """What a base candle shows `elapsed` ms after its open."""
    price = price_within(candle, elapsed, step_ms, tick)
    seen = [*legs(candle)[: 1 + min(elapsed * 3 // step_ms, 2)], price]
    part = [value * elapsed // step_ms for value in (candle.volume, candle.quote, candle.trades)]
    return Candle(candle.at, candle.open, max(seen), min(seen), price, *part)


class Chart:
    """The candles of one market in every interval, and its price at any time.

    Whole days are built once and kept, so a lookup costs as much as the candles it returns.
    """

    def __init__(self, series: Series, *, tick: int) -> None:
        self.series = series
        self._tick = tick
        self._base = lru_cache(maxsize=64)(series.day)
        self._fine = lru_cache(maxsize=64)(self._build)
        self._coarse = lru_cache(maxsize=4096)(self._build)

    def block(self, day: int, interval_ms: int) -> Block:
        """Candles, open times and rendered rows (a cache for the caller) of a whole UTC day."""
        keep = self._fine if interval_ms < INTERVALS["1h"] else self._coarse
        return keep(day, interval_ms)

    def _build(self, day: int, interval_ms: int) -> Block:
        groups: dict[int, list[Candle]] = defaultdict(list)
        for candle in self._base(day):
            groups[candle.at // interval_ms * interval_ms].append(candle)
        candles = [merge(group, at) for at, group in groups.items()]
        return candles, [candle.at for candle in candles], [None] * len(candles)

    def supports(self, interval_ms: int) -> bool:
        return interval_ms % self.series.step_ms == 0

    def current(self, now_ms: int) -> tuple[Candle, int]:
        """The base candle in force at `now_ms` and the ms elapsed in it.

        In a gap and after the end it is the last candle before, fully elapsed; before the first one
        it is the first, not begun.
        """
        step = self.series.step_ms
        if now_ms < self.series.first_ms:
            return self._base(self.series.first_ms // DAY)[0], 0
        at = now_ms if self.series.last_ms is None else min(now_ms, self.series.last_ms)
        for day in range(at // DAY, self.series.first_ms // DAY - 1, -1):
            candles, times, _ = self.block(day, step)
            index = bisect_right(times, at) - 1
            if index >= 0:
                return candles[index], min(now_ms - times[index], step)
        raise AssertionError("a series has a candle at its first time")

    def price(self, now_ms: int) -> int:
        return price_within(*self.current(now_ms), self.series.step_ms, self._tick)

    def partial(self, at: int, interval_ms: int, now_ms: int) -> Candle:
        """The candle of an interval that opened at `at` and is still open at `now_ms`."""
        step = self.series.step_ms
        candles, times, _ = self.block(at // DAY, step)
        inside = candles[bisect_left(times, at) : bisect_right(times, now_ms)]
        last = inside[-1]
        inside[-1] = so_far(last, min(now_ms - last.at, step), step, self._tick)
        return merge(inside, at)

    def first_crossing(
        self, after_ms: int, until_ms: int, crossed: Callable[[int], bool]
    ) -> int | None:
        """The first ms in (after_ms, until_ms] at which `crossed`, a threshold test, holds."""
        step = self.series.step_ms
        for day in range(after_ms // DAY, until_ms // DAY + 1):
            for candle in self.block(day, step)[0]:
                if candle.at + step <= after_ms or candle.at > until_ms:
                    continue
                if crossed(candle.low) or crossed(candle.high):
                    found = self._crossing(candle, after_ms, until_ms, crossed)
                    if found is not None:
                        return found
        return None

    def _crossing(
        self, candle: Candle, after_ms: int, until_ms: int, crossed: Callable[[int], bool]
    ) -> int | None:
        step = self.series.step_ms
        third = step // 3
        for leg in range(3):
            # The end of the last leg belongs to the next candle.
            low = max(candle.at + leg * third, after_ms + 1)
            high = min(candle.at + (leg + 1) * third - (leg == 2), until_ms)
            times = range(low, high + 1)
            if not times:
                continue
            if self._hit(candle, low, crossed):
                return low
            first = bisect_left(times, 1, key=lambda ms: self._hit(candle, ms, crossed))
            if first < len(times):
                return times[first]
        return None

    def _hit(self, candle: Candle, at_ms: int, crossed: Callable[[int], bool]) -> int:
        step, elapsed = self.series.step_ms, at_ms - candle.at
        return int(crossed(price_within(candle, elapsed, step, self._tick)))
