"""Walk the candles: look at each opening that could matter, and at each price that a level meets.

A bot looks once per candle, as it opens, and its stops are watched all the time. Inside a candle
the price goes from the open to the low, then to the high, then to the close: where a candle touches
both, the stop comes before the target. A level is left at its own price, or at the candle's
opening where the price jumped over it. Candles in which nothing can happen are passed over.
"""

from decimal import Decimal

from trading.backtest import signals
from trading.backtest.book import Book
from trading.backtest.plan import PACE, Plan, Tell
from trading.backtest.prices import bid_at, price, quote_of
from trading.backtest.result import Result, span
from trading.backtest.scan import Scan, Watch
from trading.execution import View, decide
from trading.market import TIMEFRAMES, Quote
from trading.protections import standing
from trading.risk import Gate, Levels
from trading.strategies import Signal

SAID = {code: Signal(action=action, why="") for code, action in signals.ACTIONS.items()}


class Walk:
    """One way through the candles; `book` is what the bot has at any moment of it."""

    def __init__(self, plan: Plan, actions: bytes) -> None:
        self.plan, self.book, self.actions = plan, Book(plan), actions
        self.candles, self.length = plan.candles, TIMEFRAMES[plan.candles.timeframe]
        self.scan = Scan(plan, actions)
        self.ended: Gate | None = None

    def run(self, gaps: tuple[tuple[int, int], ...], tell: Tell | None = None) -> Result:
        """Visit every candle in which something can happen, then tell what came of it."""
        at, looks = self._next(0), 0
        while at is not None and self.ended is None:
            self._candle(at)
            looks += 1
            if tell is not None and looks % PACE == 0:
                tell(at / len(self.candles))
            at = self._next(at + 1)
        return self._result(gaps)

    def _next(self, at: int) -> int | None:
        book, settings = self.book, self.plan.settings
        if not book.position.is_open:
            return self.scan.entry(at)
        if settings.loss_includes_open or book.max_price is None:
            return at if at < len(self.candles) else None
        levels, best = book.levels, float(book.max_price)
        place, highest = self.scan.eventful(
            Watch(
                stop=_float(levels.stop),
                target=_float(levels.target),
                share=None if levels.trailing is None else float(levels.trailing) / best,
                best=best,
            ),
            at,
        )
        if highest is not None:
            book.seen(quote_of(self.plan, price(self.candles.high[highest]), 0).bid)
        return place

    def _candle(self, at: int) -> None:
        candles = self.candles
        opens = candles.times[at]
        self._look(opens, quote_of(self.plan, price(candles.open[at]), opens), self.actions[at])
        for quarter in (1, 2, 3):
            if self.book.position.is_open:
                self._leg(at, quarter, opens + quarter * self.length // 4)

    def _leg(self, at: int, quarter: int, now: int) -> None:
        """Go down to the low, up to the high, down to the close: look where a level is met."""
        candles = self.candles
        ends = (candles.low, candles.high, candles.close)[quarter - 1]
        starts = (candles.open, candles.low, candles.high)[quarter - 1]
        begin = quote_of(self.plan, price(starts[at]), now)
        end = quote_of(self.plan, price(ends[at]), now)
        self._way(at, begin, end, quarter)

    def _way(self, at: int, begin: Quote, end: Quote, quarter: int) -> None:
        levels, now = self.book.levels, end.at
        met = _target(levels, begin, end) if quarter == 2 else _stop(levels, begin, end)
        if met is not None:
            self._look(now, bid_at(self.plan, met, now), self.actions[at])
        elif self.plan.settings.loss_includes_open:
            self._look(now, end, self.actions[at])
        else:
            # Nothing else can end a position here: the signal is still that of the opening.
            self.book.seen(end.bid)

    def _look(self, now: int, quote: Quote, action: int) -> None:
        """Decide as a tick does, and do what was decided."""
        book = self.book
        book.turn(now)
        decision = decide(self._view(now, quote, action))
        if decision.action in ("enter", "exit"):
            book.execute(decision, quote)
            self._heed_limits(now)
        elif book.position.is_open:
            book.seen(book.taken(quote))

    def _heed_limits(self, now: int) -> None:
        """Pause until the reset, or end, where what was just booked has reached a limit.

        A bot does so at its next tick, in which it does nothing else.
        """
        book = self.book
        if book.position.is_open:
            return
        limit = standing(self.plan.settings, book.day, book.record(now))
        if limit is not None and limit.gate is Gate.MAX_DRAWDOWN:
            self.ended = limit.gate
        elif limit is not None:
            self.scan.rest_until(book.day_ends_at)

    def _view(self, now: int, quote: Quote, action: int) -> View:
        book, plan = self.book, self.plan
        return View(
            settings=plan.settings,
            rules=plan.rules,
            position=book.position,
            levels=Levels(max_price=book.max_price),
            day=book.day,
            quote=quote,
            signal=SAID[action],
            duty="trade",
            free_base=book.base,
            free_quote=book.quote,
            cost_margin=book.cost_margin(quote.ask),
            record=book.record(now),
        )

    def _result(self, gaps: tuple[tuple[int, int], ...]) -> Result:
        book = self.book
        return Result(
            orders=tuple(book.orders),
            days=dict(sorted(book.days.items())),
            quote=book.quote,
            base=book.base,
            position=book.position,
            ended=self.ended,
            gaps=gaps,
            **span(self.plan),
        )


def _float(level: Decimal | None) -> float | None:
    return None if level is None else float(level)


def _stop(levels: Levels, begin: Quote, end: Quote) -> Decimal | None:
    """Return the bid at which a falling price meets its first stop; None: it meets none."""
    stops = [level for level in (levels.stop, levels.trailing) if level is not None]
    if not stops or end.bid > max(stops):
        return None
    return min(max(stops), begin.bid)


def _target(levels: Levels, begin: Quote, end: Quote) -> Decimal | None:
    """Return the bid at which a rising price meets the target on its way; None: it does not."""
    if levels.target is None or end.bid < levels.target:
        return None
    return max(levels.target, begin.bid)
