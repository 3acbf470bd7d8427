"""Orders and trades, and how Binance's spot API shows them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tests.testexchange.accounts import Account
from tests.testexchange.fees import FeeSchedule
from tests.testexchange.markets import Market
from tests.testexchange.money import ZERO, number

OPEN = ("NEW", "PARTIALLY_FILLED")


@dataclass(frozen=True, kw_only=True, slots=True)
class Trade:
    """One fill; `quote_quantity` is what changed hands in the quote currency, cut to 8 decimals."""

    trade_id: int
    order: Order
    price: Decimal
    quantity: Decimal
    quote_quantity: Decimal
    commission: Decimal
    commission_asset: str
    time_ms: int
    maker: bool

    def body(self) -> dict[str, Any]:
        """An element of `myTrades`."""
        return {
            "symbol": self.order.market.spec.symbol,
            "id": self.trade_id,
            "orderId": self.order.order_id,
            "orderListId": -1,
            "price": number(self.price),
            "qty": number(self.quantity),
            "quoteQty": number(self.quote_quantity),
            "commission": number(self.commission),
            "commissionAsset": self.commission_asset,
            "time": self.time_ms,
            "isBuyer": self.order.side == "BUY",
            "isMaker": self.maker,
            "isBestMatch": True,
        }

    def fill(self) -> dict[str, Any]:
        """An element of `fills` in the answer to a new order."""
        return {
            "price": number(self.price),
            "qty": number(self.quantity),
            "commission": number(self.commission),
            "commissionAsset": self.commission_asset,
            "tradeId": self.trade_id,
        }


@dataclass(kw_only=True, slots=True)
class Order:
    """An order and its progress.

    A `held` one rests but is not matched by the price; `watched_ms` is the time up to which the
    price has been compared with the limit.
    """

    order_id: int
    account: Account
    api_key: str
    market: Market
    client_id: str
    side: str
    type: str
    time_in_force: str
    price: Decimal
    quantity: Decimal
    quote_order_qty: Decimal
    fee: FeeSchedule
    created_ms: int
    updated_ms: int
    watched_ms: int
    status: str = "NEW"
    executed: Decimal = ZERO
    quote_executed: Decimal = ZERO
    locked: Decimal = ZERO
    held: bool = False

    @property
    def is_open(self) -> bool:
        return self.status in OPEN

    @property
    def remaining(self) -> Decimal:
        return self.quantity - self.executed

    def core(self) -> dict[str, Any]:
        """What every answer about the order has in common."""
        return {
            "symbol": self.market.spec.symbol,
            "orderId": self.order_id,
            "orderListId": -1,
            "clientOrderId": self.client_id,
            "price": number(self.price),
            "origQty": number(self.quantity),
            "executedQty": number(self.executed),
            "origQuoteOrderQty": number(self.quote_order_qty),
            "cummulativeQuoteQty": number(self.quote_executed),
            "status": self.status,
            "timeInForce": self.time_in_force,
            "type": self.type,
            "side": self.side,
            "selfTradePreventionMode": "EXPIRE_MAKER",
        }

    def body(self) -> dict[str, Any]:
        """The answer to a query, and an element of `openOrders` and `allOrders`."""
        return self.core() | {
            "stopPrice": number(ZERO),
            "icebergQty": number(ZERO),
            "time": self.created_ms,
            "updateTime": self.updated_ms,
            "isWorking": True,
            "workingTime": self.created_ms,
        }

    def result(self, trades: list[Trade] | None) -> dict[str, Any]:
        """The answer to a new order: RESULT, or FULL when the trades are given."""
        shown = self.core() | {"transactTime": self.created_ms, "workingTime": self.created_ms}
        return shown if trades is None else shown | {"fills": [trade.fill() for trade in trades]}

    def acknowledgement(self) -> dict[str, Any]:
        """The answer ACK to a new order."""
        names = ("symbol", "orderId", "orderListId", "clientOrderId")
        core = self.core()
        return {name: core[name] for name in names} | {"transactTime": self.created_ms}

    def cancellation(self, cancel_id: str, now_ms: int) -> dict[str, Any]:
        """The answer to a cancel, which has an id of its own."""
        return self.core() | {
            "origClientOrderId": self.client_id,
            "clientOrderId": cancel_id,
            "transactTime": now_ms,
        }
