"""The state of the exchange and the placing and cancelling of orders."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from tests.testexchange.accounts import Account, Accounts, ApiKey
from tests.testexchange.clock import Clock
from tests.testexchange.engine import Engine
from tests.testexchange.errors import ApiError
from tests.testexchange.fees import FeeSchedule
from tests.testexchange.forms import Form, read_form
from tests.testexchange.futures import Futures
from tests.testexchange.lists import OrderList
from tests.testexchange.markets import Market
from tests.testexchange.matching import Matcher
from tests.testexchange.messages import Request
from tests.testexchange.money import ZERO
from tests.testexchange.orders import Order, Trade
from tests.testexchange.settings import complete


class Exchange:
    """Everything the exchange knows. Callers hold `lock` and call `settle` before they look."""

    def __init__(self, config: Mapping[str, Any] | None = None) -> None:
        full = complete(config)
        self.lock = threading.RLock()
        self.clock = Clock(**full["clock"])
        self.fee = FeeSchedule.from_config(full["fee"])
        self.accounts = Accounts()
        self.engine = Engine()
        self.matcher = Matcher(self.engine)
        self.lists: list[OrderList] = []
        spread = Decimal(str(full["spread"]))
        self.markets = {
            entry["symbol"]: Market.from_config(entry, seed=full["seed"], spread=spread)
            for entry in full["symbols"]
        }
        self.futures = Futures(full["futures"], self.markets, self.clock.now())
        for entry in full["accounts"]:
            self.add_account(**entry)

    def settle(self) -> int:
        """Brings resting orders up to date and returns the time."""
        now_ms = self.clock.now()
        if self.engine.open:
            self.matcher.settle(now_ms)
        self.futures.matcher.settle(now_ms)
        return now_ms

    def add_account(
        self, name: str, *, futures_balances: Mapping[str, Any] | None = None, **details: Any
    ) -> None:
        """See `Accounts.add`; `futures_balances` are deposits into its futures wallet."""
        now_ms = self.clock.now()
        self.accounts.add(name, now_ms=now_ms, **details)
        owner = self.futures.engine.account(self.accounts.by_name[name])
        for asset, amount in (futures_balances or {}).items():
            owner.post(Decimal(str(amount)), "TRANSFER", now_ms, asset=asset)

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
        order = self.build(read_form(request), key, market, now_ms)
        self.check_open(market, key)
        touch = market.touch(order.side, market.price(now_ms))
        if order.type == "MARKET" and order.quote_order_qty:
            order.quantity = market.lots(order.quote_order_qty / touch)
        self.check_filters(order, touch)
        return order, self.matcher.place(order, touch, now_ms)

    def check_open(self, market: Market, key: ApiKey) -> None:
        """-2015 for a key that may not trade, -1013 for a market that is halted."""
        if not key.permissions["canTrade"]:
            raise ApiError(-2015)
        if market.status != "TRADING":
            raise ApiError(-1013, "Market is closed.")

    def build(self, form: Form, key: ApiKey, market: Market, now_ms: int) -> Order:
        """The order that a form describes, not accepted yet."""
        order_id = len(self.engine.orders) + 1
        return Order(
            order_id=order_id,
            account=key.account,
            client_id=form.client_id or f"web_{order_id:020d}",
            stop_price=form.stop_price,
            quote_order_qty=form.quote_order_qty,
            fee=self.fee,
            **form.terms(key, market, now_ms),
        )

    def check_filters(self, order: Order, touch: Decimal) -> None:
        """The market's filters, and -2010 for a client id that an open order carries."""
        spec = order.market.spec
        for price in (order.price, order.stop_price):
            if price != ZERO:
                spec.check_price(price)
        spec.check_quantity(order.quantity, market=order.unpriced)
        price = order.price or order.stop_price or touch
        spec.check_notional(order.quantity * price, market=order.unpriced)
        if self.engine.is_duplicate(order.account, order.client_id):
            raise ApiError(-2010, "Duplicate order sent.")

    def cancel(self, account: Account, symbol: str, order_id: int | None, client_id: str) -> Order:
        """Cancels an open order, with the other leg of its list; -2011 when there is none such."""
        now_ms = self.settle()
        order = self.engine.find(account, self.market(symbol).spec.symbol, order_id, client_id)
        if order is None or not order.is_open:
            raise ApiError(-2011)
        legs = [order] if order.order_list is None else order.order_list.orders
        for leg in legs:
            if leg.is_open:
                self.engine.close(leg, "CANCELED", now_ms)
        return order
