"""The real ccxt against a Binance-compatible exchange: orders are sent once, or not at all."""

import json
import time
from dataclasses import replace
from decimal import Decimal

import pytest

from tests.trading.accounts import SYMBOL, Trader, fault_of, feed_of, new_trader
from trading.exchange import Fault, Refused, Rejected, Unreachable
from trading.exchanges.ccxt_exchange import CcxtExchange, CcxtFeed, Credentials
from trading.market import OrderStatus, Side

ORDER = "api/v3/order"


def test_a_market_order_comes_back_with_its_fills_to_the_last_digit(trader: Trader, server):
    server.control.set_fill_plan(
        "BTCUSDT", [{"part": "0.4", "slip": "0"}, {"part": "0.6", "slip": "0.00012345"}]
    )
    request = trader.request(amount="0.12345")
    report = trader.exchange.place(request)
    (order,) = trader.orders()
    assert report.exchange_order_id == str(order["orderId"])
    assert (report.status, report.filled) == (OrderStatus.FILLED, Decimal("0.12345"))
    truth = server.control.trades(trader.name)
    assert len(report.fills) == len(truth) == 2
    for fill, trade in zip(report.fills, truth, strict=True):
        assert fill.trade_id == str(trade["id"])
        assert fill.price == Decimal(trade["price"])
        assert fill.amount == Decimal(trade["qty"])
        assert fill.quote == Decimal(trade["quoteQty"])
        assert fill.fee == Decimal(trade["commission"])
        assert fill.fee_currency == trade["commissionAsset"] == "BTC"
    total = sum(fill.quote for fill in report.fills)
    assert report.average is not None
    assert abs(report.average * report.filled - total) < Decimal("1e-15")


def test_what_is_found_later_equals_what_was_answered(trader: Trader, server):
    server.control.set_fill_plan("BTCUSDT", [{"part": "0.3"}, {"part": "0.7", "slip": "0.001"}])
    request = trader.request()
    placed = trader.exchange.place(request)
    assert trader.exchange.find(request) == placed
    assert trader.exchange.find(request, placed.exchange_order_id) == placed


@pytest.mark.parametrize(("mode", "currency"), [("bnb", "BNB"), ("quote", "USDT")])
def test_fees_in_other_coins_are_told(server, trader: Trader, mode, currency):
    rich = new_trader(server, USDT="10000", BNB="5")
    server.control.set_fee(mode=mode)
    (fill,) = rich.exchange.place(rich.request()).fills
    assert fill.fee_currency == currency
    assert fill.fee == Decimal(server.control.trades(rich.name)[0]["commission"]) > 0


def test_amounts_with_many_digits_lose_none(server, trader: Trader):
    rich = new_trader(server, USDT="12345678901234567890.12345678", BTC="0.00000001")
    held = rich.exchange.balance()
    assert held["USDT"].free == Decimal("12345678901234567890.12345678")
    assert held["BTC"].free == Decimal("0.00000001")


def test_a_limit_order_rests_is_found_and_is_cancelled(trader: Trader, server):
    request = trader.request(price="15000.5")
    placed = trader.exchange.place(request)
    assert (placed.status, placed.filled, placed.average) == (OrderStatus.OPEN, 0, None)
    assert trader.exchange.balance()["USDT"].used == Decimal("150.005")
    server.control.fill_order(request.client_order_id, "0.004")
    partial = trader.exchange.find(request)
    assert partial is not None
    assert (partial.status, partial.filled) == (OrderStatus.PARTIAL, Decimal("0.004"))
    trader.exchange.cancel(request)
    done = trader.exchange.find(request)
    assert done is not None
    assert (done.status, done.filled) == (OrderStatus.CANCELED, Decimal("0.004"))
    assert [fill.amount for fill in done.fills] == [Decimal("0.004")]
    error = fault_of(trader.exchange.cancel, request)
    assert isinstance(error, Rejected)


