"""Pass over candles in which a bot decides nothing that could differ from what it decided before.

Floats are compared here, a little wide: a candle that is visited for nothing changes nothing, and
what is passed over is certain.
"""

from typing import NamedTuple

from trading.backtest.plan import Plan
from trading.backtest.signals import BUY, SELL

#: Wider than any rounding of a price to float, or of a level to its 18 decimals.
SLACK = 1e-9
NEVER_LOW, NEVER_HIGH = -1.0, float("inf")


class Watch(NamedTuple):
    """Bids at which an open position is left; None: the rule is off.

    `share`: what the best bid so far is multiplied by for the trailing stop.
    """

    stop: float | None
    target: float | None
    share: float | None
    best: float


class Scan:
    """Where to look next."""

    def __init__(self, plan: Plan, actions: bytes) -> None:
        self.actions, self.candles = actions, plan.candles
        self._resting_until = 0
        # With a spread the bid lies lower, and on the tick below that.
        self._bid = 1 - float(plan.costs.spread) / 2
        self._tick = float(plan.rules.price_tick) if plan.costs.spread else 0.0

    def rest_until(self, at: int) -> None:
        """Look for no entry before this instant (Unix ms): a daily limit has paused the bot."""
        self._resting_until = at

    def entry(self, at: int) -> int | None:
        """Return the first candle from `at` on at whose opening a flat bot may enter."""
        found = self.actions.find(BUY, at)
        while found >= 0 and self.candles.times[found] < self._resting_until:
            found = self.actions.find(BUY, found + 1)
        return None if found < 0 else found

    def eventful(self, watch: Watch, at: int) -> tuple[int | None, int | None]:
        """Return the first candle from `at` on in which an open position may be left.

        And of those passed over the one with the highest high, if that is above the best so far.
        """
        if watch.share is None:
            return self._fixed(watch, at), None
        return self._trailing(watch, watch.share * (1 + SLACK), at)

    def marks(self, watch: Watch) -> tuple[float, float]:
        """Return the prices between which a candle surely meets neither stop nor target."""
        stop, target = NEVER_LOW, NEVER_HIGH
        if watch.stop is not None:
            stop = (watch.stop * (1 + SLACK) + self._tick) / self._bid
        if watch.target is not None:
            target = watch.target * (1 - SLACK) / self._bid
        return stop, target

    def _fixed(self, watch: Watch, at: int) -> int | None:
        stop, target = self.marks(watch)
        low, high, actions = self.candles.low, self.candles.high, self.actions
        for place in range(at, len(low)):
            if low[place] <= stop or high[place] >= target or actions[place] == SELL:
                return place
        return None

    def _trailing(self, watch: Watch, share: float, at: int) -> tuple[int | None, int | None]:
        candles, actions, bid, tick = self.candles, self.actions, self._bid, self._tick
        stop = NEVER_LOW if watch.stop is None else watch.stop * (1 + SLACK)
        target = NEVER_HIGH if watch.target is None else watch.target * (1 - SLACK)
        best, highest = watch.best, None
        for place in range(at, len(candles)):
            floor = max(stop, max(best, candles.open[place] * bid) * share)
            high = candles.high[place] * bid
            if (
                actions[place] == SELL
                or candles.low[place] * bid - tick <= floor
                or high >= target
                # Its close may lie below the trailing stop that its own high has drawn.
                or candles.close[place] * bid - tick <= max(best, high) * share
            ):
                return place, highest
            if high > best:
                best, highest = high, place
        return None, highest
