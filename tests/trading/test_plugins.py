"""Strategies of other packages: which are taken, which are refused and why, and how they fail."""

from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from threading import Thread
from typing import Any

import pytest

from tests.trading.candles import from_closes
from tests.trading.odd_plugins import Moody, Steps, step
from tests.trading.values import RULES, SETTINGS, D, quote
from trading import strategies
from trading.ladder import Drawn, Ground
from trading.market import Side
from trading.position import Position
from trading.strategies import (
    Action,
    Answer,
    ParamErrors,
    Registry,
    Signal,
    StrategyFailed,
    clean,
    plugins,
)
from trading.strategies.ema_rsi import EmaRsi

RISING = from_closes([1.0, 2.0, 3.0, 9.0])
Install = Callable[..., Registry]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Return a registry that finds these entry points: name, and class of odd_plugins or path."""

    def registry(*points: tuple[str, str]) -> Registry:
        found = [
            EntryPoint(
                name=name,
                group=plugins.GROUP,
                value=value if ":" in value else f"tests.trading.odd_plugins:{value}",
            )
            for name, value in points
        ]
        monkeypatch.setattr(plugins, "entry_points", lambda group: found)
        return Registry(EmaRsi())

    yield registry
    Moody.mood = None


@pytest.mark.parametrize("value", ["Good", "ready"])
def test_a_class_or_a_ready_one_is_taken_behind_ours(install: Install, value: str) -> None:
    registry = install(("odd", value))
    assert list(registry) == ["ema_rsi", "odd"]
    assert len(registry) == 2
    assert registry.refused() == ()
    odd = registry["odd"]
    assert (odd.label, odd.help, [param.name for param in odd.params]) == (
        "Odd",
        "Buys above a level.",
        ["level", "count"],
    )
    values = clean(odd, {"level": "7.50"})
    assert values == {"level": "7.5", "count": 3}
    assert odd.signal(RISING, values).why == "odd.buy"
    assert odd.signal(RISING.last(2), values).why == "odd.none"


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("Misnamed", "its name is not that of its entry point: 'even'"),
        ("Nameless", "its name is not that of its entry point: None"),
        ("Mute", "label must be a text"),
        ("Doorless", "it has no signal()"),
        ("Reasonless", "reasons must say what each reason means"),
        ("Stray", "the reason 'macd.buy' must begin with 'odd.' and have a text"),
        ("ListOfParams", "params must be a tuple of Param"),
        ("Twins", "two parameters have one name"),
        ("WrongType", "the parameter 'x' has a wrong name or type"),
        ("Unhelpful", "the parameter 'x' must have a label and a help"),
        ("OutOfRange", "the default of the parameter 'x' is not one of its values"),
        ("Greedy", "StrategyFailed: odd: window() is 5001, not 1 to 5000"),
        ("Fragile", "StrategyFailed: odd: IndexError"),
        ("Crooked", "StrategyFailed: odd: 'ladder' is no ladder"),
        ("Halfway", "a ladder has sells (True or False), most() and rungs()"),
        ("Vague", "'buy' is no signal"),
        ("Unbuildable", "it cannot be loaded (RuntimeError: no licence)"),
        ("Quits", "it cannot be loaded (SystemExit: 3)"),
        ("Absent", "it cannot be loaded (AttributeError"),
        ("tests.trading.no_such_module:X", "it cannot be loaded (ModuleNotFoundError"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_reason(
    install: Install, value: str, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    registry = install(("odd", value))
    assert list(registry) == ["ema_rsi"]
    (refusal,) = registry.refused()
    assert refusal.name == "odd"
    assert why in refusal.why
    assert str(refusal) in caplog.text
    assert registry.get("odd") is None


def test_one_that_is_refused_takes_no_other_with_it(install: Install) -> None:
    registry = install(("aaa", "Good"), ("odd", "Good"), ("zzz", "Quits"))
    assert list(registry) == ["ema_rsi", "odd"]
    assert [refusal.name for refusal in registry.refused()] == ["aaa", "zzz"]


def test_no_package_replaces_one_of_ours(install: Install) -> None:
    registry = install(("ema_rsi", "Good"))
    assert type(registry["ema_rsi"]) is EmaRsi
    assert [refusal.why for refusal in registry.refused()] == [
        "a strategy of this name is built in"
    ]


def test_of_two_with_one_name_neither_is_taken(install: Install) -> None:
    registry = install(("odd", "Good"), ("odd", "ready"))
    assert list(registry) == ["ema_rsi"]
    whys = {refusal.why for refusal in registry.refused()}
    assert whys == {"another package has a strategy of this name, too"}
    assert len(registry.refused()) == 2


@pytest.mark.parametrize("name", ["Odd", "9odd", "od d", "x" * 41, "o-dd"])
def test_a_name_that_no_column_and_no_address_would_take_is_refused(
    install: Install, name: str
) -> None:
    assert "up to 40 of a-z" in install((name, "Good")).refused()[0].why


def test_plugins_are_looked_for_once_and_only_when_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def points(group: str) -> list[EntryPoint]:
        asked.append(group)
        return []

    monkeypatch.setattr(plugins, "entry_points", points)
    registry = Registry(EmaRsi())
    assert asked == []
    threads = [Thread(target=registry.refused) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert registry.get("nothing") is None
    assert asked == ["botsite.strategies"]


def test_a_plugin_that_asks_for_ours_while_it_is_imported_gets_them(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = install()
    seen: list[list[str]] = []

    def points(group: str) -> list[EntryPoint]:
        seen.append(list(registry))
        return []

    monkeypatch.setattr(plugins, "entry_points", points)
    assert list(registry) == ["ema_rsi"]
    assert seen == [["ema_rsi"]]


def at_work(install: Install, **mood: Any) -> strategies.Strategy:
    odd = install(("odd", "Moody"))["odd"]
    Moody.mood = mood
    return odd


VALUES = {"level": "5", "count": 3}
LACKS = Answer(why="odd.none", numbers={"level": "5"})
SOUND = Signal(action=Action.NONE, why="odd.none", numbers={"close": "1"}, buy=LACKS)


@pytest.mark.parametrize(
    "answer",
    [
        ZeroDivisionError("x"),
        SystemExit(1),
        RecursionError(),
        None,
        "buy",
        Signal(action="buy", why="odd.buy"),  # type: ignore[arg-type]
        Signal(action=Action.BUY, why="odd.unheard"),
        Signal(action=Action.BUY, why=["odd.buy"]),  # type: ignore[arg-type]
        Signal(action=Action.BUY, why="odd.buy", numbers={"close": 1.0}),  # type: ignore[dict-item]
        Signal(action=Action.BUY, why="odd.buy", numbers={"close": "\x00"}),
        Signal(action=Action.BUY, why="odd.buy", numbers={"close": "1" * 61}),
        Signal(action=Action.BUY, why="odd.buy", numbers={str(i): "1" for i in range(21)}),
        Signal(action=Action.BUY, why="odd.buy", numbers=None),  # type: ignore[arg-type]
        Signal(action=Action.BUY, why="odd.buy", sell="odd.none"),  # type: ignore[arg-type]
        Signal(action=Action.BUY, why="odd.buy", sell=Answer(why="odd.unheard")),
        Signal(action=Action.NONE, why="odd.none", buy=Answer(why="odd.none", numbers={"": "1"})),
    ],
    ids=repr,
)
def test_what_is_no_signal_is_a_failure_with_the_strategys_name(
    install: Install, answer: object
) -> None:
    odd = at_work(install, signal=answer)
    with pytest.raises(StrategyFailed, match=r"^odd: "):
        odd.signal(RISING, VALUES)
    Moody.mood = {"signal": SOUND}
    assert odd.signal(RISING, VALUES) == SOUND


def test_a_process_that_is_told_to_end_still_ends(install: Install) -> None:
    with pytest.raises(KeyboardInterrupt):
        at_work(install, signal=KeyboardInterrupt()).signal(RISING, VALUES)


@pytest.mark.parametrize("count", [0, -1, 5_001, 2.0, True, "3", None])
def test_a_window_that_is_none_is_a_failure_and_refuses_the_parameters(
    install: Install, count: object
) -> None:
    odd = at_work(install, window=count)
    with pytest.raises(StrategyFailed, match=r"^odd: window\(\)"):
        odd.window(VALUES)
    with pytest.raises(ParamErrors) as caught:
        clean(odd, {})
    assert caught.value.errors == {
        "odd": "The strategy cannot work with these parameters (StrategyFailed)."
    }


def test_it_is_given_its_window_and_nothing_older(install: Install) -> None:
    odd = at_work(install)
    # Good buys only if it sees exactly as many candles as it asked for.
    assert odd.signal(RISING, VALUES).action is Action.BUY


@pytest.mark.parametrize(
    ("level", "errors"),
    [
        ("1", {"level": "Not 1."}),
        ("2", {"level": "100 % wrong"}),
        ("3", {"odd": "The strategy cannot work with these parameters (ZeroDivisionError)."}),
    ],
)
def test_what_its_check_says_or_breaks_is_said_of_the_parameters(
    install: Install, level: str, errors: dict[str, str]
) -> None:
    odd = install(("odd", "Good"))["odd"]
    with pytest.raises(ParamErrors) as caught:
        clean(odd, {"level": level})
    assert caught.value.errors == errors
    for message in caught.value.errors.values():
        assert message.msgid % message.params == message


@pytest.mark.parametrize(
    "answer",
    [
        ZeroDivisionError("x"),
        (step(1, D(90)),),
        Drawn(rungs=[step(1, D(90))]),  # type: ignore[arg-type]
        Drawn(rungs=("90",)),  # type: ignore[arg-type]
        Drawn(rungs=(step(0, D(90)),)),
        Drawn(rungs=(step(1.5, D(90)),)),  # type: ignore[arg-type]
        Drawn(rungs=(step(1, D(90)), step(1, D(80)))),
        Drawn(rungs=(step(1, D(-90)),)),
        Drawn(rungs=(step(1, D("NaN")),)),
        Drawn(rungs=(step(1, D("90.001")),)),
        Drawn(rungs=(step(1, D(110), Side.SELL),)),
        Drawn(rungs=tuple(step(level, D(90)) for level in range(1, 42))),
        Drawn(low=90),  # type: ignore[arg-type]
    ],
    ids=repr,
)
def test_what_no_market_would_let_rest_is_a_failure_with_the_strategys_name(
    install: Install, monkeypatch: pytest.MonkeyPatch, answer: object
) -> None:
    odd: Any = install(("odd", "Steps"))["odd"]
    ground = Ground(
        settings=SETTINGS, rules=RULES, position=Position(), lots={}, quote=quote(D(100))
    )
    assert odd.rungs(ground, VALUES) == Drawn()
    monkeypatch.setattr(Steps, "answer", answer)
    with pytest.raises(StrategyFailed, match=r"^odd: "):
        odd.rungs(ground, VALUES)
