"""Orders that rest at the exchange, through the real ccxt: limits, stops, pairs, lists of them."""

import time
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal as D

import pytest

from tests.testexchange import TestExchange
from tests.trading.accounts import SYMBOL, Trader, fault_of, new_trader, order_id
from trading.exchange import Can, Fault, Refused, Rejected, Unreachable
from trading.exchanges.listing import WINDOW_MS, order_pages
from trading.market import OrderReport, OrderRequest, OrderStatus, OrderType, Side

OCO = "api/v3/orderList/oco"


@pytest.fixture
def holder(server: TestExchange, trader: Trader) -> Trader:
    """An account with 1 BTC at 20,000 and 10,000 USDT."""
    return new_trader(server, trader.feed, BTC="1", USDT="10000")


def resting(
    trader: Trader,
    kind: OrderType,
    *,
    side: Side = Side.SELL,
    price: str | None = None,
    trigger: str | None = None,
) -> OrderRequest:
    return replace(
        trader.request(side, "0.1"),
        type=kind,
        price=None if price is None else D(price),
        trigger=None if trigger is None else D(trigger),
    )


def pair(trader: Trader, **target: str) -> tuple[OrderRequest, OrderRequest]:
    """Return a stop at 19,000 and a target at 21,000, each with an id of its own."""
    stop = resting(trader, OrderType.STOP, trigger="19000")
    return stop, resting(trader, OrderType.TARGET, **({"trigger": "21000"} | target))


def found(trader: Trader, request: OrderRequest) -> OrderReport:
    report = trader.exchange.find(request)
    assert report is not None
    return report


def sent(server: TestExchange) -> dict[str, str]:
    return [r for r in server.control.requests() if r["method"] == "POST"][-1]["params"]


def test_a_spot_account_can_stop_and_pair(trader: Trader):
    assert trader.exchange.can == {Can.STOP, Can.PAIR}


def test_a_post_only_order_rests_or_is_refused(trader: Trader, server):
    request = resting(trader, OrderType.POST_ONLY, side=Side.BUY, price="19999.99")
    assert trader.exchange.place(request).status is OrderStatus.OPEN
    assert trader.orders()[0]["type"] == "LIMIT_MAKER"
    error = fault_of(
        trader.exchange.place,
        resting(trader, OrderType.POST_ONLY, side=Side.BUY, price="20000.01"),
    )
    assert isinstance(error, Rejected)
    assert error.fault is Fault.ORDER_REJECTED
    assert len(trader.orders()) == 1


@pytest.mark.parametrize(
    ("kind", "prices", "theirs", "reached"),
    [
        (OrderType.STOP, {"trigger": "19000"}, "STOP_LOSS", "18990"),
        (OrderType.TARGET, {"trigger": "21000"}, "TAKE_PROFIT", "21010"),
        (
            OrderType.TARGET,
            {"trigger": "21000", "price": "20900"},
            "TAKE_PROFIT_LIMIT",
            "21010",
        ),
    ],
)
def test_a_triggered_order_waits_and_trades(holder: Trader, server, kind, prices, theirs, reached):
    request = resting(holder, kind, **prices)
    placed = holder.exchange.place(request)
    assert (placed.status, placed.filled) == (OrderStatus.OPEN, 0)
    (order,) = holder.orders()
    assert (order["type"], D(order["stopPrice"])) == (theirs, D(prices["trigger"]))
    assert sent(server)["timestamp"] == str(request.signed_at)
    assert sent(server)["recvWindow"] == "5000"
    assert found(holder, request) == placed
    server.control.set_price("BTCUSDT", reached)
    done = found(holder, request)
    assert (done.status, done.filled, done.average) == (OrderStatus.FILLED, D("0.1"), D(reached))
    assert sum(fill.amount for fill in done.fills) == D("0.1")
    assert done.exchange_order_id == placed.exchange_order_id


def test_a_stop_that_would_trigger_at_once_is_refused(holder: Trader):
    error = fault_of(holder.exchange.place, resting(holder, OrderType.STOP, trigger="20001"))
    assert isinstance(error, Rejected)
    assert error.fault is Fault.ORDER_REJECTED
    assert "would trigger immediately" in error.text


