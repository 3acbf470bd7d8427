"""Round trips and their figures: by hand, and for any sequence of fills."""

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trading.values import D
from trading.equity import Drawdown, Point, Sums, Unit, buckets, by_day, curve, drawdown
from trading.market import Side
from trading.performance import Summary, summarize
from trading.position import BookedFill, Position, apply
from trading.trades import Booking, Folded, Payment, Trade, fold

START = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def booked(number: int, side: str, amount: str, quote: str, **more: Any) -> Booking:
    """One fill an hour; `fee`, `dust`, `reason`, `futures` and `hours` as given."""
    at = START + more.pop("hours", number) * HOUR
    fill = BookedFill(
        side=Side(side),
        amount=D(amount),
        quote=D(quote),
        fee_quote=D(more.pop("fee", "0")),
        dust=D(more.pop("dust", "0")),
        futures=more.pop("futures", False),
    )
    return Booking(number=number, at=at, day=at.date(), reason="signal", fill=fill, **more)


def reasoned(one: Booking, reason: str) -> Booking:
    return Booking(number=one.number, at=one.at, day=one.day, reason=reason, fill=one.fill)


def paid(number: int, amount: str, hours: int) -> Payment:
    at = START + hours * HOUR
    return Payment(number=number, at=at, day=at.date(), amount=D(amount))


def test_a_round_trip_ends_flat_and_bears_the_reason_of_the_last_order() -> None:
    fills = [
        booked(1, "buy", "1", "100", fee="0.1"),
        booked(2, "buy", "1", "110", fee="0.1"),
        booked(3, "sell", "0.5", "60", fee="0.05"),
        reasoned(booked(30, "sell", "1.5", "165", fee="0.15"), "stop_loss"),
    ]
    (trade,) = fold(fills, bot_id=7).trades
    assert (trade.bot_id, trade.number, trade.side, trade.reason) == (7, 1, "long", "stop_loss")
    assert (trade.opened_at, trade.closed_at) == (START + HOUR, START + 30 * HOUR)
    assert (trade.day, trade.held) == (date(2026, 3, 2), 29 * HOUR)
    assert (trade.amount, trade.entry_price, trade.exit_price) == (D(2), D(105), D("112.5"))
    assert (trade.fees, trade.pnl) == (D("0.4"), D("14.6"))
    assert trade.percent == D("6.952380952380952381")
    assert [part.number for part in trade.parts] == [1, 2, 3, 30]


def test_what_is_still_open_is_no_trade() -> None:
    folded = fold([booked(1, "buy", "2", "200"), booked(2, "sell", "1", "130")])
    assert folded.trades == ()
    assert [part.realized for part in folded.rest] == [0, 30]


def test_the_rest_of_an_exit_belongs_to_the_trade_that_it_ended() -> None:
    """The first execution leaves less than can be sold: flat, and one more execution comes."""
    fills = [
        booked(1, "buy", "10", "1000"),
        booked(2, "sell", "9.95", "1094.5", dust="0.1", fee="1"),
        booked(3, "sell", "0.05", "5.5", dust="0.1", fee="0.5"),
    ]
    folded = fold(fills)
    (trade,) = folded.trades
    assert (trade.pnl, trade.fees, trade.exit_amount) == (D("98.5"), D("1.5"), D(10))
    assert (trade.closed_at, trade.exit_price) == (START + 3 * HOUR, D(110))
    assert folded.rest == ()


def test_a_crumb_that_opened_nothing_joins_the_next_trade() -> None:
    fills = [
        booked(1, "buy", "0.01", "1", dust="0.1", fee="0.001"),
        booked(2, "buy", "1", "100", dust="0.1"),
        booked(3, "sell", "1.01", "111.1", dust="0.1"),
    ]
    (trade,) = fold(fills).trades
    assert (trade.number, trade.opened_at) == (1, START + 2 * HOUR)
    assert (trade.pnl, trade.fees, trade.amount) == (D("10.099"), D("0.001"), D("1.01"))
    assert fold(fills[:1]).rest[0].number == 1


def test_a_fill_that_turns_the_position_ends_one_trade_and_opens_the_other() -> None:
    fills = [
        booked(1, "buy", "1", "100", futures=True, fee="0.1"),
        booked(2, "sell", "3", "330", futures=True, fee="0.3"),
        booked(3, "buy", "2", "200", futures=True, fee="0.2"),
    ]
    long, short = fold(fills).trades
    assert (long.side, long.pnl, long.fees) == ("long", D("9.8"), D("0.2"))
    assert (long.exit_amount, long.exit_price) == (1, 110)
    assert (short.side, short.pnl, short.fees) == ("short", D("19.6"), D("0.4"))
    assert (short.opened_at, short.entry_price, short.exit_price) == (START + 2 * HOUR, 110, 100)
    assert [part.number for part in (*long.parts, *short.parts)] == [1, 2, 2, 3]


