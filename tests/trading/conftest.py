"""A test exchange in its own process, and an account on it."""

import secrets
from collections.abc import Iterator

import pytest

from tests.testexchange import TestExchange
from tests.trading.accounts import Trader, feed_of, new_trader
from tests.trading.futures_accounts import FuturesTrader
from trading.exchanges.ccxt_exchange import CcxtFeed, Credentials, open_account


@pytest.fixture(scope="module")
def server() -> Iterator[TestExchange]:
    """One test exchange for a file."""
    with TestExchange() as exchange:
        yield exchange


@pytest.fixture(scope="module")
def feed(server: TestExchange) -> CcxtFeed:
    """One feed for a file, as one process has."""
    return feed_of(server)


@pytest.fixture
def trader(server: TestExchange, feed: CcxtFeed) -> Iterator[Trader]:
    """An account with 10,000 USDT, BTC at 20,000; what a test broke is mended after it."""
    server.control.set_price("BTCUSDT", "20000")
    yield new_trader(server, feed)
    server.control.clear_faults()
    server.control.refuse(False)
    server.control.set_skew(0)
    server.control.set_spread("0")
    server.control.resume("BTCUSDT")
    server.control.list_symbol("BTCUSDT")
    server.control.set_fee(mode="default", taker="0.001")
    feed.clock.forget()


@pytest.fixture(scope="module")
def futures_feed(server: TestExchange) -> CcxtFeed:
    return CcxtFeed("binance", market_type="swap", api_base=server.url, timeout_s=1)


@pytest.fixture
def futures_trader(server: TestExchange, futures_feed: CcxtFeed) -> Iterator[FuturesTrader]:
    """An account, BTC at 20,000; what a test broke is mended after it."""
    server.control.set_price("BTCUSDT", "20000")
    name, key, secret = secrets.token_hex(4), secrets.token_hex(32), secrets.token_hex(32)
    server.control.add_account(
        name, api_key=key, secret=secret, balances={}, futures_balances={"USDT": "10000"}
    )
    server.control.set_permissions(key, enableFutures=True)
    exchange = open_account(futures_feed, Credentials(api_key=key, secret=secret))
    yield FuturesTrader(server, name, key, exchange)
    server.control.clear_faults()
    server.control.real_time()
    server.control.resume("BTCUSDT", futures=True)
    futures_feed.clock.forget()
