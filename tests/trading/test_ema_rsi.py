"""The strategy ema_rsi: its signals against TA-Lib, and what its declaration accepts."""

import json
from collections.abc import Mapping
from decimal import Decimal

import numpy as np
import pytest
import talib

from tests.trading.candles import btcusdt_1m, from_closes, random_walk, windows
from trading import strategies
from trading.strategies import Action, Param, ParamErrors, Signal, Values, clean

EMA_RSI = strategies.get("ema_rsi")
DEFAULTS = clean(EMA_RSI, {})


def by_talib(closes: tuple[float, ...], values: Values) -> Action:
    prices = np.array(closes)
    fast = talib.EMA(prices, timeperiod=int(values["ema_fast"]))[-1]
    slow = talib.EMA(prices, timeperiod=int(values["ema_slow"]))[-1]
    strength = talib.RSI(prices, timeperiod=int(values["rsi_period"]))[-1]
    if fast > slow and strength < float(values["rsi_overbought"]):
        return Action.BUY
    if fast < slow and strength > float(values["rsi_oversold"]):
        return Action.SELL
    return Action.NONE


def signal_of(closes: list[float], **raw: object) -> Signal:
    return EMA_RSI.signal(from_closes(closes), clean(EMA_RSI, raw))


def errors_of(raw: Mapping[str, object]) -> dict[str, str]:
    with pytest.raises(ParamErrors) as caught:
        clean(EMA_RSI, raw)
    return {name: str(text) for name, text in caught.value.errors.items()}


def test_every_window_of_the_real_candles_gives_talibs_signal() -> None:
    seen = set()
    for start, window in enumerate(windows(btcusdt_1m(), 200)):
        signal = EMA_RSI.signal(window, DEFAULTS)
        assert signal.action == by_talib(window.close, DEFAULTS), start
        seen.add(signal.why)
    assert seen >= {"ema_rsi.buy", "ema_rsi.sell", "ema_rsi.rsi_too_high", "ema_rsi.rsi_too_low"}