def round_trips(*results: str) -> tuple[Trade, ...]:
    fills = []
    for index, result in enumerate(results):
        fills.append(booked(2 * index, "buy", "1", "100"))
        fills.append(booked(2 * index + 1, "sell", "1", str(100 + D(result)), fee="0"))
    return fold(fills).trades


def test_the_figures_of_a_few_trades_by_hand() -> None:
    found = summarize(round_trips("30", "-10", "0", "10", "-10"))
    assert (found.trades, found.wins, found.losses, found.even) == (5, 2, 2, 1)
    assert (found.win_rate, found.profit_factor, found.expectancy) == (40, 2, 4)
    assert (found.average_win, found.average_loss) == (20, -10)
    assert found.best is not None
    assert found.worst is not None
    assert (found.best.pnl, found.worst.pnl, found.worst.number) == (30, -10, 2)
    assert (found.average_held, found.pnl) == (HOUR, 20)
    assert [trade.outcome for trade in round_trips("1", "-1", "0")] == ["won", "lost", "even"]


def test_what_cannot_be_told_is_not_told() -> None:
    nothing = summarize(())
    assert nothing == Summary()
    assert (nothing.win_rate, nothing.profit_factor, nothing.expectancy) == (None, None, None)
    assert (nothing.average_win, nothing.average_loss, nothing.average_held) == (None, None, None)
    assert summarize(round_trips("5")).profit_factor is None
    assert summarize(round_trips("-5")).profit_factor == 0
    assert Drawdown(amount=D(5)).percent_of(D(0)) is None


def test_a_drawdown_is_the_deepest_fall_below_the_highest_before_it() -> None:
    def points(*values: int) -> list[Point]:
        steps = enumerate(values)
        return [Point(at=START + n * HOUR, change=D(0), value=D(v)) for n, v in steps]

    found = drawdown(points(5, 2, 8, 1, 3, 9, 4))
    assert (found.amount, found.peak_at, found.trough_at) == (7, START + 2 * HOUR, START + 3 * HOUR)
    assert found.percent_of(D(200)) == D("3.5")
    below = drawdown(points(-1, -4, 2))
    assert (below.amount, below.peak_at, below.trough_at) == (4, None, START + HOUR)
    assert drawdown(points(1, 2, 2)) == drawdown([]) == Drawdown()


def test_days_weeks_and_months_sum_what_lies_in_them() -> None:
    trades = round_trips("10", "-4")
    parts = [part for trade in trades for part in trade.parts]
    days = by_day(parts, [paid(1, "-0.5", 2), paid(2, "-0.25", 24 * 3)])
    assert days == {
        date(2026, 3, 1): Sums(realized=D(6), funding=D("-0.5")),
        date(2026, 3, 4): Sums(funding=D("-0.25")),
    }
    monday, sunday = buckets(Unit.WEEK, days, trades)  # the first of March 2026 is a Sunday
    assert (sunday.first, sunday.last) == (date(2026, 2, 23), date(2026, 3, 1))
    assert (sunday.sums.total, sunday.summary.trades) == (D("5.5"), 2)
    assert (monday.sums.total, monday.summary.trades) == (D("-0.25"), 0)
    (month,) = buckets(Unit.MONTH, days, trades)
    assert (month.first, month.last) == (date(2026, 3, 1), date(2026, 3, 31))
    assert (month.sums.total, month.summary.pnl) == (D("5.25"), 6)
    ends = [(date(2026, 2, 10), date(2026, 2, 28)), (date(2028, 2, 1), date(2028, 2, 29))]
    ends.append((date(2026, 12, 31), date(2026, 12, 31)))
    assert [Unit.MONTH.end_of(day) for day, _end in ends] == [end for _day, end in ends]


def test_what_happens_at_one_instant_is_one_step_of_the_curve() -> None:
    fills = [booked(1, "buy", "2", "200"), booked(2, "sell", "1", "90", hours=5)]
    fills.append(booked(3, "sell", "1", "120", hours=5))
    points = curve(fold(fills).parts, [paid(9, "-1", 3)])
    assert [(point.change, point.value) for point in points] == [(-1, -1), (10, 9)]
    assert drawdown(points).amount == 1


