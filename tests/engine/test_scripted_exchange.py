"""The scripted exchange behaves as a real one does, so that the engine's tests may rely on it."""

from dataclasses import replace
from decimal import Decimal as D

import pytest

from tests.engine.exchange import ScriptedExchange
from tests.engine.market import Market
from tests.trading.feeds import SYMBOL
from trading.exchange import Can, Fault, Rejected, Unreachable
from trading.market import FundingReport, OrderRequest, OrderStatus, OrderType, Side


@pytest.fixture
def exchange() -> ScriptedExchange:
    made = ScriptedExchange(Market(), can=frozenset({Can.STOP, Can.PAIR}))
    made.holdings["BTC"] = D(1)
    return made


def request(name: str, side: Side, kind: OrderType, *, at: str | None = None) -> OrderRequest:
    is_limit = kind in (OrderType.LIMIT, OrderType.POST_ONLY)
    level = None if at is None else D(at)
    return OrderRequest(
        client_order_id=name,
        symbol=SYMBOL,
        side=side,
        type=kind,
        amount=D(1),
        price=level if is_limit else None,
        trigger=None if is_limit else level,
        signed_at=0,
    )


def told(exchange: ScriptedExchange, order: OrderRequest) -> tuple[OrderStatus, D, D | None]:
    report = exchange.find(order)
    assert report is not None
    return report.status, report.filled, report.average


@pytest.mark.parametrize(
    ("side", "kind", "at", "before", "reached", "price"),
    [
        (Side.BUY, OrderType.LIMIT, "90", "91", "89", "90"),
        (Side.SELL, OrderType.POST_ONLY, "110", "109", "111", "110"),
        (Side.SELL, OrderType.STOP, "90", "91", "89", "89"),
        (Side.BUY, OrderType.STOP, "110", "109", "111", "111"),
        (Side.SELL, OrderType.TARGET, "110", "109", "111", "111"),
        (Side.BUY, OrderType.TARGET, "90", "91", "89", "89"),
    ],
)
def test_an_order_rests_until_the_price_meets_it(
    exchange: ScriptedExchange,
    side: Side,
    kind: OrderType,
    at: str,
    before: str,
    reached: str,
    price: str,
) -> None:
    order = request("a", side, kind, at=at)
    assert exchange.place(order).status is OrderStatus.OPEN
    exchange.market.price = D(before)
    assert told(exchange, order) == (OrderStatus.OPEN, 0, None)
    assert [o.client_order_id for o in exchange.open_orders(SYMBOL)] == ["a"]
    exchange.market.price = D(reached)
    assert told(exchange, order) == (OrderStatus.FILLED, 1, D(price))
    assert exchange.open_orders(SYMBOL) == []


def test_a_partial_fill_a_cancel_and_a_fill_that_comes_after_it(exchange: ScriptedExchange) -> None:
    order = request("a", Side.BUY, OrderType.LIMIT, at="90")
    exchange.place(order)
    assert exchange.balance()["USDT"].used == 90
    exchange.fill("a", "0.25")
    assert told(exchange, order) == (OrderStatus.PARTIAL, D("0.25"), 90)
    exchange.cancel(order)
    assert told(exchange, order)[:2] == (OrderStatus.CANCELED, D("0.25"))
    exchange.fill("a", "0.25")
    assert told(exchange, order)[:2] == (OrderStatus.CANCELED, D("0.5"))
    assert exchange.balance()["BTC"].free == D("1.5")
    assert exchange.balance()["USDT"].used == 0
    with pytest.raises(Rejected):
        exchange.cancel(order)


def test_of_a_pair_one_leg_ends_the_other_and_the_coins_are_held_once(
    exchange: ScriptedExchange,
) -> None:
    stop = request("s", Side.SELL, OrderType.STOP, at="90")
    target = request("t", Side.SELL, OrderType.TARGET, at="110")
    first, second = exchange.place_pair(stop, target)
    assert (first.status, second.status) == (OrderStatus.OPEN, OrderStatus.OPEN)
    assert exchange.balance()["BTC"].used == 1
    exchange.market.price = D(111)
    assert told(exchange, target)[0] is OrderStatus.FILLED
    assert told(exchange, stop)[:2] == (OrderStatus.EXPIRED, 0)
    assert "BTC" not in exchange.balance()


