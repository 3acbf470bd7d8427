"""The paper exchange: real prices, simulated fills, a balance kept by the caller's book."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Protocol

from trading.exchange import Feed
from trading.market import Holding, OrderReport
from trading.market_data import MarketData


class Book(Protocol):
    """Where a paper account lives. `record` is one transaction: answer, fill and balance."""

    def find(self, client_order_id: str) -> OrderReport | None:
        """Return the order stored under this client order id, with its fills."""
        ...

    def record(self, report: OrderReport, deltas: Mapping[str, Decimal]) -> OrderReport:
        """Store the order and add `deltas` (currency -> change) to the balance.

        Returns the stored order when that client order id is there already (nothing is added
        again). Raises Rejected(INSUFFICIENT_FUNDS) when a balance would fall below zero.
        """
        ...

    def balance(self) -> Mapping[str, Holding]:
        """Return the holdings that are not zero, keyed by currency."""
        ...


class PaperExchange:
    """Implements trading.exchange.Exchange; "not found" is final at once (`fence_ms` 0)."""

    fence_ms: int | None = 0

    def __init__(
        self,
        feed: Feed,
        book: Book,
        data: MarketData,
        *,
        fee_rate: Decimal | None = None,  # a fraction; None: the market's own taker fee
        slippage: Decimal = Decimal("0.0005"),  # a fraction
    ) -> None:
        raise NotImplementedError
