"""How a position is opened: type, price, direction; and when a resting entry is given up."""

from dataclasses import replace
from decimal import localcontext
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trading.values import BUY, HELD, NONE, RULES, SELL, SETTINGS, SHORT, D, quote, view
from trading.entries import limit_price
from trading.execution import Decision, Resting, decide
from trading.market import OrderType, Side
from trading.risk import Day, Gate, Levels
from trading.strategies import Answer


def entry(**changes: Any) -> Decision:
    return decide(view(**{"signal": BUY, "quote": quote("99", "101"), **changes}))


# Order types


def test_a_market_entry_has_no_limit() -> None:
    decided = entry()
    assert (decided.order_type, decided.limit, decided.price) == (OrderType.MARKET, None, D(101))
    assert not decided.reduce_only


@pytest.mark.parametrize("kind", ["limit", "post_only"])
def test_a_limit_entry_waits_below_the_bid_and_is_sized_there(kind: str) -> None:
    decided = entry(entry_type=kind, entry_offset_perc=D("0.5"))
    # 99 x 0.995 = 98.505, down to the tick; 200 / 98.50 = 2.0304
    assert (decided.action, decided.order_type) == ("enter", OrderType(kind))
    assert (decided.side, decided.amount) == (Side.BUY, D("2.030"))
    assert decided.price == decided.limit == D("98.50")
    assert decided.numbers.items() >= {"price": "98.5", "amount": "2.03"}.items()


def test_without_an_offset_it_joins_the_markets_own_side() -> None:
    assert entry(entry_type="limit").limit == D(99)
    short = entry(entry_type="limit", signal=SELL, direction="short", futures=True)
    assert (short.limit, short.side) == (D(101), Side.SELL)


def test_a_short_limit_waits_above_the_ask() -> None:
    short: dict[str, Any] = {"signal": SELL, "direction": "short", "futures": True}
    decided = entry(entry_type="limit", entry_offset_perc=D("0.5"), **short)
    # 101 x 1.005 = 101.505, up to the tick
    assert (decided.price, decided.limit) == (D("101.51"), D("101.51"))
    assert entry(**short).price == D(99)


@given(
    bid=st.decimals("0.01", "100000", places=4),
    wide=st.decimals("0", "10", places=4),
    offset=st.decimals("0", "100", places=3),
    tick=st.sampled_from([D("0.01"), D("0.05"), D("0.3"), D("7")]),
)
def test_a_limit_price_is_rounded_away_from_the_market(bid: D, wide: D, offset: D, tick: D) -> None:
    settings = replace(SETTINGS, entry_offset_perc=offset)
    rules, seen = replace(RULES, price_tick=tick), quote(str(bid), str(bid + wide))
    with localcontext(prec=5):
        buy = limit_price(settings, rules, seen, Side.BUY)
        sell = limit_price(settings, rules, seen, Side.SELL)
    assert Fraction(buy) % Fraction(tick) == Fraction(sell) % Fraction(tick) == 0
    exact = Fraction(seen.bid) * (100 - Fraction(offset)) / 100
    assert buy == tick or exact - Fraction(tick) < Fraction(buy) <= exact
    exact = Fraction(seen.ask) * (100 + Fraction(offset)) / 100
    assert exact <= Fraction(sell) < exact + Fraction(tick)


@pytest.mark.parametrize(
    ("kind", "fallback", "due", "expected"),
    [
        ("limit", "market", True, "market"),
        ("limit", "market", False, "limit"),
        ("limit", "none", True, "limit"),
        ("post_only", "market", True, "market"),
        ("post_only", "none", True, "post_only"),
        ("market", "none", True, "market"),
    ],
)
def test_the_fallback_enters_at_market_where_wished_and_due(
    kind: str, fallback: str, due: bool, expected: str
) -> None:
    decided = entry(entry_type=kind, entry_fallback=fallback, fallback_due=due)
    assert (decided.action, decided.order_type) == ("enter", expected)
    assert (decided.limit is None) is (expected == "market")


def test_the_fallback_needs_the_signal_still() -> None:
    decided = entry(entry_type="limit", entry_fallback="market", fallback_due=True, signal=NONE)
    assert (decided.action, decided.gate) == ("hold", Gate.NO_SIGNAL)


# Direction


