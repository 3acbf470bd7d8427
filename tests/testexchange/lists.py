"""Order lists (OCO): two orders of which one ends the other, and how Binance shows them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.testexchange.accounts import Account
from tests.testexchange.orders import Order


@dataclass(kw_only=True)
class OrderList:
    """The two legs of an OCO, the one above the price first."""

    list_id: int
    account: Account
    client_id: str
    created_ms: int
    orders: list[Order] = field(default_factory=list)

    @property
    def is_open(self) -> bool:
        return any(order.is_open for order in self.orders)

    def body(self) -> dict[str, Any]:
        """The answer to a query, and an element of lists of lists."""
        symbol = self.orders[0].market.spec.symbol
        return {
            "orderListId": self.list_id,
            "contingencyType": "OCO",
            "listStatusType": "EXEC_STARTED" if self.is_open else "ALL_DONE",
            "listOrderStatus": "EXECUTING" if self.is_open else "ALL_DONE",
            "listClientOrderId": self.client_id,
            "transactionTime": self.created_ms,
            "symbol": symbol,
            "orders": [
                {"symbol": symbol, "orderId": order.order_id, "clientOrderId": order.client_id}
                for order in self.orders
            ],
        }

    def report(self, of_order: Callable[[Order], dict[str, Any]]) -> dict[str, Any]:
        """`body` with a report of each order: the answer to a new list and to a cancel."""
        return self.body() | {"orderReports": [of_order(order) for order in self.orders]}
