"""The ledger against the exchange's own truth."""

import re
from decimal import Decimal

from bots.models import Fill, Installation, Order
from tests.testexchange import ExchangeControl


def assert_ledger_is_the_exchanges(exchange: ExchangeControl) -> None:
    """Compare each order and each fill with what the exchange really did, digit by digit."""
    mine = {row.client_order_id: row for row in Order.objects.all()}
    # Each test starts with a new installation mark: what bears it was sent by this test.
    prefix = f"bs{Installation.get().mark}"
    theirs = {row["clientOrderId"]: row for row in exchange.orders()}
    theirs = {name: row for name, row in theirs.items() if name.startswith(prefix)}
    assert mine.keys() == theirs.keys() != set()
    for name, order in mine.items():
        there = theirs[name]
        assert re.fullmatch(r"bs[a-z0-9]{16}", name)
        assert there["status"] == "FILLED"
        assert order.exchange_order_id == str(there["orderId"])
        assert order.amount == order.filled == Decimal(there["executedQty"])
        quote = sum(fill.quote for fill in order.fills.all())
        assert quote == Decimal(there["cummulativeQuoteQty"])
    trades = {str(row["id"]): row for row in exchange.trades() if row["clientOrderId"] in mine}
    fills = {fill.trade_id: fill for fill in Fill.objects.all()}
    assert fills.keys() == trades.keys()
    for number, fill in fills.items():
        there = trades[number]
        told = (fill.price, fill.amount, fill.quote, fill.fee, fill.fee_currency)
        numbers = [Decimal(there[name]) for name in ("price", "qty", "quoteQty", "commission")]
        assert told == (*numbers, there["commissionAsset"])
