"""Where a paper account lives, and the orders that rest in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from trading.market import EXACT, Holding, OrderReport, Side, quantize


@dataclass(frozen=True, slots=True, kw_only=True)
class Resting:
    """A limit order that waits for its price: `held` units of `currency` are set aside for it.

    `price` and `fee` are quote currency; the fee is what the whole order will cost as a maker.
    """

    report: OrderReport
    price: Decimal
    fee: Decimal
    currency: str
    held: Decimal

    @property
    def value(self) -> Decimal:
        return quantize(EXACT.multiply(self.price, self.report.amount))

    def deltas(self, base: str, quote: str) -> Mapping[str, Decimal]:
        """Return what its fill does to the balance."""
        if self.report.side is Side.BUY:
            return {quote: -(self.value + self.fee), base: self.report.amount}
        return {base: -self.report.amount, quote: self.value - self.fee}


class Book(Protocol):
    """A paper account. Each method that writes is one transaction: order, fill and balance."""

    def find(self, client_order_id: str) -> OrderReport | None:
        """Return the order stored under this client order id, with its fills."""
        ...

    def conclude(self, client_order_id: str) -> OrderReport | None:
        """As `find`; where there is none, that client order id is refused from now on."""
        ...

    def record(self, report: OrderReport, deltas: Mapping[str, Decimal]) -> OrderReport:
        """Store a final order and add `deltas` (currency -> change) to the balance.

        Returns the stored order when that client order id is there already (nothing is added
        again). Raises Rejected: INSUFFICIENT_FUNDS when less than nothing would be free,
        ORDER_REJECTED for one that was concluded before it came.
        """
        ...

    def rest(self, order: Resting) -> OrderReport:
        """Store an open order and hold its coins; answers and fails as `record`."""
        ...

    def close(self, report: OrderReport, deltas: Mapping[str, Decimal]) -> OrderReport:
        """Make an open order final, free its coins and add `deltas`; returns what is stored.

        That is another report than the given one where the order was final already.
        """
        ...

    def resting(self) -> Sequence[Resting]:
        """Return the open orders, oldest first."""
        ...

    def since(self, at: int) -> Sequence[OrderReport]:
        """Return the orders whose last change is not before `at` (Unix ms), oldest first."""
        ...

    def balance(self) -> Mapping[str, Holding]:
        """Return the holdings that are not zero, keyed by currency."""
        ...
