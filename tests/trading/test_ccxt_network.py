"""The real ccxt and everything between us and the exchange: limits, connections, clocks."""

import socket
import time
from decimal import Decimal

import pytest
import requests

from tests.trading.accounts import SYMBOL, Trader, fault_of, feed_of, new_trader
from trading.exchange import Fault, Rejected, Unreachable
from trading.exchanges.ccxt_exchange import CcxtExchange, CcxtFeed
from trading.exchanges.clock import ExchangeClock
from trading.market import OrderStatus

ORDER = "api/v3/order"


def test_after_a_429_nothing_is_asked_for_as_long_as_the_exchange_wants(trader: Trader, server):
    now = [0.0]
    feed = CcxtFeed("binance", api_base=server.url, monotonic=lambda: now[0] + time.monotonic())
    one, other = new_trader(server, feed), new_trader(server, feed)
    request = one.request()
    server.control.add_fault("rate_limit", path=ORDER, method="POST", retry_after=30)
    one.feed.rules(SYMBOL)
    error = fault_of(one.exchange.place, request)
    assert isinstance(error, Unreachable)
    assert (error.fault, error.sent, error.retry_after) == (Fault.RATE_LIMIT, False, 30)
    seen = len(server.control.requests())
    silent = (feed.quote, SYMBOL), (other.exchange.balance,), (one.exchange.place, request)
    for call in silent:
        quiet = fault_of(*call)
        assert isinstance(quiet, Unreachable)
        assert (quiet.fault, quiet.sent) == (Fault.RATE_LIMIT, False)
        assert quiet.retry_after == pytest.approx(30, abs=2)
    assert len(server.control.requests()) == seen
    now[0] += 30
    assert feed.quote(SYMBOL).last == 20_000
    assert one.orders() == []


def test_a_ban_silences_and_an_order_limit_silences_one_account(trader: Trader, server):
    feed = feed_of(server)
    one, other = new_trader(server, feed), new_trader(server, feed)
    server.control.add_fault("error", path=ORDER, method="POST", code=-1015)
    request = one.request()
    limited = fault_of(one.exchange.place, request)
    assert isinstance(limited, Unreachable)
    assert (limited.fault, limited.sent) == (Fault.RATE_LIMIT, False)
    assert isinstance(fault_of(one.exchange.place, request), Unreachable)
    assert one.exchange.balance()["USDT"].free == 10_000
    assert other.exchange.balance()["USDT"].free == 10_000
    server.control.add_fault("ban", path="api/v3/account", retry_after=600)
    assert fault_of(other.exchange.balance).retry_after == 600
    assert fault_of(feed.quote, SYMBOL).fault is Fault.RATE_LIMIT


def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def moved(trader: Trader, base: str) -> CcxtExchange:
    """Return alice's exchange, all prepared, whose address then leads to `base`."""
    exchange = trader.exchange
    exchange.balance()
    raw = exchange._client.raw
    for name, url in raw.urls["api"].items():
        raw.urls["api"][name] = url.replace(trader.server.url, base)
    return exchange


def test_an_order_to_a_closed_door_was_not_sent(trader: Trader):
    exchange = moved(trader, f"http://127.0.0.1:{closed_port()}")
    error = fault_of(exchange.place, trader.request())
    assert isinstance(error, Unreachable)
    assert (error.fault, error.sent) == (Fault.NETWORK, False)
    assert "refused" in error.text


def test_an_order_to_a_name_that_does_not_resolve_was_not_sent(trader: Trader):
    exchange = moved(trader, "http://exchange.invalid")
    error = fault_of(exchange.place, trader.request())
    assert isinstance(error, Unreachable)
    assert (error.fault, error.sent) == (Fault.NETWORK, False)


def test_an_order_to_a_door_that_nobody_opens_was_not_sent(trader: Trader):
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for waiting in (first, second):  # the queue is full, the next one gets no answer
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        time.sleep(0.1)
        exchange = moved(trader, f"http://127.0.0.1:{full.getsockname()[1]}")
        error = fault_of(exchange.place, trader.request())
    assert isinstance(error, Unreachable)
    assert (error.fault, error.sent) == (Fault.NETWORK, False)


def test_a_failure_that_is_being_handled_does_not_make_a_sent_order_unsent(trader: Trader, server):
    request = trader.request()
    server.control.add_fault("close", path=ORDER, method="POST", when="after")
    try:
        requests.get(f"http://127.0.0.1:{closed_port()}", timeout=1)
    except requests.ConnectionError:
        error = fault_of(trader.exchange.place, request)
    assert isinstance(error, Unreachable)
    assert error.sent
    assert len(trader.orders()) == 1


@pytest.mark.parametrize("action", ["close", "cut", "empty"])
def test_what_an_earlier_call_was_told_does_not_colour_a_later_one(trader: Trader, server, action):
    server.control.add_fault("error", path=ORDER, method="POST", code=-2010)
    assert isinstance(fault_of(trader.exchange.place, trader.request()), Rejected)
    server.control.add_fault(action, path=ORDER, method="POST", when="after")
    error = fault_of(trader.exchange.place, trader.request())
    assert isinstance(error, Unreachable)
    assert error.sent
    assert len(trader.orders()) == 1


