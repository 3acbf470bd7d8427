"""The state of the exchange and the placing and cancelling of orders."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from tests.testexchange.accounts import Account, Accounts, ApiKey
from tests.testexchange.clock import Clock
from tests.testexchange.engine import Engine, Fill
from tests.testexchange.errors import ApiError, missing
from tests.testexchange.fees import FeeSchedule
from tests.testexchange.markets import ORDER_TYPES, Market
from tests.testexchange.messages import Request, illegal
from tests.testexchange.money import ZERO
from tests.testexchange.orders import Order, Trade
from tests.testexchange.settings import complete

CLIENT_ID = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}")


class Exchange:
    """Everything the exchange knows. Callers hold `lock` and call `settle` before they look."""

    def __init__(self, config: Mapping[str, Any] | None = None) -> None:
        full = complete(config)
        self.lock = threading.RLock()
        self.clock = Clock(**full["clock"])
        self.fee = FeeSchedule.from_config(full["fee"])
        self.accounts = Accounts()
        self.engine = Engine()
        spread = Decimal(str(full["spread"]))
        self.markets = {
            entry["symbol"]: Market.from_config(entry, seed=full["seed"], spread=spread)
            for entry in full["symbols"]
        }
        for entry in full["accounts"]:
            self.accounts.add(**entry, now_ms=self.clock.now())

    def settle(self) -> int:
        """Brings resting orders up to date and returns the time."""
        now_ms = self.clock.now()
        if self.engine.open:
            self.engine.settle(now_ms)
        return now_ms

    def market(self, symbol: str) -> Market:
        """-1121 for an unknown or delisted symbol."""
        market = self.markets.get(symbol)
        if market is None or market.delisted:
            raise ApiError(-1121)
        return market

    def place(self, request: Request, key: ApiKey) -> tuple[Order, list[Trade]]:
        """A new order of `POST order`: the order as it stands and the fills it had at once."""
        now_ms = self.settle()
        market = self.market(request.text("symbol"))
        order = self._read_order(request, key, market, now_ms)
        if not key.permissions["canTrade"]:
            raise ApiError(-2015)
        if market.status != "TRADING":
            raise ApiError(-1013, "Market is closed.")
        touch = market.touch(order.side, market.price(now_ms))
        if order.type == "MARKET" and order.quote_order_qty:
            order.quantity = market.lots(order.quote_order_qty / touch)
        self._check_filters(order, touch)
        if self.engine.is_duplicate(key.account, order.client_id):
            raise ApiError(-2010, "Duplicate order sent.")
        return order, self._match(order, touch, now_ms)

    def cancel(self, account: Account, symbol: str, order_id: int | None, client_id: str) -> Order:
        """Cancels an open order; -2011 when there is none such."""
        now_ms = self.settle()
        order = self.engine.find(account, self.market(symbol).spec.symbol, order_id, client_id)
        if order is None or not order.is_open:
            raise ApiError(-2011)
        self.engine.close(order, "CANCELED", now_ms)
        return order

    def _read_order(self, request: Request, key: ApiKey, market: Market, now_ms: int) -> Order:
        """The order that the parameters describe, checked for form."""
        side, kind = request.text("side"), request.text("type")
        if side not in ("BUY", "SELL"):
            raise ApiError(-1117)
        if kind not in ORDER_TYPES:
            raise ApiError(-1116)
        order_id = len(self.engine.orders) + 1
        client_id = request.text("newClientOrderId", f"web_{order_id:020d}")
        if not CLIENT_ID.fullmatch(client_id):
            raise illegal("newClientOrderId")
        quantity, quote = request.decimal("quantity"), request.decimal("quoteOrderQty")
        _check_form(request, kind, quantity, quote)
        return Order(
            order_id=order_id,
            account=key.account,
            api_key=key.api_key,
            market=market,
            client_id=client_id,
            side=side,
            type=kind,
            time_in_force=request.text("timeInForce", "GTC"),
            price=request.decimal("price") or ZERO,
            quantity=quantity or ZERO,
            quote_order_qty=quote or ZERO,
            fee=self.fee,
            created_ms=now_ms,
            updated_ms=now_ms,
            watched_ms=now_ms,
        )

    def _check_filters(self, order: Order, touch: Decimal) -> None:
        spec, is_market = order.market.spec, order.type == "MARKET"
        if not is_market:
            spec.check_price(order.price)
        spec.check_quantity(order.quantity, market=is_market)
        spec.check_notional(
            order.quantity * (touch if is_market else order.price), market=is_market
        )

    def _match(self, order: Order, touch: Decimal, now_ms: int) -> list[Trade]:
        """Fills what the market gives at once; the rest rests or expires."""
        engine, is_market = self.engine, order.type == "MARKET"
        buys = order.side == "BUY"
        takes = is_market or (touch <= order.price if buys else touch >= order.price)
        if takes and order.type == "LIMIT_MAKER":
            raise ApiError(-2010, "Order would immediately match and take.")
        fills: list[Fill] = []
        if takes:
            fills = engine.planned(order.market, order.side, order.quantity, touch)
        if not is_market:
            bound = min if buys else max
            fills = [(bound(price, order.price), size) for price, size in fills]
        filled = sum((size for _, size in fills), ZERO)
        if order.time_in_force == "FOK" and filled < order.quantity:
            fills = []
        rests = not is_market and order.time_in_force == "GTC"
        needed = engine.lock_for(order, order.quantity) if rests else engine.cost_of(order, fills)
        if order.account.balance(needed[0]).free < needed[1]:
            raise ApiError(-2010)
        engine.accept(order)
        if takes:
            del order.market.fill_plans[:1]
        if rests:
            engine.lock(order)
        trades = [engine.fill(order, fill, now_ms, maker=False) for fill in fills]
        if order.is_open and not rests:
            engine.close(order, "EXPIRED", now_ms)
        order.held = order.is_open and takes
        return trades


def _check_form(
    request: Request, kind: str, quantity: Decimal | None, quote: Decimal | None
) -> None:
    """Which parameters an order type needs and refuses; -1102, -1106, -1115, -1013."""
    if kind == "MARKET":
        for name in ("price", "timeInForce"):
            if request.params.get(name):
                raise ApiError(-1106, f"Parameter '{name}' sent when not required.")
        if quantity is None and quote is None:
            raise missing("quantity")
        if quantity is not None and quote is not None:
            raise ApiError(-1106, "Parameter 'quoteOrderQty' sent when not required.")
    else:
        request.text("quantity")
        request.text("price")
        if kind == "LIMIT" and request.text("timeInForce") not in ("GTC", "IOC", "FOK"):
            raise ApiError(-1115)
    for name, value in (("quantity", quantity), ("quoteOrderQty", quote)):
        if value is not None and value <= 0:
            raise ApiError(-1013, f"Invalid {name}.")
