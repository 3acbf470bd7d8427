"""The ledger against the exchange's own truth."""

import re
from decimal import Decimal
from typing import Any

from bots.models import Fill, Installation, Order
from tests.testexchange import ExchangeControl
from trading.market import OrderStatus

#: What the exchange calls our statuses. It knows nothing of an order that was never accepted.
STATUSES = {
    "NEW": OrderStatus.OPEN,
    "PARTIALLY_FILLED": OrderStatus.PARTIAL,
    "FILLED": OrderStatus.FILLED,
    "CANCELED": OrderStatus.CANCELED,
    "EXPIRED": OrderStatus.EXPIRED,
}
NEVER_THERE = (OrderStatus.ABANDONED, OrderStatus.REJECTED)


def our_orders(exchange: ExchangeControl) -> dict[str, dict[str, Any]]:
    """Return by client id what the exchange knows of this test's orders."""
    # Each test starts with a new installation mark: what bears it was sent by this test.
    prefix = f"bs{Installation.get().mark}"
    rows = {row["clientOrderId"]: row for row in exchange.orders()}
    return {name: row for name, row in rows.items() if name.startswith(prefix)}


def assert_ledger_is_the_exchanges(exchange: ExchangeControl) -> None:
    """Compare each order and each fill with what the exchange really did, digit by digit."""
    rows = Order.objects.all()
    mine = {row.client_order_id: row for row in rows if row.status not in NEVER_THERE}
    theirs = our_orders(exchange)
    assert mine.keys() == theirs.keys()
    for name, order in mine.items():
        there = theirs[name]
        assert re.fullmatch(r"bs[a-z0-9]{16}", name)
        assert order.status == STATUSES[there["status"]]
        assert order.exchange_order_id == str(there["orderId"])
        assert order.amount == Decimal(there["origQty"])
        assert order.filled == Decimal(there["executedQty"])
        quote = sum(fill.quote for fill in order.fills.all())
        assert quote == Decimal(there["cummulativeQuoteQty"])
    _assert_same_fills(exchange, set(mine))


def _assert_same_fills(exchange: ExchangeControl, orders: set[str]) -> None:
    trades = {str(row["id"]): row for row in exchange.trades() if row["clientOrderId"] in orders}
    fills = {fill.trade_id: fill for fill in Fill.objects.all()}
    assert fills.keys() == trades.keys()
    for number, fill in fills.items():
        there = trades[number]
        told = (fill.price, fill.amount, fill.quote, fill.fee, fill.fee_currency)
        numbers = [Decimal(there[name]) for name in ("price", "qty", "quoteQty", "commission")]
        assert told == (*numbers, there["commissionAsset"])


def sent_once(exchange: ExchangeControl) -> bool:
    """Whether no client id of this test was ever posted twice."""
    prefix = f"bs{Installation.get().mark}"
    ids = [
        row["params"].get("newClientOrderId", "")
        for row in exchange.requests()
        if row["method"] == "POST"
    ]
    ours = [name for name in ids if name.startswith(prefix)]
    return len(ours) == len(set(ours))
