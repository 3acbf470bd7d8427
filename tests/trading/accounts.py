"""Accounts on the test exchange for tests of the real ccxt."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

import pytest

from tests.testexchange import TestExchange
from trading.exchange import ExchangeError
from trading.exchanges.ccxt_exchange import CcxtExchange, CcxtFeed, Credentials
from trading.market import OrderRequest, OrderType, Side

SYMBOL = "BTC/USDT"


def order_id() -> str:
    """Return a client order id as the product makes them: 18 of [a-z0-9]."""
    return "bs" + secrets.token_hex(8)


@dataclass
class Trader:
    """One account with a fresh key, its exchange, and what the test exchange knows of it."""

    server: TestExchange
    name: str
    key: str
    secret: str
    feed: CcxtFeed
    exchange: CcxtExchange

    def request(
        self, side: Side = Side.BUY, amount: str = "0.01", price: str | None = None
    ) -> OrderRequest:
        """Return a new order, signed now."""
        return OrderRequest(
            client_order_id=order_id(),
            symbol=SYMBOL,
            side=side,
            type=OrderType.MARKET if price is None else OrderType.LIMIT,
            amount=Decimal(amount),
            price=None if price is None else Decimal(price),
            signed_at=self.feed.now(),
        )

    def orders(self) -> list[dict[str, str]]:
        """Return the orders that really exist."""
        return self.server.control.orders(self.name)

    def posts(self) -> int:
        """Return how many order requests of this key reached the exchange."""
        return sum(
            request["method"] == "POST" and request["api_key"] == self.key
            for request in self.server.control.requests()
        )


def feed_of(server: TestExchange, **settings: float) -> CcxtFeed:
    """Return a feed of its own on the test exchange, quick to give up."""
    return CcxtFeed("binance", api_base=server.url, **{"timeout_s": 1.0, **settings})


def new_trader(server: TestExchange, feed: CcxtFeed | None = None, **balances: str) -> Trader:
    """Return a new account with these balances (10,000 USDT if none)."""
    name, key, secret = secrets.token_hex(4), secrets.token_hex(32), secrets.token_hex(32)
    server.control.add_account(
        name, api_key=key, secret=secret, balances=balances or {"USDT": "10000"}
    )
    feed = feed or feed_of(server)
    exchange = CcxtExchange(feed, Credentials(api_key=key, secret=secret))
    return Trader(server, name, key, secret, feed, exchange)


def fault_of(call: Callable[..., object], *args: object) -> ExchangeError:
    """Return the error that a call raises."""
    with pytest.raises(ExchangeError) as caught:
        call(*args)
    return caught.value
