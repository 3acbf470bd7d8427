"""The ledger of a futures account against the exchange's own truth."""

from decimal import Decimal
from typing import Any

from bots.models import Fill, Funding, Installation, Order
from tests.testexchange import ExchangeControl
from trading.market import OrderStatus

#: What the exchange calls the ends of its two kinds of orders.
ENDS = {
    "FILLED": OrderStatus.FILLED,
    "CANCELED": OrderStatus.CANCELED,
    "EXPIRED": OrderStatus.EXPIRED,
}


def wallet(exchange: ExchangeControl) -> Decimal:
    """Return what is in the futures wallet."""
    return Decimal(exchange.futures("default")["wallets"]["default"]["USDT"])


def waiting_algos(exchange: ExchangeControl) -> list[dict[str, Any]]:
    """Return the stops and targets that wait at the exchange."""
    rows: list[dict[str, Any]] = exchange.truth()["open_orders"]["algo"]
    return rows


def assert_ledger_is_the_exchanges(exchange: ExchangeControl, before: Decimal) -> None:
    """Compare orders, fills and profit with the truth, digit by digit, when all is flat.

    `before`: what the wallet held when this test's first bot was made.
    """
    truth = exchange.futures("default")
    income = sum((Decimal(row["income"]) for row in truth["income"]["default"]), Decimal(0))
    assert wallet(exchange) == income
    assert truth["positions"]["default"] == []
    assert waiting_algos(exchange) == []
    _assert_same_orders(truth)
    fills = _assert_same_fills(truth)
    paid = sum((row.amount for row in Funding.objects.all()), Decimal(0))
    assert sum((fill.realized_pnl for fill in fills), paid) == wallet(exchange) - before


def _assert_same_orders(truth: dict[str, Any]) -> None:
    prefix = f"bs{Installation.get().mark}"
    plain = {row["clientOrderId"]: row for row in truth["orders"]}
    algos = {row["clientAlgoId"]: row for row in truth["algo_orders"]}
    ours = {order.client_order_id: order for order in Order.objects.exclude(status="rejected")}
    there = {name for name in (*plain, *algos) if name.startswith(prefix)}
    assert {name for name in ours if name.startswith(prefix)} == there
    for name, order in ours.items():
        if name in algos:
            algo = algos[name]
            assert Decimal(algo["quantity"]) == order.amount
            assert Decimal(algo["triggerPrice"]) == order.trigger
            assert algo["reduceOnly"] is True
            assert order.filled == (Decimal(algo["actualQty"]) if algo["actualOrderId"] else 0)
        else:
            row = plain[name]
            assert order.status == ENDS[row["status"]]
            assert (order.amount, order.filled) == (
                Decimal(row["origQty"]),
                Decimal(row["executedQty"]),
            )


def _assert_same_fills(truth: dict[str, Any]) -> list[Fill]:
    fills = list(Fill.objects.all())
    theirs = {str(row["id"]): row for row in truth["trades"]}
    since = min(int(fill.trade_id) for fill in fills)
    assert {fill.trade_id for fill in fills} == {name for name in theirs if int(name) >= since}
    for fill in fills:
        row = theirs[fill.trade_id]
        told = (fill.price, fill.amount, fill.quote, fill.fee, fill.fee_currency)
        numbers = [Decimal(row[name]) for name in ("price", "qty", "quoteQty", "commission")]
        assert told == (*numbers, row["commissionAsset"])
    return fills
