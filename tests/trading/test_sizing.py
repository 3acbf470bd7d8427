"""Margin with leverage, and stops that would come after the liquidation."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trading.values import BUY, RULES, SELL, SETTINGS, D, view
from trading.execution import Decision, decide
from trading.risk import Blocked, Gate
from trading.sizing import MAINTENANCE, Sized, liquidated_first, liquidation_price, size


def entry(**changes: Any) -> Decision:
    around: dict[str, Any] = {"signal": BUY, "futures": True, "direction": "both"}
    return decide(view("100", **around | changes))


@pytest.mark.parametrize(
    ("free", "gate"), [("21.999", Gate.INSUFFICIENT_FUNDS), ("22", None), ("22.001", None)]
)
@pytest.mark.parametrize("signal", [BUY, SELL], ids=["long", "short"])
def test_margin_and_costs_have_to_be_free_in_both_directions(
    free: str, gate: Gate | None, signal: Any
) -> None:
    """200 of notional at 10x need 20 of margin, and 1 % of the notional on top."""
    decided = entry(signal=signal, leverage=10, free_quote=D(free), cost_margin=D("0.01"))
    assert decided.gate is (gate or Gate.SIGNAL)
    if gate:
        assert decided.numbers == {"need": "22", "have": "21.999", "currency": "USDT"}
    else:
        assert decided.amount == D(2)


def test_leverage_does_not_change_the_notional() -> None:
    plain, levered = (size(replace(SETTINGS, leverage=x), RULES, D(100), None) for x in (1, 20))
    assert plain == levered == Sized(amount=D(2), notional=D(200))


@pytest.mark.parametrize(
    ("is_short", "leverage", "maintenance", "price"),
    [
        (False, 1, "0.004", "0"),
        (False, 10, "0", "90"),
        (False, 10, "0.1", "100"),
        (False, 5, "0.2", "100"),
        (False, 4, "0.0625", "80"),
        (True, 10, "0", "110"),
        (True, 10, "0.1", "100"),
        (True, 1, "0", "200"),
        (True, 4, "0.25", "100"),
    ],
)
def test_the_liquidation_price(is_short: bool, leverage: int, maintenance: str, price: str) -> None:
    assert liquidation_price(D(100), leverage, D(maintenance), is_short=is_short) == D(price)


@given(
    entry=st.decimals("0.01", "100000", places=2),
    leverage=st.integers(1, 125),
    maintenance=st.decimals("0", "0.5", places=4),
    is_short=st.booleans(),
)
def test_at_the_liquidation_price_the_margin_is_what_has_to_be_maintained(
    entry: D, leverage: int, maintenance: D, is_short: bool
) -> None:
    price = Fraction(liquidation_price(entry, leverage, maintenance, is_short=is_short))
    gain = Fraction(entry) - price if is_short else price - Fraction(entry)
    left = Fraction(entry) / leverage + gain
    assert abs(left - price * Fraction(maintenance)) < Fraction(1, 10**16)


#: At 4x with 6.25 % of maintenance a long of 100 is liquidated at 80, a stop of 20 %.
GUARDED = {"leverage": 4, "maintenance": D("0.0625")}


@pytest.mark.parametrize(
    ("perc", "gate"), [("19.99", None), ("20", Gate.LIQUIDATION), ("20.01", Gate.LIQUIDATION)]
)
def test_a_stop_just_before_at_and_beyond_the_liquidation(perc: str, gate: Gate | None) -> None:
    decided = entry(stop_loss_perc=D(perc), **GUARDED)
    assert (decided.action, decided.gate) == (("blocked", gate) if gate else ("enter", Gate.SIGNAL))
    if gate:
        stop = str((D(100) - D(perc)).normalize() if perc != "20" else D(80))
        assert decided.numbers == {"have": stop, "limit": "80", "entry_price": "100"}


@pytest.mark.parametrize(
    ("perc", "gate"), [("9.99", None), ("10", Gate.LIQUIDATION), ("10.01", Gate.LIQUIDATION)]
)
def test_a_stop_of_a_short_just_before_at_and_beyond(perc: str, gate: Gate | None) -> None:
    """At 4x with 15/110 of maintenance: 125 / (125 / 110) = 110."""
    decided = entry(signal=SELL, stop_loss_perc=D(perc), leverage=4, maintenance=D(15) / D(110))
    assert decided.gate is (gate or Gate.SIGNAL)


def test_the_nearest_stop_counts() -> None:
    near = {"trailing_stop_active": True, "trailing_stop_perc": D(5)}
    assert entry(stop_loss_perc=D(30), **GUARDED).gate is Gate.LIQUIDATION
    assert entry(stop_loss_perc=D(30), **near, **GUARDED).gate is Gate.SIGNAL


def test_without_a_stop_there_is_nothing_to_guard() -> None:
    assert entry(**GUARDED).gate is Gate.SIGNAL


def test_spot_has_no_liquidation() -> None:
    decided = decide(view("100", signal=BUY, stop_loss_perc=D(90), **GUARDED))
    assert decided.gate is Gate.SIGNAL


@pytest.mark.parametrize(
    ("stop", "size", "gate"),
    [
        (20, "6.4", None),
        (20, "6.399", Gate.BELOW_MINIMUM),
        (20, "6.5", None),
        (None, "5.1", None),
        (None, "5.099", Gate.BELOW_MINIMUM),
    ],
)
def test_what_is_bought_can_be_sold_at_its_stop_after_the_fee(
    stop: int | None, size: str, gate: Gate | None
) -> None:
    """At 80 the market's 5 USDT are 0.0625, rounded to 0.063: that is left of 0.064 bought."""
    decided = decide(
        view("100", signal=BUY, stop_loss_perc=stop and D(stop), position_size_fixed=D(size))
    )
    assert decided.gate is (gate or Gate.SIGNAL)
    if gate:
        need, have = ("6.4", "6.3") if stop else ("5.1", "5")
        assert decided.numbers == {"need": need, "have": have, "currency": "USDT"}


def test_a_perpetual_is_closed_whatever_it_is_worth() -> None:
    """Its fee is paid in USDT, and an order that only reduces has no minimum."""
    assert entry(stop_loss_perc=D(20), position_size_fixed=D(5)).gate is Gate.SIGNAL


def test_an_unknown_maintenance_is_guessed_high() -> None:
    """At 20x: 95 / 0.975 = 97.4359."""
    settings = replace(SETTINGS, leverage=20, stop_loss_perc=D("2.57"))
    assert D("0.025") == MAINTENANCE
    blocked = liquidated_first(settings, D(100))
    assert isinstance(blocked, Blocked)
    assert blocked.numbers == {"have": "97.43", "limit": "97.435897", "entry_price": "100"}
    assert liquidated_first(settings, D(100), D("0.004")) is None
    assert liquidated_first(replace(settings, stop_loss_perc=D("2.56")), D(100)) is None


def test_missing_funds_are_named_before_the_liquidation() -> None:
    assert entry(stop_loss_perc=D(30), free_quote=D(1), **GUARDED).gate is Gate.INSUFFICIENT_FUNDS
