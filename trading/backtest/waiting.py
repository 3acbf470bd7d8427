"""Entries that rest: limit and post-only buys wait for their price, are filled, or given up.

As paper bots have it: one order at most, filled whole at its own price as a maker once the market
comes there; one that would trade as it is placed takes the market, or is refused where it must not
take. It is met by the price on its way through a candle, like a stop, and only while its time
lasts; whether it is given up is judged when the bot looks, as a candle opens.
"""

from dataclasses import dataclass, replace
from decimal import Decimal

from trading.backtest.book import Book
from trading.backtest.engine import Walk
from trading.backtest.plan import Plan
from trading.backtest.prices import met_by_ask, price, quote_of
from trading.backtest.result import Result, Waits
from trading.backtest.scan import SLACK
from trading.backtest.signals import BUY
from trading.execution import View, decide
from trading.fills import crosses
from trading.ladder import BASE
from trading.market import OrderRequest, OrderType, Quote
from trading.risk import Gate
from trading.view import Decision, Resting


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An entry order that rests; `at`: when it was placed (Unix ms), `gate`: why."""

    request: OrderRequest
    price: Decimal
    gate: Gate
    at: int


class Waiting:
    """What becomes of a bot's entry orders; `entry` is the one that rests."""

    def __init__(self, book: Book) -> None:
        self.book, self.plan = book, book.plan
        self.entry: Entry | None = None
        self._sent = self._filled = 0

    @property
    def told(self) -> Waits:
        """What became of the orders so far."""
        return Waits(sent=self._sent, filled=self._filled)

    def settle(self, quote: Quote) -> bool:
        """Fill what rests if the price has come there. Returns whether it was."""
        entry = self.entry
        if entry is None or not crosses(entry.request, quote):
            return False
        self.entry = None
        self._fill(entry, quote, is_resting=True)
        return True

    def decide(self, view: View) -> Decision:
        """Decide as a tick does: an entry that is given up makes room for what else there is."""
        decision = decide(replace(view, resting=self._resting(view.quote.at)))
        if decision.action != "cancel":
            return decision
        self.entry = None
        return decide(replace(view, fallback_due=decision.gate is Gate.ENTRY_TIMEOUT))

    def send(self, decision: Decision, quote: Quote) -> None:
        """Send the order of a decision: an entry with a limit rests, or trades at once."""
        if decision.limit is None or decision.side is None or decision.amount is None:
            self.book.execute(decision, quote)
            return
        kind, amount, limit = decision.order_type, decision.amount, decision.limit
        request = self.book.request(decision.side, kind, amount, limit, quote.at)
        entry = Entry(request=request, price=limit, gate=decision.gate, at=quote.at)
        self._sent += 1
        if not crosses(request, quote):
            self.entry = entry
        elif request.type is not OrderType.POST_ONLY:
            self._fill(entry, quote, is_resting=False)

    def at_entry(self, now: int) -> Quote | None:
        """Return the market in which the price meets the entry; None: it does not, at this time."""
        entry = self.entry
        if entry is None or now >= self.lasts_until(entry):
            return None
        return met_by_ask(self.plan, entry.price, now)

    def lasts_until(self, entry: Entry) -> int:
        """Return when an entry's time is over (Unix ms)."""
        return entry.at + self.plan.settings.entry_timeout_seconds * 1000

    def _resting(self, now: int) -> Resting | None:
        entry = self.entry
        if entry is None:
            return None
        age = (now - entry.at) / 1000
        return Resting(side=entry.request.side, price=entry.price, filled=Decimal(0), age=age)

    def _fill(self, entry: Entry, quote: Quote, *, is_resting: bool) -> None:
        self._filled += self.book.meet(
            entry.request, quote, entry.gate, level=BASE, is_resting=is_resting, is_entry=True
        )


class Wait(Walk):
    """One way through the candles with entries that rest."""

    def __init__(self, plan: Plan, actions: bytes) -> None:
        super().__init__(plan, actions)
        self.waiting = Waiting(self.book)

    def _next(self, at: int) -> int | None:
        entry = self.waiting.entry
        return super()._next(at) if entry is None else self._stirs(entry, at)

    def _stirs(self, entry: Entry, at: int) -> int | None:
        """Return the first candle that may fill the entry, or in which it is given up."""
        candles, actions = self.candles, self.actions
        level, until = float(entry.price) * (1 + SLACK), self.waiting.lasts_until(entry)
        for place in range(at, len(candles)):
            if actions[place] != BUY or candles.times[place] >= until:
                return place
            if candles.low[place] <= level:
                return place
        return None

    def _candle(self, at: int) -> None:
        candles = self.candles
        opens = candles.times[at]
        self._look(opens, quote_of(self.plan, price(candles.open[at]), opens), self.actions[at])
        ends = (candles.low, candles.high, candles.close)
        for quarter, column in enumerate(ends, 1):
            now = opens + quarter * self.length // 4
            if self.book.position.is_open:
                self._leg(at, quarter, now)
            elif self.waiting.entry is not None:
                self._way_to(at, quarter, quote_of(self.plan, price(column[at]), now))

    def _way_to(self, at: int, quarter: int, end: Quote) -> None:
        """Stop where the price meets the entry, and go on from there with a position."""
        entry, met = self.waiting.entry, self.waiting.at_entry(end.at)
        if entry is None or met is None or not crosses(entry.request, end):
            return
        self._look(end.at, met, self.actions[at])
        if self.book.position.is_open:
            self._way(at, met, end, quarter)

    def _result(self, gaps: tuple[tuple[int, int], ...]) -> Result:
        return replace(super()._result(gaps), waits=self.waiting.told)

    def _look(self, now: int, quote: Quote, action: int) -> None:
        book = self.book
        book.turn(now)
        self.waiting.settle(quote)
        decision = self.waiting.decide(self._view(now, quote, action))
        if decision.action in ("enter", "exit"):
            self.waiting.send(decision, quote)
            self._heed_limits(now)
        elif book.position.is_open:
            book.seen(quote.bid)
