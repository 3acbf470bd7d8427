"""Levels of short positions, mirrored; and the daily loss that counts the open position."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trading.values import HELD, SETTINGS, SHORT, D, quote, view
from trading.execution import Decision, decide
from trading.market import Side
from trading.risk import (
    Day,
    Gate,
    Levels,
    exit_reason,
    follow,
    levels,
    limit_numbers,
    limit_reached,
    trail,
)

ALL = replace(
    SETTINGS,
    stop_loss_perc=D(2),
    take_profit_perc=D(3),
    trailing_stop_perc=D(1),
    trailing_stop_active=True,
)
PRICES = st.decimals("0.00000001", "1000000", places=8)
PERCENT = st.decimals("0.01", "99", places=2)


def test_the_levels_of_a_short_are_mirrored() -> None:
    assert levels(ALL, D(100), is_short=True) == Levels(
        stop=D(102), target=D(97), trailing=D(101), max_price=D(100)
    )


def test_the_trailing_stop_of_a_short_falls_with_the_price_and_stays_when_it_rises() -> None:
    fallen = trail(ALL, levels(ALL, D(100), is_short=True), D(90), is_short=True)
    assert (fallen.max_price, fallen.trailing) == (D(90), D("90.9"))
    assert trail(ALL, fallen, D(110), is_short=True) == fallen
    assert (fallen.stop, fallen.target) == (D(102), D(97))


@given(PRICES, PERCENT, st.lists(PRICES, max_size=20))
def test_the_trailing_stop_of_a_short_never_rises(entry: D, perc: D, prices: list[D]) -> None:
    settings = replace(ALL, trailing_stop_perc=perc)
    now = levels(settings, entry, is_short=True)
    for price in prices:
        before, now = now, trail(settings, now, price, is_short=True)
        assert now.trailing is not None
        assert before.trailing is not None
        assert now.max_price is not None
        assert now.trailing <= before.trailing
        assert now.max_price <= price
        assert now == follow(settings, entry, before, price, is_short=True)


def test_levels_of_a_short_that_were_never_stored_heal() -> None:
    assert follow(ALL, D(100), Levels(), D("100.5"), is_short=True) == levels(
        ALL, D(100), is_short=True
    )


@pytest.mark.parametrize(("is_short", "seen"), [(False, "99"), (True, "101")])
def test_the_entry_itself_was_the_best_price_until_a_better_one(is_short: bool, seen: str) -> None:
    """What was stored before further fills moved the entry must not loosen the trailing stop."""
    found = follow(ALL, D(100), Levels(max_price=D(seen)), D(seen), is_short=is_short)
    assert found.max_price == D(100)


@pytest.mark.parametrize(
    ("price", "reason"),
    [
        ("101.99", None),
        ("102", Gate.STOP_LOSS),
        ("102.01", Gate.STOP_LOSS),
        ("97.01", None),
        ("97", Gate.TAKE_PROFIT),
        ("96.99", Gate.TAKE_PROFIT),
    ],
)
def test_stop_and_target_of_a_short_just_below_at_and_above(
    price: str, reason: Gate | None
) -> None:
    assert exit_reason(Levels(stop=D(102), target=D(97)), D(price), is_short=True) is reason


@pytest.mark.parametrize(
    ("price", "reason"),
    [("100.99", None), ("101", Gate.TRAILING_STOP), ("101.01", Gate.TRAILING_STOP)],
)
def test_trailing_stop_of_a_short_just_below_at_and_above(price: str, reason: Gate | None) -> None:
    assert exit_reason(Levels(trailing=D(101)), D(price), is_short=True) is reason


def test_a_short_is_judged_and_closed_at_the_ask() -> None:
    seen = view(position=SHORT, futures=True, stop_loss_perc=D(2), quote=quote("90", "102"))
    decided = decide(seen)
    assert (decided.action, decided.gate) == ("exit", Gate.STOP_LOSS)
    assert (decided.side, decided.amount, decided.price) == (Side.BUY, D(2), D(102))
    assert decided.reduce_only
    assert decide(replace(seen, quote=quote("102", "101.99"))).gate is Gate.IN_POSITION


def test_closing_a_contract_asks_for_no_free_coins_and_no_least_value() -> None:
    tiny = replace(SHORT, amount=D("0.003"))
    decided = decide(view(position=tiny, futures=True, command="exit", free_base=D(0)))
    assert (decided.action, decided.side, decided.amount) == ("exit", Side.BUY, D("0.003"))
    below = replace(SHORT, amount=D("0.001"))
    decided = decide(view(position=below, futures=True, command="exit"))
    assert (decided.action, decided.gate) == ("blocked", Gate.BELOW_MINIMUM)


def test_a_spot_exit_is_not_reduce_only() -> None:
    assert not decide(view(position=HELD, command="exit")).reduce_only


# The day's loss with the open position counted: 2 % of 1000 are 20


def held(price: str, **changes: object) -> Decision:
    """Two units bought at 100, 5 of the day's loss realised before."""
    around = {"position": HELD, "day": Day(pnl=D(-5)), "max_daily_loss_perc": D(2)}
    return decide(view(price, **around | {"loss_includes_open": True} | changes))


