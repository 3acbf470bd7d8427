"""The paper exchange: fills at real prices, a balance that adds up, and clear refusals."""

from dataclasses import replace
from decimal import Decimal

import pytest

from tests.trading.feeds import RULES, SYMBOL, CountedFeed, DictBook
from trading.exchange import Fault, Refused, Rejected, Unreachable, Unusable
from trading.exchanges.paper import PaperExchange
from trading.market import Holding, OrderRequest, OrderStatus, OrderType, Quote, Side
from trading.market_data import MarketData

PRICE = Quote(symbol=SYMBOL, bid=Decimal(20_000), ask=Decimal(20_010), last=Decimal(20_005), at=0)


def request(side: Side = Side.BUY, amount: str = "0.01", name: str = "bs0010000100000001"):
    return OrderRequest(
        client_order_id=name,
        symbol=SYMBOL,
        side=side,
        type=OrderType.MARKET,
        amount=Decimal(amount),
        signed_at=0,
    )


@pytest.fixture
def feed():
    feed = CountedFeed()
    feed.override = replace(PRICE, at=feed.now())
    return feed


def paper(feed: CountedFeed, book: DictBook, **settings: Decimal) -> PaperExchange:
    return PaperExchange(feed, book, MarketData(), **settings)


def test_a_buy_fills_at_the_ask_with_slippage_and_fee(feed):
    book = DictBook(USDT="1000")
    exchange = paper(feed, book, slippage=Decimal("0.001"), fee_rate=Decimal("0.002"))
    report = exchange.place(request())
    price = Decimal("20030.01")  # 20,010 x 1.001
    assert (report.status, report.filled, report.average) == (
        OrderStatus.FILLED,
        Decimal("0.01"),
        price,
    )
    assert report.exchange_order_id == "paper-bs0010000100000001"
    (fill,) = report.fills
    assert (fill.trade_id, fill.price) == ("bs0010000100000001-1", price)
    assert (fill.quote, fill.fee) == (Decimal("200.3001"), Decimal("0.4006002"))
    assert (fill.fee_currency, fill.at) == ("USDT", feed.now())
    assert book.holdings == {"BTC": Decimal("0.01"), "USDT": Decimal("799.2992998")}


def test_a_sale_fills_at_the_bid_and_the_balance_adds_up_exactly(feed):
    book = DictBook(USDT="1000")
    exchange = paper(feed, book)
    bought = exchange.place(request()).fills[0]
    sold = exchange.place(request(Side.SELL, name="bs0010000100000002")).fills[0]
    assert sold.price == Decimal(19_990)
    assert book.holdings["BTC"] == 0
    spent = bought.quote + bought.fee
    assert book.holdings["USDT"] == Decimal(1000) - spent + sold.quote - sold.fee
    assert set(exchange.balance()) == {"USDT"}


def test_the_markets_own_fee_counts_unless_another_is_given(feed):
    fill = paper(feed, DictBook(USDT="1000")).place(request()).fills[0]
    assert fill.fee == fill.quote * RULES.taker_fee
    free = paper(feed, DictBook(USDT="1000"), fee_rate=Decimal(0)).place(request()).fills[0]
    assert free.fee == 0


@pytest.mark.parametrize("costs", [{}, {"fee_rate": Decimal("0.003"), "slippage": Decimal(0)}])
@pytest.mark.parametrize("ask", ["20010", "0.07", "19999.99"])
def test_the_cost_margin_is_what_a_buy_costs_beyond_its_value(feed, ask, costs):
    ask = Decimal(ask)
    feed.override = replace(PRICE, bid=ask, ask=ask, last=ask, at=feed.now())
    amount = Decimal(1000)
    exchange = paper(feed, DictBook(USDT="100000000"), **costs)
    need = amount * ask * (1 + exchange.cost_margin(RULES, ask))
    (fill,) = exchange.place(request(amount=str(amount))).fills
    assert fill.quote + fill.fee <= need < fill.quote + fill.fee + Decimal("0.000001")


