"""USDT perpetuals through the real ccxt: settings, orders, positions, protection, funding."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal as D
from typing import Any

import pytest

from tests.testexchange import TestExchange
from tests.trading.accounts import fault_of, order_id
from trading.exchange import Can, Fault, Refused, Rejected, Unreachable
from trading.exchanges.ccxt_exchange import (
    CcxtExchange,
    CcxtFeed,
    CcxtFutures,
    Credentials,
    open_account,
)
from trading.market import OrderReport, OrderRequest, OrderStatus, OrderType, Side

SYMBOL = "BTC/USDT:USDT"
HOUR = 3_600_000


@dataclass
class Trader:
    """A futures account with 10,000 USDT."""

    server: TestExchange
    name: str
    key: str
    exchange: CcxtExchange

    def request(
        self,
        side: Side = Side.BUY,
        kind: OrderType = OrderType.MARKET,
        *,
        amount: str = "0.1",
        price: str | None = None,
        trigger: str | None = None,
        reduce_only: bool = False,
    ) -> OrderRequest:
        return OrderRequest(
            client_order_id=order_id(),
            symbol=SYMBOL,
            side=side,
            type=kind,
            amount=D(amount),
            price=None if price is None else D(price),
            trigger=None if trigger is None else D(trigger),
            reduce_only=reduce_only,
            signed_at=self.exchange.now(),
        )

    def stop(self, trigger: str = "19000", **more: Any) -> OrderRequest:
        """Return a stop under a long position."""
        given = {"side": Side.SELL, "kind": OrderType.STOP, "trigger": trigger, "reduce_only": True}
        return self.request(**{**given, **more})

    def target(self, trigger: str = "21000", **more: Any) -> OrderRequest:
        given = {"kind": OrderType.TARGET, "trigger": trigger}
        return self.stop(**{**given, **more})

    def found(self, request: OrderRequest) -> OrderReport:
        report = self.exchange.find(request)
        assert report is not None
        return report

    def position(self) -> D:
        return self.exchange.position(SYMBOL).amount

    def truth(self) -> dict[str, Any]:
        return self.server.control.futures(self.name)

    def posts(self) -> list[dict[str, Any]]:
        return [
            request
            for request in self.server.control.requests()
            if request["method"] == "POST" and request["api_key"] == self.key
        ]


@pytest.fixture(scope="module")
def futures_feed(server: TestExchange) -> CcxtFeed:
    return CcxtFeed("binance", market_type="swap", api_base=server.url, timeout_s=1)


@pytest.fixture
def trader(server: TestExchange, futures_feed: CcxtFeed) -> Iterator[Trader]:
    """An account, BTC at 20,000; what a test broke is mended after it."""
    server.control.set_price("BTCUSDT", "20000")
    name, key, secret = secrets.token_hex(4), secrets.token_hex(32), secrets.token_hex(32)
    server.control.add_account(
        name, api_key=key, secret=secret, balances={}, futures_balances={"USDT": "10000"}
    )
    server.control.set_permissions(key, enableFutures=True)
    exchange = open_account(futures_feed, Credentials(api_key=key, secret=secret))
    yield Trader(server, name, key, exchange)
    server.control.clear_faults()
    server.control.real_time()
    server.control.resume("BTCUSDT", futures=True)
    futures_feed.clock.forget()


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


def test_preparing_sets_mode_margin_and_leverage_and_may_be_repeated(trader: Trader, server):
    for _ in range(2):
        trader.exchange.prepare(SYMBOL, 7)
    report = trader.exchange.position(SYMBOL)
    assert (report.leverage, report.is_isolated, report.amount) == (7, True, 0)
    trader.exchange.prepare(SYMBOL, 3)
    assert trader.exchange.position(SYMBOL).leverage == 3


def test_what_stands_against_preparing_is_a_rejection(trader: Trader, server):
    trader.exchange.place(trader.request())
    error = fault_of(trader.exchange.prepare, SYMBOL, 3)  # the position is in cross margin
    assert isinstance(error, Rejected)
    too_much = fault_of(trader.exchange.prepare, SYMBOL, 126)
    assert isinstance(too_much, Rejected)


@pytest.mark.parametrize("path", ["fapi/v1/leverage", "fapi/v1/marginType"])
@pytest.mark.parametrize("action", ["html", "null", "close"])
def test_a_setting_without_an_answer_is_not_taken_for_set(trader: Trader, server, path, action):
    server.control.add_fault(action, path=path, method="POST")
    assert isinstance(fault_of(trader.exchange.prepare, SYMBOL, 3), Unreachable)


def test_another_leverage_in_the_answer_is_not_believed(trader: Trader, server):
    body = {"symbol": "BTCUSDT", "leverage": 20, "maxNotionalValue": "1"}
    server.control.add_fault("http", path="fapi/v1/leverage", status=200, body=body)
    assert fault_of(trader.exchange.prepare, SYMBOL, 3).fault is Fault.BAD_ANSWER


@pytest.mark.parametrize(("side", "sign"), [(Side.BUY, 1), (Side.SELL, -1)])
def test_a_position_long_and_short_and_back(trader: Trader, side, sign):
    trader.exchange.prepare(SYMBOL, 5)
    request = trader.request(side)
    report = trader.exchange.place(request)
    assert (report.status, report.filled, report.average) == (OrderStatus.FILLED, D("0.1"), 20_000)
    (fill,) = report.fills
    assert (fill.quote, fill.fee, fill.fee_currency) == (D(2000), D(1), "USDT")
    assert trader.found(request) == report
    position = trader.exchange.position(SYMBOL)
    assert (position.amount, position.entry_price) == (sign * D("0.1"), 20_000)
    assert position.mark_price
    assert position.liquidation_price
    assert (position.liquidation_price < 20_000) == (sign > 0)
    usdt = trader.exchange.balance()["USDT"]
    assert usdt.used == 400
    assert usdt.total == 10_000 - fill.fee
    other = Side.SELL if side is Side.BUY else Side.BUY
    trader.exchange.place(trader.request(other, reduce_only=True))
    flat = trader.exchange.position(SYMBOL)
    assert (flat.amount, flat.entry_price, flat.liquidation_price) == (0, None, None)


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


def test_funding_is_told_with_its_sign(trader: Trader, server):
    start = trader.exchange.now() // (8 * HOUR) * 8 * HOUR
    server.control.set_time(start + HOUR, running=True)
    trader.exchange._feed.clock.forget()
    server.control.set_funding_rate("BTCUSDT", "0.0001")
    trader.exchange.place(trader.request())
    server.control.advance(8 * HOUR)
    trader.exchange._feed.clock.forget()
    (paid,) = trader.exchange.funding(SYMBOL, start)
    assert (paid.amount, paid.currency, paid.symbol) == (D("-0.2"), "USDT", SYMBOL)
    assert paid.at == start + 8 * HOUR
    server.control.set_funding_rate("BTCUSDT", "-0.0003")
    server.control.advance(8 * HOUR)
    trader.exchange._feed.clock.forget()
    received = trader.exchange.funding(SYMBOL, paid.at + 1)
    assert [payment.amount for payment in received] == [D("0.6")]
    assert received[0].funding_id != paid.funding_id
    assert len(trader.exchange.funding(SYMBOL, start)) == 2


@pytest.mark.parametrize(
    "rows",
    [
        "null",
        {},
        [],
        [7],
        [{"symbol": "ETHUSDT", "positionSide": "BOTH", "positionAmt": "1"}],
        [{"symbol": "BTCUSDT", "positionSide": "BOTH", "positionAmt": "x"}],
        [{"symbol": "BTCUSDT", "positionSide": "LONG", "positionAmt": "1"}],
        [
            {"symbol": "BTCUSDT", "positionSide": "BOTH", "positionAmt": "0"},
            {"symbol": "BTCUSDT", "positionSide": "SHORT", "positionAmt": "-1"},
        ],
    ],
    ids=str,
)
def test_a_position_that_is_not_told_is_not_flat(trader: Trader, server, rows):
    server.control.add_fault("http", path="fapi/v2/positionRisk", status=200, body=rows)
    error = fault_of(trader.exchange.position, SYMBOL)
    assert isinstance(error, Unreachable)
    assert error.fault is Fault.BAD_ANSWER


@pytest.mark.parametrize("body", ["null", {}, {"assets": None}, []])
def test_an_answer_without_wallets_is_not_an_empty_account(trader: Trader, server, body):
    server.control.add_fault("http", path="fapi/v3/account", status=200, body=body)
    assert isinstance(fault_of(trader.exchange.balance), Unreachable)


def test_rights_are_those_on_futures(trader: Trader, server):
    assert trader.exchange.rights().may_trade is True
    server.control.set_permissions(trader.key, enableFutures=False)
    assert trader.exchange.rights().may_trade is False
    error = fault_of(trader.exchange.balance)
    assert isinstance(error, Refused)
    server.control.set_permissions(trader.key, enableFutures=True)


def test_the_futures_testnet_is_refused_in_plain_words(server):
    for base in (None, server.url):
        error = fault_of(
            lambda base=base: CcxtFeed("binance", mode="testnet", market_type="swap", api_base=base)
        )
        assert isinstance(error, Refused)
        assert error.fault is Fault.CLIENT
        assert "futures testnet" in error.text


def test_futures_of_another_exchange_are_refused(server):
    feed = CcxtFeed("okx", market_type="swap", api_base=server.url)
    error = fault_of(lambda: open_account(feed, Credentials(api_key="k", secret="s")))
    assert isinstance(error, Refused)
    assert error.fault is Fault.CLIENT
    assert "okx" in error.text


def test_the_account_is_of_the_kind_of_its_feed(server, futures_feed, feed):
    key = Credentials(api_key="k", secret="s")
    assert type(open_account(futures_feed, key)) is CcxtFutures
    assert type(open_account(feed, key)) is CcxtExchange