@pytest.mark.parametrize(
    ("price", "action", "pause"),
    [
        ("92.51", "hold", None),
        ("92.5", "exit", Gate.MAX_DAILY_LOSS),
        ("92.49", "exit", Gate.MAX_DAILY_LOSS),
    ],
)
def test_an_open_loss_closes_just_below_at_and_above_the_limit(
    price: str, action: str, pause: Gate | None
) -> None:
    decided = held(price)
    assert (decided.action, decided.pause) == (action, pause)
    if pause:
        assert decided.gate is Gate.MAX_DAILY_LOSS
        have = {"92.5": "-20", "92.49": "-20.02"}[price]
        assert decided.numbers.items() >= {"have": have, "limit": "-20"}.items()
        assert (decided.side, decided.amount) == (Side.SELL, D(2))


@pytest.mark.parametrize(
    ("price", "action"), [("107.49", "hold"), ("107.5", "exit"), ("107.51", "exit")]
)
def test_an_open_loss_of_a_short_closes_it_too(price: str, action: str) -> None:
    decided = held(price, position=SHORT, futures=True)
    assert decided.action == action


def test_an_open_loss_counts_only_where_the_owner_says_so() -> None:
    decided = held("90", loss_includes_open=False)
    assert (decided.action, decided.gate, decided.pause) == ("hold", Gate.IN_POSITION, None)


def test_the_open_loss_closes_after_the_stop_and_before_the_signal() -> None:
    assert held("90", stop_loss_perc=D(5)).gate is Gate.STOP_LOSS
    assert held("90", command="exit").gate is Gate.MAX_DAILY_LOSS


def test_a_position_left_to_its_owner_is_not_closed_for_its_loss() -> None:
    decided = held("90", duty="exit", wind_down="leave")
    assert (decided.action, decided.gate, decided.pause) == ("hold", Gate.DUTY_EXIT, None)
    assert held("90", duty="exit", wind_down="after_exit").gate is Gate.MAX_DAILY_LOSS


@pytest.mark.parametrize("on", [True, False])
def test_a_day_closed_at_its_loss_is_over_though_the_close_earned_a_little_more(on: bool) -> None:
    settings = replace(SETTINGS, max_daily_loss_perc=D(2), loss_includes_open=on)
    day = Day(pnl=D("-19.9"), closed_at_loss=True)
    assert limit_reached(settings, day) is (Gate.MAX_DAILY_LOSS if on else None)
    assert limit_numbers(settings, day, Gate.MAX_DAILY_LOSS) == {"have": "-19.9", "limit": "-20"}
    assert limit_reached(replace(settings, max_daily_loss_perc=None), day) is None


def test_an_open_profit_makes_up_for_a_realised_loss() -> None:
    settings = replace(SETTINGS, max_daily_loss_perc=D(2), loss_includes_open=True)
    assert limit_reached(settings, Day(pnl=D(-20)), D("0.01")) is None
    assert limit_reached(settings, Day(pnl=D(-20)), D(0)) is Gate.MAX_DAILY_LOSS
