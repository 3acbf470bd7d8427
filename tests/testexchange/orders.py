"""Orders and trades, and how Binance's spot API shows them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tests.testexchange.accounts import Account
from tests.testexchange.fees import FeeSchedule
from tests.testexchange.markets import Market
from tests.testexchange.money import ZERO, number

if TYPE_CHECKING:
    from tests.testexchange.lists import OrderList

OPEN = ("NEW", "PARTIALLY_FILLED")
CONDITIONAL = ("STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT")
UNPRICED = ("MARKET", "STOP_LOSS", "TAKE_PROFIT")


def triggers(kind: str, side: str, stop_price: Decimal, price: Decimal) -> bool:
    """Whether `price` releases a conditional order: a stop runs after the market, a target
    waits for it."""
    rising = kind.startswith("STOP") == (side == "BUY")
    return price >= stop_price if rising else price <= stop_price


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
            "orderListId": self.order.list_id,
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
class BaseOrder:
    """What an order is on both sides, spot and USDT-M, and its progress.

    A `held` one rests but is not matched by the price; one `parked_at` a price rests until the
    price has left it; `watched_ms` is the time up to which the price has been compared with the
    limit.
    """

    order_id: int
    api_key: str
    market: Market
    client_id: str
    side: str
    type: str
    time_in_force: str
    price: Decimal
    quantity: Decimal
    created_ms: int
    updated_ms: int
    watched_ms: int
    status: str = "NEW"
    executed: Decimal = ZERO
    quote_executed: Decimal = ZERO
    held: bool = False
    parked_at: Decimal | None = None
    stop_price: Decimal = ZERO

    @property
    def is_open(self) -> bool:
        return self.status in OPEN

    @property
    def remaining(self) -> Decimal:
        return self.quantity - self.executed

    def within(self, touch: Decimal) -> bool:
        """Whether its limit takes `touch`."""
        return touch <= self.price if self.side == "BUY" else touch >= self.price

    def reached(self, price: Decimal) -> bool:
        """Whether `price` has come to its limit, which it follows again once it has been left."""
        touch = self.market.touch(self.side, price)
        if self.parked_at is not None:
            if touch == self.parked_at:
                return False
            self.parked_at = None
        return self.within(touch)


@dataclass(kw_only=True, slots=True)
class Order(BaseOrder):
    """A spot order. A conditional one waits for `stop_price`; `working_ms` is when it came to the
    market."""

    account: Account
    quote_order_qty: Decimal
    fee: FeeSchedule
    locked: Decimal = ZERO
    working_ms: int | None = None
    order_list: OrderList | None = None

    @property
    def waits(self) -> bool:
        """Whether it is conditional and not triggered yet."""
        return self.type in CONDITIONAL and self.working_ms is None

    @property
    def unpriced(self) -> bool:
        """Whether it takes any price once it is at the market."""
        return self.type in UNPRICED

    @property
    def list_id(self) -> int:
        return -1 if self.order_list is None else self.order_list.list_id

    def core(self) -> dict[str, Any]:
        """What every answer about the order has in common."""
        return {
            "symbol": self.market.spec.symbol,
            "orderId": self.order_id,
            "orderListId": self.list_id,
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
            "stopPrice": number(self.stop_price),
            "icebergQty": number(ZERO),
            "time": self.created_ms,
            "updateTime": self.updated_ms,
            "isWorking": not self.waits,
            "workingTime": self._working_time(),
        }

    def _working_time(self) -> int:
        if self.waits:
            return -1
        return self.created_ms if self.working_ms is None else self.working_ms

    def _stop(self) -> dict[str, Any]:
        return {"stopPrice": number(self.stop_price)} if self.stop_price else {}

    def result(self, trades: list[Trade] | None) -> dict[str, Any]:
        """The answer to a new order: RESULT, or FULL when the trades are given."""
        times = {"transactTime": self.created_ms, "workingTime": self._working_time()}
        shown = self.core() | times | self._stop()
        return shown if trades is None else shown | {"fills": [trade.fill() for trade in trades]}

    def acknowledgement(self) -> dict[str, Any]:
        """The answer ACK to a new order."""
        names = ("symbol", "orderId", "orderListId", "clientOrderId")
        core = self.core()
        return {name: core[name] for name in names} | {"transactTime": self.created_ms}

    def cancellation(self, cancel_id: str, now_ms: int) -> dict[str, Any]:
        """The answer to a cancel, which has an id of its own."""
        return (
            self.core()
            | self._stop()
            | {
                "origClientOrderId": self.client_id,
                "clientOrderId": cancel_id,
                "transactTime": now_ms,
            }
        )
