"""Walk the candles with a perpetual: both directions, funding while it is held, liquidation.

The way through a candle goes against the position first: to the low and then the high when long, to
the high and then the low when short. Of stop and liquidation the nearer one is met; where the price
jumps beyond the liquidation, nothing else is. Funding is paid at its times, before the bot looks.
"""

from dataclasses import replace
from decimal import Decimal

from trading.backtest.engine import Walk
from trading.backtest.margin import Margin
from trading.backtest.plan import Plan
from trading.backtest.prices import ask_at, bid_at, price, quote_of
from trading.backtest.result import Result
from trading.backtest.scan import NEVER_HIGH, NEVER_LOW, SLACK, Scan
from trading.backtest.signals import BUY, SELL
from trading.entries import OPENS
from trading.execution import View
from trading.market import TIMEFRAMES, Quote, Side
from trading.sizing import nearest_stop

CODES = {Side.BUY: BUY, Side.SELL: SELL}


class BothWays(Scan):
    """Where to look next, when a bot may sell short."""

    def __init__(self, plan: Plan, actions: bytes) -> None:
        super().__init__(plan, actions)
        self.codes = [CODES[side] for side in OPENS[plan.settings.direction]]

    def entry(self, at: int) -> int | None:
        """Return the first candle from `at` on at whose opening a flat bot may enter."""
        while (found := self._first(at)) is not None:
            if self.candles.times[found] >= self._resting_until:
                return found
            at = found + 1
        return None

    def _first(self, at: int) -> int | None:
        found = (self.actions.find(code, at) for code in self.codes)
        return min((place for place in found if place >= 0), default=None)

    def lasts(self, low: float, high: float, leaves: int, until: int, at: int) -> int | None:
        """Return the first candle from `at` on that is not quiet.

        A quiet one stays between two prices, has no such signal, and ends before `until` (Unix ms).
        """
        candles, actions = self.candles, self.actions
        last = until - TIMEFRAMES[candles.timeframe]
        for place in range(at, len(candles)):
            if (
                candles.low[place] <= low
                or candles.high[place] >= high
                or actions[place] == leaves
                or candles.times[place] > last
            ):
                return place
        return None


