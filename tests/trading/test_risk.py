"""Levels of longs and shorts, daily limits and sizes: just below, at and above their bounds."""

import operator
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.trading.values import BUY, RULES, SETTINGS, D, view
from trading.execution import decide
from trading.market import Rules
from trading.risk import (
    Blocked,
    Day,
    Gate,
    Levels,
    Settings,
    exit_reason,
    follow,
    levels,
    limit_reached,
    trail,
)
from trading.sizing import Sized, size

ALL = replace(
    SETTINGS,
    stop_loss_perc=D(2),
    take_profit_perc=D(3),
    trailing_stop_perc=D(1),
    trailing_stop_active=True,
)
PRICES = st.decimals("0.00000001", "1000000", places=8)
PERCENT = st.decimals("0.01", "99", places=2)
#: What ALL makes of an entry at 100: a short's levels are a long's, mirrored.
AT_100 = {
    False: Levels(stop=D(98), target=D(103), trailing=D(99), max_price=D(100)),
    True: Levels(stop=D(102), target=D(97), trailing=D(101), max_price=D(100)),
}
BOTH = pytest.mark.parametrize("is_short", [False, True], ids=["long", "short"])


@BOTH
def test_levels_at_entry(is_short: bool) -> None:
    assert levels(ALL, D(100), is_short=is_short) == AT_100[is_short]


@pytest.mark.parametrize("off", [None, D(0)])
def test_zero_and_none_switch_a_level_off(off: D | None) -> None:
    settings = replace(ALL, stop_loss_perc=off, take_profit_perc=off, trailing_stop_perc=off)
    assert levels(settings, D(100)) == Levels(max_price=D(100))


def test_an_inactive_trailing_stop_has_no_level() -> None:
    settings = replace(ALL, trailing_stop_active=False)
    assert levels(settings, D(100)).trailing is None
    assert trail(settings, levels(settings, D(100)), D(120)).trailing is None


@pytest.mark.parametrize(
    ("is_short", "better", "trailing", "worse"),
    [(False, "110", "108.9", "90"), (True, "90", "90.9", "110")],
    ids=["long", "short"],
)
def test_the_trailing_stop_follows_a_better_price_and_stays_at_a_worse_one(
    is_short: bool, better: str, trailing: str, worse: str
) -> None:
    followed = trail(ALL, AT_100[is_short], D(better), is_short=is_short)
    assert followed == replace(AT_100[is_short], max_price=D(better), trailing=D(trailing))
    assert trail(ALL, followed, D(worse), is_short=is_short) == followed


@BOTH
@given(entry=PRICES, perc=PERCENT, prices=st.lists(PRICES, max_size=20))
def test_the_trailing_stop_never_goes_back(
    is_short: bool, entry: D, perc: D, prices: list[D]
) -> None:
    no_worse = operator.le if is_short else operator.ge
    settings = replace(ALL, trailing_stop_perc=perc)
    now = levels(settings, entry, is_short=is_short)
    for price in prices:
        before, now = now, trail(settings, now, price, is_short=is_short)
        assert no_worse(now.trailing, before.trailing)
        assert no_worse(now.max_price, price)
        assert now == follow(settings, entry, before, price, is_short=is_short)


def test_edited_settings_move_the_levels_of_an_open_position() -> None:
    risen = trail(ALL, levels(ALL, D(100)), D(110))
    edited = replace(ALL, stop_loss_perc=D(5), take_profit_perc=D(20), trailing_stop_perc=D(10))
    assert follow(edited, D(100), risen, D(105)) == Levels(
        stop=D(95), target=D(120), trailing=D(99), max_price=D(110)
    )


@pytest.mark.parametrize(
    ("is_short", "seen"), [(False, "99.5"), (True, "100.5")], ids=["long", "short"]
)
def test_levels_that_were_never_stored_heal(is_short: bool, seen: str) -> None:
    assert follow(ALL, D(100), Levels(), D(seen), is_short=is_short) == AT_100[is_short]


@pytest.mark.parametrize(
    ("is_short", "seen"), [(False, "99"), (True, "101")], ids=["long", "short"]
)
def test_the_entry_itself_was_the_best_price_until_a_better_one(is_short: bool, seen: str) -> None:
    """What was stored before further fills moved the entry must not loosen the trailing stop."""
    found = follow(ALL, D(100), Levels(max_price=D(seen)), D(seen), is_short=is_short)
    assert found.max_price == D(100)