def test_an_order_carries_our_id_and_the_time_it_was_signed(trader: Trader, server):
    request = trader.request()
    trader.exchange.place(request)
    sent = [r for r in server.control.requests() if r["method"] == "POST"][-1]["params"]
    assert sent["newClientOrderId"] == request.client_order_id
    assert sent["timestamp"] == str(request.signed_at)
    assert sent["recvWindow"] == "5000"
    assert sent["quantity"] == "0.01"


def test_nothing_but_the_order_is_sent_between_signing_and_answer(trader: Trader, server):
    trader = new_trader(server, feed_of(server, markets_ttl_s=0))
    trader.feed.rules(SYMBOL)
    request = trader.request()
    server.control.reset_log()
    trader.exchange.place(request)
    assert [(r["method"], r["path"]) for r in server.control.requests()] == [("POST", ORDER)]


def test_an_order_signed_too_long_ago_is_refused_by_the_exchange(trader: Trader):
    late = replace(trader.request(), signed_at=trader.feed.now() - 6_000)
    error = fault_of(trader.exchange.place, late)
    assert isinstance(error, Unreachable)
    assert (error.fault, error.sent) == (Fault.CLOCK, False)
    assert trader.orders() == []
    assert trader.exchange.find(late) is None
    assert trader.exchange.fence_ms == 20_000


LOST = [
    ("http", {"status": 500}, Fault.MAINTENANCE),
    ("http", {"status": 502}, Fault.MAINTENANCE),
    ("http", {"status": 503}, Fault.MAINTENANCE),
    ("http", {"status": 504}, Fault.MAINTENANCE),
    ("http", {"status": 403}, Fault.BAD_ANSWER),
    ("http", {"status": 401}, Fault.BAD_ANSWER),
    ("http", {"status": 404}, Fault.BAD_ANSWER),
    ("http", {"status": 400}, Fault.BAD_ANSWER),
    ("error", {"code": -1000}, Fault.MAINTENANCE),
    ("error", {"code": -1001}, Fault.MAINTENANCE),
    ("error", {"code": -1006}, Fault.MAINTENANCE),
    ("error", {"code": -1007}, Fault.MAINTENANCE),
    ("error", {"code": -1008}, Fault.MAINTENANCE),
    ("error", {"code": -2010, "msg": "Duplicate order sent."}, Fault.BAD_ANSWER),
    ("error", {"code": -7777, "msg": "No such code"}, Fault.BAD_ANSWER),
    ("close", {}, Fault.NETWORK),
    ("html", {}, Fault.BAD_ANSWER),
    ("truncated", {}, Fault.BAD_ANSWER),
    ("empty", {}, Fault.BAD_ANSWER),
    ("list", {}, Fault.BAD_ANSWER),
    ("null", {}, Fault.BAD_ANSWER),
    ("other_order", {}, Fault.BAD_ANSWER),
    ("http", {"status": 200, "body": {}}, Fault.BAD_ANSWER),
    ("http", {"status": 200, "body": "7"}, Fault.BAD_ANSWER),
    ("http", {"status": 200, "body": "[[[["}, Fault.BAD_ANSWER),
    ("http", {"status": 200, "body": {"orderId": None, "status": "FILLED"}}, Fault.BAD_ANSWER),
]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("action", "details", "fault"), LOST, ids=str)
def test_an_answer_in_doubt_is_an_unknown_outcome_that_find_resolves(
    trader: Trader, server, action, details, fault, when
):
    server.control.add_fault(action, path=ORDER, method="POST", when=when, **details)
    request = trader.request()
    posts = trader.posts()
    error = fault_of(trader.exchange.place, request)
    assert isinstance(error, Unreachable)
    assert (error.fault, error.sent) == (fault, True)
    assert trader.posts() - posts == 1
    found = trader.exchange.find(request)
    if when == "before":
        assert (found, trader.orders()) == (None, [])
    else:
        assert found is not None
        assert (found.status, found.filled) == (OrderStatus.FILLED, Decimal("0.01"))
        assert len(found.fills) == len(trader.orders()) == 1