class Carry(Walk):
    """One way through the candles of a perpetual."""

    def __init__(self, plan: Plan, actions: bytes) -> None:
        super().__init__(plan, actions)
        self.book = self.account = Margin(plan)
        self.scan = self.both = BothWays(plan, actions)
        times = plan.candles.times
        end = times[-1] + self.length if times else 0
        self.dues = list(plan.terms.dues(times[0], end)) if times else []
        self._passed = 0

    # -- where to look ------------------------------------------------------------------------
    def _next(self, at: int) -> int | None:
        position = self.book.position
        if not position.is_open:
            return self.both.entry(at)
        if self.plan.settings.loss_includes_open or self.book.max_price is None:
            return at if at < len(self.candles) else None
        low, high = self._between()
        until = self.dues[self._passed].at if self._passed < len(self.dues) else 2**63
        return self.both.lasts(low, high, CODES[position.exit_side], until, at)

    def _between(self) -> tuple[float, float]:
        """Return the prices between which a candle surely changes nothing, as floats."""
        levels, limit, best = self.book.levels, self.account.limit, self.book.max_price
        against = [one for one in (levels.stop, levels.trailing, limit) if one is not None]
        target = levels.target
        along = [target] if target is not None else []
        if levels.trailing is not None and best is not None:
            along.append(best)  # from there on the trailing stop moves
        # Bid and ask lie at most the spread and a tick away from the last price.
        apart = float(self.plan.costs.spread) + SLACK
        tick = float(self.plan.rules.price_tick) if self.plan.costs.spread else 0.0
        lows, highs = (along, against) if self.book.position.is_short else (against, along)
        low = max(map(float, lows), default=NEVER_LOW)
        high = min(map(float, highs), default=NEVER_HIGH)
        return low * (1 + apart) + tick, high * (1 - apart) - tick

    # -- one candle ---------------------------------------------------------------------------
    def _candle(self, at: int) -> None:
        candles = self.candles
        opens, first = candles.times[at], price(candles.open[at])
        # In a gap the last price that was told stands.
        self._fund(opens - 1, price(candles.close[at - 1]) if at else first)
        self._fund(opens, first)
        quote = quote_of(self.plan, first, opens)
        if not self._is_dead(opens, quote):
            self._look(opens, quote, self.actions[at])
        for quarter in (1, 2, 3):
            now = opens + quarter * self.length // 4
            self._fund(now, first)
            if self.book.position.is_open:
                self._leg(at, quarter, now)
        self._fund(opens + self.length - 1, first)

    def _fund(self, until: int, at_price: Decimal) -> None:
        """Pay what has fallen due up to an instant (Unix ms), itself included."""
        while self._passed < len(self.dues) and self.dues[self._passed].at <= until:
            if self.book.position.is_open:
                self.account.fund(self.dues[self._passed], at_price)
            self._passed += 1

    def _leg(self, at: int, quarter: int, now: int) -> None:
        """Go against the position, then along with it, then to the close."""
        candles, account = self.candles, self.account
        is_short = account.position.is_short
        worst, best = (candles.high, candles.low) if is_short else (candles.low, candles.high)
        begin, end = (
            quote_of(self.plan, price(column[at]), now)
            for column in (
                (candles.open, worst, best)[quarter - 1],
                (worst, best, candles.close)[quarter - 1],
            )
        )
        if self._is_dead(now, begin):
            return
        if quarter == 2:
            met = self._target(begin, end)
        else:
            stop = self._stop(end)
            if self._is_beyond(account.limit, end) and not self._is_nearer(stop, account.limit):
                self._end_it(now)
                return
            met = stop if stop is None else self._worse(stop, account.taken(begin))
        if met is not None:
            at_level = ask_at if is_short else bid_at
            self._look(now, at_level(self.plan, met, now), self.actions[at])
        elif self.plan.settings.loss_includes_open:
            self._look(now, end, self.actions[at])
        else:
            account.seen(account.taken(end))

    def _stop(self, end: Quote) -> Decimal | None:
        """Return the stop that a price on its way to `end` meets first."""
        stop = nearest_stop(self.book.levels, is_short=self.book.position.is_short)
        return stop if self._is_beyond(stop, end) else None

    def _target(self, begin: Quote, end: Quote) -> Decimal | None:
        """Return the price at which the target is met on the way; None: it is not."""
        target, account = self.book.levels.target, self.account
        if target is None:
            return None
        begins, ends = account.taken(begin), account.taken(end)
        if account.position.is_short:
            return min(target, begins) if ends <= target else None
        return max(target, begins) if ends >= target else None

    def _is_beyond(self, level: Decimal | None, quote: Quote) -> bool:
        """Whether closing at this quote is at a level that lies against the position, or worse."""
        if level is None:
            return False
        reached = self.account.taken(quote)
        return reached >= level if self.book.position.is_short else reached <= level

    def _is_nearer(self, stop: Decimal | None, limit: Decimal | None) -> bool:
        if stop is None or limit is None:
            return stop is not None
        return stop < limit if self.book.position.is_short else stop > limit

    def _worse(self, one: Decimal, other: Decimal) -> Decimal:
        return max(one, other) if self.book.position.is_short else min(one, other)

    def _is_dead(self, now: int, quote: Quote) -> bool:
        """Whether the price is beyond the liquidation; then the exchange has closed it."""
        if not self.book.position.is_open or not self._is_beyond(self.account.limit, quote):
            return False
        self._end_it(now)
        return True

    def _end_it(self, now: int) -> None:
        self.book.turn(now)
        self.account.liquidate(now)
        self._heed_limits(now)

    # -- what is decided ----------------------------------------------------------------------
    def _view(self, now: int, quote: Quote, action: int) -> View:
        view = super()._view(now, quote, action)
        return replace(view, futures=True, free_quote=self.account.free)

    def _result(self, gaps: tuple[tuple[int, int], ...]) -> Result:
        return replace(super()._result(gaps), funding=tuple(self.account.paid))