def test_a_reset_connection_leaves_the_outcome_unknown(trader: Trader, server):
    trader.exchange.balance()
    request = trader.request()
    server.control.refuse()
    error = fault_of(trader.exchange.place, request)
    assert isinstance(error, Unreachable)
    assert (error.fault, error.sent) == (Fault.NETWORK, True)
    assert fault_of(trader.feed.quote, SYMBOL).fault is Fault.NETWORK


def test_an_order_whose_market_cannot_be_looked_up_was_not_sent(server, trader: Trader):
    fresh = new_trader(server)
    request = fresh.request()
    server.control.add_fault("html", path="api/v3/exchangeInfo")
    error = fault_of(fresh.exchange.place, request)
    assert isinstance(error, Unreachable)
    assert (error.fault, error.sent) == (Fault.BAD_ANSWER, False)
    assert fresh.orders() == []


@pytest.mark.parametrize("action", ["html", "truncated", "empty", "list", "null"])
def test_nonsense_instead_of_data_is_a_bad_answer(trader: Trader, server, action):
    request = trader.request()
    trader.exchange.place(request)
    trader.feed.quote(SYMBOL)
    paths = {
        "api/v3/ticker/24hr": (trader.feed.quote, SYMBOL),
        "api/v3/account": (trader.exchange.balance,),
        "sapi/v1/account/apiRestrictions": (trader.exchange.rights,),
        "api/v3/order": (trader.exchange.find, request),
        "api/v3/exchangeInfo": (feed_of(server).rules, SYMBOL),
        "api/v3/time": (feed_of(server).now,),
        "api/v3/myTrades": (trader.exchange.find, request),
        "api/v3/klines": (trader.feed.candles, SYMBOL, "1m", 5),
    }
    for path, call in paths.items():
        if action == "list" and path in ("api/v3/klines", "api/v3/myTrades"):
            continue  # there a list without entries is an answer
        server.control.add_fault(action, path=path)
        error = fault_of(*call)
        assert isinstance(error, Unreachable), path
        assert error.fault is Fault.BAD_ANSWER, path


def test_fills_that_lag_behind_are_left_out_not_invented(trader: Trader, server):
    request = trader.request()
    trader.exchange.place(request)
    server.control.add_fault("list", path="api/v3/myTrades")
    found = trader.exchange.find(request)
    assert found is not None
    assert (found.filled, found.fills) == (Decimal("0.01"), ())


def test_fills_of_another_order_are_not_taken(trader: Trader, server):
    request = trader.request()
    trader.exchange.place(request)
    strange = [{"symbol": "BTCUSDT", "id": 5, "orderId": 99, "price": "1", "qty": "0.01",
                "quoteQty": "0.01", "commission": "0", "commissionAsset": "BTC", "time": 1,
                "isBuyer": True, "isMaker": False}]  # fmt: skip
    server.control.add_fault("http", path="api/v3/myTrades", status=200, body=strange)
    assert fault_of(trader.exchange.find, request).fault is Fault.BAD_ANSWER


def test_a_read_measures_the_clock_again_and_an_order_is_not_sent_twice(trader: Trader, server):
    trader.exchange.balance()
    request = trader.request()
    server.control.set_skew(90_000)
    posts = trader.posts()
    error = fault_of(trader.exchange.place, request)
    assert isinstance(error, Unreachable)
    assert (error.fault, error.sent) == (Fault.CLOCK, False)
    assert trader.posts() - posts == 1
    assert trader.exchange.place(trader.request()).status is OrderStatus.FILLED
    server.control.set_skew(-90_000)
    assert trader.exchange.balance()["BTC"].free > 0


def test_a_clock_that_cannot_be_agreed_on_is_an_error_of_its_own(trader: Trader, server):
    trader.exchange.balance()
    server.control.add_fault("error", path="api/v3/account", code=-1021, times=2)
    error = fault_of(trader.exchange.balance)
    assert isinstance(error, Unreachable)
    assert (error.fault, error.sent) == (Fault.CLOCK, False)
    assert trader.exchange.balance()


def test_the_way_there_and_back_is_halved():
    now = [100.0]

    def ask() -> int:
        now[0] += 0.4  # 200 ms there, 200 ms back
        return 1_700_000_000_200

    clock = ExchangeClock(ask, ttl_s=60, monotonic=lambda: now[0], wall=lambda: now[0])
    assert clock.now() == 1_700_000_000_400
    now[0] += 1
    assert clock.now() == 1_700_000_001_400


def test_time_is_the_exchanges_and_survives_its_silence(trader: Trader, server):
    now = [0.0]
    feed = feed_of(server, time_ttl_s=60, monotonic=lambda: now[0], wall=lambda: now[0])
    assert abs(feed.now() - server.control.now()) < 500
    first = feed.now()
    now[0] += 61
    server.control.refuse()
    assert feed.now() == first + 61_000
    server.control.refuse(False)
    now[0] += 31
    assert abs(feed.now() - server.control.now()) < 500
