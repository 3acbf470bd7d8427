"""An order from the intent to its end: what an answer moves, and what is kept."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db.models import F

from bots import intents, invariants, lease, ledger
from bots.models import Fill, Order
from tests.engine.bench import Bench, D
from tests.engine.conftest import Maker
from tests.engine.intended import SIGNED, STOP, TARGET, change, claim, flags, intend
from trading.exchange import Fault, Unusable
from trading.market import FillReport, OrderReport, OrderStatus, Side
from trading.protective import Protective


# -- what an answer moves --------------------------------------------------------------------------
def report_of(order: Order, status: OrderStatus, *parts: str, **values: Any) -> OrderReport:
    """Return a report whose fills have these amounts, at 100."""
    fills = tuple(
        FillReport(
            trade_id=f"{order.client_order_id}-{number}",
            price=D(100),
            amount=D(part),
            quote=D(part) * 100,
            fee=D("0.001"),
            fee_currency=values.get("fee_currency", "USDT"),
            at=SIGNED,
        )
        for number, part in enumerate(parts, 1)
    )
    told = sum((fill.amount for fill in fills), D(0))
    return OrderReport(
        client_order_id=order.client_order_id,
        exchange_order_id=values.get("exchange_order_id", "x"),
        symbol=order.symbol,
        side=Side(order.side),
        status=status,
        amount=order.amount,
        filled=values.get("filled", told),
        average=values.get("average", D(100) if told else None),
        at=SIGNED,
        fills=fills,
    )


def book(b: Bench, held: lease.Held, order: Order, report: OrderReport) -> None:
    assert b.exchange is not None
    ledger.apply(held, order, report, b.market.market, b.exchange)


@pytest.mark.parametrize(
    ("status", "parts", "filled", "ends"),
    [
        (OrderStatus.OPEN, (), "0", False),
        (OrderStatus.PARTIAL, ("1",), "1", False),
        (OrderStatus.FILLED, ("1", "1"), "2", True),
        (OrderStatus.FILLED, ("1",), "2", False),
        (OrderStatus.CANCELED, ("1",), "1", True),
        (OrderStatus.CANCELED, ("1",), "1.5", False),
        (OrderStatus.CANCELED, ("1", "0.5"), "1", False),
        (OrderStatus.EXPIRED, (), "0", True),
    ],
)
def test_an_order_is_settled_when_it_is_final_and_every_fill_is_booked(
    flat: Bench, status: OrderStatus, parts: tuple[str, ...], filled: str, ends: bool
) -> None:
    held = claim(flat)
    order = intend(flat, held)
    book(flat, held, order, report_of(order, status, *parts, filled=D(filled)))
    assert (order.status, order.is_settled) == (status, ends)
    assert (order.filled, order.booked) == (D(filled), sum(map(D, parts), D(0)))
    assert order.exchange_order_id == "x"
    assert flags(flat) == (not ends, False)
    assert held.state.has_unsettled_orders is not ends


def test_fills_that_come_after_the_end_settle_it(flat: Bench) -> None:
    held = claim(flat)
    order = intend(flat, held)
    book(flat, held, order, report_of(order, OrderStatus.FILLED, "1", filled=D(2)))
    late = report_of(order, OrderStatus.PARTIAL, "1", "1", filled=D(2))
    book(flat, held, order, late)
    assert (order.status, order.is_settled, order.booked) == ("filled", True, D(2))
    assert Fill.objects.count() == 2
    assert flags(flat) == (False, False)


def test_an_earlier_report_brings_its_fills_and_takes_nothing_back(flat: Bench) -> None:
    held = claim(flat)
    order = intend(flat, held)
    book(flat, held, order, report_of(order, OrderStatus.CANCELED, filled=D(1), average=D(101)))
    assert not order.is_settled
    earlier = report_of(order, OrderStatus.PARTIAL, "0.5", average=D(99))
    book(flat, held, order, earlier)
    told = (order.status, order.filled, order.average, order.booked, order.is_settled)
    assert told == ("canceled", D(1), D(101), D("0.5"), False)
    same = report_of(order, OrderStatus.CANCELED, "0.5", "0.5", average=D("100.5"))
    book(flat, held, order, same)
    assert (order.average, order.booked, order.is_settled) == (D("100.5"), D(1), True)


def test_a_fee_that_cannot_be_priced_keeps_what_was_told(flat: Bench) -> None:
    held = claim(flat)
    order = intend(flat, held)
    flat.market.candle_error = Unusable(Fault.BROKEN_DATA, "no candle")
    told = report_of(order, OrderStatus.PARTIAL, "1.5", fee_currency="BNB", average=D(101))
    earlier = report_of(order, OrderStatus.PARTIAL, "1", fee_currency="BNB", average=D(99))
    for report in (told, earlier):
        with pytest.raises(Unusable, match="no candle"):
            book(flat, held, order, report)
        row = flat.order
        assert (row.status, row.filled, row.average) == ("partial", D("1.5"), D(101))
        assert (row.booked, row.is_settled, row.exchange_order_id) == (D(0), False, "x")
        assert "fee" in row.message
    assert not Fill.objects.exists()
    assert flags(flat) == (True, False)


def test_a_stop_that_filled_at_an_unknown_fee_is_waited_for(holding: Bench) -> None:
    held = claim(holding)
    rules = holding.market.market
    (order,) = intents.write_protection(held, [STOP], rules, signed_at=SIGNED)
    book(holding, held, order, report_of(order, OrderStatus.OPEN))
    assert flags(holding) == (False, True)
    holding.market.candle_error = Unusable(Fault.BROKEN_DATA, "no candle")
    with pytest.raises(Unusable):
        book(holding, held, order, report_of(order, OrderStatus.FILLED, "2", fee_currency="BNB"))
    assert flags(holding) == (True, True)
    assert held.state.has_unsettled_orders
    assert {violation.code for violation in invariants.check()} <= {"I14"}
    holding.market.candle_error = None
    book(holding, held, order, report_of(order, OrderStatus.FILLED, "2", fee_currency="BNB"))
    assert (flags(holding), holding.state.in_position) == ((False, False), False)


def test_an_order_that_another_moved_is_left_alone(flat: Bench) -> None:
    held = claim(flat)
    order = intend(flat, held)
    Order.objects.update(status="open")
    with pytest.raises(lease.LeaseLost, match=order.client_order_id):
        book(flat, held, order, report_of(order, OrderStatus.FILLED, "2"))
    assert (flat.order.status, Fill.objects.count()) == ("open", 0)


def test_an_answer_changes_its_own_order_alone(flat: Bench) -> None:
    held = claim(flat)
    order = intend(flat, held)
    other = Order.objects.get(pk=order.pk)
    other.pk, other.client_order_id = None, "other"
    other.save()
    book(flat, held, order, report_of(order, OrderStatus.FILLED, "2"))
    other.refresh_from_db()
    assert (other.status, other.filled, other.is_settled) == ("sent", D(0), False)
    # The other one is still waited for.
    assert flags(flat) == (True, False)


# -- ends without a fill ---------------------------------------------------------------------------
@pytest.mark.parametrize("status", [OrderStatus.REJECTED, OrderStatus.ABANDONED])
def test_an_order_that_was_never_taken_ends_with_its_reason(
    flat: Bench, status: OrderStatus
) -> None:
    held = claim(flat)
    order = intend(flat, held)
    ledger.close(held, order, status, "x" * 499 + "yz")
    row = flat.order
    assert (row.status, row.is_settled, row.message) == (status, True, "x" * 499 + "y")
    assert flags(flat) == (False, False)
    assert not held.state.has_unsettled_orders


def test_an_order_whose_outcome_nobody_knows_stays_open(flat: Bench) -> None:
    held = claim(flat)
    order = intend(flat, held)
    change(flat, has_unsettled_orders=False)
    ledger.mark_unknown(held, order, "x" * 499 + "yz")
    row = flat.order
    assert (row.status, row.is_settled, row.message) == ("unknown", False, "x" * 499 + "y")
    assert flags(flat) == (True, False)
    assert held.state.has_unsettled_orders


def test_each_time_it_is_not_found_counts_once(flat: Bench) -> None:
    held = claim(flat)
    order = intend(flat, held)
    assert [ledger.count_not_found(held, order) for _ in range(3)] == [1, 2, 3]


def test_the_first_reason_for_a_cancel_stays(flat: Bench) -> None:
    held = claim(flat)
    order = intend(flat, held)
    for gate in ("entry_timeout", "signal_gone"):
        ledger.note_cancel(held, order, gate)
        assert order.cancel_reason == flat.order.cancel_reason == "entry_timeout"


def test_an_order_that_was_reopened_is_asked_about_again(holding: Bench) -> None:
    held = claim(holding)
    assert flags(holding) == (False, False)
    ledger.reopen(held, holding.order)
    assert not holding.order.is_settled
    assert held.state.has_unsettled_orders


@pytest.mark.parametrize("call", ["close", "mark_unknown", "note_cancel", "count", "reopen"])
def test_a_tick_that_was_taken_over_moves_no_order(flat: Bench, call: str) -> None:
    held = claim(flat)
    order = intend(flat, held)
    change(flat, fence=F("fence") + 1)
    before = Order.objects.values().get()
    calls: dict[str, Callable[[], object]] = {
        "close": lambda: ledger.close(held, order, OrderStatus.REJECTED, "no"),
        "mark_unknown": lambda: ledger.mark_unknown(held, order, "no"),
        "note_cancel": lambda: ledger.note_cancel(held, order, "signal_gone"),
        "count": lambda: ledger.count_not_found(held, order),
        "reopen": lambda: ledger.reopen(held, order),
    }
    with pytest.raises(lease.LeaseLost):
        calls[call]()
    assert Order.objects.values().get() == before


# -- the flags of the state row --------------------------------------------------------------------
def protect(b: Bench, held: lease.Held, *wanted: Protective) -> list[Order]:
    """Write protective orders, and let the exchange take them."""
    rows = intents.write_protection(held, wanted, b.market.market, signed_at=SIGNED)
    for number, order in enumerate(rows):
        report = report_of(order, OrderStatus.OPEN, exchange_order_id=f"p{number}")
        book(b, held, order, report)
    return rows


def test_protection_that_rests_holds_nothing_up(holding: Bench) -> None:
    held = claim(holding)
    protect(holding, held, STOP, TARGET)
    assert flags(holding) == (False, True)


@pytest.mark.parametrize("status", [OrderStatus.UNKNOWN, OrderStatus.PARTIAL])
def test_protection_that_does_not_just_rest_is_waited_for(
    holding: Bench, status: OrderStatus
) -> None:
    held = claim(holding)
    order, _target = protect(holding, held, STOP, TARGET)
    Order.objects.filter(pk=order.pk).update(status=status)
    ledger.reopen(held, order)
    assert flags(holding) == (True, True)


def test_an_entry_that_rests_is_waited_for(flat: Bench) -> None:
    held = claim(flat)
    order = intend(flat, held)
    book(flat, held, order, report_of(order, OrderStatus.OPEN))
    assert flags(flat) == (True, False)


@pytest.mark.parametrize("word", ["resting", "failed", "watched"])
def test_only_what_rested_is_forgotten_with_the_last_protective_order(
    holding: Bench, word: str
) -> None:
    held = claim(holding)
    stop, target = protect(holding, held, STOP, TARGET)
    change(holding, protection=word)
    book(holding, held, stop, report_of(stop, OrderStatus.CANCELED, exchange_order_id="p0"))
    assert (flags(holding), holding.state.protection) == ((False, True), word)
    book(holding, held, target, report_of(target, OrderStatus.CANCELED, exchange_order_id="p1"))
    left = "" if word == "resting" else word
    assert (flags(holding), holding.state.protection) == ((False, False), left)


def test_orders_of_other_bots_hold_nothing_up(bench: Maker) -> None:
    one, other = bench(), bench()
    for b in (one, other):
        b.scripted()
    intend(other, claim(other))
    held = claim(one)
    ledger.close(held, intend(one, held), OrderStatus.REJECTED, "no")
    assert (flags(one), flags(other)) == ((False, False), (True, False))
