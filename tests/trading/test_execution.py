"""The order of the gates in `decide`, and that each setting changes what it decides."""

from dataclasses import replace
from decimal import localcontext
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.trading.values import BUY, FLAT, HELD, NONE, SELL, D, quote, view
from trading.execution import Decision, Resting, decide
from trading.market import Side
from trading.position import Position
from trading.risk import Day, Gate, Levels

RESTING = Resting(side=Side.BUY, price=D(99), filled=D(0), age=60)
STOPS = {
    "stop_loss_perc": D(2),
    "take_profit_perc": D(3),
    "trailing_stop_perc": D(1),
    "trailing_stop_active": True,
}


def decision(price: str = "100", **changes: Any) -> Decision:
    return decide(view(price, **changes))


def verdict(price: str = "100", **changes: Any) -> tuple[str, str]:
    decided = decision(price, **changes)
    return decided.action, decided.gate


def held(price: str = "100", **changes: Any) -> tuple[str, str]:
    return verdict(price, position=HELD, **changes)


# Entries


def test_a_buy_signal_enters_at_the_ask_with_its_numbers() -> None:
    decided = decision(signal=BUY, quote=quote("99", "101"))
    assert (decided.action, decided.gate) == ("enter", Gate.SIGNAL)
    assert (decided.side, decided.amount, decided.price) == (Side.BUY, D("1.980"), D(101))
    assert decided.numbers == {
        "rsi": "50",
        "why": "ema_rsi.buy",
        "price": "101",
        "amount": "1.98",
        "notional": "199.98",
    }
    assert decided.levels == Levels()


@pytest.mark.parametrize("signal", [NONE, SELL])
def test_without_a_buy_signal_a_flat_bot_holds(signal: Any) -> None:
    decided = decision(signal=signal)
    assert (decided.action, decided.gate) == ("hold", Gate.NO_SIGNAL)
    assert decided.numbers == {"rsi": "50", "why": signal.why}
    assert (decided.side, decided.amount, decided.price) == (None, None, None)


def test_a_command_enters_without_a_signal() -> None:
    assert verdict(command="enter") == ("enter", "command")
    assert verdict(command="enter", signal=SELL) == ("enter", "command")


@pytest.mark.parametrize("wind_down", ["leave", "close", "after_exit"])
@pytest.mark.parametrize("duty", ["exit", "none"])
@pytest.mark.parametrize("command", ["enter", None])
def test_without_duty_trade_nothing_enters(duty: str, wind_down: str, command: str) -> None:
    assert verdict(signal=BUY, duty=duty, wind_down=wind_down, command=command) == (
        "hold",
        "duty_exit",
    )


def test_in_position_neither_signal_nor_command_buys_more() -> None:
    assert held(signal=BUY) == ("hold", "in_position")
    assert held(signal=BUY, command="enter") == ("hold", "in_position")


def test_dust_of_an_earlier_position_does_not_keep_from_entering() -> None:
    dust = Position(amount=D("0.0004"), cost=D("0.04"), entry_amount=D(2), entry_quote=D(200))
    assert verdict(position=dust, signal=BUY) == ("enter", "signal")


def test_the_gates_of_an_entry_come_in_their_order() -> None:
    worst: dict[str, Any] = {
        "signal": BUY,
        "duty": "exit",
        "max_daily_trades": 1,
        "day": Day(trades=1),
        "active": False,
        "free_quote": D(0),
    }
    assert verdict(**worst, command="exit") == ("hold", "flat")
    assert verdict(**worst) == ("hold", "duty_exit")
    worst["duty"] = "trade"
    assert verdict(**worst) == ("blocked", "max_daily_trades")
    worst["day"] = Day()
    assert verdict(**worst) == ("blocked", "market_halted")
    worst["active"] = True
    assert verdict(**worst | {"signal": NONE}) == ("hold", "no_signal")
    assert verdict(**worst) == ("blocked", "insufficient_funds")
    assert verdict(**worst | {"position_size_fixed": D(1)}) == ("blocked", "below_minimum")
    assert verdict(**worst | {"free_quote": D(500)}) == ("enter", "signal")


# Exits