def test_a_pair_shares_its_coins_and_each_leg_is_found_by_its_own_id(holder: Trader, server):
    stop, target = pair(holder)
    first, second = holder.exchange.place_pair(stop, target)
    assert first.client_order_id == stop.client_order_id
    assert second.client_order_id == target.client_order_id
    assert {first.status, second.status} == {OrderStatus.OPEN}
    assert first.exchange_order_id != second.exchange_order_id
    assert holder.exchange.balance()["BTC"].used == D("0.1")
    assert sent(server)["timestamp"] == str(stop.signed_at)
    assert sent(server)["recvWindow"] == "5000"
    assert (found(holder, stop), found(holder, target)) == (first, second)
    kinds = {order["clientOrderId"]: order["type"] for order in holder.orders()}
    assert kinds == {stop.client_order_id: "STOP_LOSS", target.client_order_id: "TAKE_PROFIT"}


@pytest.mark.parametrize(("price", "winner"), [("18990", 0), ("21010", 1)])
def test_of_a_pair_one_leg_fills_and_the_other_expires(holder: Trader, server, price, winner):
    legs = pair(holder)
    holder.exchange.place_pair(*legs)
    server.control.set_price("BTCUSDT", price)
    done, other = found(holder, legs[winner]), found(holder, legs[1 - winner])
    assert (done.status, done.filled) == (OrderStatus.FILLED, D("0.1"))
    assert (other.status, other.filled) == (OrderStatus.EXPIRED, 0)


def test_a_target_with_a_price_is_a_limit_leg(holder: Trader):
    stop, target = pair(holder, price="20950")
    holder.exchange.place_pair(stop, target)
    leg = next(o for o in holder.orders() if o["clientOrderId"] == target.client_order_id)
    assert (leg["type"], D(leg["price"])) == ("TAKE_PROFIT_LIMIT", D(20950))


def test_the_pair_of_a_short_lies_the_other_way_round(holder: Trader):
    stop = resting(holder, OrderType.STOP, side=Side.BUY, trigger="21000")
    target = resting(holder, OrderType.TARGET, side=Side.BUY, trigger="19000")
    holder.exchange.place_pair(stop, target)
    kinds = {order["clientOrderId"]: order["type"] for order in holder.orders()}
    assert kinds == {stop.client_order_id: "STOP_LOSS", target.client_order_id: "TAKE_PROFIT"}


def test_cancelling_one_leg_cancels_the_pair(holder: Trader):
    stop, target = pair(holder)
    holder.exchange.place_pair(stop, target)
    holder.exchange.cancel(target)
    assert found(holder, stop).status is OrderStatus.CANCELED
    assert found(holder, target).status is OrderStatus.CANCELED
    assert holder.exchange.balance()["BTC"].used == 0


@pytest.mark.parametrize(
    "wrong",
    [
        lambda stop, target: (target, stop),
        lambda stop, target: (stop, replace(target, amount=D("0.2"))),
        lambda stop, target: (stop, replace(target, side=Side.BUY)),
        lambda stop, target: (stop, replace(target, trigger=D(18_000))),
        lambda stop, target: (stop, replace(target, trigger=D("21000.001"))),
        lambda stop, target: (stop, replace(target, trigger=None)),
    ],
)
def test_two_orders_that_are_no_pair_are_not_sent(holder: Trader, wrong):
    posts = holder.posts()
    error = fault_of(holder.exchange.place_pair, *wrong(*pair(holder)))
    assert isinstance(error, Rejected)
    assert error.fault is Fault.ORDER_REJECTED
    assert holder.posts() == posts


