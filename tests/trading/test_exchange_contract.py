"""What every exchange must do, whichever it is: the engine knows only this."""

import time
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

import pytest

from tests.testexchange import TestExchange
from tests.trading.accounts import fault_of, feed_of, new_trader, order_id
from tests.trading.feeds import MINUTE, RULES, SYMBOL, DictBook, rows
from trading.exchange import Can, Exchange, Fault, Refused, Rejected, Unusable
from trading.exchanges.ccxt_exchange import CcxtExchange, CcxtFeed, Credentials
from trading.exchanges.paper import PaperExchange
from trading.exchanges.recorded import RecordedFeed, ReplayClock
from trading.exchanges.simulated import SimulatedFeed
from trading.market import (
    Holding,
    OrderReport,
    OrderRequest,
    OrderStatus,
    OrderType,
    Side,
    floor_to,
)
from trading.market_data import MarketData, check_candles, check_quote

MONEY = {"USDT": "10000"}


def simulated(server: TestExchange) -> Exchange:
    feed = SimulatedFeed(1, lambda: time.time_ns() // 1_000_000)
    return PaperExchange(feed, DictBook(**MONEY), MarketData())


def recorded(server: TestExchange) -> Exchange:
    candles = rows(1000)
    clock = ReplayClock(int(candles[500][0]) + 12_345)
    feed = RecordedFeed(candles, SYMBOL, RULES, clock)
    return PaperExchange(feed, DictBook(**MONEY), MarketData())


def paper(server: TestExchange) -> Exchange:
    return PaperExchange(feed_of(server), DictBook(**MONEY), MarketData())


def live(server: TestExchange) -> Exchange:
    return new_trader(server).exchange


def on_testnet(server: TestExchange) -> Exchange:
    one = new_trader(server)
    feed = CcxtFeed("binance", mode="testnet", api_base=server.url)
    return CcxtExchange(feed, Credentials(api_key=one.key, secret=one.secret))


@pytest.fixture(
    params=[simulated, recorded, paper, live, on_testnet], ids=lambda make: make.__name__
)
def exchange(request: pytest.FixtureRequest, server: TestExchange) -> Exchange:
    """Each exchange in turn, with an account of 10,000 USDT."""
    server.control.set_price("BTCUSDT", "20000")
    made: Exchange = request.param(server)
    return made


def order(exchange: Exchange, side: Side, amount: Decimal, symbol: str = SYMBOL) -> OrderRequest:
    return OrderRequest(
        client_order_id=order_id(),
        symbol=symbol,
        side=side,
        type=OrderType.MARKET,
        amount=amount,
        signed_at=exchange.now(),
    )


def free(exchange: Exchange, currency: str) -> Decimal:
    return exchange.balance().get(currency, Holding()).free


def changes(report: OrderReport) -> Mapping[str, Decimal]:
    """Return what the fills of an order did to the balance."""
    sign = 1 if report.side is Side.BUY else -1
    found = {"BTC": Decimal(0), "USDT": Decimal(0)}
    for fill in report.fills:
        found["BTC"] += sign * fill.amount
        found["USDT"] -= sign * fill.quote
        found[fill.fee_currency] -= fill.fee
    return found


def test_market_data(exchange: Exchange):
    rules = exchange.rules(SYMBOL)
    assert rules.active
    assert (rules.symbol, rules.base, rules.quote) == (SYMBOL, "BTC", "USDT")
    assert exchange.symbols()[SYMBOL] == rules
    for timeframe in ("1m", "5m"):
        candles = exchange.candles(SYMBOL, timeframe, 60)
        assert (len(candles), candles.symbol, candles.timeframe) == (60, SYMBOL, timeframe)
        check_candles(candles, exchange.now())
    quote = exchange.quote(SYMBOL)
    check_quote(quote, exchange.now())
    assert abs(exchange.now() - quote.at) < MINUTE


def test_an_unknown_market(exchange: Exchange):
    calls = exchange.rules, exchange.quote, lambda symbol: exchange.candles(symbol, "1m", 5)
    for call in calls:
        error = fault_of(call, "NOSUCH/USDT")
        assert isinstance(error, Unusable)
        assert error.fault is Fault.MARKET_UNKNOWN
    error = fault_of(exchange.place, order(exchange, Side.BUY, Decimal("0.01"), "NOSUCH/USDT"))
    assert isinstance(error, Rejected)
    assert error.fault is Fault.MARKET_UNKNOWN


def test_an_order_from_the_sending_to_the_balance(exchange: Exchange):
    assert free(exchange, "USDT") == 10_000
    request = order(exchange, Side.BUY, Decimal("0.01"))
    assert exchange.find(request) is None
    bought = exchange.place(request)
    assert bought.client_order_id == request.client_order_id
    assert bought.exchange_order_id
    assert (bought.status, bought.filled) == (OrderStatus.FILLED, Decimal("0.01"))
    assert sum(fill.amount for fill in bought.fills) == Decimal("0.01")
    assert all(fill.fee > 0 and abs(fill.at - exchange.now()) < MINUTE for fill in bought.fills)
    assert exchange.find(request) == bought
    assert exchange.find(request, bought.exchange_order_id) == bought
    after = changes(bought)
    assert free(exchange, "BTC") == after["BTC"]
    assert free(exchange, "USDT") == 10_000 + after["USDT"]

    amount = exchange.rules(SYMBOL).floor_amount(free(exchange, "BTC"))
    sold = exchange.place(order(exchange, Side.SELL, amount))
    assert sold.status is OrderStatus.FILLED
    assert {fill.trade_id for fill in sold.fills}.isdisjoint(f.trade_id for f in bought.fills)
    total = {currency: after[currency] + change for currency, change in changes(sold).items()}
    assert free(exchange, "BTC") == total["BTC"] < exchange.rules(SYMBOL).amount_step
    assert free(exchange, "USDT") == 10_000 + total["USDT"] < 10_000


@pytest.mark.parametrize(
    ("side", "amount", "fault"),
    [
        (Side.BUY, "5", Fault.INSUFFICIENT_FUNDS),
        (Side.SELL, "0.01", Fault.INSUFFICIENT_FUNDS),
        (Side.BUY, "0.00002", Fault.BELOW_MINIMUM),
        (Side.BUY, "0", Fault.BELOW_MINIMUM),
        (Side.BUY, "0.010000001", Fault.ORDER_REJECTED),
    ],
)
def test_a_refused_order_changes_nothing(exchange: Exchange, side, amount, fault):
    request = order(exchange, side, Decimal(amount))
    error = fault_of(exchange.place, request)
    assert isinstance(error, Rejected)
    assert error.fault is fault
    assert exchange.find(request) is None
    assert dict(exchange.balance()) == {"USDT": Holding(free=Decimal(10_000))}


def test_a_filled_order_cannot_be_cancelled(exchange: Exchange):
    request = order(exchange, Side.BUY, Decimal("0.01"))
    exchange.place(request)
    assert isinstance(fault_of(exchange.cancel, request), Rejected)
    never = replace(request, client_order_id=order_id())
    assert isinstance(fault_of(exchange.cancel, never), Rejected)


def limit(exchange: Exchange, share: str, kind: OrderType = OrderType.LIMIT) -> OrderRequest:
    """Return a buy for about 200 USDT at this share of the bid."""
    rules = exchange.rules(SYMBOL)
    price = floor_to(exchange.quote(SYMBOL).bid * Decimal(share), rules.price_tick)
    amount = rules.floor_amount(Decimal(200) / price)
    return replace(order(exchange, Side.BUY, amount), type=kind, price=price)


@pytest.mark.parametrize("kind", [OrderType.LIMIT, OrderType.POST_ONLY])
def test_a_limit_order_rests_and_is_cancelled(exchange: Exchange, kind: OrderType):
    request = limit(exchange, "0.5", kind)
    since = exchange.now() - MINUTE
    placed = exchange.place(request)
    assert (placed.status, placed.filled, placed.average) == (OrderStatus.OPEN, 0, None)
    assert exchange.find(request) == placed
    listed = exchange.open_orders(SYMBOL)
    assert [(o.client_order_id, o.status, o.fills) for o in listed] == [
        (request.client_order_id, OrderStatus.OPEN, ())
    ]
    assert exchange.balance()["USDT"].used > 0
    assert exchange.balance()["USDT"].total == 10_000
    exchange.cancel(request)
    gone = exchange.find(request)
    assert gone is not None
    assert (gone.status, gone.filled) == (OrderStatus.CANCELED, 0)
    assert exchange.open_orders(SYMBOL) == []
    assert [o.status for o in exchange.history(SYMBOL, since)] == [OrderStatus.CANCELED]
    assert dict(exchange.balance()) == {"USDT": Holding(free=Decimal(10_000))}
    assert isinstance(fault_of(exchange.cancel, request), Rejected)


def test_a_limit_order_that_meets_the_price_trades_no_worse_than_its_limit(exchange: Exchange):
    request = limit(exchange, "1.01")
    report = exchange.place(request)
    assert report.status is OrderStatus.FILLED
    assert report.average is not None
    assert request.price is not None
    assert report.average <= request.price
    refused = fault_of(exchange.place, limit(exchange, "1.01", OrderType.POST_ONLY))
    assert isinstance(refused, Rejected)
    assert refused.fault is Fault.ORDER_REJECTED


def test_what_an_account_cannot_it_refuses_before_anything_is_sent(exchange: Exchange):
    stop = replace(
        order(exchange, Side.SELL, Decimal("0.01")), type=OrderType.STOP, trigger=Decimal(100)
    )
    target = replace(stop, type=OrderType.TARGET, trigger=Decimal(10**6), client_order_id="bs2")
    if Can.STOP not in exchange.can:
        assert isinstance(fault_of(exchange.place, stop), Rejected)
    if Can.PAIR not in exchange.can:
        assert isinstance(fault_of(exchange.place_pair, stop, target), Rejected)
    assert Can.FUTURES not in exchange.can
    for call in (
        lambda: exchange.prepare(SYMBOL, 2),
        lambda: exchange.position(SYMBOL),
        lambda: exchange.funding(SYMBOL, 0),
    ):
        assert isinstance(fault_of(call), Refused)
    assert exchange.open_orders(SYMBOL) == []


def test_what_the_account_may_and_when_absence_is_proof(exchange: Exchange):
    rights = exchange.rights()
    assert rights.may_trade is True
    assert rights.may_withdraw is not True
    assert exchange.fence_ms is not None
    assert exchange.fence_ms >= 0
    assert exchange.name