@pytest.mark.parametrize(
    ("price", "levels", "gate"),
    [
        ("98", Levels(max_price=D(110)), "stop_loss"),
        ("98.01", Levels(max_price=D(110)), "trailing_stop"),
        ("103", Levels(max_price=D(103)), "take_profit"),
        ("99.01", Levels(), None),
        ("99", Levels(), "trailing_stop"),
        ("102.99", Levels(), None),
    ],
)
def test_stop_before_trailing_before_target(price: str, levels: Levels, gate: str | None) -> None:
    expected = ("exit", gate) if gate else ("hold", "in_position")
    assert held(price, levels=levels, **STOPS) == expected


def test_stops_and_target_come_before_command_closing_and_signal() -> None:
    wishes: dict[str, Any] = {"signal": SELL, "command": "exit", "duty": "exit"}
    wishes |= {"wind_down": "close", "stop_loss_perc": D(2), "take_profit_perc": D(3)}
    assert held("98", **wishes) == ("exit", "stop_loss")
    assert held("103", **wishes) == ("exit", "take_profit")
    assert held("100", **wishes) == ("exit", "command")
    wishes["command"] = None
    assert held("100", **wishes) == ("exit", "closing")
    wishes["wind_down"] = "after_exit"
    assert held("100", **wishes) == ("exit", "signal")


def test_an_exit_is_judged_at_the_bid_and_sells_the_whole_position() -> None:
    decided = decision(position=HELD, quote=quote("98", "104"), **STOPS)
    assert (decided.action, decided.gate) == ("exit", Gate.STOP_LOSS)
    assert (decided.side, decided.amount, decided.price) == (Side.SELL, D(2), D(98))
    assert decided.numbers == {
        "price": "98",
        "entry_price": "100",
        "stop": "98",
        "trailing": "99",
        "target": "103",
        "amount": "2",
    }


def test_the_price_of_this_tick_moves_the_trailing_stop_first() -> None:
    loose = {"trailing_stop_perc": D(1), "trailing_stop_active": True}
    risen = decision("110", position=HELD, **loose)
    assert risen.action == "hold"
    assert risen.levels == Levels(trailing=D("108.9"), max_price=D(110))
    fallen = decision("108.9", position=HELD, levels=risen.levels, **loose)
    assert (fallen.action, fallen.gate) == ("exit", Gate.TRAILING_STOP)
    assert fallen.levels == risen.levels


@pytest.mark.parametrize(
    ("duty", "wind_down", "expected"),
    [
        ("trade", "leave", ("exit", "stop_loss")),
        ("trade", "close", ("exit", "stop_loss")),
        ("exit", "close", ("exit", "stop_loss")),
        ("exit", "after_exit", ("exit", "stop_loss")),
        ("exit", "leave", ("hold", "duty_exit")),
        ("none", "close", ("hold", "duty_exit")),
    ],
)
def test_who_left_the_position_to_its_owner_does_not_sell_it(
    duty: str, wind_down: str, expected: tuple[str, str]
) -> None:
    sell = {"signal": SELL, "stop_loss_perc": D(2), "duty": duty, "wind_down": wind_down}
    assert held("98", **sell) == expected
    at_command = held("98", **sell, command="exit")
    assert at_command == (expected if expected[0] == "exit" else ("exit", "command"))


@pytest.mark.parametrize(
    ("duty", "wind_down", "expected"),
    [
        ("trade", "close", ("exit", "signal")),
        ("exit", "after_exit", ("exit", "signal")),
        ("exit", "close", ("exit", "closing")),
        ("exit", "leave", ("hold", "duty_exit")),
    ],
)
def test_where_a_sell_signal_exits(duty: str, wind_down: str, expected: tuple[str, str]) -> None:
    assert held(signal=SELL, duty=duty, wind_down=wind_down) == expected


def test_an_exit_after_a_signal_tells_why() -> None:
    numbers = decision(position=HELD, signal=SELL).numbers
    assert numbers.items() >= {"why": "ema_rsi.sell", "rsi": "50", "entry_price": "100"}.items()


def test_wind_down_counts_under_duty_exit_only() -> None:
    assert held(duty="trade", wind_down="close") == ("hold", "in_position")


