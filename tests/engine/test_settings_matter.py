"""Every setting on the form changes what the engine does: each is tried with two values."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from bots import control, schedule, setup, sweep
from bots.models import BotConfig, PaperBalance, PaperOrder
from tests.engine.bench import Bench, D
from tests.engine.conftest import Maker
from trading.exchange import Can


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """`play` gives `seen[0]` with the first values and `seen[1]` with the second."""

    name: str
    values: tuple[dict[str, Any], dict[str, Any]]
    play: Callable[[Bench], object]
    seen: tuple[object, object]


def buys(b: Bench) -> object:
    """Whether the bot buys in an uptrend on the one-minute candles."""
    b.market.trends = {"1m": "up", "5m": "flat"}
    b.tick()
    return len(b.orders)


def bought(b: Bench) -> object:
    """How much the bot buys at 100."""
    b.enter()
    return b.order.amount


def gate_at(*prices: str) -> Callable[[Bench], object]:
    """Enter at 100 and return which gate decided at the last of the prices that follow."""

    def play(b: Bench) -> object:
        b.scripted()
        b.enter()
        for price in prices:
            b.market.price = D(price)
            found = b.tick()
        assert found is not None
        return found.gate

    return play


def after_a_round(sold_at: str) -> Callable[[Bench], object]:
    """Buy at 100, sell at a price, and return where the next tick leaves the bot."""

    def play(b: Bench) -> object:
        b.scripted()
        b.enter()
        b.market.price = D(sold_at)
        b.command("exit")
        b.tick()
        b.tick()
        return b.where[:2]

    return play


def window(b: Bench) -> object:
    """How many candles the strategy looks at."""
    b.tick()
    return b.market.asked[-1][2]


def strength(b: Bench) -> object:
    """What the strategy makes of an uptrend whose RSI is about 60."""
    b.market.trend = "up"
    b.tick()
    return b.decisions[-1].gate


def weakness(b: Bench) -> object:
    """What the strategy makes of a downtrend whose RSI is about 40, in position."""
    b.enter()
    b.market.trend = "down"
    b.tick()
    return b.decisions[-1].gate


def indicator(name: str) -> Callable[[Bench], object]:
    def play(b: Bench) -> object:
        b.market.trend = "up"
        b.tick()
        return b.decisions[-1].numbers[name]

    return play


def every(b: Bench) -> object:
    """How often beat ticks the bot."""
    return schedule.scheduled()[b.bot.pk]


def symbol_asked(b: Bench) -> object:
    b.enter()
    return b.market.asked[-1][0], b.order.symbol


def ordered_where(b: Bench) -> object:
    """Whether the order went to the paper book."""
    b.enter()
    return PaperOrder.objects.filter(account=b.bot.account).count()


def start_units(b: Bench) -> object:
    b.enter()
    usdt = PaperBalance.objects.get(account=b.bot.account, currency="USDT").units
    return usdt > D(20_000)


def buys_again_after_a_stop(b: Bench) -> object:
    """Buy at 100, be stopped out at 94; return what decides an entry two minutes later."""
    control.edit(b.bot, {"stop_loss_perc": D(5)}, by=b.owner, via="page")
    b.scripted()
    b.enter()
    b.market.price = D(94)
    b.tick()
    b.market.trend = "up"
    found = b.tick(after=120)
    assert found is not None
    return found.gate


def entry_order(b: Bench) -> object:
    """Type and limit price of the order that a signal at 100 leads to."""
    b.scripted()
    b.market.trend = "up"
    b.tick()
    return b.order.type, b.order.price


def orders_after_a_minute(b: Bench) -> object:
    """The orders that there are a minute after an order began to wait."""
    b.scripted()
    b.market.trend = "up"
    b.tick()
    b.tick(after=60)
    return [order.type for order in b.orders]


def buys_at_a_spread(b: Bench) -> object:
    """What a signal comes to at a spread of two percent."""
    b.scripted()
    b.market.trend, b.market.ask = "up", D(102)
    found = b.tick()
    assert found is not None
    return found.gate


def stop_at_the_exchange(b: Bench) -> object:
    """Who watches the stop after an entry, where the exchange takes stops."""
    control.edit(b.bot, {"stop_loss_perc": D(5)}, by=b.owner, via="page")
    b.scripted().can = frozenset({Can.STOP, Can.PAIR})
    b.enter()
    return b.state.protection


GUARD: dict[str, Any] = {"stop_guard_stops": 1, "stop_guard_minutes": 30}
LIMIT: dict[str, Any] = {"entry_type": "limit"}
WAITS: dict[str, Any] = {**LIMIT, "entry_offset_perc": D(1)}

RUNNING = ("running", "no_signal")
PERC = {"position_size_fixed": None, "position_size_perc": D(20)}
TRAIL = {"trailing_stop_perc": D(2)}
CASES = [
    Case(
        name="timeframe",
        values=({"timeframe": "1m"}, {"timeframe": "5m"}),
        play=buys,
        seen=(1, 0),
    ),
    Case(
        name="symbol",
        values=({"symbol": "BTC/USDT"}, {"symbol": "ETH/USDT"}),
        play=symbol_asked,
        seen=(("BTC/USDT", "BTC/USDT"), ("ETH/USDT", "ETH/USDT")),
    ),
    Case(
        name="check_interval_seconds",
        values=({"check_interval_seconds": 60}, {"check_interval_seconds": 15}),
        play=every,
        seen=(60, 15),
    ),
    Case(
        name="initial_capital",
        values=({**PERC, "initial_capital": D(1000)}, {**PERC, "initial_capital": D(5000)}),
        play=bought,
        seen=(D(2), D(10)),
    ),
    Case(
        name="initial_capital",
        values=({"initial_capital": D(1000)}, {"initial_capital": D(50_000)}),
        play=start_units,
        seen=(False, True),
    ),
    Case(
        name="position_size_fixed",
        values=({"position_size_fixed": D(200)}, {"position_size_fixed": D(350)}),
        play=bought,
        seen=(D(2), D("3.5")),
    ),
    Case(
        name="position_size_perc",
        values=(PERC, {**PERC, "position_size_perc": D(30)}),
        play=bought,
        seen=(D(2), D(3)),
    ),
    Case(
        name="stop_loss_perc",
        values=({"stop_loss_perc": D(5)}, {"stop_loss_perc": D(10)}),
        play=gate_at("94"),
        seen=("stop_loss", "in_position"),
    ),
    Case(
        name="take_profit_perc",
        values=({"take_profit_perc": D(5)}, {"take_profit_perc": D(10)}),
        play=gate_at("106"),
        seen=("take_profit", "in_position"),
    ),
    Case(
        name="trailing_stop_perc",
        values=(
            {"trailing_stop_active": True, "trailing_stop_perc": D(2)},
            {"trailing_stop_active": True, "trailing_stop_perc": D(20)},
        ),
        play=gate_at("120", "116"),
        seen=("trailing_stop", "in_position"),
    ),
    Case(
        name="trailing_stop_active",
        values=({**TRAIL, "trailing_stop_active": True}, {**TRAIL, "trailing_stop_active": False}),
        play=gate_at("120", "116"),
        seen=("trailing_stop", "in_position"),
    ),
    Case(
        name="max_daily_trades",
        values=({"max_daily_trades": 1}, {"max_daily_trades": 2}),
        play=after_a_round("100"),
        seen=(("paused", "max_daily_trades"), RUNNING),
    ),
    Case(
        name="max_daily_loss_perc",
        values=({"max_daily_loss_perc": D(1)}, {"max_daily_loss_perc": D(5)}),
        play=after_a_round("90"),
        seen=(("paused", "max_daily_loss"), RUNNING),
    ),
    Case(
        name="daily_target_perc",
        values=({"daily_target_perc": D(1)}, {"daily_target_perc": D(5)}),
        play=after_a_round("110"),
        seen=(("paused", "daily_target"), RUNNING),
    ),
    Case(
        name="loss_includes_open",
        values=(
            {"max_daily_loss_perc": D(1), "loss_includes_open": True},
            {"max_daily_loss_perc": D(1), "loss_includes_open": False},
        ),
        play=gate_at("94"),
        seen=("max_daily_loss", "in_position"),
    ),
    Case(
        name="max_drawdown_perc",
        values=({"max_drawdown_perc": D(1)}, {"max_drawdown_perc": D(5)}),
        play=after_a_round("90"),
        seen=(("error", "max_drawdown"), RUNNING),
    ),
    Case(
        name="cooldown_minutes",
        values=({"cooldown_minutes": 10}, {"cooldown_minutes": 1}),
        play=buys_again_after_a_stop,
        seen=("cooldown", "signal"),
    ),
    Case(
        name="stop_guard_stops",
        values=(GUARD, {**GUARD, "stop_guard_stops": 2}),
        play=buys_again_after_a_stop,
        seen=("stop_guard", "signal"),
    ),
    Case(
        name="stop_guard_minutes",
        values=(GUARD, {**GUARD, "stop_guard_minutes": 1}),
        play=buys_again_after_a_stop,
        seen=("stop_guard", "signal"),
    ),
    Case(
        name="entry_type",
        values=({"entry_type": "market"}, {"entry_type": "limit"}),
        play=entry_order,
        seen=(("market", None), ("limit", D(100))),
    ),
    Case(
        name="entry_offset_perc",
        values=({**LIMIT, "entry_offset_perc": D(1)}, {**LIMIT, "entry_offset_perc": D(3)}),
        play=entry_order,
        seen=(("limit", D(99)), ("limit", D(97))),
    ),
    Case(
        name="entry_timeout_seconds",
        values=({**WAITS, "entry_timeout_seconds": 60}, {**WAITS, "entry_timeout_seconds": 61}),
        play=orders_after_a_minute,
        seen=(["limit", "limit"], ["limit"]),
    ),
    Case(
        name="entry_fallback",
        values=(
            {**WAITS, "entry_timeout_seconds": 60, "entry_fallback": "market"},
            {**WAITS, "entry_timeout_seconds": 60, "entry_fallback": "none"},
        ),
        play=orders_after_a_minute,
        seen=(["limit", "market"], ["limit", "limit"]),
    ),
    Case(
        name="max_spread_perc",
        values=({"max_spread_perc": D(1)}, {"max_spread_perc": D(3)}),
        play=buys_at_a_spread,
        seen=("spread", "signal"),
    ),
    Case(
        name="protect_on_exchange",
        values=({"protect_on_exchange": True}, {"protect_on_exchange": False}),
        play=stop_at_the_exchange,
        seen=("resting", "watched"),
    ),
    Case(
        name="params",
        values=({"params": {"ema_slow": 21}}, {"params": {"ema_slow": 100}}),
        play=window,
        seen=(200, 400),
    ),
    Case(
        name="params",
        values=({"params": {"rsi_overbought": 80}}, {"params": {"rsi_overbought": 50}}),
        play=strength,
        seen=("signal", "no_signal"),
    ),
    Case(
        name="params",
        values=({"params": {"rsi_oversold": 20}}, {"params": {"rsi_oversold": 50}}),
        play=weakness,
        seen=("signal", "in_position"),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.name}-{case.play.__name__}")
def test_a_setting_changes_what_the_engine_does(bench: Maker, case: Case) -> None:
    assert tuple(case.play(bench(**values)) for values in case.values) == case.seen


@pytest.mark.parametrize(
    ("param", "values", "number"),
    [
        ("ema_fast", (8, 5), "ema_fast"),
        ("ema_slow", (21, 50), "ema_slow"),
        ("rsi_period", (7, 14), "rsi"),
    ],
)
def test_a_strategy_parameter_changes_the_numbers_of_the_signal(
    bench: Maker, param: str, values: tuple[int, int], number: str
) -> None:
    one, two = (indicator(number)(bench(params={param: value})) for value in values)
    assert one != two


def test_the_mode_decides_where_an_order_goes(bench: Maker) -> None:
    """Paper fills in the book; testnet asks for a key before anything else."""
    paper = bench()
    assert ordered_where(paper) == 1
    testnet = bench(mode="testnet")
    testnet.market.trend = "up"
    testnet.tick()
    assert testnet.where == ("error", "api_key_missing", "none")


def test_an_unknown_strategy_is_refused_by_name(bench: Maker) -> None:
    b = bench()
    BotConfig.objects.filter(pk=b.bot.pk).update(strategy="none_such")
    b.tick()
    assert b.where == ("error", "unknown_strategy", "none")


def test_an_edited_stop_works_from_the_next_tick(bench: Maker) -> None:
    b = bench(stop_loss_perc=D(10))
    b.enter()
    b.market.price = D(94)
    b.tick()
    assert len(b.orders) == 1
    control.edit(b.bot, {"stop_loss_perc": D(5)}, by=b.owner, via="page")
    b.tick()
    assert b.order.reason == "stop_loss"


def test_an_edited_interval_is_the_schedules_at_once(bench: Maker) -> None:
    b = bench()
    control.edit(b.bot, {"check_interval_seconds": 120}, by=b.owner, via="page")
    assert schedule.scheduled() == sweep.intervals() == {b.bot.pk: 120}


def test_every_setting_of_the_form_is_tried_here() -> None:
    tried = {case.name for case in CASES} | {"mode", "strategy"}
    told_elsewhere = {
        "name",  # a label
        "exchange",  # which client: the tests of connect, and of the whole path
        "position_type",  # the tests of futures in test_perpetual.py, and with the test exchange
        "leverage",  # as above: it is what the exchange is told before an entry
        "direction",  # as above, and each way in the tests of decide
        "account",  # whose key: the tests of the keys, and of the whole path
    }
    assert tried | told_elsewhere == setup.SETTINGS
