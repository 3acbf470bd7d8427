"""A test exchange in its own process, and an account on it."""

from collections.abc import Iterator

import pytest

from tests.testexchange import TestExchange
from tests.trading.accounts import Trader, feed_of, new_trader
from trading.exchanges.ccxt_exchange import CcxtFeed


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