def test_a_pair_without_coins_is_rejected_as_one(trader: Trader):
    error = fault_of(trader.exchange.place_pair, *pair(trader))
    assert isinstance(error, Rejected)
    assert error.fault is Fault.INSUFFICIENT_FUNDS
    assert trader.orders() == []


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("action", "details"),
    [("http", {"status": 503}), ("close", {}), ("list", {}), ("null", {}), ("html", {})],
    ids=str,
)
def test_a_pair_without_an_answer_is_looked_up_leg_by_leg(
    holder: Trader, server, action, details, when
):
    server.control.add_fault(action, path=OCO, method="POST", when=when, **details)
    stop, target = pair(holder)
    posts = holder.posts()
    error = fault_of(holder.exchange.place_pair, stop, target)
    assert isinstance(error, Unreachable)
    assert error.sent
    assert holder.posts() - posts == 1
    legs = [holder.exchange.find(leg) for leg in (stop, target)]
    if when == "before":
        assert (legs, holder.orders()) == ([None, None], [])
    else:
        assert [leg.status for leg in legs if leg] == [OrderStatus.OPEN] * 2
        assert len(holder.orders()) == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda legs: legs[:1],
        lambda legs: [],
        lambda legs: ["?"],
        lambda legs: [{**legs[0], "clientOrderId": "bs0000000000000000"}, legs[1]],
        lambda legs: [{**legs[0], "origQty": "0.3"}, legs[1]],
        lambda legs: [{**legs[0], "orderId": None}, legs[1]],
    ],
)
def test_an_answer_about_another_pair_is_not_believed(holder: Trader, server, change):
    stop, target = pair(holder)
    legs = [
        {
            "symbol": "BTCUSDT",
            "orderId": number,
            "clientOrderId": leg.client_order_id,
            "transactTime": leg.signed_at,
            "origQty": "0.1",
            "executedQty": "0",
            "cummulativeQuoteQty": "0",
            "status": "NEW",
            "type": "STOP_LOSS",
            "side": "SELL",
        }
        for number, leg in ((1, stop), (2, target))
    ]
    server.control.add_fault("http", path=OCO, status=200, body={"orderReports": legs})
    assert holder.exchange.place_pair(stop, target)[1].exchange_order_id == "2"
    server.control.add_fault("http", path=OCO, status=200, body={"orderReports": change(legs)})
    error = fault_of(holder.exchange.place_pair, stop, target)
    assert isinstance(error, Unreachable)
    assert (error.fault, error.sent) == (Fault.BAD_ANSWER, True)


def test_a_pair_signed_too_long_ago_is_refused_by_the_exchange(holder: Trader):
    late = [replace(leg, signed_at=holder.feed.now() - 6_000) for leg in pair(holder)]
    error = fault_of(holder.exchange.place_pair, *late)
    assert isinstance(error, Unreachable)
    assert (error.fault, error.sent) == (Fault.CLOCK, False)
    assert holder.orders() == []


def test_an_order_that_filled_before_its_cancel_tells_so(trader: Trader, server):
    request = trader.request(price="19000")
    trader.exchange.place(request)
    server.control.set_price("BTCUSDT", "18999")
    error = fault_of(trader.exchange.cancel, request)
    assert isinstance(error, Rejected)
    done = found(trader, request)
    assert (done.status, done.filled) == (OrderStatus.FILLED, D("0.01"))


def test_a_cancel_whose_answer_is_lost_is_seen_in_the_order(trader: Trader, server):
    request = trader.request(price="19000")
    trader.exchange.place(request)
    server.control.add_fault("close", path="api/v3/order", method="DELETE", when="after")
    assert isinstance(fault_of(trader.exchange.cancel, request), Unreachable)
    assert found(trader, request).status is OrderStatus.CANCELED


@pytest.mark.parametrize("body", [{}, [], {"orderId": 1, "origClientOrderId": "bs0"}])
def test_an_answer_about_another_cancel_is_not_believed(trader: Trader, server, body):
    request = trader.request(price="19000")
    trader.exchange.place(request)
    server.control.add_fault("http", path="api/v3/order", method="DELETE", status=200, body=body)
    error = fault_of(trader.exchange.cancel, request)
    assert isinstance(error, Unreachable)
    assert error.fault is Fault.BAD_ANSWER


