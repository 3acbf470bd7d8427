"""Position and profit as a fold over fills."""

from decimal import localcontext
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trading.values import D
from trading.market import EXACT, Side
from trading.position import BookedFill, Position, apply


def buy(amount: str, quote: str, fee: str = "0", **more: str) -> BookedFill:
    rest = {name: D(value) for name, value in more.items()}
    return BookedFill(side=Side.BUY, amount=D(amount), quote=D(quote), fee_quote=D(fee), **rest)


def sell(amount: str, quote: str, fee: str = "0", **more: str) -> BookedFill:
    rest = {name: D(value) for name, value in more.items()}
    return BookedFill(side=Side.SELL, amount=D(amount), quote=D(quote), fee_quote=D(fee), **rest)


def fold(*fills: BookedFill) -> tuple[Position, D]:
    position, profit = Position(), D(0)
    for fill in fills:
        position, realized = apply(position, fill)
        with localcontext(prec=76):
            profit += realized
    return position, profit


def test_a_round_trip_earns_proceeds_less_cost_less_fees() -> None:
    position, profit = fold(buy("2", "200", "0.2"), sell("2", "210", "0.21"))
    assert profit == D("9.59")
    assert position.amount == position.cost == 0
    assert not position.is_open
    assert position.entry_price is None


def test_several_entries_average_their_price_and_cost() -> None:
    position, profit = fold(buy("1", "100", "0.1"), buy("3", "340", "0.34"))
    assert profit == 0
    assert position.entry_price == D(110)
    assert position.cost == D("440.44")
    assert position.unrealized(D(120)) == D("39.56")


def test_a_partial_exit_realises_its_share_of_the_cost() -> None:
    position, profit = fold(buy("4", "400", "0.4"), sell("1", "110", "0.11"))
    assert profit == D("110") - D("0.11") - D("100.1")
    assert (position.amount, position.cost, position.is_open) == (D(3), D("300.3"), True)
    assert position.entry_price == D(100)


def test_a_fee_taken_in_the_bought_coin_leaves_fewer_units_at_the_same_cost() -> None:
    position, _ = fold(buy("1", "100", "0.1", fee_base="0.001"))
    assert (position.amount, position.cost) == (D("0.999"), D(100))
    position, profit = fold(
        buy("1", "100", "0.1", fee_base="0.001"), sell("0.999", "109.89", "0.10989")
    )
    assert (position.amount, position.is_open) == (D(0), False)
    assert profit == D("109.89") - D("0.10989") - D(100)


def test_a_sale_whose_fee_is_taken_in_the_sold_coin_charges_it_once() -> None:
    position, profit = fold(buy("1", "100"), sell("0.999", "109.89", "0.11", fee_base="0.001"))
    assert (position.amount, position.cost) == (D(0), D(0))
    assert profit == D("9.89")


@pytest.mark.parametrize(
    ("left", "is_open"), [("0.0009", False), ("0.001", True), ("0.0011", True), ("0", False)]
)
def test_a_rest_below_the_dust_closes_the_position(left: str, is_open: bool) -> None:
    sold = sell(str(1 - D(left)), "100", dust="0.001")
    position, _ = fold(buy("1", "100"), sold)
    assert position.is_open is is_open
    assert position.amount == D(left)
    assert position.cost == 100 * D(left)


def test_dust_joins_the_next_position_with_its_cost_but_not_its_entry_price() -> None:
    dusty = (buy("1", "100"), sell("0.9995", "99.95", dust="0.001"))
    position, profit = fold(*dusty, buy("1", "200"))
    assert profit == 0
    assert (position.amount, position.cost) == (D("1.0005"), D("200.05"))
    assert position.entry_price == D(200)
    position, profit = fold(*dusty, buy("1", "200"), sell("1.0005", "300", dust="0.001"))
    assert (position.amount, position.cost, position.is_open) == (D(0), D(0), False)
    assert profit == D("300") - D("200.05")