@pytest.mark.parametrize(
    ("is_short", "price", "reason"),
    [
        (False, "98.01", None),
        (False, "98", Gate.STOP_LOSS),
        (False, "97.99", Gate.STOP_LOSS),
        (False, "102.99", None),
        (False, "103", Gate.TAKE_PROFIT),
        (False, "103.01", Gate.TAKE_PROFIT),
        (True, "101.99", None),
        (True, "102", Gate.STOP_LOSS),
        (True, "102.01", Gate.STOP_LOSS),
        (True, "97.01", None),
        (True, "97", Gate.TAKE_PROFIT),
        (True, "96.99", Gate.TAKE_PROFIT),
    ],
)
def test_stop_and_target_just_below_at_and_above(
    is_short: bool, price: str, reason: Gate | None
) -> None:
    fixed = replace(AT_100[is_short], trailing=None)
    assert exit_reason(fixed, D(price), is_short=is_short) is reason


@pytest.mark.parametrize(
    ("is_short", "price", "reason"),
    [
        (False, "99.01", None),
        (False, "99", Gate.TRAILING_STOP),
        (False, "98.99", Gate.TRAILING_STOP),
        (True, "100.99", None),
        (True, "101", Gate.TRAILING_STOP),
        (True, "101.01", Gate.TRAILING_STOP),
    ],
)
def test_trailing_stop_just_below_at_and_above(
    is_short: bool, price: str, reason: Gate | None
) -> None:
    trailing = Levels(trailing=AT_100[is_short].trailing)
    assert exit_reason(trailing, D(price), is_short=is_short) is reason


def test_the_stop_comes_before_the_trailing_stop_and_both_before_the_target() -> None:
    assert exit_reason(Levels(stop=D(98), trailing=D(99), target=D(90)), D(98)) is Gate.STOP_LOSS
    assert exit_reason(Levels(trailing=D(99), target=D(90)), D(98)) is Gate.TRAILING_STOP
    assert exit_reason(Levels(), D(98)) is None


LIMITS = replace(SETTINGS, max_daily_loss_perc=D(2), daily_target_perc=D(3), max_daily_trades=4)


@pytest.mark.parametrize(
    ("pnl", "trades", "gate"),
    [
        ("-19.99", 0, None),
        ("-20", 0, Gate.MAX_DAILY_LOSS),
        ("-20.01", 0, Gate.MAX_DAILY_LOSS),
        ("29.99", 0, None),
        ("30", 0, Gate.DAILY_TARGET),
        ("30.01", 0, Gate.DAILY_TARGET),
        ("0", 3, None),
        ("0", 4, Gate.MAX_DAILY_TRADES),
        ("0", 5, Gate.MAX_DAILY_TRADES),
        ("-20", 4, Gate.MAX_DAILY_LOSS),
        ("30", 4, Gate.DAILY_TARGET),
    ],
)
def test_daily_limits_just_below_at_and_above(pnl: str, trades: int, gate: Gate | None) -> None:
    assert limit_reached(LIMITS, Day(pnl=D(pnl), trades=trades)) is gate


@pytest.mark.parametrize(
    "off",
    [
        SETTINGS,
        replace(SETTINGS, max_daily_loss_perc=D(0), daily_target_perc=D(0), max_daily_trades=0),
    ],
    ids=["none", "zero"],
)
def test_limits_that_are_off_stop_nothing(off: Settings) -> None:
    for pnl in ("-5000", "0", "5000"):
        assert limit_reached(off, Day(pnl=D(pnl), trades=1000)) is None


def sized(price: str, free: str | None = None, rules: Rules = RULES, **changes: object) -> object:
    settings = replace(SETTINGS, **changes)  # type: ignore[arg-type]
    return size(settings, rules, D(price), None if free is None else D(free))


def test_an_amount_is_rounded_down_to_the_step() -> None:
    assert sized("70") == Sized(amount=D("2.857"), notional=D("199.99"))


def test_a_percentage_is_of_initial_capital_and_a_fixed_size_wins_over_it() -> None:
    assert sized("100", position_size_fixed=None, position_size_perc=D(5)) == Sized(
        amount=D("0.5"), notional=D(50)
    )
    assert sized("100", position_size_perc=D(5)) == Sized(amount=D(2), notional=D(200))


@pytest.mark.parametrize(
    ("fixed", "need", "have"),
    # At 30 the least amount is 0.167 (5 USDT rounded up to the step): 5.01 USDT.
    [("5.01", None, None), ("5.009", "5.01", "5.009"), ("5", "5.01", "5"), ("0", "5.01", "0")],
)
def test_minimum_notional_just_below_and_at(fixed: str, need: str | None, have: str | None) -> None:
    answer = sized("30", position_size_fixed=D(fixed))
    if need is None:
        assert answer == Sized(amount=D("0.167"), notional=D("5.01"))
    else:
        numbers = {"need": need, "have": have, "currency": "USDT"}
        assert answer == Blocked(gate=Gate.BELOW_MINIMUM, numbers=numbers)


