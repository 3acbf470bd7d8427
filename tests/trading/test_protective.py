"""Which orders should rest at the exchange for a position, and when they are replaced."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trading.values import FLAT, HELD, RULES, SHORT, D
from trading.market import OrderType, Side
from trading.protective import Protective, Wanted, differs, wanted
from trading.risk import Blocked, Gate, Levels

LEVELS = Levels(stop=D("98.001"), target=D("103.009"), max_price=D(100))
MIRRORED = Levels(stop=D("102.009"), target=D("96.991"), max_price=D(100))


def stop(trigger: str, gate: Gate = Gate.STOP_LOSS, amount: str = "2") -> Protective:
    return Protective(
        type=OrderType.STOP, gate=gate, side=Side.SELL, amount=D(amount), trigger=D(trigger)
    )


def target(trigger: str, amount: str = "2") -> Protective:
    return Protective(
        type=OrderType.TARGET,
        gate=Gate.TAKE_PROFIT,
        side=Side.SELL,
        amount=D(amount),
        trigger=D(trigger),
    )


def asked(levels: Levels, closable: str = "2", **changes: Any) -> Wanted:
    rules = replace(RULES, **changes)
    return wanted(rules, HELD, levels, D(closable))


def test_stop_and_target_are_rounded_to_be_no_looser_than_their_levels() -> None:
    assert asked(LEVELS) == Wanted(orders=(stop("98.01"), target("103.00")))
    short = wanted(RULES, SHORT, MIRRORED, D(2), futures=True)
    assert [(it.type, it.side, it.trigger) for it in short.orders] == [
        (OrderType.STOP, Side.BUY, D("102.00")),
        (OrderType.TARGET, Side.BUY, D("97.00")),
    ]


@pytest.mark.parametrize(
    ("fixed", "trailing", "expected"),
    [
        ("98", "99", ("99", Gate.TRAILING_STOP)),
        ("98", "97", ("98", Gate.STOP_LOSS)),
        ("98", "98", ("98", Gate.STOP_LOSS)),
        ("98", None, ("98", Gate.STOP_LOSS)),
        (None, "97", ("97", Gate.TRAILING_STOP)),
    ],
)
def test_the_nearer_stop_rests(
    fixed: str | None, trailing: str | None, expected: tuple[str, Gate]
) -> None:
    levels = Levels(stop=D(fixed) if fixed else None, trailing=D(trailing) if trailing else None)
    assert asked(levels).orders == (stop(*expected),)


def test_the_nearer_stop_of_a_short_is_the_lower_one() -> None:
    levels = Levels(stop=D(102), trailing=D(101))
    (order,) = wanted(RULES, SHORT, levels, D(2), futures=True).orders
    assert (order.gate, order.trigger) == (Gate.TRAILING_STOP, D(101))


def test_nothing_rests_for_a_flat_bot_or_without_levels() -> None:
    assert wanted(RULES, FLAT, LEVELS, D(2)) == Wanted()
    assert asked(Levels(max_price=D(100))) == Wanted()


def test_a_target_below_zero_is_never_reached_and_not_placed() -> None:
    assert wanted(RULES, SHORT, Levels(target=D(-5)), D(2), futures=True) == Wanted()


@pytest.mark.parametrize(
    ("closable", "amount"), [("1.9999", "1.999"), ("2", "2"), ("5", "2"), ("0.06", "0.060")]
)
def test_the_amount_is_what_can_be_closed_rounded_down(closable: str, amount: str) -> None:
    orders = asked(LEVELS, closable).orders
    assert [order.amount for order in orders] == [D(amount), D(amount)]


@pytest.mark.parametrize(("closable", "is_placed"), [("0.051", False), ("0.052", True)])
def test_below_the_minimum_nothing_rests_and_it_says_why(closable: str, is_placed: bool) -> None:
    """5 USDT at the stop of 98.01 are 0.05102 units, at the target fewer."""
    found = asked(LEVELS, closable)
    assert bool(found.orders) is is_placed
    if not is_placed:
        numbers = {"need": "0.051015203", "have": "0.051", "currency": "BTC"}
        assert found.missing == Blocked(gate=Gate.BELOW_MINIMUM, numbers=numbers)


@pytest.mark.parametrize("closable", ["0", "-1"])
def test_with_nothing_to_close_nothing_rests(closable: str) -> None:
    found = asked(LEVELS, closable)
    assert found.orders == ()
    assert found.missing is not None
    assert found.missing.numbers["have"] == "0"


def test_contracts_have_no_least_value_but_a_least_amount() -> None:
    assert wanted(RULES, SHORT, MIRRORED, D("0.002"), futures=True).orders
    found = wanted(RULES, SHORT, MIRRORED, D("0.001"), futures=True)
    assert found.orders == ()
    assert found.missing is not None
    assert found.missing.numbers["need"] == "0.002"


def test_what_one_order_cannot_take_is_named_as_missing() -> None:
    found = asked(LEVELS, "2", max_amount=D("1.5005"))
    assert [order.amount for order in found.orders] == [D("1.500"), D("1.500")]
    numbers = {"max_amount": "1.5005", "have": "2", "currency": "BTC"}
    assert found.missing == Blocked(gate=Gate.TOO_LARGE, numbers=numbers)


@given(
    level=st.decimals("1", "100000", places=6),
    tick=st.sampled_from([D("0.01"), D("0.05"), D("0.3")]),
    is_short=st.booleans(),
)
def test_a_trigger_is_never_looser_than_its_level(level: D, tick: D, is_short: bool) -> None:
    rules = replace(RULES, price_tick=tick)
    position = SHORT if is_short else HELD
    both = Levels(stop=level, target=level)
    found = wanted(rules, position, both, D(2), futures=True).orders
    triggers = {order.type: Fraction(order.trigger) for order in found}
    up, down = (
        (OrderType.TARGET, OrderType.STOP) if is_short else (OrderType.STOP, OrderType.TARGET)
    )
    exact, step = Fraction(level), Fraction(tick)
    assert exact <= triggers[up] < exact + step
    assert exact - step < triggers[down] <= exact
    assert all(trigger % step == 0 for trigger in triggers.values())


# Replacing


def test_equal_orders_stay() -> None:
    both = (stop("98"), target("103"))
    assert not differs(both, both, RULES)
    assert not differs(both[::-1], both, RULES)
    assert not differs((), (), RULES)


@pytest.mark.parametrize(
    ("existing", "wished"),
    [
        ((), (stop("98"),)),
        ((stop("98"),), ()),
        ((stop("98"),), (stop("98"), target("103"))),
        ((stop("98"), target("103")), (stop("98"),)),
        ((stop("98"), stop("98")), (stop("98"),)),
        ((stop("98"),), (target("98"),)),
        ((stop("98", amount="1"),), (stop("98"),)),
        ((replace(stop("98"), side=Side.BUY),), (stop("98"),)),
        ((stop("98"),), (stop("98.01"),)),
        ((target("103"),), (target("102.99"),)),
    ],
)
def test_any_other_order_is_replaced(
    existing: tuple[Protective, ...], wished: tuple[Protective, ...]
) -> None:
    assert differs(existing, wished, RULES)


@pytest.mark.parametrize(
    ("trigger", "is_other"),
    [("100.09", False), ("100.1", True), ("100.11", True), ("99.91", False), ("99.9", True)],
)
@pytest.mark.parametrize("was", [Gate.TRAILING_STOP, Gate.STOP_LOSS])
def test_a_trailing_stop_is_replaced_from_a_step_on(
    trigger: str, is_other: bool, was: Gate
) -> None:
    existing = (stop("100", was), target("120"))
    wished = (stop(trigger, Gate.TRAILING_STOP), target("120"))
    assert differs(existing, wished, RULES) is is_other


def test_a_trailing_stop_moves_by_a_tick_at_least() -> None:
    coarse = replace(RULES, price_tick=D(1))
    trailing = Gate.TRAILING_STOP
    assert not differs((stop("100", trailing),), (stop("100.5", trailing),), coarse)
    assert differs((stop("100", trailing),), (stop("101", trailing),), coarse)


def test_a_trailing_stop_of_another_amount_is_replaced_at_once() -> None:
    trailing = Gate.TRAILING_STOP
    assert differs((stop("100", trailing, "1"),), (stop("100.01", trailing, "2"),), RULES)
