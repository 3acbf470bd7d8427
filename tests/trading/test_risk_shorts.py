"""When a short position is closed; and the daily loss that counts the open position."""

from dataclasses import replace

import pytest

from tests.trading.values import HELD, SETTINGS, SHORT, D, quote, view
from trading.execution import Decision, decide
from trading.market import Side
from trading.risk import Day, Gate, limit_numbers, limit_reached


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