def test_open_orders_are_all_that_rest_ours_or_not(holder: Trader, server):
    limit, gone = holder.request(price="15000"), holder.request(price="15001")
    stop, target = pair(holder)
    for request in (limit, gone):
        holder.exchange.place(request)
    holder.exchange.place_pair(stop, target)
    holder.exchange.place(holder.request())
    holder.exchange.cancel(gone)
    raw = holder.exchange._client.raw
    raw.create_order(SYMBOL, "limit", "buy", 0.02, 14000, {"clientOrderId": "web_by_hand"})
    server.control.fill_order(limit.client_order_id, "0.004")
    reports = {o.client_order_id: o for o in holder.exchange.open_orders(SYMBOL)}
    assert set(reports) == {
        limit.client_order_id,
        stop.client_order_id,
        target.client_order_id,
        "web_by_hand",
    }
    ours = reports[limit.client_order_id]
    assert (ours.status, ours.filled, ours.fills) == (OrderStatus.PARTIAL, D("0.004"), ())
    hand = reports["web_by_hand"]
    assert (hand.status, hand.side, hand.amount) == (OrderStatus.OPEN, Side.BUY, D("0.02"))


def test_history_tells_every_order_since_oldest_first(trader: Trader, server):
    early = trader.request()
    trader.exchange.place(early)
    time.sleep(0.002)
    since = server.control.now()  # ours may be some milliseconds apart
    requests = [replace(trader.request(), client_order_id=order_id()) for _ in range(3)]
    for request in requests:
        trader.exchange.place(request)
    told = trader.exchange.history(SYMBOL, since)
    assert [o.client_order_id for o in told] == [r.client_order_id for r in requests]
    assert {o.status for o in told} == {OrderStatus.FILLED}
    everything = trader.exchange.history(SYMBOL, since - 3 * WINDOW_MS)
    assert everything[0].client_order_id == early.client_order_id
    assert len(everything) == 4
    assert trader.exchange.history(SYMBOL, trader.feed.now() + 60_000) == []


@pytest.mark.parametrize("action", ["html", "null", "empty", "truncated"])
def test_a_list_that_is_none_is_not_an_account_without_orders(trader: Trader, server, action):
    for path, call in (
        ("api/v3/openOrders", lambda: trader.exchange.open_orders(SYMBOL)),
        ("api/v3/allOrders", lambda: trader.exchange.history(SYMBOL, trader.feed.now())),
    ):
        server.control.add_fault(action, path=path, times=1)
        error = fault_of(call)
        assert isinstance(error, Unreachable)
        assert error.fault is Fault.BAD_ANSWER
    server.control.add_fault("http", path="api/v3/openOrders", status=200, body={})
    assert isinstance(fault_of(trader.exchange.open_orders, SYMBOL), Unreachable)


def pages(orders: list[tuple[int, int]], size: int) -> tuple[Callable[..., object], list[object]]:
    """Return what answers like the exchange for orders (id, time), and what it was asked."""
    asked: list[object] = []

    def page(since: int | None, *, until: int = 0, orderId: int = 0) -> object:  # noqa: N803
        asked.append(orderId or since)
        hits = [
            {"id": str(number)}
            for number, at in orders
            if (since is None or since <= at <= until) and number >= orderId
        ]
        return hits[:size]

    return page, asked


def test_long_histories_come_page_by_page_and_no_order_twice():
    orders = [(number, 5 * WINDOW_MS + number) for number in range(8, 15)]
    page, asked = pages(orders, 3)
    told = order_pages(page, since=0, now=6 * WINDOW_MS, size=3)
    assert [order["id"] for order in told] == [str(number) for number, _ in orders]
    assert asked == [*range(0, 6 * WINDOW_MS, WINDOW_MS), 11, 14]


def test_a_spot_account_has_no_futures(trader: Trader):
    for call in (
        lambda: trader.exchange.prepare(SYMBOL, 2),
        lambda: trader.exchange.position(SYMBOL),
        lambda: trader.exchange.funding(SYMBOL, 0),
    ):
        error = fault_of(call)
        assert isinstance(error, Refused)
        assert error.fault is Fault.CLIENT
    reducing = replace(trader.request(), reduce_only=True)
    assert isinstance(fault_of(trader.exchange.place, reducing), Rejected)