def test_an_order_sent_twice_is_filled_once(feed):
    book = DictBook(USDT="1000")
    exchange = paper(feed, book)
    first = exchange.place(request())
    feed.clock.advance(3_600_000)
    assert exchange.place(request()) == first == exchange.find(request())
    assert book.holdings["BTC"] == Decimal("0.01")


def test_what_was_never_placed_is_not_found_and_that_is_final(feed):
    exchange = paper(feed, DictBook(USDT="1000"))
    assert exchange.find(request()) is None
    assert exchange.fence_ms == 0


def test_not_enough_funds_says_need_and_have_and_changes_nothing(feed):
    book = DictBook(USDT="100")
    exchange = paper(feed, book)
    with pytest.raises(Rejected) as caught:
        exchange.place(request())
    assert caught.value.fault is Fault.INSUFFICIENT_FUNDS
    assert "need 200.40031" in caught.value.text
    assert "have 100 USDT" in caught.value.text
    with pytest.raises(Rejected, match="have 0 BTC"):
        exchange.place(request(Side.SELL))
    assert (book.holdings, book.reports) == ({"USDT": Decimal(100)}, {})


@pytest.mark.parametrize(
    ("amount", "fault", "text"),
    [
        ("0.00049", Fault.BELOW_MINIMUM, "need 10, have 9.8049 USDT"),
        ("0.000009", Fault.BELOW_MINIMUM, "need 0.00001, have 0.000009 BTC"),
        ("0", Fault.BELOW_MINIMUM, "rounds to zero"),
        ("-1", Fault.BELOW_MINIMUM, "rounds to zero"),
        ("NaN", Fault.BELOW_MINIMUM, "rounds to zero"),
        ("0.010001", Fault.ORDER_REJECTED, "not a multiple"),
        ("9001", Fault.ORDER_REJECTED, "at most 9000 BTC"),
    ],
)
def test_what_the_market_does_not_take_is_rejected(feed, amount, fault, text):
    book = DictBook(USDT="1000000000")
    with pytest.raises(Rejected, match=text) as caught:
        paper(feed, book).place(request(amount=amount))
    assert caught.value.fault is fault
    assert not book.reports


def test_a_halted_market_takes_no_order():
    feed = CountedFeed()
    feed.inner._rules = replace(RULES, active=False)
    with pytest.raises(Rejected) as caught:
        paper(feed, DictBook(USDT="1000")).place(request())
    assert caught.value.fault is Fault.MARKET_HALTED


@pytest.mark.parametrize(
    "error",
    [
        Unreachable(Fault.NETWORK, "read timed out"),
        Unusable(Fault.STALE_DATA, "no candles"),
        Unreachable(Fault.RATE_LIMIT, "429", retry_after=30),
    ],
)
def test_without_market_data_nothing_is_sent(feed, error):
    book = DictBook(USDT="1000")
    feed.error = error
    with pytest.raises(Unreachable) as caught:
        paper(feed, book).place(request())
    assert (caught.value.fault, caught.value.sent) == (error.fault, False)
    assert caught.value.retry_after == error.retry_after
    assert not book.reports


def test_an_order_for_a_market_that_is_gone_is_rejected(feed):
    feed.error = Unusable(Fault.MARKET_UNKNOWN, "delisted")
    with pytest.raises(Rejected) as caught:
        paper(feed, DictBook(USDT="1000")).place(request())
    assert caught.value.fault is Fault.MARKET_UNKNOWN


def test_no_order_is_filled_at_a_price_that_cannot_be(feed):
    feed.override = replace(PRICE, bid=Decimal("NaN"), at=feed.now())
    book = DictBook(USDT="1000")
    with pytest.raises(Unreachable) as caught:
        paper(feed, book).place(request())
    assert (caught.value.fault, caught.value.sent) == (Fault.BROKEN_DATA, False)
    assert not book.reports