@pytest.mark.parametrize(
    ("direction", "futures", "signal", "side"),
    [
        ("long", True, BUY, Side.BUY),
        ("long", True, SELL, None),
        ("short", True, BUY, None),
        ("short", True, SELL, Side.SELL),
        ("both", True, BUY, Side.BUY),
        ("both", True, SELL, Side.SELL),
        ("both", True, NONE, None),
        ("both", False, BUY, Side.BUY),
        ("both", False, SELL, None),
        ("short", False, SELL, None),
        ("short", False, BUY, None),
    ],
)
def test_signals_open_what_direction_and_market_allow(
    direction: str, futures: bool, signal: Any, side: Side | None
) -> None:
    decided = entry(direction=direction, futures=futures, signal=signal)
    expected = ("enter", Gate.SIGNAL, side) if side else ("hold", Gate.NO_SIGNAL, None)
    assert (decided.action, decided.gate, decided.side) == expected


@pytest.mark.parametrize(
    ("direction", "futures", "side"),
    [
        ("long", False, Side.BUY),
        ("both", True, Side.BUY),
        ("both", False, Side.BUY),
        ("short", True, Side.SELL),
        ("short", False, None),
    ],
)
def test_a_command_opens_long_or_short_where_only_short_is_traded(
    direction: str, futures: bool, side: Side | None
) -> None:
    decided = entry(direction=direction, futures=futures, signal=NONE, command="enter")
    if side is None:
        assert (decided.action, decided.gate) == ("blocked", Gate.DIRECTION)
        assert decided.numbers == {"direction": "short"}
    else:
        assert (decided.action, decided.gate, decided.side) == ("enter", Gate.COMMAND, side)


@pytest.mark.parametrize(
    ("position", "signal", "side"),
    [(SHORT, BUY, Side.BUY), (SHORT, SELL, None), (HELD, SELL, Side.SELL), (HELD, BUY, None)],
)
@pytest.mark.parametrize("direction", ["long", "short", "both"])
def test_the_opposite_signal_closes_whatever_the_direction_is_now(
    direction: str, position: Any, signal: Any, side: Side | None
) -> None:
    decided = entry(position=position, signal=signal, direction=direction, futures=True)
    expected = ("exit", Gate.SIGNAL, side) if side else ("hold", Gate.IN_POSITION, None)
    assert (decided.action, decided.gate, decided.side) == expected


# A resting entry order

ORDER = Resting(side=Side.BUY, price=D(98), filled=D(0), age=59.9)
PARTLY = replace(ORDER, filled=D(2))


def resting(order: Resting = ORDER, **changes: Any) -> Decision:
    around: dict[str, Any] = {"entry_type": "limit", "entry_timeout_seconds": 60}
    return entry(resting=order, **around | changes)


def test_a_resting_entry_is_left_while_its_signal_stands() -> None:
    decided = resting()
    assert (decided.action, decided.gate) == ("hold", Gate.ENTRY_RESTING)
    assert decided.numbers == {"limit_price": "98", "filled": "0", "age": "59"}
    assert (decided.side, decided.amount, decided.levels) == (None, None, Levels())


@pytest.mark.parametrize(("age", "action"), [(59.9, "hold"), (60, "cancel"), (60.1, "cancel")])
def test_the_timeout_just_below_at_and_above(age: float, action: str) -> None:
    decided = resting(replace(ORDER, age=age))
    assert decided.action == action
    assert decided.gate == (Gate.ENTRY_TIMEOUT if action == "cancel" else Gate.ENTRY_RESTING)


@pytest.mark.parametrize("signal", [NONE, SELL])
def test_without_its_signal_a_resting_entry_is_given_up(signal: Any) -> None:
    assert resting(signal=signal).gate is Gate.SIGNAL_GONE
    # The signal comes first: a timeout would lead to the fallback.
    assert resting(replace(ORDER, age=99), signal=signal).gate is Gate.SIGNAL_GONE
    forced = replace(ORDER, forced=True)
    assert resting(forced, signal=signal).gate is Gate.ENTRY_RESTING
    assert resting(replace(forced, age=60), signal=signal).gate is Gate.ENTRY_TIMEOUT


