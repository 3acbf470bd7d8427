"""USDT perpetuals through the real ccxt: markets, orders, stops and targets, lists of them."""

from dataclasses import replace
from decimal import Decimal as D

import pytest

from tests.trading.accounts import fault_of
from tests.trading.futures_accounts import SYMBOL
from tests.trading.futures_accounts import FuturesTrader as Trader
from trading.exchange import Can, Fault, Rejected, Unreachable
from trading.market import OrderStatus, OrderType, Side

HOUR = 3_600_000


@pytest.fixture
def trader(futures_trader: Trader) -> Trader:
    return futures_trader


def test_the_market_has_its_own_rules_price_and_candles(trader: Trader):
    rules = trader.exchange.rules(SYMBOL)
    assert (rules.base, rules.quote, rules.active) == ("BTC", "USDT", True)
    assert (rules.amount_step, rules.price_tick) == (D("0.001"), D("0.1"))
    assert rules.min_notional > 0
    assert rules.taker_fee == D("0.0005")
    quote = trader.exchange.quote(SYMBOL)
    assert quote.last == 20_000
    assert 0 < quote.bid <= quote.last <= quote.ask
    assert len(trader.exchange.candles(SYMBOL, "1m", 20)) == 20
    assert set(trader.exchange.symbols()) >= {SYMBOL}
    assert all(symbol.endswith(":USDT") for symbol in trader.exchange.symbols())


def test_what_a_futures_account_can(trader: Trader):
    assert trader.exchange.can == {Can.STOP, Can.FUTURES}
    assert trader.exchange.fence_ms == 20_000
    error = fault_of(trader.exchange.place_pair, trader.stop(), trader.target())
    assert isinstance(error, Rejected)
    assert trader.posts() == []


def test_an_order_carries_our_id_and_the_fence(trader: Trader):
    for request, name in (
        (trader.request(reduce_only=False), "newClientOrderId"),
        (trader.stop(), "clientAlgoId"),
    ):
        trader.exchange.place(request)
        sent = trader.posts()[-1]["params"]
        assert sent[name] == request.client_order_id
        assert sent["timestamp"] == str(request.signed_at)
        assert sent["recvWindow"] == "5000"
        assert sent.get("reduceOnly") == ("true" if request.reduce_only else None)


@pytest.mark.parametrize("kind", [OrderType.MARKET, OrderType.STOP])
def test_an_order_signed_too_long_ago_is_refused_by_the_exchange(trader: Trader, kind):
    trigger = "19000" if kind is OrderType.STOP else None
    request = trader.request(Side.SELL, kind, trigger=trigger)
    late = replace(request, signed_at=trader.exchange.now() - 6_000)
    error = fault_of(trader.exchange.place, late)
    assert isinstance(error, Unreachable)
    assert (error.fault, error.sent) == (Fault.CLOCK, False)
    assert trader.exchange.find(late) is None


def test_reduce_only_never_opens_a_position(trader: Trader):
    error = fault_of(trader.exchange.place, trader.request(reduce_only=True))
    assert isinstance(error, Rejected)
    assert error.fault is Fault.ORDER_REJECTED
    assert trader.position() == 0


@pytest.mark.parametrize(
    ("request_of", "fault"),
    [
        (lambda t: t.request(amount="100"), Fault.INSUFFICIENT_FUNDS),
        (lambda t: t.request(amount="0.0005"), Fault.BELOW_MINIMUM),
        (lambda t: t.request(amount="0.1005"), Fault.ORDER_REJECTED),
        (lambda t: t.request(kind=OrderType.LIMIT, price="19000.05"), Fault.ORDER_REJECTED),
        (lambda t: t.request(kind=OrderType.POST_ONLY, price="20001"), Fault.ORDER_REJECTED),
        (lambda t: t.stop("20001"), Fault.ORDER_REJECTED),
        (lambda t: t.target("19999"), Fault.ORDER_REJECTED),
    ],
)
def test_a_clear_no_is_a_rejection(trader: Trader, request_of, fault):
    request = request_of(trader)
    error = fault_of(trader.exchange.place, request)
    assert isinstance(error, Rejected)
    assert error.fault is fault
    assert trader.exchange.find(request) is None