@pytest.mark.parametrize(
    ("amount", "free", "sold"),
    [
        ("2", None, "2"),
        ("2", "5", "2"),
        ("2", "1.9986", "1.998"),
        ("1.9999", None, "1.999"),
        ("2", "1.9501", "1.950"),
        ("80", None, "50"),
    ],
)
def test_an_exit_sells_what_is_there_rounded_down(amount: str, free: str | None, sold: str) -> None:
    position = replace(HELD, amount=D(amount))
    free_base = None if free is None else D(free)
    decided = decision(position=position, command="exit", free_base=free_base)
    assert (decided.action, decided.amount) == ("exit", D(sold))


@pytest.mark.parametrize("free", ["0.0499", "0.049"])
def test_an_exit_below_the_minimum_is_blocked_with_need_and_have(free: str) -> None:
    small = replace(HELD, amount=D("0.06"))
    decided = decision(position=small, command="exit", free_base=D(free))
    assert (decided.action, decided.gate) == ("blocked", Gate.BELOW_MINIMUM)
    numbers = {"need": "0.05", "have": "0.049", "currency": "BTC", "exit": "command"}
    assert decided.numbers == numbers
    assert (decided.side, decided.amount) == (None, None)


@pytest.mark.parametrize("free", ["1.95", "0.5", "0", "-1"])
def test_an_exit_that_misses_more_than_dust_sells_nothing_and_shows_both_sides(free: str) -> None:
    decided = decision(position=HELD, command="exit", free_base=D(free))
    assert (decided.action, decided.gate) == ("blocked", Gate.RECONCILE)
    assert decided.numbers == {"need": "2", "have": free, "currency": "BTC", "exit": "command"}
    assert (decided.side, decided.amount) == (None, None)


def test_a_halted_market_blocks_an_exit_and_keeps_the_trailing_stop_going() -> None:
    decided = decision("120", position=HELD, active=False, **STOPS)
    assert (decided.action, decided.gate) == ("blocked", Gate.MARKET_HALTED)
    assert decided.numbers == {"exit": "take_profit"}
    assert decided.levels.max_price == D(120)


STORED = st.decimals("0.000000000000000001", "99999999999999999999", places=18)


@example(amount=D("99999999999999999999.9"), free=None, step=D(5), price=D(1))
@example(amount=D("9999999999.999999999999999999"), free=None, step=D(5), price=D(1))
@given(
    amount=STORED,
    free=st.none() | st.decimals("-1", "99999999999999999999", places=18),
    step=st.sampled_from([D("1e-18"), D("0.0003"), D("0.7"), D(5)]),
    price=st.decimals("0.00000001", "10000000", places=8),
)
def test_an_exit_never_exceeds_position_or_free_base(amount: D, free: D, step: D, price: D) -> None:
    position = replace(HELD, amount=amount)
    seen = view(
        position=position, quote=quote(str(price)), command="exit", amount_step=step,
        max_amount=None, free_base=free,
    )  # fmt: skip
    decided = decide(seen)
    if decided.amount is None:
        missing = amount - (amount if free is None else free)
        if decided.gate is not Gate.RECONCILE:
            assert decided.gate == Gate.BELOW_MINIMUM
        else:
            assert missing >= step
        return
    assert Fraction(decided.amount) % Fraction(step) == 0
    assert 0 < decided.amount <= amount
    assert free is None or decided.amount <= free
    assert Fraction(decided.amount) * Fraction(price) >= Fraction(seen.rules.min_notional)


# Daily limits

REACHED = [
    ({"max_daily_trades": 3}, Day(trades=3), {"have": "3", "limit": "3"}),
    ({"max_daily_loss_perc": D(2)}, Day(pnl=D("-20.5")), {"have": "-20.5", "limit": "-20"}),
    ({"daily_target_perc": D(2)}, Day(pnl=D(20)), {"have": "20", "limit": "20"}),
]
GATES = [Gate.MAX_DAILY_TRADES, Gate.MAX_DAILY_LOSS, Gate.DAILY_TARGET]
LIMITS = [pytest.param(*row, gate, id=gate) for row, gate in zip(REACHED, GATES, strict=True)]


@pytest.mark.parametrize(("limit", "day", "numbers", "gate"), LIMITS)
def test_a_reached_limit_blocks_entries_and_pauses(
    limit: dict[str, Any], day: Day, numbers: dict[str, str], gate: Gate
) -> None:
    for changes in ({"signal": BUY}, {"command": "enter"}, {}):
        decided = decision(day=day, **limit, **changes)
        assert (decided.action, decided.gate, decided.pause) == ("blocked", gate, gate)
        assert decided.numbers == numbers