def limit(side: Side = Side.BUY, price: str = "19000", kind: OrderType = OrderType.LIMIT):
    return replace(request(side), type=kind, price=Decimal(price))


def move(feed: CountedFeed, bid: str, ask: str) -> None:
    """Bring another price, after the last one has grown too old to be used again."""
    feed.clock.advance(60_000)
    feed.override = replace(PRICE, bid=Decimal(bid), ask=Decimal(ask), at=feed.now())


def test_a_limit_order_rests_and_fills_when_the_price_meets_it_as_maker(feed):
    book = DictBook(USDT="1000")
    exchange = paper(feed, book)
    order = limit()
    placed = exchange.place(order)
    assert (placed.status, placed.filled, placed.fills) == (OrderStatus.OPEN, 0, ())
    assert exchange.balance()["USDT"] == Holding(free=Decimal("809.81"), used=Decimal("190.19"))
    assert exchange.place(order) == placed
    move(feed, "18999.99", "19000.01")
    assert exchange.find(order) == placed
    assert exchange.open_orders(SYMBOL) == [placed]
    move(feed, "18899.99", "18900")
    filled = exchange.find(order)
    assert filled is not None
    assert (filled.status, filled.average) == (OrderStatus.FILLED, Decimal(19_000))
    (fill,) = filled.fills
    assert (fill.quote, fill.fee, fill.at) == (Decimal(190), Decimal("0.19"), feed.now())
    assert exchange.balance() == {
        "BTC": Holding(free=Decimal("0.01")),
        "USDT": Holding(free=Decimal("809.81")),
    }
    assert exchange.open_orders(SYMBOL) == []
    move(feed, "1", "2")
    assert exchange.find(order) == filled == exchange.history(SYMBOL, feed.now() - 120_000)[0]


def test_a_limit_sale_waits_for_the_bid(feed):
    book = DictBook(BTC="0.01")
    exchange = paper(feed, book)
    order = limit(Side.SELL, "21000")
    assert exchange.place(order).status is OrderStatus.OPEN
    assert exchange.balance() == {"BTC": Holding(used=Decimal("0.01"))}
    with pytest.raises(Rejected, match="have 0 BTC"):
        exchange.place(request(Side.SELL, name="bs0010000100000002"))
    move(feed, "20999.99", "21000.5")
    assert exchange.find(order).status is OrderStatus.OPEN
    move(feed, "21000", "21000.5")
    assert exchange.find(order).status is OrderStatus.FILLED
    assert exchange.balance() == {"USDT": Holding(free=Decimal("209.79"))}


def test_a_limit_that_the_price_meets_at_once_pays_no_more_than_its_limit(feed):
    costs = {"slippage": Decimal("0.01")}
    bought = paper(feed, DictBook(USDT="1000"), **costs).place(limit(price="20015.5"))
    assert (bought.status, bought.average) == (OrderStatus.FILLED, Decimal("20015.5"))
    assert bought.fills[0].quote == Decimal("200.155")
    sold = paper(feed, DictBook(BTC="1"), **costs).place(limit(Side.SELL, "19999.5"))
    assert sold.average == Decimal("19999.5")
    cheap = paper(feed, DictBook(USDT="1000"), slippage=Decimal(0)).place(limit(price="20500"))
    assert cheap.average == PRICE.ask


def test_a_maker_fee_is_the_markets_unless_another_fee_is_given(feed):
    feed.inner._rules = replace(RULES, maker_fee=Decimal("0.0002"))
    for settings, fee in (({}, "0.038"), ({"fee_rate": Decimal("0.003")}, "0.57")):
        move(feed, "20000", "20010")
        exchange = paper(feed, DictBook(USDT="1000"), **settings)
        exchange.place(limit())
        move(feed, "18000", "18001")
        assert exchange.find(limit()).fills[0].fee == Decimal(fee)


