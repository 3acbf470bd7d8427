"""The limit orders of a ladder that rest during a backtest, and how they are filled."""

from collections.abc import Iterator, Sequence
from decimal import Decimal, localcontext

from trading.backtest.book import Book
from trading.fills import crosses
from trading.ladder import Rung, missing
from trading.market import EXACT, OrderRequest, OrderType, Quote, Side, quantize
from trading.risk import Gate


class Rack:
    """What rests, in the order in which it was placed."""

    def __init__(self, book: Book) -> None:
        self.book, self.plan = book, book.plan
        self.rungs: list[Rung] = []

    @property
    def free_quote(self) -> Decimal:
        """The quote currency that no resting buy holds back, its fee included."""
        with localcontext(EXACT):
            return self.book.quote - sum(self._held_back(), Decimal(0))

    def _held_back(self) -> Iterator[Decimal]:
        for rung in self.rungs:
            if rung.side is Side.BUY:
                value = quantize(rung.price * rung.amount)
                yield value + quantize(value * self.plan.maker_rate)

    def settle(self, quote: Quote) -> bool:
        """Fill what the price has met, at its limit, as a maker. Returns whether anything was."""
        found = False
        for rung in list(self.rungs):
            if crosses(self._request(rung, quote.at), quote):
                self.rungs.remove(rung)
                self._fill(rung, quote, is_resting=True)
                found = True
        return found

    def keep(self, wanted: Sequence[Rung], quote: Quote) -> bool:
        """Let these rest and no other; one that trades at once ends it. Returns what was changed.

        As bots/rungs.py does it.
        """
        before = list(self.rungs)
        left = list(wanted)
        for rung in before:
            if rung in left:
                left.remove(rung)
            else:
                self.rungs.remove(rung)
        for rung in missing(wanted, before):
            if crosses(self._request(rung, quote.at), quote):
                self._fill(rung, quote, is_resting=False)
                return True
            self.rungs.append(rung)
        return self.rungs != before

    def _fill(self, rung: Rung, quote: Quote, *, is_resting: bool) -> None:
        request = self._request(rung, quote.at)
        self.book.meet(request, quote, Gate.LADDER, level=rung.level, is_resting=is_resting)

    def _request(self, rung: Rung, at: int) -> OrderRequest:
        return self.book.request(rung.side, OrderType.LIMIT, rung.amount, rung.price, at)