def test_who_gives_an_entry_up_is_told_what_its_own_side_lacks() -> None:
    lacks = Answer(why="macd.not_above", numbers={"macd": "-1"})
    decided = resting(signal=replace(SELL, buy=lacks))
    assert decided.numbers.items() >= {"why": "macd.not_above", "macd": "-1", "age": "59"}.items()
    assert "rsi" not in decided.numbers


def test_a_resting_short_entry_lives_on_the_sell_signal() -> None:
    order = replace(ORDER, side=Side.SELL)
    assert resting(order, signal=SELL).gate is Gate.ENTRY_RESTING
    assert resting(order, signal=BUY).gate is Gate.SIGNAL_GONE


def test_command_and_closing_give_it_up() -> None:
    assert resting(command="exit").gate is Gate.COMMAND
    for wind_down in ("leave", "close", "after_exit"):
        decided = resting(duty="exit", wind_down=wind_down)
        assert (decided.action, decided.gate) == ("cancel", Gate.CLOSING)
    assert resting(command="enter").gate is Gate.ENTRY_RESTING


@pytest.mark.parametrize(
    ("limit", "gate"),
    [
        ({"max_daily_loss_perc": D(2), "day": Day(pnl=D(-20))}, Gate.MAX_DAILY_LOSS),
        ({"daily_target_perc": D(2), "day": Day(pnl=D(20))}, Gate.DAILY_TARGET),
        ({"account_max_daily_loss": D(9), "account_day_pnl": D(-9)}, Gate.ACCOUNT_DAILY_LOSS),
        ({"max_drawdown_perc": D(2), "profit": D(-20)}, Gate.MAX_DRAWDOWN),
    ],
)
def test_a_limit_that_is_reached_meanwhile_gives_it_up(limit: dict[str, Any], gate: Gate) -> None:
    decided = resting(**limit)
    assert (decided.action, decided.gate) == ("cancel", gate)
    assert gate in (decided.pause, decided.switch_off)
    assert {"have", "limit", "limit_price"} <= set(decided.numbers)


def test_who_stops_hears_of_the_stop_and_not_of_a_limit() -> None:
    decided = resting(duty="exit", max_daily_loss_perc=D(2), day=Day(pnl=D(-20)))
    assert (decided.gate, decided.pause) == (Gate.CLOSING, None)


def test_its_own_fill_does_not_count_against_it() -> None:
    decided = resting(PARTLY, position=HELD, max_daily_trades=1, day=Day(trades=1))
    assert (decided.action, decided.gate) == ("hold", Gate.ENTRY_RESTING)


STOPS = {"stop_loss_perc": D(2), "take_profit_perc": D(3)}


@pytest.mark.parametrize(
    ("price", "changes", "gate"),
    [
        ("98", {}, Gate.STOP_LOSS),
        ("103", {}, Gate.TAKE_PROFIT),
        ("100", {}, None),
        ("100", {"signal": SELL}, Gate.SIGNAL_GONE),
        ("100", {"command": "exit"}, Gate.COMMAND),
        ("100", {"duty": "exit", "wind_down": "close"}, Gate.CLOSING),
        ("100", {"duty": "exit", "wind_down": "leave"}, Gate.CLOSING),
        (
            "99",
            {"max_daily_loss_perc": D("0.2"), "loss_includes_open": True},
            Gate.MAX_DAILY_LOSS,
        ),
    ],
)
def test_what_was_filled_is_watched_and_the_rest_given_up_before_the_exit(
    price: str, changes: dict[str, Any], gate: Gate | None
) -> None:
    decided = resting(PARTLY, position=HELD, quote=quote(price), **STOPS, **changes)
    expected = ("cancel", gate) if gate else ("hold", Gate.ENTRY_RESTING)
    assert (decided.action, decided.gate) == expected
    assert (decided.levels.stop, decided.levels.max_price) == (D(98), max(D(price), D(100)))
    assert decided.numbers.items() >= {"filled": "2", "stop": "98", "limit_price": "98"}.items()


def test_a_short_that_is_partly_filled_is_watched_at_the_ask() -> None:
    order = replace(PARTLY, side=Side.SELL)
    around: dict[str, Any] = {"position": SHORT, "signal": SELL, "futures": True, **STOPS}
    assert resting(order, quote=quote("90", "102"), **around).gate is Gate.STOP_LOSS
    assert resting(order, quote=quote("102", "101"), **around).gate is Gate.ENTRY_RESTING
