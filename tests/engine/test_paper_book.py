"""The rows behind a paper account: orders that rest, and a balance that adds up."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal as D

import pytest

from bots.models import Account, PaperBalance, PaperOrder, User
from bots.paper_book import PaperBook
from tests.trading.feeds import SYMBOL
from trading.exchange import Fault, Rejected
from trading.exchanges.book import Book, Resting
from trading.market import FillReport, Holding, OrderReport, OrderStatus, Side


@pytest.fixture
def book(alice: User) -> Book:
    account = Account.objects.create(owner=alice, exchange="binance", mode="paper", label="p")
    return PaperBook(account, quote="USDT", capital=D(1000))


def report(name: str = "bs1", side: Side = Side.BUY, at: int = 1000) -> OrderReport:
    return OrderReport(
        client_order_id=name,
        exchange_order_id=f"paper-{name}",
        symbol=SYMBOL,
        side=side,
        status=OrderStatus.OPEN,
        amount=D("0.1"),
        filled=D(0),
        average=None,
        at=at,
    )


def resting(name: str = "bs1", price: str = "20000", at: int = 1000) -> Resting:
    """Return a buy of 0.1 at `price` that holds its value and a fee of 2 USDT."""
    held = D(price) / 10 + 2
    order = report(name, at=at)
    return Resting(report=order, price=D(price), fee=D(2), currency="USDT", held=held)


def filled(order: Resting, at: int = 2000) -> OrderReport:
    fill = FillReport(
        trade_id=f"{order.report.client_order_id}-1",
        price=order.price,
        amount=order.report.amount,
        quote=order.value,
        fee=order.fee,
        fee_currency="USDT",
        at=at,
    )
    return replace(
        order.report,
        status=OrderStatus.FILLED,
        filled=fill.amount,
        average=fill.price,
        at=at,
        fills=(fill,),
    )


def test_an_order_that_rests_holds_its_coins_and_is_read_back_whole(book: Book):
    order = resting()
    assert book.rest(order) == order.report
    assert book.resting() == [order]
    assert book.find("bs1") == book.conclude("bs1") == order.report
    assert book.balance() == {"USDT": Holding(free=D(7998), used=D(2002))}
    assert book.rest(order) == order.report
    assert PaperOrder.objects.count() == 1


def test_a_fill_frees_what_was_held_and_moves_the_coins(book: Book):
    order = resting()
    book.rest(order)
    done = filled(order)
    assert book.close(done, order.deltas("BTC", "USDT")) == done
    assert book.find("bs1") == done
    assert book.resting() == []
    assert book.balance() == {"BTC": Holding(free=D("0.1")), "USDT": Holding(free=D(7998))}


def test_a_cancelled_order_gives_everything_back(book: Book):
    book.rest(resting())
    gone = replace(report(), status=OrderStatus.CANCELED)
    assert book.close(gone, {}) == gone
    assert book.balance() == {"USDT": Holding(free=D(10_000))}


def test_of_a_fill_and_a_cancel_only_the_first_counts(book: Book):
    order = resting()
    book.rest(order)
    done = filled(order)
    book.close(done, order.deltas("BTC", "USDT"))
    before = book.balance()
    gone = replace(report(), status=OrderStatus.CANCELED)
    assert book.close(gone, {}) == done
    assert book.close(done, order.deltas("BTC", "USDT")) == done
    assert book.balance() == before


def test_a_closing_that_cannot_be_booked_leaves_the_order_open(book: Book):
    order = resting()
    book.rest(order)
    with pytest.raises(Rejected):
        book.close(filled(order), {"USDT": D(-20_000)})
    assert book.resting() == [order]
    assert book.balance() == {"USDT": Holding(free=D(7998), used=D(2002))}


@pytest.mark.parametrize(
    "spend",
    [
        lambda book: book.rest(resting("bs2", price="79980")),
        lambda book: book.record(filled(resting("bs2")), {"USDT": D("-7998.01"), "BTC": D(1)}),
    ],
)
def test_what_is_held_cannot_be_spent_twice(book: Book, spend: Callable[[Book], object]):
    book.rest(resting())
    with pytest.raises(Rejected) as caught:
        spend(book)
    assert caught.value.fault is Fault.INSUFFICIENT_FUNDS
    assert "need" in caught.value.text
    assert book.find("bs2") is None
    assert dict(PaperBalance.objects.values_list("currency", "units")) == {"USDT": D(10_000)}


def test_all_but_what_is_held_can_be_spent(book: Book):
    book.rest(resting())
    book.record(filled(resting("bs2")), {"USDT": D(-7998), "BTC": D(1)})
    assert book.balance()["USDT"] == Holding(used=D(2002))


def test_an_order_that_was_given_up_never_rests(book: Book):
    assert book.conclude("bs1") is None
    with pytest.raises(Rejected, match="given up"):
        book.rest(resting())
    assert book.resting() == []
    assert book.balance() == {"USDT": Holding(free=D(10_000))}


def test_history_is_what_changed_since(book: Book):
    book.rest(resting("bs1", at=1000))
    book.rest(resting("bs2", at=1500))
    book.conclude("bs3")
    book.close(filled(resting("bs1"), at=2000), {})
    assert [order.client_order_id for order in book.since(1000)] == ["bs1", "bs2"]
    assert [order.client_order_id for order in book.since(1501)] == ["bs1"]


def test_accounts_do_not_see_each_other(book: Book, alice: User):
    account = Account.objects.create(owner=alice, exchange="binance", mode="paper", label="q")
    other = PaperBook(account, quote="USDT", capital=D(1000))
    book.rest(resting())
    assert (other.resting(), other.since(0), other.find("bs1")) == ([], [], None)
    assert other.balance() == {"USDT": Holding(free=D(10_000))}