@pytest.mark.parametrize(
    ("fixed", "gate"), [("19.99", Gate.BELOW_MINIMUM), ("20", None), ("20.01", None)]
)
def test_minimum_amount_just_below_at_and_above(fixed: str, gate: Gate | None) -> None:
    answer = sized("10000", position_size_fixed=D(fixed))
    assert getattr(answer, "gate", None) is gate


@pytest.mark.parametrize(
    ("fixed", "gate"), [("4999.9", None), ("5000", None), ("5000.1", Gate.TOO_LARGE)]
)
def test_maximum_amount_just_below_at_and_above(fixed: str, gate: Gate | None) -> None:
    answer = sized("100", position_size_fixed=D(fixed), rules=replace(RULES, min_notional=D(0)))
    assert getattr(answer, "gate", None) is gate
    if gate:
        assert isinstance(answer, Blocked)
        assert answer.numbers == {"max_amount": "50", "have": "50.001", "currency": "BTC"}


@pytest.mark.parametrize(
    ("free", "gate"),
    [("200.199", Gate.INSUFFICIENT_FUNDS), ("200.2", None), ("200.201", None), (None, None)],
)
def test_funds_have_to_cover_notional_and_fee(free: str | None, gate: Gate | None) -> None:
    answer = sized("100", free)
    assert getattr(answer, "gate", None) is gate
    if gate:
        assert isinstance(answer, Blocked)
        assert answer.numbers == {"need": "200.2", "have": "200.199", "currency": "USDT"}


@pytest.mark.parametrize(
    ("free", "gate"), [("201.999", Gate.INSUFFICIENT_FUNDS), ("202", None), (None, None)]
)
def test_what_the_exchange_says_that_a_buy_costs_goes_before_the_markets_fee(
    free: str | None, gate: Gate | None
) -> None:
    seen = view(signal=BUY, free_quote=None if free is None else D(free), cost_margin=D("0.01"))
    decided = decide(seen)
    assert decided.gate is (gate or Gate.SIGNAL)
    if gate:
        assert decided.numbers == {"need": "202", "have": "201.999", "currency": "USDT"}


@pytest.mark.parametrize(("free", "gate"), [("40.199", Gate.INSUFFICIENT_FUNDS), ("40.2", None)])
def test_leverage_divides_the_margin_but_not_the_fee(free: str, gate: Gate | None) -> None:
    answer = sized("100", free, leverage=5)
    assert getattr(answer, "gate", None) is gate


def test_no_size_at_all_is_below_the_minimum() -> None:
    answer = sized("100", position_size_fixed=None)
    assert isinstance(answer, Blocked)
    assert answer.gate is Gate.BELOW_MINIMUM


STEPS = st.sampled_from([D("1e-18"), D("1e-8"), D("0.0003"), D("0.7"), D(1), D(3), D(1000)])


#: More digits than Python's decimals have by default: there the next step is the nearest.
WIDE = D("99999999999999999999.999999999999999999")


@example(fixed=WIDE, price=D(1), step=D(1000), min_amount=D(0), min_notional=D(0), free=None)
@given(
    fixed=st.decimals("0", "99999999999999999999", places=18),
    price=st.decimals("0.000000000000000001", "10000000", places=18).filter(lambda it: it > 0),
    step=STEPS,
    min_amount=st.decimals("0", "100", places=8),
    min_notional=st.decimals("0", "100", places=8),
    free=st.none() | st.decimals("0", "1000000", places=8),
)
def test_a_size_is_never_raised(
    fixed: D, price: D, step: D, min_amount: D, min_notional: D, free: D | None
) -> None:
    rules = replace(
        RULES,
        amount_step=step,
        min_amount=min_amount,
        min_notional=min_notional,
        max_amount=None,
    )
    answer = size(replace(SETTINGS, position_size_fixed=fixed), rules, price, free)
    if isinstance(answer, Blocked):
        assert D(answer.numbers["need"]) > D(answer.numbers["have"])
        return
    # Fractions, so that the check itself rounds nothing.
    amount, unit, cost = Fraction(answer.amount), Fraction(step), Fraction(price)
    assert amount % unit == 0
    assert amount * cost <= Fraction(fixed) < (amount + unit) * cost
    assert amount * cost >= Fraction(min_notional)
    assert answer.amount >= max(min_amount, step)
    assert free is None or amount * cost * (1 + Fraction(rules.taker_fee)) <= Fraction(free)