def test_a_cancelled_leg_takes_the_other_along(exchange: ScriptedExchange) -> None:
    stop = request("s", Side.SELL, OrderType.STOP, at="90")
    target = request("t", Side.SELL, OrderType.TARGET, at="110")
    exchange.place_pair(stop, target)
    exchange.cancel(stop)
    assert told(exchange, target)[0] is OrderStatus.CANCELED


def test_a_fill_that_wins_the_race_against_its_cancel(exchange: ScriptedExchange) -> None:
    order = request("a", Side.BUY, OrderType.LIMIT, at="90")
    exchange.place(order)
    exchange.on_cancel = lambda: exchange.fill("a")
    with pytest.raises(Rejected) as caught:
        exchange.cancel(order)
    assert caught.value.fault is Fault.ORDER_REJECTED
    assert told(exchange, order)[0] is OrderStatus.FILLED


def test_what_is_scripted_to_fail_fails(exchange: ScriptedExchange) -> None:
    order = request("a", Side.BUY, OrderType.LIMIT, at="90")
    exchange.place(order)
    lost = Unreachable(Fault.NETWORK, "no answer")
    exchange.cancel_error = exchange.list_error = exchange.refuse_pair = lost
    for call in (
        lambda: exchange.cancel(order),
        lambda: exchange.open_orders(SYMBOL),
        lambda: exchange.place_pair(order, order),
    ):
        with pytest.raises(Unreachable):
            call()
    exchange.list_error = None
    assert told(exchange, order)[0] is OrderStatus.CANCELED


def test_futures_make_positions_instead_of_coins() -> None:
    exchange = ScriptedExchange(Market(), can=frozenset({Can.STOP, Can.FUTURES}))
    exchange.prepare(SYMBOL, 5)
    exchange.place(request("a", Side.SELL, OrderType.MARKET))
    assert exchange.position(SYMBOL).amount == -1
    assert exchange.balance()["USDT"].total == D("9999.9")
    stop = request("s", Side.BUY, OrderType.STOP, at="110")
    exchange.place(stop)
    exchange.market.price = D(111)
    assert exchange.position(SYMBOL).amount == 0
    exchange.payments.append(
        FundingReport(funding_id="1", symbol=SYMBOL, amount=D(-1), currency="USDT", at=5)
    )
    assert len(exchange.funding(SYMBOL, 5)) == 1
    assert exchange.funding(SYMBOL, 6) == []
    assert exchange.prepared == [(SYMBOL, 5)]


@pytest.fixture
def short() -> ScriptedExchange:
    """A futures account that has sold 1 at 100."""
    made = ScriptedExchange(Market(), can=frozenset({Can.STOP, Can.FUTURES}))
    made.place(request("a", Side.SELL, OrderType.MARKET))
    return made


def reducing(name: str, kind: OrderType = OrderType.MARKET, **changes: object) -> OrderRequest:
    at = None if kind is OrderType.MARKET else "110"
    return replace(request(name, Side.BUY, kind, at=at), reduce_only=True, **changes)  # type: ignore[arg-type]


def test_what_only_reduces_is_cut_to_the_position_and_refused_without_one(
    short: ScriptedExchange,
) -> None:
    report = short.place(reducing("b", amount=D(3)))
    assert (report.status, report.amount, report.filled) == (OrderStatus.FILLED, 1, 1)
    for wrong in (reducing("c"), reducing("d", side=Side.SELL)):
        with pytest.raises(Rejected, match="-2022"):
            short.place(wrong)
    assert short.position(SYMBOL).amount == 0


def test_of_two_stops_that_only_reduce_the_second_finds_nothing(short: ScriptedExchange) -> None:
    first, second = (reducing(name, OrderType.STOP) for name in ("s", "t"))
    short.place(first)
    short.place(second)
    short.market.price = D(111)
    assert told(short, first) == (OrderStatus.FILLED, 1, 111)
    assert told(short, second) == (OrderStatus.REJECTED, 0, None)
    assert short.position(SYMBOL).amount == 0


def test_futures_fill_in_whole_steps(short: ScriptedExchange) -> None:
    short.market.market = replace(short.market.market, amount_step=D("0.1"))
    short.parts = ("0.33", "0.67")
    report = short.place(reducing("b"))
    assert [fill.amount for fill in report.fills] == [D("0.3"), D("0.7")]
    short.parts, short.end = ("0.37",), OrderStatus.EXPIRED
    report = short.place(request("c", Side.BUY, OrderType.MARKET))
    assert (report.status, report.filled) == (OrderStatus.EXPIRED, D("0.3"))