@pytest.mark.parametrize(
    "changed",
    [
        {"ema_fast": 3},
        {"ema_slow": 34},
        {"rsi_period": 14},
        {"rsi_oversold": "45"},
        {"rsi_overbought": "55"},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_each_parameter_changes_signals_as_talib_says(changed: dict[str, object]) -> None:
    values = clean(EMA_RSI, changed)
    different = 0
    for seed in range(60):
        candles = from_closes(random_walk(200, seed=seed, start=100.0))
        signal = EMA_RSI.signal(candles, values)
        assert signal.action == by_talib(candles.close, values)
        different += signal.action != EMA_RSI.signal(candles, DEFAULTS).action
    assert different > 0


def test_only_the_newest_window_counts() -> None:
    recent = random_walk(200, seed=3, start=100.0)
    assert signal_of([5000.0] * 50 + recent) == signal_of(recent)


def test_one_candle_too_few_gives_no_signal_and_says_how_many_are_missing() -> None:
    signal = signal_of(random_walk(199, seed=3, start=100.0))
    assert (signal.action, signal.why) == (Action.NONE, "ema_rsi.too_few_candles")
    assert signal.numbers == {"need": "200", "have": "199"}


@pytest.mark.parametrize(
    ("raw", "window"),
    [
        ({}, 200),
        ({"ema_slow": 50}, 200),
        ({"ema_slow": 51}, 204),
        ({"rsi_period": 100}, 400),
        ({"ema_fast": 200, "ema_slow": 400}, 1600),
    ],
)
def test_the_window_is_200_or_four_longest_periods(raw: dict[str, object], window: int) -> None:
    assert EMA_RSI.window(clean(EMA_RSI, raw)) == window


@pytest.mark.parametrize("price", [0.006, 0.1, 0.3, 1e-8, 23_140.48, 1.1])
def test_a_price_that_never_moves_is_no_signal(price: float) -> None:
    # Rounding leaves the two EMAs a last bit apart, in either direction.
    signal = signal_of([price] * 200)
    assert (signal.action, signal.why) == (Action.NONE, "ema_rsi.no_trend")
    assert signal.numbers["ema_fast"] == signal.numbers["ema_slow"]


def test_a_straight_rise_is_overbought_and_a_straight_fall_oversold() -> None:
    rise = [100.0 + number for number in range(200)]
    assert signal_of(rise).why == "ema_rsi.rsi_too_high"
    assert signal_of(rise[::-1]).why == "ema_rsi.rsi_too_low"


@pytest.mark.parametrize(
    ("last", "raw", "why"),
    [
        # Up 1, down 0.5 after a flat stretch: with period 2 the RSI is exactly 50.
        ([101.0, 100.5], {"rsi_overbought": "50.01"}, "ema_rsi.buy"),
        ([101.0, 100.5], {"rsi_overbought": "50"}, "ema_rsi.rsi_too_high"),
        ([101.0, 100.5], {"rsi_overbought": "49.99"}, "ema_rsi.rsi_too_high"),
        ([99.0, 99.5], {"rsi_oversold": "49.99"}, "ema_rsi.sell"),
        ([99.0, 99.5], {"rsi_oversold": "50"}, "ema_rsi.rsi_too_low"),
        ([99.0, 99.5], {"rsi_oversold": "50.01"}, "ema_rsi.rsi_too_low"),
    ],
)
def test_at_a_threshold_nothing_is_traded(
    last: list[float], raw: dict[str, object], why: str
) -> None:
    signal = signal_of([100.0] * 198 + last, rsi_period=2, **raw)
    assert (signal.numbers["rsi"], signal.why) == ("50", why)


def test_numbers_are_rounded_for_people() -> None:
    numbers = signal_of(random_walk(200, seed=1, start=1.5e-7)).numbers
    assert set(numbers) == {"ema_fast", "ema_slow", "rsi", "rsi_limit"}
    for text in numbers.values():
        assert "e" not in text.lower()
        assert len(Decimal(text).as_tuple().digits) <= 8


def test_every_reason_has_a_text() -> None:
    for closes in ([1.0] * 200, random_walk(200, seed=2, start=9.0), [1.0]):
        assert EMA_RSI.reasons[signal_of(closes).why]


def test_defaults_are_those_of_the_contract_and_pass_their_own_check() -> None:
    assert DEFAULTS == {
        "ema_fast": 8,
        "ema_slow": 21,
        "rsi_period": 7,
        "rsi_oversold": "35",
        "rsi_overbought": "65",
    }
    assert clean(EMA_RSI, DEFAULTS) == DEFAULTS


@pytest.mark.parametrize("raw", ["9", " 9 ", 9, 9.0, Decimal("9.0"), "+9", "009"])
def test_whole_numbers_come_in_many_forms(raw: object) -> None:
    assert clean(EMA_RSI, {"ema_fast": raw})["ema_fast"] == 9


@pytest.mark.parametrize("raw", ["35.50", 35.5, Decimal("35.5"), "+35.5", "035.5", " 35.5 "])
def test_equal_decimals_come_out_equal_and_json_safe(raw: object) -> None:
    values = clean(EMA_RSI, {"rsi_oversold": raw})
    assert values["rsi_oversold"] == "35.5"
    assert json.loads(json.dumps(values)) == values


NO_INTEGERS = [None, "", "x", "8.5", 8.5, True, [8], {}, "1_0", "٨", "1e1", "8" * 5000, "nan"]
NO_DECIMALS = [None, "", "x", "1e1", True, [35], "3_5", "nan", "inf", float("nan"), float("inf")]


@pytest.mark.parametrize("raw", NO_INTEGERS, ids=lambda raw: repr(raw)[:12])
def test_what_is_no_whole_number_is_named(raw: object) -> None:
    assert errors_of({"ema_fast": raw}) == {"ema_fast": "Enter a whole number."}


@pytest.mark.parametrize("raw", [*NO_DECIMALS, Decimal("1E+999999")], ids=lambda raw: repr(raw))
def test_what_is_no_number_is_named(raw: object) -> None:
    assert errors_of({"rsi_oversold": raw}) == {"rsi_oversold": "Enter a number."}


BOUNDS = [
    ("ema_fast", 2, 200, 1),
    ("ema_slow", 3, 400, 1),
    ("rsi_period", 2, 100, 1),
    ("rsi_oversold", 1, 99, Decimal("0.01")),
    ("rsi_overbought", 1, 99, Decimal("0.01")),
]


@pytest.mark.parametrize(("name", "low", "high", "step"), BOUNDS)
def test_ranges_just_below_at_and_above(name: str, low: int, high: int, step: Decimal) -> None:
    param = next(param for param in EMA_RSI.params if param.name == name)
    assert str(param.clean(low)) == str(low)
    assert str(param.clean(high)) == str(high)
    assert errors_of({name: low - step})[name] == f"Must be at least {low}."
    assert errors_of({name: high + step})[name] == f"Must be at most {high}."


def test_a_value_between_steps_is_refused() -> None:
    assert errors_of({"rsi_oversold": "35.005"}) == {"rsi_oversold": "Must be a multiple of 0.01."}


def test_unknown_names_are_refused_beside_other_errors() -> None:
    errors = errors_of({"ema_quick": 3, "ema_fast": "x"})
    assert set(errors) == {"ema_quick", "ema_fast"}


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        ({"ema_fast": 21}, "ema_fast"),
        ({"ema_fast": 22}, "ema_fast"),
        ({"rsi_oversold": "65"}, "rsi_oversold"),
        ({"rsi_oversold": "65.01"}, "rsi_oversold"),
    ],
)
def test_values_that_contradict_each_other_are_refused(raw: dict[str, object], field: str) -> None:
    assert set(errors_of(raw)) == {field}


@pytest.mark.parametrize("raw", [{"ema_fast": 20}, {"rsi_oversold": "64.99"}])
def test_values_just_apart_are_accepted(raw: dict[str, object]) -> None:
    assert clean(EMA_RSI, raw).items() >= raw.items()


def test_a_message_can_be_translated_with_its_numbers() -> None:
    with pytest.raises(ParamErrors) as caught:
        clean(EMA_RSI, {"ema_fast": 1})
    message = caught.value.errors["ema_fast"]
    assert message.msgid == "Must be at least %(minimum)s."
    assert message.msgid % message.params == message == "Must be at least 2."


def test_yes_no_and_choices() -> None:
    flag = Param(name="flag", type="bool", default=False, label="Flag", help="")
    assert flag.clean(True) is True
    pick = Param(
        name="pick", type="choice", default="a", choices=(("a", "A"),), label="Pick", help=""
    )
    assert pick.clean("a") == "a"
    for param, raw in ((flag, "true"), (flag, 1), (pick, "b"), (pick, ["a"])):
        with pytest.raises(ValueError, match=r"Enter yes or no|Select one"):
            param.clean(raw)