def test_a_limit_order_rests_fills_in_part_and_is_cancelled(trader: Trader, server):
    request = trader.request(kind=OrderType.POST_ONLY, price="19000")
    placed = trader.exchange.place(request)
    assert (placed.status, placed.filled) == (OrderStatus.OPEN, 0)
    server.control.fill_order(request.client_order_id, "0.04", futures=True)
    assert trader.found(request).status is OrderStatus.PARTIAL
    trader.exchange.cancel(request)
    done = trader.found(request)
    assert (done.status, done.filled) == (OrderStatus.CANCELED, D("0.04"))
    assert [fill.amount for fill in done.fills] == [D("0.04")]
    assert isinstance(fault_of(trader.exchange.cancel, request), Rejected)


@pytest.mark.parametrize(
    ("make", "reached", "at"),
    [
        (lambda t: t.stop(), "18990", "18990"),
        (lambda t: t.target(), "21010", "21010"),
        (lambda t: t.target(price="21000"), "21010", "21010"),
    ],
)
def test_a_protective_order_waits_trades_and_is_read_back(
    trader: Trader, server, make, reached, at
):
    trader.exchange.place(trader.request())
    request = make(trader)
    placed = trader.exchange.place(request)
    assert (placed.status, placed.filled) == (OrderStatus.OPEN, 0)
    assert placed.exchange_order_id.startswith("algo-")
    assert trader.found(request) == placed
    server.control.set_price("BTCUSDT", reached)
    done = trader.found(request)
    assert (done.status, done.filled, done.average) == (OrderStatus.FILLED, D("0.1"), D(at))
    assert done.client_order_id == request.client_order_id
    assert done.exchange_order_id == placed.exchange_order_id
    assert sum(fill.amount for fill in done.fills) == D("0.1")
    assert trader.position() == 0
    assert isinstance(fault_of(trader.exchange.cancel, request), Rejected)


def test_a_waiting_stop_is_cancelled(trader: Trader):
    trader.exchange.place(trader.request())
    request = trader.stop()
    trader.exchange.place(request)
    trader.exchange.cancel(request)
    done = trader.found(request)
    assert (done.status, done.filled) == (OrderStatus.CANCELED, 0)
    assert trader.exchange.open_orders(SYMBOL) == []
    assert isinstance(fault_of(trader.exchange.cancel, request), Rejected)


def test_a_triggered_target_that_rests_at_its_limit_is_cancelled_too(trader: Trader, server):
    trader.exchange.place(trader.request())
    request = trader.target(price="21500")
    trader.exchange.place(request)
    server.control.set_price("BTCUSDT", "21010")
    assert trader.found(request).status is OrderStatus.OPEN
    trader.exchange.cancel(request)
    assert trader.found(request).status is OrderStatus.CANCELED
    assert isinstance(fault_of(trader.exchange.cancel, request), Rejected)


def test_a_cancel_of_what_never_was_is_a_rejection(trader: Trader):
    for request in (trader.stop(), trader.target(price="21000"), trader.request()):
        assert isinstance(fault_of(trader.exchange.cancel, request), Rejected)


ALGO_PATH, ORDER_PATH = "fapi/v1/algoOrder", "fapi/v1/order"


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("path", [ALGO_PATH, ORDER_PATH])
@pytest.mark.parametrize(
    ("action", "details"),
    [
        ("http", {"status": 503}),
        ("close", {}),
        ("html", {}),
        ("null", {}),
        ("list", {}),
        ("error", {"code": -1007}),
        ("error", {"code": -4116, "msg": "ClientOrderId is duplicated."}),
    ],
    ids=str,
)
def test_an_answer_in_doubt_is_an_unknown_outcome_that_find_resolves(
    trader: Trader, server, path, action, details, when
):
    request = trader.stop(reduce_only=False) if path == ALGO_PATH else trader.request()
    server.control.add_fault(action, path=path, method="POST", when=when, **details)
    posts = len(trader.posts())
    error = fault_of(trader.exchange.place, request)
    assert isinstance(error, Unreachable)
    assert error.sent
    assert len(trader.posts()) - posts == 1
    report = trader.exchange.find(request)
    if when == "before":
        assert report is None
    else:
        assert report is not None
        is_stop = path == ALGO_PATH
        assert report.status is (OrderStatus.OPEN if is_stop else OrderStatus.FILLED)


