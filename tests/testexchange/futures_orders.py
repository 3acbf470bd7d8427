"""Orders, algo orders and trades of the USDT-M side, and how Binance shows them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tests.testexchange.money import ZERO, number
from tests.testexchange.orders import BaseOrder
from tests.testexchange.perpetuals import Perpetual
from tests.testexchange.positions import FuturesAccount


@dataclass(kw_only=True, slots=True)
class FuturesOrder(BaseOrder):
    """An order at the matching engine; `origin` is the type of the algo order it comes from."""

    market: Perpetual
    owner: FuturesAccount
    reduce_only: bool
    close_position: bool
    origin: str = ""

    def body(self) -> dict[str, Any]:
        """The answer to a new order, a query, a cancel, and an element of lists."""
        average = self.quote_executed / self.executed if self.executed else ZERO
        return {
            "orderId": self.order_id,
            "symbol": self.market.spec.symbol,
            "status": self.status,
            "clientOrderId": self.client_id,
            "price": number(self.price),
            "avgPrice": number(average),
            "origQty": number(self.quantity),
            "executedQty": number(self.executed),
            "cumQty": number(self.executed),
            "cumQuote": number(self.quote_executed),
            "timeInForce": self.time_in_force,
            "type": self.type,
            "reduceOnly": self.reduce_only,
            "closePosition": self.close_position,
            "side": self.side,
            "positionSide": "BOTH",
            "stopPrice": number(self.stop_price),
            "workingType": "CONTRACT_PRICE",
            "priceProtect": False,
            "origType": self.origin or self.type,
            "priceMatch": "NONE",
            "selfTradePreventionMode": "EXPIRE_MAKER",
            "goodTillDate": 0,
            "time": self.created_ms,
            "updateTime": self.updated_ms,
        }


@dataclass(kw_only=True, slots=True)
class AlgoOrder:
    """A conditional order, which the algo service keeps until it becomes a FuturesOrder."""

    algo_id: int
    owner: FuturesAccount
    api_key: str
    market: Perpetual
    client_id: str
    side: str
    type: str
    time_in_force: str
    trigger_price: Decimal
    price: Decimal
    quantity: Decimal
    reduce_only: bool
    close_position: bool
    by_mark: bool
    created_ms: int
    updated_ms: int
    watched_ms: int
    own_status: str = "NEW"
    triggered_ms: int = 0
    order: FuturesOrder | None = None

    @property
    def is_open(self) -> bool:
        return self.own_status == "NEW"

    @property
    def status(self) -> str:
        if self.order is None:
            return self.own_status
        return "TRIGGERED" if self.order.is_open else "FINISHED"

    def body(self) -> dict[str, Any]:
        """The answer to a new algo order, a query, and an element of lists."""
        return {
            "algoId": self.algo_id,
            "clientAlgoId": self.client_id,
            "algoType": "CONDITIONAL",
            "orderType": self.type,
            "symbol": self.market.spec.symbol,
            "side": self.side,
            "positionSide": "BOTH",
            "timeInForce": self.time_in_force,
            "quantity": number(self.quantity),
            "algoStatus": self.status,
            "triggerPrice": number(self.trigger_price),
            "price": number(self.price),
            "icebergQuantity": None,
            "selfTradePreventionMode": "EXPIRE_MAKER",
            "workingType": "MARK_PRICE" if self.by_mark else "CONTRACT_PRICE",
            "priceMatch": "NONE",
            "closePosition": self.close_position,
            "priceProtect": False,
            "reduceOnly": self.reduce_only,
            "createTime": self.created_ms,
            "updateTime": self.updated_ms,
            "triggerTime": self.triggered_ms,
            "goodTillDate": 0,
            **self._actual(),
        }

    def _actual(self) -> dict[str, Any]:
        """What became of it at the matching engine."""
        if self.order is None:
            return {"actualOrderId": "", "actualPrice": number(ZERO)}
        order = self.order.body()
        return {
            "actualOrderId": str(order["orderId"]),
            "actualPrice": order["avgPrice"],
            "actualQty": order["executedQty"],
            "actualType": order["type"],
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class FuturesTrade:
    """One fill."""

    trade_id: int
    order: FuturesOrder
    price: Decimal
    quantity: Decimal
    quote_quantity: Decimal
    realized: Decimal
    commission: Decimal
    commission_asset: str
    time_ms: int
    maker: bool

    def body(self) -> dict[str, Any]:
        """An element of `userTrades`."""
        return {
            "symbol": self.order.market.spec.symbol,
            "id": self.trade_id,
            "orderId": self.order.order_id,
            "side": self.order.side,
            "price": number(self.price),
            "qty": number(self.quantity),
            "realizedPnl": number(self.realized),
            "quoteQty": number(self.quote_quantity),
            "commission": number(self.commission),
            "commissionAsset": self.commission_asset,
            "time": self.time_ms,
            "positionSide": "BOTH",
            "buyer": self.order.side == "BUY",
            "maker": self.maker,
        }