def test_an_answer_that_breaks_off_is_an_unknown_outcome(trader: Trader, server):
    server.control.add_fault("cut", path=ORDER, method="POST", when="after")
    request = trader.request()
    error = fault_of(trader.exchange.place, request)
    assert isinstance(error, Unreachable)
    assert (error.fault, error.sent) == (Fault.NETWORK, True)
    assert trader.exchange.find(request) is not None


def test_a_timeout_is_an_unknown_outcome_and_ends_in_time(trader: Trader, server):
    server.control.add_fault("hang", path=ORDER, method="POST", when="after", seconds=2.5)
    request = trader.request()
    started = time.monotonic()
    error = fault_of(trader.exchange.place, request)
    assert time.monotonic() - started < 2
    assert isinstance(error, Unreachable)
    assert (error.fault, error.sent) == (Fault.NETWORK, True)
    assert "timed out" in error.text
    found = trader.exchange.find(request)
    assert found is not None
    assert found.status is OrderStatus.FILLED


def test_an_answer_about_another_amount_or_side_is_not_believed(trader: Trader, server):
    request = trader.request()
    trader.exchange.place(request)
    for wrong in (
        replace(request, amount=Decimal("0.02")),
        replace(request, side=Side.SELL),
    ):
        error = fault_of(trader.exchange.find, wrong)
        assert isinstance(error, Unreachable)
        assert error.fault is Fault.BAD_ANSWER


@pytest.mark.parametrize(
    "body",
    [
        {"clientOrderId": "bs0000000000000000"},
        {"clientOrderId": None},
        {"orderId": None},
        {"symbol": "ETHUSDT"},
        {"side": "SELL"},
        {"origQty": "0.02000000"},
        {"executedQty": "0.00000000"},  # filled nothing, it says, and done
        {"executedQty": "0.02000000"},
        {"executedQty": "-0.01000000"},
        {"executedQty": "NaN"},
        {"status": "WEIRD"},
        {"status": None},
        {"cummulativeQuoteQty": "Infinity"},
        {"fills": [{"price": "20000", "qty": "0.02", "commission": "0", "tradeId": 1}]},
        {"fills": [{"price": "20000", "qty": "0.01", "commission": "0"}]},
        {"fills": [{"price": "0", "qty": "0.01", "commission": "0", "tradeId": 1}]},
    ],
    ids=json.dumps,
)
def test_an_answer_that_fits_badly_is_not_believed(trader: Trader, server, body):
    request = trader.request()
    answer = {
        "symbol": "BTCUSDT",
        "orderId": 1,
        "clientOrderId": request.client_order_id,
        "transactTime": request.signed_at,
        "price": "0.00000000",
        "origQty": "0.01000000",
        "executedQty": "0.01000000",
        "cummulativeQuoteQty": "200.00000000",
        "status": "FILLED",
        "type": "MARKET",
        "side": "BUY",
        "fills": [],
    }
    server.control.add_fault("http", path=ORDER, status=200, body=answer)
    assert trader.exchange.place(request).filled == Decimal("0.01")
    server.control.add_fault("http", path=ORDER, status=200, body={**answer, **body})
    error = fault_of(trader.exchange.place, request)
    assert isinstance(error, Unreachable)
    assert (error.fault, error.sent) == (Fault.BAD_ANSWER, True)


def test_a_redirect_is_not_followed(trader: Trader, server):
    target = {"Location": f"{server.url}/{ORDER}"}
    for status in (302, 307, 308):
        server.control.add_fault(
            "http", path=ORDER, method="POST", status=status, headers=target, body="moved"
        )
        posts = trader.posts()
        error = fault_of(trader.exchange.place, trader.request())
        assert isinstance(error, Unreachable)
        assert error.sent
        assert trader.posts() - posts == 1
    assert trader.orders() == []