def test_fills_that_cannot_be_read_do_not_lose_the_order(trader: Trader, server):
    server.control.add_fault("http", path="fapi/v1/userTrades", status=503)
    request = trader.request()
    report = trader.exchange.place(request)
    assert (report.status, report.filled, report.fills) == (OrderStatus.FILLED, D("0.1"), ())
    assert len(trader.found(request).fills) == 1


@pytest.mark.parametrize(
    "body",
    [
        {"clientAlgoId": "bs0000000000000000"},
        {"symbol": "ETHUSDT"},
        {"side": "BUY"},
        {"quantity": "0.2"},
        {"algoStatus": "WEIRD"},
        {"algoStatus": "FINISHED"},
        {"actualOrderId": "999999"},
        {"algoId": None},
    ],
    ids=str,
)
def test_an_algo_order_that_fits_badly_is_not_believed(trader: Trader, server, body):
    request = trader.stop()
    answer = {
        "algoId": 5,
        "clientAlgoId": request.client_order_id,
        "algoType": "CONDITIONAL",
        "orderType": "STOP_MARKET",
        "symbol": "BTCUSDT",
        "side": "SELL",
        "positionSide": "BOTH",
        "quantity": "0.1",
        "algoStatus": "NEW",
        "triggerPrice": "19000",
        "createTime": request.signed_at,
        "updateTime": request.signed_at,
        "actualOrderId": "",
    }
    server.control.add_fault("http", path=ALGO_PATH, status=200, body=answer)
    assert trader.found(request).exchange_order_id == "algo-5"
    server.control.add_fault("http", path=ALGO_PATH, status=200, body={**answer, **body})
    error = fault_of(trader.exchange.find, request)
    assert isinstance(error, Unreachable)
    assert error.fault is Fault.BAD_ANSWER


def test_open_orders_and_history_hold_both_kinds_each_once(trader: Trader, server):
    since = server.control.now()  # ours may be some milliseconds apart
    entry, limit = trader.request(), trader.request(kind=OrderType.LIMIT, price="15000")
    stop, target = trader.stop(), trader.target()
    for request in (entry, limit, stop, target):
        trader.exchange.place(request)
    waiting = {o.client_order_id: o for o in trader.exchange.open_orders(SYMBOL)}
    assert set(waiting) == {r.client_order_id for r in (limit, stop, target)}
    assert {o.status for o in waiting.values()} == {OrderStatus.OPEN}
    server.control.set_price("BTCUSDT", "18990")
    told = trader.exchange.history(SYMBOL, since)
    by_id = {o.client_order_id: o for o in told}
    assert len(told) == len(by_id) == 4
    assert {name: o.status for name, o in by_id.items()} == {
        entry.client_order_id: OrderStatus.FILLED,
        limit.client_order_id: OrderStatus.OPEN,
        stop.client_order_id: OrderStatus.FILLED,
        target.client_order_id: OrderStatus.OPEN,
    }
    stopped = by_id[stop.client_order_id]
    assert (stopped.filled, stopped.average) == (D("0.1"), 18_990)
    assert stopped.exchange_order_id == trader.found(stop).exchange_order_id
    assert trader.exchange.history(SYMBOL, trader.exchange.now() + HOUR) == []


@pytest.mark.parametrize("path", ["fapi/v1/openAlgoOrders", "fapi/v1/openOrders"])
def test_a_list_that_is_none_is_not_an_account_without_orders(trader: Trader, server, path):
    for body in ({}, "null"):
        server.control.add_fault("http", path=path, status=200, body=body)
        assert isinstance(fault_of(trader.exchange.open_orders, SYMBOL), Unreachable)


def test_a_triggered_stop_whose_order_is_not_in_the_list_is_unknown_there(trader: Trader, server):
    trader.exchange.place(trader.request())
    stop = trader.stop()
    trader.exchange.place(stop)
    server.control.set_price("BTCUSDT", "18990")
    server.control.add_fault("http", path="fapi/v1/allOrders", status=200, body=[], times=9)
    told = trader.exchange.history(SYMBOL, server.control.now() - HOUR)
    assert [(o.client_order_id, o.status, o.filled) for o in told] == [
        (stop.client_order_id, OrderStatus.UNKNOWN, 0)
    ]
