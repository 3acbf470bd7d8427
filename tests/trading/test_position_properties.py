"""What holds for any sequence of fills, in both directions."""

from decimal import localcontext
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from tests.trading.values import D
from trading.market import EXACT, Side
from trading.position import BookedFill, Position, apply, fund

MONEY = st.decimals("0.000000000000000001", "99999999999999", places=18)
FEES = st.decimals("0", "99999999", places=18)
#: Few different amounts, so that positions often close exactly.
AMOUNTS = st.sampled_from([D("0.1"), D("0.2"), D("0.3"), D("0.7"), D(1), D(3)]) | MONEY
QUANTUM = Fraction(1, 10**18)

STEPS = st.builds(
    BookedFill,
    side=st.sampled_from(Side),
    amount=AMOUNTS,
    quote=MONEY,
    fee_quote=FEES,
    fee_base=st.sampled_from([D(0), D("0.01")]),
    futures=st.just(True),
) | st.decimals("-1000", "1000", places=18)


def step(position: Position, one: BookedFill | D) -> tuple[Position, D]:
    return apply(position, one) if isinstance(one, BookedFill) else fund(position, one)


def fold(steps: list[BookedFill | D]) -> tuple[Position, Fraction]:
    position, profit = Position(), Fraction(0)
    for one in steps:
        position, realized = step(position, one)
        profit += Fraction(realized)
    return position, profit


@given(st.lists(STEPS, max_size=12))
def test_amount_and_cost_always_sum_up_in_both_directions(steps: list[BookedFill | D]) -> None:
    """Signed units are buys less sales; signed cost less profit is all that was paid."""
    position, profit = Position(), Fraction(0)
    held = paid = Fraction(0)
    for one in steps:
        position, realized = step(position, one)
        profit += Fraction(realized)
        if isinstance(one, BookedFill):
            sign = 1 if one.side is Side.BUY else -1
            held += sign * Fraction(one.amount)
            paid += sign * Fraction(one.quote) + Fraction(one.fee_quote)
        else:
            paid -= Fraction(one)
        cost = Fraction(position.cost) * (-1 if position.is_short else 1)
        assert Fraction(position.signed_amount) == held
        assert cost - profit == paid
        assert position.is_open is (held != 0)
        assert position.is_short is (held < 0)
        if not position.is_open:
            assert position.cost == 0


@st.composite
def split_fills(draw: st.DrawFn) -> tuple[BookedFill, list[BookedFill]]:
    """One fill, and the same in two to four executions at the same price."""
    unit = D(draw(st.integers(1, 10**9))).scaleb(-9)
    parts = draw(st.lists(st.integers(1, 1000), min_size=2, max_size=4))
    side, price = draw(st.sampled_from(Side)), D(draw(st.integers(1, 10**6)))
    fee = D(draw(st.integers(0, 10**6))).scaleb(-9)

    def piece(count: int) -> BookedFill:
        amount = EXACT.multiply(unit, D(count))
        return BookedFill(
            side=side,
            amount=amount,
            quote=EXACT.multiply(amount, price),
            fee_quote=EXACT.multiply(fee, D(count)),
            futures=True,
        )

    pieces = [piece(count) for count in parts]
    draw(st.randoms(use_true_random=False)).shuffle(pieces)
    return piece(sum(parts)), pieces


@given(st.lists(STEPS, max_size=4), split_fills(), st.lists(STEPS, max_size=3))
def test_splitting_a_fill_in_any_order_changes_no_total(
    before: list[BookedFill | D],
    split: tuple[BookedFill, list[BookedFill]],
    after: list[BookedFill | D],
) -> None:
    whole, parts = split
    one, profit = fold([*before, whole, *after])
    many, profit_of_parts = fold([*before, *parts, *after])
    assert many.signed_amount == one.signed_amount
    assert (many.is_open, many.is_short) == (one.is_open, one.is_short)
    # Only the last digit of an average cost may differ, once for each execution that left.
    slack = QUANTUM * (len(parts) + len(before) + len(after) + 2)
    assert abs(Fraction(many.cost) - Fraction(one.cost)) <= slack
    signed = -1 if one.is_short else 1
    moved = signed * (Fraction(many.cost) - Fraction(one.cost))
    assert profit_of_parts - profit == moved
    if not one.is_open:
        assert profit_of_parts == profit


@given(st.lists(STEPS, min_size=1, max_size=8))
def test_the_surrounding_context_changes_nothing(steps: list[BookedFill | D]) -> None:
    expected = fold(steps)
    with localcontext(prec=4):
        assert fold(steps) == expected


@given(st.lists(STEPS, max_size=10))
def test_selling_what_the_other_buys_earns_the_mirror_before_fees(
    steps: list[BookedFill | D],
) -> None:
    """Without fees and funding a short earns what the long loses, in the same fills."""
    fills = [
        BookedFill(side=it.side, amount=it.amount, quote=it.quote, fee_quote=D(0), futures=True)
        for it in steps
        if isinstance(it, BookedFill)
    ]
    opposite = {Side.BUY: Side.SELL, Side.SELL: Side.BUY}
    mirrored = [
        BookedFill(
            side=opposite[it.side],
            amount=it.amount,
            quote=it.quote,
            fee_quote=D(0),
            futures=True,
        )
        for it in fills
    ]
    one, profit = fold([*fills])
    other, mirror = fold([*mirrored])
    assert profit == -mirror
    assert (one.amount, one.cost, one.entry_price) == (other.amount, other.cost, other.entry_price)
    assert one.is_open is other.is_open
