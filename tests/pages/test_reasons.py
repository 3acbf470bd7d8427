"""What each strategy tells whom: true by its own numbers, and in the words of the rule asked."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import pytest

from bots.models import Decision
from bots.replaying import Can, Replay, Verdict
from bots.views import rules, words
from tests.trading.test_strategies import bars
from tests.trading.values import HELD, SHORT, view
from trading import strategies
from trading.gates import explain
from trading.risk import Gate
from trading.strategies import Action

Numbers = Mapping[str, float]
#: Who asks: a flat bot by its direction, or one in a position.
ASKERS: dict[str, dict[str, Any]] = {
    "long": {"direction": "long"},
    "short": {"direction": "short", "futures": True},
    "both": {"direction": "both", "futures": True},
    "holds": {"position": HELD},
    "holds short": {"position": SHORT, "futures": True},
}
BEFORE = [100.0] * 198
#: The fast EMA above the slow one and the reverse, both with an RSI of exactly 50.
UP, DOWN = [*BEFORE, 101.0, 100.5], [*BEFORE, 99.0, 99.5]
RISE = [100 + number * number / 1000 for number in range(200)]
FALL = [100 - number * number / 1000 for number in range(200)]
BANDS = [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 9.0, 7.0]  # on the upper band of one deviation
LOWER = [4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0, 2.0]
UPPER = [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]
MIDDLE = [2.0, 4.0, 4.0, 4.0, 5.0, 9.0, 7.0, 5.0]
HALF = [2.0, 4.0, 4.0, 5.0, 5.0, 9.0, 7.0, 4.0]  # between the lower band and the middle


class Scene(NamedTuple):
    """Parameters, closes, and the reason that each asker is told; `yes`: those who get an order."""

    name: str
    params: dict[str, object]
    closes: list[float]
    told: dict[str, str]
    yes: set[str]


def scene(
    name: str,
    params: dict[str, object],
    closes: list[float],
    *told: str,
    action: Action = Action.NONE,
) -> Scene:
    """`told`: what who waits for a buy hears, who waits for a sell, and a flat bot of both ways."""
    buy, sell, either = (*told, *told[-1:] * (3 - len(told)))
    is_ladder = strategies.ladder_of(name) is not None
    heard = {"long": buy, "holds": sell}
    if not is_ladder:
        heard |= {"short": sell, "both": either, "holds short": buy}
    asked = {"buy": {"long", "both", "holds short"}, "sell": {"short", "both", "holds"}}
    return Scene(name, params, closes, heard, asked.get(action, set()) & set(heard))


def ema_rsi(low: str, high: str, closes: list[float], *told: str, **more: Any) -> Scene:
    params: dict[str, object] = {"rsi_period": 2, "rsi_oversold": low, "rsi_overbought": high}
    return scene("ema_rsi", params, closes, *told, **more)


def bollinger(sell_at: str, closes: list[float], *told: str, **more: Any) -> Scene:
    params: dict[str, object] = {"period": 8, "deviations": "1", "sell_at": sell_at}
    return scene("bollinger", params, closes, *told, **more)


def breakout(closes: list[float], *told: str, **more: Any) -> Scene:
    return scene("breakout", {"entry_period": 2, "exit_period": 2}, closes, *told, **more)


def dca(params: dict[str, object], closes: list[float], *told: str, **more: Any) -> Scene:
    return scene("dca", {"rsi_period": 2} | params, closes, *told, **more)


def grid(below: str, close: float, *told: str, **more: Any) -> Scene:
    params: dict[str, object] = {"lowest": "90", "highest": "110", "below": below}
    return scene("grid", params, [float(close)], *told, **more)


BUY, SELL = {"action": Action.BUY}, {"action": Action.SELL}
SCENES = [
    ema_rsi("35", "65", UP, "buy", "not_below", "buy", **BUY),
    ema_rsi("50", "65", UP, "buy", "not_below_too_low", "buy", **BUY),
    ema_rsi("35", "50", UP, "rsi_too_high", "not_below", "rsi_too_high"),
    ema_rsi("35", "65", DOWN, "not_above", "sell", **SELL),
    ema_rsi("35", "50", DOWN, "not_above_too_high", "sell", **SELL),
    ema_rsi("98", "99", DOWN, "not_above", "rsi_too_low"),
    ema_rsi("35", "65", [*BEFORE, 100.0, 100.0], "no_trend"),
    scene("macd", {}, RISE, "buy", "not_below", "buy", **BUY),
    scene("macd", {}, FALL, "not_above", "sell", **SELL),
    scene("macd", {}, [100.0] * 200, "no_trend"),
    bollinger("upper", LOWER, "buy", "not_above", "buy", **BUY),
    bollinger("middle", LOWER, "buy", "below_middle", "buy", **BUY),
    bollinger("upper", UPPER, "not_below", "sell", **SELL),
    bollinger("middle", UPPER, "not_below", "sell", **SELL),
    bollinger("middle", MIDDLE, "not_below", "sell_middle", **SELL),
    bollinger("upper", BANDS, "not_below", "not_above", "inside"),
    bollinger("middle", HALF, "not_below", "below_middle", "inside_lower"),
    bollinger("upper", [5.0] * 8, "flat"),
    breakout([10.0, 11.0, 12.0], "buy", "not_below", "buy", **BUY),
    breakout([12.0, 11.0, 10.0], "not_above", "sell", **SELL),
    breakout([10.0, 12.0, 11.0], "not_above", "not_below", "inside"),
    dca({}, [100.0], "now", "holds", **BUY),
    dca({"begin": "rsi", "rsi_limit": "50"}, UP, "low", "holds", **BUY),
    dca({"begin": "rsi", "rsi_limit": "49.99"}, UP, "high", "holds"),
    dca({"begin": "rsi"}, [100.0], "too_few_candles", "holds"),
    grid("wait", 100, "inside"),
    grid("wait", 120, "above"),
    grid("wait", 80, "below"),
    grid("sell", 80, "below", "left", **SELL),
    scene("signal", {}, [100.0], "waits"),
    *(
        scene(name, {}, [], "too_few_candles")
        for name in ("ema_rsi", "macd", "bollinger", "breakout", "grid", "signal")
    ),
]
#: What each reason claims of the numbers that come with it.
CLAIMS: dict[str, Callable[[Numbers], bool]] = {
    "ema_rsi.buy": lambda n: n["ema_fast"] > n["ema_slow"] and n["rsi"] < n["rsi_limit"],
    "ema_rsi.sell": lambda n: n["ema_fast"] < n["ema_slow"] and n["rsi"] > n["rsi_limit"],
    "ema_rsi.rsi_too_high": lambda n: n["ema_fast"] > n["ema_slow"] and n["rsi"] >= n["rsi_limit"],
    "ema_rsi.rsi_too_low": lambda n: n["ema_fast"] < n["ema_slow"] and n["rsi"] <= n["rsi_limit"],
    "ema_rsi.not_above": lambda n: n["ema_fast"] < n["ema_slow"] and n["rsi"] < n["rsi_limit"],
    "ema_rsi.not_above_too_high": lambda n: (
        n["ema_fast"] < n["ema_slow"] and n["rsi"] >= n["rsi_limit"]
    ),
    "ema_rsi.not_below": lambda n: n["ema_fast"] > n["ema_slow"] and n["rsi"] > n["rsi_limit"],
    "ema_rsi.not_below_too_low": lambda n: (
        n["ema_fast"] > n["ema_slow"] and n["rsi"] <= n["rsi_limit"]
    ),
    "ema_rsi.no_trend": lambda n: n["ema_fast"] == n["ema_slow"],
    "macd.buy": lambda n: n["macd"] > n["macd_signal"],
    "macd.sell": lambda n: n["macd"] < n["macd_signal"],
    "macd.not_above": lambda n: n["macd"] < n["macd_signal"],
    "macd.not_below": lambda n: n["macd"] > n["macd_signal"],
    "macd.no_trend": lambda n: n["macd"] == n["macd_signal"],
    "bollinger.buy": lambda n: n["close"] < n["lower"],
    "bollinger.sell": lambda n: n["close"] > n["upper"],
    "bollinger.sell_middle": lambda n: n["close"] >= n["middle"],
    "bollinger.inside": lambda n: n["lower"] <= n["close"] <= n["upper"],
    "bollinger.inside_lower": lambda n: n["lower"] <= n["close"] < n["middle"],
    "bollinger.not_below": lambda n: n["close"] >= n["lower"],
    "bollinger.not_above": lambda n: n["close"] <= n["upper"],
    "bollinger.below_middle": lambda n: n["close"] < n["middle"],
    "bollinger.flat": lambda n: n["close"] == 5,
    "breakout.buy": lambda n: n["close"] > n["highest"],
    "breakout.sell": lambda n: n["close"] < n["lowest"],
    "breakout.not_above": lambda n: n["close"] <= n["highest"],
    "breakout.not_below": lambda n: n["close"] >= n["lowest"],
    "breakout.inside": lambda n: n["lowest"] <= n["close"] <= n["highest"],
    "dca.now": lambda n: not n.keys() & {"rsi", "rsi_limit"},
    "dca.low": lambda n: n["rsi"] <= n["rsi_limit"],
    "dca.high": lambda n: n["rsi"] > n["rsi_limit"],
    "dca.holds": lambda n: not n.keys() & {"rsi", "rsi_limit"},
    "grid.inside": lambda n: n["bottom"] <= n["close"] <= n["top"],
    "grid.above": lambda n: n["close"] > n["top"],
    "grid.below": lambda n: n["close"] < n["bottom"],
    "grid.left": lambda n: n["close"] < n["bottom"],
    "signal.waits": lambda n: True,
}


def cases() -> Iterator[Any]:
    for place, one in enumerate(SCENES):
        for asker, reason in one.told.items():
            yield pytest.param(one, asker, id=f"{place} {one.name}.{reason} {asker}")


@pytest.mark.parametrize(("one", "asker"), list(cases()))
def test_each_reason_answers_who_asks_with_all_that_was_compared(one: Scene, asker: str) -> None:
    strategy = strategies.get(one.name)
    signal = strategy.signal(bars(one.closes, 0.0), strategies.clean(strategy, one.params))
    seen = view(signal=signal, **ASKERS[asker])
    verdict, checks = explain(seen)
    is_held, is_yes = asker.startswith("holds"), asker in one.yes
    gate = Gate.SIGNAL if is_held else Gate.NO_SIGNAL
    place = next(number for number, check in enumerate(checks) if check.gate is gate)
    code = f"{one.name}.{one.told[asker]}"
    numbers = checks[place].numbers
    assert numbers["why"] == code
    _is_true(code, numbers)
    then = Verdict(action=verdict.action, gate=verdict.gate.value)
    rule = rules.rules_of(Replay(can=Can.REPLAY, then=then, view=seen, checks=checks))[place]
    sentence, way = strategy.reasons[code], "xit" if is_held else "ntry"
    assert rule.text == f"{'E' if is_yes else 'No e'}{way} signal: {sentence}"
    shown = {words.label(name) for name in numbers if name in rules.SIGNAL_NUMBERS}
    assert {name for name, _value in rule.numbers} == shown
    # The log's line, before anybody asks for the rules.
    row = Decision(action=verdict.action, gate=verdict.gate.value, numbers=dict(verdict.numbers))
    assert (row.action in ("enter", "exit")) is is_yes
    assert words.why(row).endswith(sentence)
    assert {name: row.numbers[name] for name in numbers} == dict(numbers)


def _is_true(code: str, numbers: Mapping[str, str]) -> None:
    if code.endswith(".too_few_candles"):
        assert int(numbers["have"]) < int(numbers["need"])
        return
    found = {name: float(text) for name, text in numbers.items() if name != "why"}
    assert CLAIMS[code](found), (code, found)


def test_every_reason_of_ours_is_told_to_somebody() -> None:
    told = {f"{one.name}.{reason}" for one in SCENES for reason in one.told.values()}
    ours = [strategies.get(name) for name in {one.name for one in SCENES}]
    assert told == {reason for strategy in ours for reason in strategy.reasons}
    assert {*CLAIMS} == {reason for reason in told if not reason.endswith(".too_few_candles")}
    assert {strategy.name for strategy in ours} == set(strategies.STRATEGIES)
