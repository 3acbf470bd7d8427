"""The gap between a bot and its paper twin: its parts add up to it, and each is what it says."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, localcontext
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trading.expectation import Dealt, Ledger, Parts, Terms, compare
from trading.market import EXACT, Side, quantize
from trading.position import BookedFill, Position, apply
from trading.trades import Booking, Payment

D = Decimal
START = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)
DAY = date(2026, 11, 2)
MINUTE = timedelta(minutes=1)
TERMS = Terms(since=START, mark=D(110), interval=MINUTE, candle=5 * MINUTE)


def dealt(
    side: str, price: str, *, expected: str = "", amount: str = "2", fee: str = "1", minute: int = 0
) -> Dealt:
    at = START + minute * MINUTE
    units = D(amount)
    fill = BookedFill(side=Side(side), amount=units, quote=units * D(price), fee_quote=D(fee))
    return Dealt(
        booking=Booking(number=minute, at=at, day=DAY, reason="signal", fill=fill),
        decided_at=at,
        expected=D(expected or price),
    )


def trip(minute: int = 0, **exit_: Any) -> list[Dealt]:
    """Two units bought at 100 and sold at 105 twenty minutes later, each for a fee of 1."""
    sale = {"side": "sell", "price": "105", "minute": minute + 20, **exit_}
    return [dealt("buy", "100", minute=minute), dealt(**sale)]


LATER = [dealt("buy", "101", minute=1), dealt("sell", "105", minute=20)]
MORE = [dealt("buy", "100", amount="3"), dealt("sell", "105", amount="3", minute=20)]
UNSOLD = [dealt("buy", "100")]


@pytest.mark.parametrize(
    ("live", "twin", "gap"),
    [
        (trip(), trip(), Parts()),
        (trip(fee="1.5"), trip(), Parts(fees=D("-0.5"))),
        (trip(price="104", expected="105"), trip(), Parts(slippage=D(-2))),
        (trip(), trip(price="104", expected="105"), Parts(slippage=D(2))),
        (LATER, trip(), Parts(timing=D(-2))),
        (MORE, trip(), Parts(timing=D(5))),
        ([], trip(), Parts(signal=D(-8))),
        (trip(), [], Parts(signal=D(8))),
        (UNSOLD, UNSOLD, Parts()),
        (UNSOLD, trip(), Parts(fees=D(1), timing=D(10))),
        ([], UNSOLD, Parts(signal=D(-19))),
    ],
    ids=[
        "nothing",
        "dearer",
        "worse fill",
        "better fill",
        "later",
        "larger",
        "missed",
        "alone",
        "both open",
        "one still open",
        "open, missed",
    ],
)
def test_what_differs_is_in_the_part_that_bears_its_name(
    live: Sequence[Dealt], twin: Sequence[Dealt], gap: Parts
) -> None:
    assert compare(Ledger(fills=live), Ledger(fills=twin), TERMS).gap == gap


def test_funding_is_a_fee() -> None:
    paid = Payment(number=1, at=START + MINUTE, day=DAY, amount=D("-0.3"))
    early = replace(paid, at=START - MINUTE)
    live = Ledger(fills=trip(), payments=[early, paid])
    assert compare(live, Ledger(fills=trip()), TERMS).gap == Parts(fees=D("-0.3"))


def test_a_price_that_nobody_reckoned_with_is_no_slippage() -> None:
    liquidated = [trip()[0], replace(dealt("sell", "95", minute=20), expected=None)]
    gap = compare(Ledger(fills=liquidated), Ledger(fills=trip()), TERMS).gap
    assert gap == Parts(timing=D(-20))


@pytest.mark.parametrize(
    ("minute", "is_same"), [(1, True), (4, True), (5, False)], ids=["check", "candle", "later"]
)
def test_entries_of_one_check_or_one_candle_follow_the_same_signal(
    minute: int, is_same: bool
) -> None:
    found = compare(Ledger(fills=trip()), Ledger(fills=trip(minute)), TERMS)
    assert len(found.pairs) == is_same
    assert len(found.live_only) == len(found.twin_only) == (not is_same)


def futures(*rows: tuple[str, str, str, int]) -> list[Dealt]:
    made = [dealt(s, price, amount=amount, minute=m, fee="2") for s, price, amount, m in rows]
    return [replace(d, booking=replace(d.booking, fill=_perpetual(d))) for d in made]


def _perpetual(one: Dealt) -> BookedFill:
    return replace(one.booking.fill, futures=True)


def test_long_and_short_are_never_the_same_signal() -> None:
    live = futures(("buy", "100", "1", 0), ("sell", "105", "1", 9))
    twin = futures(("sell", "100", "1", 0), ("buy", "105", "1", 9))
    assert compare(Ledger(fills=live), Ledger(fills=twin), TERMS).pairs == ()


def test_a_fill_that_turns_the_position_is_shared_between_two_trades() -> None:
    turned = futures(("buy", "100", "2", 0), ("sell", "105", "4", 9), ("buy", "104", "2", 20))
    found = compare(Ledger(fills=turned), Ledger(fills=turned), TERMS)
    assert [pair.live.fees for pair in found.pairs] == [D(-3), D(-3)]
    assert [pair.live.rest for pair in found.pairs] == [D(10), D(2)]


def test_trades_that_were_decided_on_before_both_had_started_are_left_out() -> None:
    terms = replace(TERMS, since=START + MINUTE)
    found = compare(Ledger(fills=[*trip(), *trip(30)]), Ledger(fills=trip(30)), terms)
    assert len(found.pairs) == 1
    assert found.gap == Parts()


# -- Any fills ------------------------------------------------------------------------------------
amounts = st.decimals("0.000000000000000001", "999999.999999999999999999", places=18)
fees = st.decimals("0", "99.999999999999999999", places=18)


@st.composite
def ledgers(draw: st.DrawFn, *, futures: bool) -> Ledger:
    """Fills in both directions, some of them crumbs, and a payment now and then."""
    position, fills, minute = Position(), [], 0
    for _number in range(draw(st.integers(0, 9))):
        minute += draw(st.integers(0, 9))
        side = draw(st.sampled_from(Side))
        units = draw(amounts)
        if draw(st.booleans()) and position.amount > 0:
            side, units = position.exit_side, position.amount
        if not futures and side is Side.SELL and not position.is_open:
            side = Side.BUY
        fill = BookedFill(
            side=side,
            amount=units,
            quote=draw(amounts),
            fee_quote=draw(fees),
            fee_base=quantize(units / 1000) if draw(st.booleans()) else D(0),
            dust=draw(st.sampled_from([D(0), D("0.5")])),
            futures=futures,
        )
        position, _realized = apply(position, fill)
        at = START + minute * MINUTE
        booking = Booking(number=minute, at=at, day=DAY, reason="signal", fill=fill)
        expected = draw(st.none() | amounts)
        fills.append(Dealt(booking=booking, decided_at=at, expected=expected))
    paid = draw(st.lists(st.decimals(-9, 9, places=18), max_size=2))
    payments = [Payment(number=1, at=START, day=DAY, amount=amount) for amount in paid]
    return Ledger(fills=fills, payments=payments)


def result_of(ledger: Ledger, mark: Decimal) -> Decimal:
    """What the ledger's own fold says: realised, with the open position at the mark."""
    position, total = Position(), sum((one.amount for one in ledger.payments), D(0))
    for one in ledger.fills:
        position, realized = apply(position, one.booking.fill)
        total = EXACT.add(total, realized)
    open_ = quantize(position.unrealized(mark)) if position.is_open else D(0)
    return EXACT.add(total, open_)


@given(data=st.data(), futures=st.booleans(), mark=amounts)
@settings(max_examples=150, deadline=None)
def test_the_parts_add_up_to_the_gap_to_the_last_digit(
    data: st.DataObject, futures: bool, mark: Decimal
) -> None:
    live, twin = data.draw(ledgers(futures=futures)), data.draw(ledgers(futures=futures))
    found = compare(live, twin, replace(TERMS, mark=mark))
    with localcontext(EXACT):
        gap = result_of(live, mark) - result_of(twin, mark)
        parts = found.gap
        assert parts.fees + parts.slippage + parts.timing + parts.signal == gap
        assert found.live.total == result_of(live, mark)
        # ... and so do the rows: each pair by its parts, each trade of one side as a whole.
        rows = [pair.gap.total for pair in found.pairs]
        rows += [one.result for one in found.live_only] + [-one.result for one in found.twin_only]
        rows += [one.amount for one in live.payments] + [-one.amount for one in twin.payments]
        assert sum(rows, D(0)) == gap