MONEY = st.decimals("0.000000000000000001", "99999999999999", places=18)
AMOUNTS = st.sampled_from([D("0.1"), D("0.2"), D("0.3"), D(1), D(3)]) | MONEY


@st.composite
def ledgers(draw: st.DrawFn) -> list[Booking]:
    """Any fills of one market; two may bear one time, and times may go back a little."""
    futures = draw(st.booleans())
    fills = draw(
        st.lists(
            st.builds(
                BookedFill,
                side=st.sampled_from(Side),
                amount=AMOUNTS,
                quote=MONEY,
                fee_quote=st.decimals("0", "99999999", places=18),
                fee_base=st.sampled_from([D(0), D("0.01")]),
                dust=st.sampled_from([D(0), D("0.15")]),
                futures=st.just(futures),
            ),
            max_size=14,
        )
    )
    found = []
    for number, fill in enumerate(fills):
        at = START + draw(st.integers(0, 80)) * HOUR
        reason = draw(st.sampled_from(["signal", "stop_loss", "command"]))
        found.append(Booking(number=number, at=at, day=at.date(), reason=reason, fill=fill))
    return found


PAYMENTS = st.lists(
    st.builds(
        paid,
        st.integers(1, 10**6),
        st.decimals("-1000", "1000", places=18).map(str),
        st.integers(0, 80),
    ),
    max_size=4,
)


def realized_of(fills: list[Booking]) -> list[tuple[Booking, Fraction]]:
    position, rows = Position(), []
    for one in fills:
        position, realized = apply(position, one.fill)
        rows.append((one, Fraction(realized)))
    return rows


@given(ledgers(), PAYMENTS)
def test_trades_rest_and_funding_are_the_whole_profit(
    fills: list[Booking], payments: list[Payment]
) -> None:
    folded = fold(fills)
    rows = realized_of(fills)
    profit = sum((realized for _one, realized in rows), Fraction(0))
    profit += sum((Fraction(one.amount) for one in payments), Fraction(0))
    ours = sum((Fraction(trade.pnl) for trade in folded.trades), Fraction(0))
    ours += sum((Fraction(part.realized) for part in folded.rest), Fraction(0))
    ours += sum((Fraction(one.amount) for one in payments), Fraction(0))
    assert ours == profit
    fees = sum((Fraction(part.fees) for part in folded.parts), Fraction(0))
    assert fees == sum((Fraction(one.fill.fee_quote) for one in fills), Fraction(0))
    points = curve(folded.parts, payments)
    assert (Fraction(points[-1].value) if points else 0) == profit


@given(ledgers(), PAYMENTS)
def test_the_sums_of_a_day_are_those_of_its_fills(
    fills: list[Booking], payments: list[Payment]
) -> None:
    expected: dict[date, Fraction] = {}
    for one, realized in realized_of(fills):
        expected[one.day] = expected.get(one.day, Fraction(0)) + realized
    for payment in payments:
        expected[payment.day] = expected.get(payment.day, Fraction(0)) + Fraction(payment.amount)
    folded = fold(fills)
    days = by_day(folded.parts, payments)
    assert {day: Fraction(sums.total) for day, sums in days.items()} == expected
    for unit in Unit:
        found = buckets(unit, days, folded.trades)
        assert sum(one.summary.trades for one in found) == len(folded.trades)
        assert sum(Fraction(one.sums.total) for one in found) == sum(expected.values())


@given(ledgers())
def test_each_fill_is_told_once_and_each_trade_is_sound(fills: list[Booking]) -> None:
    folded: Folded = fold(fills)
    told = [part.number for part in folded.parts]
    assert set(told) == {one.number for one in fills}
    turned = len(told) - len(fills)
    assert turned == 0 or fills[0].fill.futures
    for trade in folded.trades:
        assert trade.side in ("long", "short")
        assert Fraction(trade.pnl) == sum(Fraction(part.realized) for part in trade.parts)
        assert trade.reason in {one.reason for one in fills}
    found = summarize(folded.trades)
    assert found.wins + found.losses + found.even == len(folded.trades)
    assert Fraction(found.pnl) == sum(Fraction(trade.pnl) for trade in folded.trades)


@pytest.mark.parametrize("unit", list(Unit))
def test_a_unit_begins_and_ends_around_its_day(unit: Unit) -> None:
    for offset in range(400):
        day = date(2027, 12, 1) + timedelta(days=offset)
        first, last = unit.start_of(day), unit.end_of(day)
        assert first <= day <= last
        assert unit.start_of(last) == first
        assert unit.start_of(last + timedelta(days=1)) == last + timedelta(days=1)