@pytest.mark.parametrize(("bought", "is_open"), [("0.0009", False), ("0.001", True)])
def test_what_an_entry_bought_below_the_dust_opens_no_position(bought: str, is_open: bool) -> None:
    first = buy(bought, str(100 * D(bought)), "0.01", dust="0.001")
    position, profit = fold(first)
    assert (position.is_open, position.side == "long") == (is_open, is_open)
    assert (position.amount, position.cost, profit) == (D(bought), 100 * D(bought) + D("0.01"), 0)
    # The rest of the same order, or the next one: one average price of all that was bought.
    position, _ = fold(first, buy("1", "200", dust="0.001"))
    assert position.is_open
    assert (position.entry_amount, position.entry_quote) == (1 + D(bought), 200 + 100 * D(bought))


def test_an_order_that_filled_whole_opens_its_position_though_its_fee_took_units() -> None:
    position, _ = fold(buy("0.001", "0.1", "0.0001", fee_base="0.000001", dust="0.001"))
    assert (position.is_open, position.amount) == (True, D("0.000999"))


def test_selling_more_than_there_is_shows_as_a_negative_amount() -> None:
    position, profit = fold(buy("1", "100"), sell("1.5", "150"))
    assert (position.amount, position.cost, position.is_open) == (D("-0.5"), D(0), False)
    assert profit == D(50)


def test_the_surrounding_decimal_context_changes_nothing() -> None:
    fills = (buy("3", "1.000000000000000001"), sell("1", "1.000000000000000003", "0.7"))
    expected = fold(*fills)
    with localcontext(prec=5):
        position, _ = fold(*fills)
        assert position == expected[0]
        assert position.entry_price == D("0.333333333333333334")
        assert position.unrealized(D(1)) == expected[0].unrealized(D(1))


#: What numeric(38,18) can hold.
STORED = st.decimals("0.000000000000000001", "99999999999999999999", places=18)
FEES = st.decimals("0", "99999999999999999999", places=18)


@st.composite
def round_trips(draw: st.DrawFn) -> list[BookedFill]:
    """Entry fills, then exit fills that sell every unit of them."""
    entries = draw(st.lists(st.tuples(STORED, STORED, FEES), min_size=1, max_size=5))
    fills = [
        BookedFill(side=Side.BUY, amount=amount, quote=quote, fee_quote=fee)
        for amount, quote, fee in entries
    ]
    left = sum(int(fill.amount.scaleb(18, context=EXACT)) for fill in fills)
    cuts = draw(st.lists(st.integers(1, left - 1), max_size=4)) if left > 1 else []
    edges = [0, *sorted(set(cuts)), left]
    for low, high in pairwise(edges):
        amount = D(high - low).scaleb(-18, context=EXACT)
        fills.append(
            BookedFill(side=Side.SELL, amount=amount, quote=draw(STORED), fee_quote=draw(FEES))
        )
    return fills


def exact_sum(fills: list[BookedFill], side: Side, name: str) -> Fraction:
    return sum((Fraction(getattr(it, name)) for it in fills if it.side is side), Fraction(0))


@given(round_trips())
def test_a_closed_round_trip_is_exact_to_the_last_digit(fills: list[BookedFill]) -> None:
    with localcontext(prec=76):
        position, profit = fold(*fills)
        earned = exact_sum(fills, Side.SELL, "quote") - exact_sum(fills, Side.SELL, "fee_quote")
        spent = exact_sum(fills, Side.BUY, "quote") + exact_sum(fills, Side.BUY, "fee_quote")
        assert (position.amount, position.cost, position.is_open) == (D(0), D(0), False)
        assert Fraction(profit) == earned - spent


@given(round_trips(), st.randoms(use_true_random=False))
def test_amount_and_cost_always_sum_up(fills: list[BookedFill], rng: object) -> None:
    """Also when fills come in another order and before the last one."""
    rng.shuffle(fills)  # type: ignore[attr-defined]
    position, profit = Position(), Fraction(0)
    held = invested = Fraction(0)
    for fill in fills:
        position, realized = apply(position, fill)
        profit += Fraction(realized)
        sign = 1 if fill.side is Side.BUY else -1
        held += sign * Fraction(fill.amount)
        invested += sign * Fraction(fill.quote) + Fraction(fill.fee_quote)
        assert Fraction(position.amount) == held
        assert Fraction(position.cost) - profit == invested