@pytest.mark.parametrize(("limit", "day", "numbers", "gate"), LIMITS)
def test_a_reached_limit_lets_exits_through_and_pauses_later(
    limit: dict[str, Any], day: Day, numbers: dict[str, str], gate: Gate
) -> None:
    for changes in ({"signal": SELL}, {"command": "exit"}, {"stop_loss_perc": D("0.0001")}):
        decided = decision("99.99", position=HELD, day=day, **limit, **changes)
        assert (decided.action, decided.pause) == ("exit", gate)
    waiting = decision(position=HELD, day=day, **limit)
    assert (waiting.action, waiting.gate, waiting.pause) == ("hold", Gate.IN_POSITION, gate)
    assert decision(position=HELD, day=day, **limit, duty="exit").pause is None
    assert decision(position=FLAT, day=Day(), **limit).pause is None


# Every setting changes what is decided

CHANGES: list[tuple[str, dict[str, Any], object, object]] = [
    ("initial_capital", {"position_size_perc": D(50), "position_size_fixed": None}, D(1000), D(10)),
    ("position_size_fixed", {}, D(200), D(300)),
    ("position_size_perc", {"position_size_fixed": None}, D(10), D(20)),
    ("leverage", {"free_quote": D(150)}, 1, 2),
    ("max_daily_trades", {"day": Day(trades=2)}, 3, 2),
    ("max_daily_loss_perc", {"day": Day(pnl=D(-20))}, D(3), D(2)),
    ("daily_target_perc", {"day": Day(pnl=D(20))}, D(3), D(2)),
    ("stop_loss_perc", {"position": HELD, "quote": quote("98")}, D("2.1"), D(2)),
    ("take_profit_perc", {"position": HELD, "quote": quote("103")}, D("3.1"), D(3)),
    (
        "trailing_stop_perc",
        {"position": HELD, "quote": quote("99"), "trailing_stop_active": True},
        D("1.1"),
        D(1),
    ),
    (
        "trailing_stop_active",
        {"position": HELD, "quote": quote("99"), "trailing_stop_perc": D(1)},
        False,
        True,
    ),
    ("direction", {"futures": True}, "long", "short"),
    ("entry_type", {}, "market", "limit"),
    ("entry_offset_perc", {"entry_type": "limit"}, D(1), D(2)),
    ("entry_timeout_seconds", {"resting": RESTING}, 61, 60),
    ("entry_fallback", {"entry_type": "limit", "fallback_due": True}, "none", "market"),
    ("max_spread_perc", {"quote": quote("99", "101")}, D(2), D("1.99")),
    ("cooldown_minutes", {"now": 60_000, "last_loss_at": 0}, 1, 2),
    ("stop_guard_stops", {"stop_guard_minutes": 9, "now": 60_000, "stop_exits": (0,)}, 2, 1),
    ("stop_guard_minutes", {"stop_guard_stops": 1, "now": 60_000, "stop_exits": (0,)}, 1, 2),
    ("max_drawdown_perc", {"profit": D(-20)}, D(3), D(2)),
    (
        "loss_includes_open",
        {"position": HELD, "quote": quote("90"), "max_daily_loss_perc": D(2)},
        False,
        True,
    ),
]


@pytest.mark.parametrize(("name", "around", "one", "other"), CHANGES, ids=lambda it: str(it)[:22])
def test_each_setting_changes_the_decision(
    name: str, around: dict[str, Any], one: object, other: object
) -> None:
    first = decision(signal=BUY, **around, **{name: one})
    second = decision(signal=BUY, **around, **{name: other})
    assert replace(first, numbers={}) != replace(second, numbers={})


def test_the_list_above_names_every_setting() -> None:
    assert {name for name, *_ in CHANGES} == set(view().settings.__slots__)


def test_the_surrounding_decimal_context_changes_nothing() -> None:
    for changes in ({"signal": BUY}, {"position": HELD, "command": "exit"}):
        expected = decision("33.33", **STOPS, **changes)
        with localcontext(prec=3):
            assert decision("33.33", **STOPS, **changes) == expected