@pytest.mark.parametrize(
    ("msg", "code", "fault"),
    [
        ("Account has insufficient balance for requested action.", -2010, "insufficient_funds"),
        ("Filter failure: NOTIONAL", -1013, "below_minimum"),
        ("Filter failure: PERCENT_PRICE_BY_SIDE", -1013, "order_rejected"),
        ("Precision is over the maximum defined for this asset.", -1111, "order_rejected"),
        ("Invalid symbol.", -1121, "market_unknown"),
        ("Market is closed.", -1013, "market_halted"),
    ],
)
def test_a_clear_no_is_a_rejection(trader: Trader, server, msg, code, fault):
    server.control.add_fault("error", path=ORDER, method="POST", code=code, msg=msg)
    error = fault_of(trader.exchange.place, trader.request())
    assert isinstance(error, Rejected)
    assert error.fault == fault
    assert msg in error.text
    assert "buy 0.01 BTC/USDT" in error.text


def test_the_exchanges_own_refusals_are_understood(trader: Trader, server):
    dear = fault_of(trader.exchange.place, trader.request(amount="1"))
    assert isinstance(dear, Rejected)
    assert dear.fault is Fault.INSUFFICIENT_FUNDS
    small = fault_of(trader.exchange.place, trader.request(amount="0.0001"))
    assert isinstance(small, Rejected)
    assert small.fault is Fault.BELOW_MINIMUM
    assert "need 5" in small.text
    server.control.halt("BTCUSDT")
    halted = fault_of(trader.exchange.place, trader.request())
    assert isinstance(halted, Rejected)
    assert halted.fault is Fault.MARKET_HALTED
    server.control.delist("BTCUSDT")
    gone = fault_of(trader.exchange.place, trader.request())
    assert isinstance(gone, Rejected)
    assert gone.fault is Fault.MARKET_UNKNOWN
    assert trader.orders() == []


@pytest.mark.parametrize(
    ("amount", "fault"),
    [("0", "below_minimum"), ("0.000001", "below_minimum"), ("0.010001", "order_rejected")],
)
def test_what_the_market_cannot_take_is_not_even_sent(trader: Trader, amount, fault):
    posts = trader.posts()
    error = fault_of(trader.exchange.place, trader.request(amount=amount))
    assert isinstance(error, Rejected)
    assert error.fault == fault
    assert trader.posts() == posts


def test_a_wrong_or_revoked_key_is_refused_also_after_it_worked(trader: Trader, server):
    assert trader.exchange.balance()["USDT"].free == 10_000
    server.control.revoke_key(trader.key)
    calls = (
        (trader.exchange.balance,),
        (trader.exchange.rights,),
        (trader.exchange.place, trader.request()),
        (trader.exchange.find, trader.request()),
        (trader.exchange.cancel, trader.request()),
    )
    for call in calls:
        error = fault_of(*call)
        assert isinstance(error, Refused)
        assert error.fault is Fault.KEY_INVALID
        assert "Invalid API-key" in error.text
    server.control.restore_key(trader.key)
    wrong = CcxtExchange(trader.feed, Credentials(api_key=trader.key, secret="nonsense"))
    error = fault_of(wrong.balance)
    assert isinstance(error, Refused)
    assert "code -1022" in error.text


def test_rights_are_what_the_exchange_says(trader: Trader, server):
    server.control.set_permissions(trader.key, enableWithdrawals=True, ipRestrict=False)
    rights = trader.exchange.rights()
    assert (rights.may_trade, rights.may_withdraw, rights.ip_bound) == (True, True, False)
    server.control.set_permissions(trader.key, enableWithdrawals=False, ipRestrict=True)
    rights = trader.exchange.rights()
    assert (rights.may_trade, rights.may_withdraw, rights.ip_bound) == (True, False, True)


def test_the_testnet_has_no_rights_to_ask_for_but_checks_the_key(trader: Trader, server):
    feed = CcxtFeed("binance", mode="testnet", api_base=server.url, timeout_s=1)
    exchange = CcxtExchange(feed, Credentials(api_key=trader.key, secret=trader.secret))
    rights = exchange.rights()
    assert (rights.may_trade, rights.may_withdraw, rights.ip_bound) == (True, None, None)
    placed = exchange.place(trader.request())
    assert placed.status is OrderStatus.FILLED
    server.control.revoke_key(trader.key)
    assert isinstance(fault_of(exchange.rights), Refused)
