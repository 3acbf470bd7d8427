"""Pass over candles in which a bot decides nothing that could differ from what it decided before.

Floats are compared here, a little wide: a candle that is visited for nothing changes nothing, and
what is passed over is certain.
"""

from decimal import Decimal

from trading import risk
from trading.backtest.book import Book
from trading.backtest.plan import Plan
from trading.backtest.prices import price, quote_of
from trading.backtest.signals import BUY, SELL
from trading.risk import Levels

#: Wider than any rounding of a price to float, or of a level to its 18 decimals.
SLACK = 1e-9
NEVER_LOW, NEVER_HIGH = -1.0, float("inf")


class Scan:
    """Where to look next."""

    def __init__(self, plan: Plan, actions: bytes) -> None:
        self.plan, self.actions, self.candles = plan, actions, plan.candles
        self._resting_until = 0
        # With a spread the bid lies lower, and on the tick below that.
        self._bid = 1 - float(plan.costs.spread) / 2
        self._tick = float(plan.rules.price_tick) if plan.costs.spread else 0.0

    def rest_until(self, at: int) -> None:
        """Look for no entry before this instant (Unix ms): a daily limit has paused the bot."""
        self._resting_until = at

    def entry(self, book: Book, at: int) -> int | None:
        """Return the first candle from `at` on at whose opening a flat bot may enter."""
        found = self.actions.find(BUY, at)
        while found >= 0 and self.candles.times[found] < self._resting_until:
            found = self.actions.find(BUY, found + 1)
        return None if found < 0 else found

    def eventful(self, book: Book, at: int) -> int | None:
        """Return the first candle from `at` on in which an open position may be left.

        The best price of those that are passed over is remembered in the book.
        """
        plan, candles, actions = self.plan, self.candles, self.actions
        entry, best = book.position.entry_price, book.max_price
        if plan.settings.loss_includes_open or entry is None or best is None:
            return at if at < len(candles) else None
        levels = risk.follow(plan.settings, entry, Levels(max_price=best), best)
        stop = _wide(levels.stop, NEVER_LOW, 1 + SLACK)
        target = _wide(levels.target, NEVER_HIGH, 1 - SLACK)
        trailing = _wide(levels.trailing, NEVER_LOW, 1 + SLACK)
        share = trailing / float(best) if levels.trailing is not None else 0.0
        top, highest = float(best), None
        for place in range(at, len(candles)):
            if actions[place] == SELL:
                break
            opens = candles.open[place] * self._bid
            if share and opens > top:
                trailing = opens * share
            if candles.low[place] * self._bid - self._tick <= max(stop, trailing):
                break
            if candles.high[place] * self._bid >= target:
                break
            high = candles.high[place] * self._bid
            if high > top:
                # Its close may lie below the trailing stop that its own high has drawn.
                if share and candles.close[place] * self._bid - self._tick <= high * share:
                    break
                top, highest, trailing = high, place, high * share if share else trailing
            elif share and candles.close[place] * self._bid - self._tick <= trailing:
                break
        else:
            place = len(candles)
        if highest is not None:
            book.seen(quote_of(plan, price(candles.high[highest]), 0).bid)
        return place if place < len(candles) else None


def _wide(level: Decimal | None, never: float, slack: float) -> float:
    return never if level is None else float(level) * slack
