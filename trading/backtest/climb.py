"""Walk the candles with a ladder: limit orders rest, and each price that meets one is looked at.

The way inside a candle is that of `engine.py`: open, low, high, close. On its way the price stops
at each resting order, stop and target that it comes to, in the order in which it meets them, and
the bot looks there as a tick does. Candles that touch none of them, and leave what the strategy
wants as it is, are passed over.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

from trading.backtest import signals
from trading.backtest.engine import Walk
from trading.backtest.plan import Plan
from trading.backtest.prices import bid_at, met_by_ask, price, quote_of
from trading.backtest.rack import Rack
from trading.backtest.result import Result
from trading.backtest.scan import NEVER_HIGH, NEVER_LOW, SLACK
from trading.backtest.waiting import Waiting
from trading.execution import View, rests_unseen
from trading.ladder import Drawn, Ground, Ladder
from trading.market import Quote, Side
from trading.risk import Gate
from trading.strategies import HasLadder
from trading.view import Decision


@dataclass(frozen=True, slots=True)
class Quiet:
    """Prices of trades between which nothing changes, and the signal that would change it."""

    low: float
    high: float
    signal: int


class Climb(Walk):
    """One way through the candles with a ladder; `rack` is what rests at any moment of it."""

    def __init__(self, plan: Plan, actions: bytes, strategy: HasLadder) -> None:
        super().__init__(plan, actions)
        self.strategy, self.rack = strategy, Rack(self.book)
        self.waiting = Waiting(self.book)
        self._paused_until = 0
        self._blind, self._sees = _blind(plan), True
        #: What the last look left unchanged; None: the next candle has to be looked at.
        self._quiet: Quiet | None = None

    # -- where to look ----------------------------------------------------------------------------
    def _next(self, at: int) -> int | None:
        candles, count = self.candles, len(self.candles)
        while at < count and candles.times[at] < self._paused_until:
            at += 1
        quiet = self._quiet
        if quiet is not None:
            low, high, actions = candles.low, candles.high, self.actions
            while at < count and quiet.low < low[at] and high[at] < quiet.high:
                if actions[at] == quiet.signal:
                    break
                at += 1
        return at if at < count else None

    def _candle(self, at: int) -> None:
        candles = self.candles
        opens = candles.times[at]
        way = [price(getattr(candles, name)[at]) for name in ("open", "low", "high", "close")]
        self._sees = not self._blind[at]
        self._look(opens, quote_of(self.plan, way[0], opens), self.actions[at])
        for quarter in (1, 2, 3):
            now = opens + quarter * self.length // 4
            last, end = way[quarter - 1], way[quarter]
            is_first = True
            while (met := self._met(last, end, now, is_first=is_first)) is not None:
                self._look(now, met, self.actions[at])
                last, is_first = met.last, False
            if self._waits:
                self._look(now, quote_of(self.plan, end, now), self.actions[at])

    @property
    def _waits(self) -> bool:
        """Whether a tick inside a candle could find anything."""
        return self.book.position.is_open or bool(self.rack.rungs)

    def _met(self, last: Decimal, end: Decimal, now: int, *, is_first: bool) -> Quote | None:
        """Return the market at the next order or level between two prices; None: there is none."""
        if last == end or not (self._waits or self.waiting.entry):
            return None
        falls = end < last
        best: Quote | None = None
        for quote in self._marks(now, falls=falls):
            at = quote.last
            if falls:
                ahead = at >= end and (at < last or is_first)
            else:
                ahead = at <= end and (at > last or is_first)
            if ahead and (best is None or (at > best.last if falls else at < best.last)):
                best = quote
        if best is not None and (best.last > last if falls else best.last < last):
            return quote_of(self.plan, last, now)  # the price jumped over it
        return best

    def _marks(self, now: int, *, falls: bool) -> Iterator[Quote]:
        """Yield the markets in which a falling (or rising) price meets a level or a rung."""
        levels = self.book.levels
        reached = (levels.stop, levels.trailing) if falls else (levels.target,)
        for level in reached:
            if level is not None:
                yield bid_at(self.plan, level, now)
        for rung in self.rack.rungs:
            if falls and rung.side is Side.BUY:
                yield met_by_ask(self.plan, rung.price, now)
            elif not falls and rung.side is Side.SELL:
                yield bid_at(self.plan, rung.price, now)
        entry = self.waiting.at_entry(now)
        if entry is not None and falls:
            yield entry

    # -- one look ---------------------------------------------------------------------------------
    def _look(self, now: int, quote: Quote, action: int) -> None:
        """Settle what rests, decide as a tick does, and do what was decided."""
        book, self._quiet = self.book, None
        if self.ended is not None or now < self._paused_until:
            return
        book.turn(now)
        was_open = book.position.is_open
        self.waiting.settle(quote)
        changed = self.rack.settle(quote)
        if was_open and not book.position.is_open:
            return
        drawn = self._drawn(quote)
        view = self._with_ladder(now, quote, action, drawn)
        decision = self.waiting.decide(view)
        if decision.action in ("enter", "exit"):
            self.rack.rungs.clear()
            self.waiting.send(decision, quote)
            return
        if book.position.is_open:
            book.seen(quote.bid)
        if self.waiting.entry is not None:
            return  # what rests is left as it is
        if not self._sees:
            self.rack.keep(rests_unseen(view, decision), quote)
            return
        changed |= self.rack.keep(decision.rungs, quote)
        if not book.position.is_open and (decision.pause or decision.switch_off):
            self._end(decision)
        elif not changed and len(decision.rungs) == len(drawn.rungs):
            self._quiet = self._until(drawn)

    def _end(self, decision: Decision) -> None:
        """Pause until the reset, or for good."""
        if decision.switch_off is Gate.MAX_DRAWDOWN:
            self.ended = decision.switch_off
        else:
            self._paused_until = self.book.day_ends_at

    def _result(self, gaps: tuple[tuple[int, int], ...]) -> Result:
        found = super()._result(gaps)
        return replace(found, waits=self.waiting.told) if self.plan.entries_rest else found

    def _drawn(self, quote: Quote) -> Drawn:
        ground = Ground(
            settings=self.plan.settings,
            rules=self.plan.rules,
            position=self.book.position,
            lots=self.book.lots,
            quote=quote,
        )
        return self.strategy.rungs(ground, self.plan.values)

    def _with_ladder(self, now: int, quote: Quote, action: int, drawn: Drawn) -> View:
        return replace(
            self._view(now, quote, action),
            free_quote=self.rack.free_quote,
            ladder=Ladder(wanted=drawn.rungs, resting=tuple(self.rack.rungs)),
        )

    def _until(self, drawn: Drawn) -> Quiet | None:
        """Return what a look that changed nothing may pass over; None: the next one is needed."""
        settings, is_open = self.plan.settings, self.book.position.is_open
        if is_open and (settings.loss_includes_open or settings.trailing_stop_active):
            return None
        levels = self.book.levels
        rungs = self.rack.rungs
        lows = [levels.stop, drawn.low, *(r.price for r in rungs if r.side is Side.BUY)]
        highs = [levels.target, drawn.high, *(r.price for r in rungs if r.side is Side.SELL)]
        low = max((float(one) for one in lows if one is not None), default=NEVER_LOW)
        high = min((float(one) for one in highs if one is not None), default=NEVER_HIGH)
        # Bid and ask lie at most the spread and a tick away from the last price.
        apart = float(self.plan.costs.spread) + SLACK
        tick = float(self.plan.rules.price_tick) if self.plan.costs.spread else 0.0
        return Quiet(
            low=low * (1 + apart) + tick,
            high=high * (1 - apart) - tick,
            signal=signals.SELL if is_open else signals.BUY,
        )


def _blind(plan: Plan) -> bytearray:
    """Return 1 for each candle at whose opening the strategy has too few closed ones."""
    blind, window = bytearray(len(plan.candles)), plan.strategy.window(plan.values)
    for begin, end in signals.stretches(plan.candles):
        first = min(begin + window, end)
        blind[begin:first] = b"\x01" * (first - begin)
    return blind
