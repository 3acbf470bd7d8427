"""A decision that is kept decides the same again; whatever is changed in it is seen."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bots import control, housekeeping, tick
from bots.models import Decision, DecisionCandles, StoredCandles, User
from bots.replaying import Can, Signals, Verdict, replay
from bots.world import World
from tests.engine.bench import Bench
from tests.trading.feeds import RULES, SYMBOL, rows
from tests.whole.replaying import WINDOW, start_in_the_past
from trading import recording
from trading.exchange import Fault, Rejected, Unusable
from trading.exchanges.recorded import RecordedFeed, ReplayClock
from trading.market_data import MarketData

D = Decimal

#: Bots that between them have every rule set.
KINDS: tuple[dict[str, Any], ...] = (
    {"stop_loss_perc": D(2), "take_profit_perc": D(3), "max_daily_trades": 2},
    {
        "trailing_stop_perc": D(2),
        "trailing_stop_active": True,
        "max_daily_loss_perc": D(1),
        "loss_includes_open": True,
        "cooldown_minutes": 5,
    },
    {
        "entry_type": "limit",
        "entry_timeout_seconds": 90,
        "entry_fallback": "market",
        "max_spread_perc": D("0.5"),
        "stop_loss_perc": D(1),
        "stop_guard_stops": 1,
        "stop_guard_minutes": 10,
    },
    {"position_size_fixed": D(4), "max_drawdown_perc": D(1), "daily_target_perc": D(1)},
)
#: What may happen between two ticks of a schedule.
STEPS = ("up", "down", "flat", "rise", "fall", "wide", "enter", "exit", "halt", "poor", "blind")


def checked(bench: Bench) -> list[Decision]:
    """Return the decisions of a bot; each that came to decide must replay to the same."""
    found = bench.decisions
    for row in found:
        again = replay(row)
        assert again.can in (Can.REPLAY, Can.NOTHING_DECIDED), (row, row.inputs)
        if again.can is Can.REPLAY:
            assert again.is_same, (row, again.then, again.now)
            if "said" not in json.loads(row.inputs):
                assert again.now == Verdict(action=row.action, gate=row.gate, numbers=row.numbers)
    return found


def play(bench: Bench, step: str) -> None:
    market = bench.market
    market.candle_error = None
    market.ask = None
    market.market = replace(market.market, active=True)
    if step in ("up", "down", "flat"):
        market.trend = step
    elif step in ("rise", "fall"):
        market.price = max(market.price * (D("1.02") if step == "rise" else D("0.97")), D(1))
    elif step == "wide":
        market.ask = market.price * D("1.01")
    elif step in ("enter", "exit"):
        try:
            bench.command(step)
        except control.Refusal:
            bench.start()
    elif step == "halt":
        market.market = replace(market.market, active=False)
    elif step == "blind":
        market.candle_error = Unusable(Fault.STALE_DATA, "no candles")
    elif bench.exchange is not None:
        bench.exchange.refuse = (
            None if bench.exchange.refuse else Rejected(Fault.INSUFFICIENT_FUNDS, "poor")
        )
    bench.tick()


@pytest.mark.slow(seconds=30)
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    kind=st.sampled_from(KINDS),
    is_scripted=st.booleans(),
    steps=st.lists(st.sampled_from(STEPS), min_size=3, max_size=14),
)
def test_whatever_happens_each_decision_replays(
    alice: User, kind: dict[str, Any], is_scripted: bool, steps: list[str]
) -> None:
    bench = Bench(alice, **kind)
    if is_scripted:
        bench.scripted()
    for step in steps:
        play(bench, step)
    checked(bench)


@pytest.mark.slow(seconds=20)
def test_each_decision_on_real_candles_replays(alice: User) -> None:
    """A stretch of a month: what traded, and what was kept back, is judged from its candles."""
    values = {
        "name": "Replay",
        "exchange": "binance",
        "mode": "paper",
        "symbol": SYMBOL,
        "initial_capital": D(1000),
        "position_size_fixed": D(900),
        "stop_loss_perc": D("0.3"),
        "take_profit_perc": D("0.9"),
        "cooldown_minutes": 10,
    }
    bot, clock = start_in_the_past(alice, values), ReplayClock(0)
    candles = rows(WINDOW + 900)
    feed = RecordedFeed(candles, SYMBOL, RULES, clock)
    data = MarketData(price_ttl_s=1, markets_ttl_s=10**9)
    world = World(clock=lambda: datetime.fromtimestamp(clock() / 1000, UTC), data=data, feed=feed)
    for candle in candles[WINDOW:]:
        clock.at = int(candle[0]) + 20_000
        assert tick.run(bot.pk, world)
    kept = list(Decision.objects.filter(bot=bot))
    judged = {row.gate: replay(row) for row in kept if row.count == 1}
    assert all(again.is_same for again in judged.values())
    traded = [row for row in kept if row.order_id]
    assert len(traded) > 20
    assert {replay(row).signals for row in traded} == {Signals.JUDGED}
    assert judged.keys() >= {"signal", "stop_loss", "cooldown"}
    assert judged["cooldown"].signals is Signals.JUDGED
    assert DecisionCandles.objects.count() < len(kept)
    # Packed, a window takes less than its times and five columns of eight bytes each.
    assert max(len(row.data) for row in DecisionCandles.objects.all()) < 6 * 8 * WINDOW


# -- what is broken is seen -----------------------------------------------------------------------
@pytest.fixture
def bought(alice: User) -> Decision:
    bench = Bench(alice, stop_loss_perc=D(2), max_spread_perc=D(1))
    bench.enter()
    return Decision.objects.get(order__isnull=False)


def broken(row: Decision, *path: str, value: Any) -> Decision:
    """The same row with one input changed."""
    kept = json.loads(row.inputs)
    place = kept
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    row.inputs = json.dumps(kept)
    return row


@pytest.mark.parametrize(
    ("path", "value", "gate"),
    [
        (("view", "quote", "ask"), "101.5", "spread"),
        (("view", "free_quote"), "100", "insufficient_funds"),
        (("view", "duty"), "exit", "duty_exit"),
        (("view", "settings", "position_size_fixed"), "3", "below_minimum"),
        (("view", "settings", "max_daily_trades"), 0, "signal"),
        (("view", "rules", "active"), False, "market_halted"),
        (("view", "quote", "bid"), "99.9", "signal"),
        (("params", "rsi_overbought"), "36", "no_signal"),
    ],
)
def test_another_input_is_another_decision(
    bought: Decision, path: tuple[str, ...], value: Any, gate: str
) -> None:
    assert replay(bought).is_same
    again = replay(broken(bought, *path, value=value))
    assert again.now is not None
    assert again.now.gate == gate
    assert again.is_same == (path in INERT)


#: What a buyer at market does not look at.
INERT = {("view", "quote", "bid"), ("view", "settings", "max_daily_trades")}


def test_the_signal_is_judged_and_not_believed(bought: Decision) -> None:
    again = replay(broken(bought, "view", "signal", "action", value="none"))
    assert (again.signals, again.is_same) == (Signals.JUDGED, True)
    DecisionCandles.objects.all().delete()
    assert replay(bought).signals is Signals.JUDGED, "the market's newest candles hold them too"
    StoredCandles.objects.all().delete()
    again = replay(bought)
    assert (again.signals, again.is_same) == (Signals.AS_KEPT, False)
    assert again.has_window


def test_other_candles_are_not_those_of_the_decision(bought: Decision) -> None:
    timeframe, first, count, digest = json.loads(bought.inputs)["window"]
    data = bytes(DecisionCandles.objects.get().data)
    found = recording.unpack_candles(data, symbol=SYMBOL, timeframe=timeframe, first=first)
    assert (len(found), recording.digest(found)) == (count, digest)
    cheaper = replace(found, close=(*found.close[:-1], found.close[-1] - 1))
    DecisionCandles.objects.update(data=recording.pack_candles(cheaper))
    StoredCandles.objects.all().delete()
    again = replay(bought)
    assert (again.signals, again.is_same) == (Signals.AS_KEPT, True)


def test_an_earlier_version_says_so(bought: Decision) -> None:
    again = replay(broken(bought, "v", value="00000000"))
    assert (again.can, again.now) == (Can.OTHER_VERSION, None)
    assert again.then.gate == "signal"


@pytest.mark.parametrize("text", ["{", "[]", "7", '{"v": "x"}', '{"v": null, "view": 3}'])
def test_what_cannot_be_read_is_said_and_does_not_crash(bought: Decision, text: str) -> None:
    bought.inputs = text
    assert replay(bought).can in (Can.UNREADABLE, Can.OTHER_VERSION)


def test_a_field_that_is_not_known_is_unreadable(bought: Decision) -> None:
    assert replay(broken(bought, "view", "novelty", value=1)).can is Can.UNREADABLE
    assert replay(broken(bought, "view", "quote", "ask", value="x")).can is Can.UNREADABLE


# -- which ticks keep what ------------------------------------------------------------------------
def test_a_tick_that_never_came_to_decide_keeps_nothing(alice: User) -> None:
    bench = Bench(alice)
    bench.market.quote_error = Unusable(Fault.STALE_DATA, "no price")
    bench.tick()
    (row,) = bench.decisions
    assert (row.action, row.inputs) == ("failed", "")
    assert replay(row).can is Can.NOTHING_DECIDED


def test_a_refused_order_keeps_what_was_decided(alice: User) -> None:
    bench = Bench(alice)
    bench.scripted().refuse = Rejected(Fault.ORDER_REJECTED, "no")
    bench.enter()
    row = bench.decisions[-1]
    again = replay(row)
    assert (row.action, row.gate) == ("failed", "order_rejected")
    assert (again.then.action, again.then.gate) == ("enter", "signal")
    assert again.is_same


def test_equal_ticks_keep_the_newest_inputs_and_no_candles(alice: User) -> None:
    bench = Bench(alice)
    for price in ("100", "101", "102"):
        bench.market.price = D(price)
        bench.tick()
    (row,) = bench.decisions
    assert row.count == 3
    assert json.loads(row.inputs)["view"]["quote"]["bid"] == "102"
    assert replay(row).is_same
    assert not DecisionCandles.objects.exists()


def test_what_is_kept_back_again_and_again_keeps_its_first_candles(alice: User) -> None:
    bench = Bench(alice, timeframe="1m", max_spread_perc=D("0.1"))
    bench.market.trend = "up"
    for price in (100, 101, 102):
        bench.market.price, bench.market.ask = D(price), D(price + 1)
        bench.tick()
    (row,) = bench.decisions
    assert (row.gate, row.count) == ("spread", 3)
    assert DecisionCandles.objects.count() == 1
    StoredCandles.objects.all().delete()
    assert replay(row).signals is Signals.AS_KEPT
    assert replay(row).is_same


def test_inputs_hold_no_secret_and_are_small(bought: Decision, alice: User) -> None:
    assert len(bought.inputs) < 1400
    kept = json.loads(bought.inputs)
    assert kept.keys() == {"v", "view", "strategy", "params", "window"}
    assert alice.get_username() not in bought.inputs


def _views(bench: Bench) -> Iterator[Any]:
    for row in bench.decisions:
        if row.inputs:
            yield recording.unpack(json.loads(row.inputs)["view"])


def test_a_view_comes_back_as_it_was(alice: User) -> None:
    bench = Bench(alice, **KINDS[2])
    for step in ("up", "wide", "flat", "enter", "rise", "fall", "fall"):
        play(bench, step)
    views = list(_views(bench))
    assert len(views) > 2
    for view in views:
        assert recording.unpack(json.loads(json.dumps(recording.pack(view)))) == view


def test_candles_go_with_their_decision(alice: User) -> None:
    bench = Bench(alice)
    bench.enter()
    bench.tick()
    assert DecisionCandles.objects.count() == 1
    newest = bench.decisions[-1]
    assert housekeeping.prune(newest.last_at).decisions == 1
    assert not DecisionCandles.objects.exists()