def test_post_only_rests_or_is_refused_and_never_takes(feed):
    exchange = paper(feed, DictBook(USDT="1000"))
    with pytest.raises(Rejected, match="would trade at once") as caught:
        exchange.place(limit(price="20010", kind=OrderType.POST_ONLY))
    assert caught.value.fault is Fault.ORDER_REJECTED
    assert exchange.balance() == {"USDT": Holding(free=Decimal(1000))}
    rests = exchange.place(limit(price="20009.99", kind=OrderType.POST_ONLY))
    assert rests.status is OrderStatus.OPEN


def test_a_cancelled_order_frees_its_coins_and_never_fills(feed):
    book = DictBook(USDT="1000")
    exchange = paper(feed, book)
    order = limit()
    exchange.place(order)
    move(feed, "19500", "19501")
    exchange.cancel(order)
    assert exchange.balance() == {"USDT": Holding(free=Decimal(1000))}
    move(feed, "100", "101")
    found = exchange.find(order)
    assert (found.status, found.filled) == (OrderStatus.CANCELED, 0)
    with pytest.raises(Rejected, match="no open order"):
        exchange.cancel(order)


def test_a_cancel_that_comes_after_the_price_is_too_late(feed):
    exchange = paper(feed, DictBook(USDT="1000"))
    order = limit()
    exchange.place(order)
    move(feed, "18900", "18901")
    with pytest.raises(Rejected, match="no open order"):
        exchange.cancel(order)
    assert exchange.find(order).status is OrderStatus.FILLED


def test_without_a_price_an_open_order_is_not_judged_but_can_be_cancelled(feed):
    exchange = paper(feed, DictBook(USDT="1000"))
    order = limit()
    exchange.place(order)
    feed.clock.advance(60_000)
    feed.error = Unusable(Fault.STALE_DATA, "no price")
    with pytest.raises(Unreachable) as caught:
        exchange.find(order)
    assert caught.value.fault is Fault.STALE_DATA
    exchange.cancel(order)
    assert exchange.find(order).status is OrderStatus.CANCELED


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"price": None}, "needs a price"),
        ({"price": Decimal("19000.001")}, "not a positive multiple"),
        ({"price": Decimal("-1")}, "not a positive multiple"),
        ({"price": Decimal("NaN")}, "not a positive multiple"),
        ({"price": Decimal("900")}, "need 10, have 9 USDT"),
        ({"type": OrderType.STOP, "trigger": Decimal(19_000)}, "no stop orders"),
        ({"type": OrderType.TARGET, "trigger": Decimal(21_000)}, "no stop orders"),
    ],
)
def test_a_limit_order_that_makes_no_sense_is_refused(feed, change, text):
    book = DictBook(USDT="1000")
    with pytest.raises(Rejected, match=text):
        paper(feed, book).place(replace(limit(), **change))
    assert not book.reports


def test_paper_has_spot_only(feed):
    exchange = paper(feed, DictBook(USDT="1000"))
    assert exchange.can == frozenset()
    with pytest.raises(Rejected):
        exchange.place_pair(limit(), limit())
    for call in (lambda: exchange.prepare(SYMBOL, 2), lambda: exchange.position(SYMBOL)):
        with pytest.raises(Refused) as caught:
            call()
        assert caught.value.fault is Fault.CLIENT
    with pytest.raises(Refused):
        exchange.funding(SYMBOL, 0)


def test_paper_shares_the_feeds_market_data(feed):
    exchange = paper(feed, DictBook())
    assert (exchange.name, exchange.key) == (feed.name, feed.key)
    assert exchange.now() == feed.now()
    assert exchange.symbols() == {SYMBOL: RULES}
    assert exchange.rules(SYMBOL) == RULES
    assert exchange.quote(SYMBOL) == feed.override
    assert len(exchange.candles(SYMBOL, "1m", 5)) == 5
    rights = exchange.rights()
    assert (rights.may_trade, rights.may_withdraw) == (True, False)
