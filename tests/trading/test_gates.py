"""The rules of a decision in the order asked: they agree with the verdict and tell the truth."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trading.values import BUY, HELD, RULES, view
from trading.execution import decide
from trading.gates import Check, Mark, explain
from trading.market import Quote, Side
from trading.position import Position
from trading.protections import Record
from trading.risk import Day, Gate, Levels, Settings
from trading.strategies.base import Action, Signal
from trading.view import Resting, View

D = Decimal
NOW = 1_700_000_000_000
MINUTE = 60_000

perc = st.sampled_from([None, D("0.05"), D(1), D(5)])
count = st.sampled_from([None, 1, 3])
money = st.sampled_from([D(-60), D(-5), D(0), D(5), D(60)])


@st.composite
def owners(draw: st.DrawFn) -> Settings:
    size = draw(st.sampled_from([D("1"), D(100), D(5000)]))
    return Settings(
        initial_capital=D(1000),
        position_size_fixed=size,
        stop_loss_perc=draw(perc),
        take_profit_perc=draw(perc),
        trailing_stop_perc=D(2),
        trailing_stop_active=draw(st.booleans()),
        max_daily_trades=draw(count),
        max_daily_loss_perc=draw(perc),
        daily_target_perc=draw(perc),
        leverage=draw(st.sampled_from([1, 25])),
        direction=draw(st.sampled_from(["long", "short", "both"])),
        entry_type=draw(st.sampled_from(["market", "limit"])),
        max_spread_perc=draw(perc),
        cooldown_minutes=draw(count),
        stop_guard_stops=draw(count),
        stop_guard_minutes=draw(count),
        max_drawdown_perc=draw(perc),
        loss_includes_open=draw(st.booleans()),
    )


def positions(*, is_short: bool) -> st.SearchStrategy[Position]:
    held = Position(
        amount=D(1),
        cost=D(100),
        is_open=True,
        is_short=is_short,
        entry_amount=D(1),
        entry_quote=D(100),
    )
    return st.sampled_from([Position(), held])


def resting_or_none(rests: bool) -> st.SearchStrategy[Resting | None]:
    if not rests:
        return st.none()
    return st.builds(
        Resting,
        side=st.sampled_from(list(Side)),
        price=st.just(D(99)),
        filled=st.just(D(0)),
        age=st.sampled_from([5.0, 500.0]),
        forced=st.booleans(),
    )


records = st.builds(
    Record,
    now=st.just(NOW),
    last_loss_at=st.sampled_from([None, NOW - 2 * MINUTE, NOW - 90 * MINUTE]),
    stop_exits=st.sampled_from([(), (NOW - MINUTE,), (NOW - MINUTE, NOW - 2 * MINUTE)]),
    profit=money,
    profit_peak=st.just(D(60)),
    account_positions=st.integers(0, 3),
    account_max_positions=count,
    account_day_pnl=money,
    account_max_daily_loss=st.sampled_from([None, D(50)]),
)


@st.composite
def views(draw: st.DrawFn) -> View:
    bid = draw(st.sampled_from([D(95), D(100), D(106)]))
    ask = bid + draw(st.sampled_from([D(0), D("0.5"), D(2)]))
    futures = draw(st.booleans())
    return View(
        settings=draw(owners()),
        rules=replace(
            RULES,
            active=draw(st.integers(0, 9)) > 0,
            min_notional=D(5),
            max_amount=draw(st.sampled_from([None, D(10)])),
        ),
        position=draw(positions(is_short=futures and draw(st.booleans()))),
        levels=Levels(max_price=draw(st.sampled_from([None, D(107)]))),
        day=Day(pnl=draw(money), trades=draw(st.integers(0, 3))),
        quote=Quote(symbol=RULES.symbol, bid=bid, ask=ask, last=bid, at=NOW),
        signal=Signal(action=draw(st.sampled_from(list(Action))), why="x", numbers={"rsi": "50"}),
        duty=draw(st.sampled_from(["trade", "trade", "exit"])),
        wind_down=draw(st.sampled_from(["leave", "close", "after_exit"])),
        command=draw(st.sampled_from([None, None, "enter", "exit"])),
        free_base=None if futures else draw(st.sampled_from([None, D("0.5"), D(1)])),
        free_quote=draw(st.sampled_from([None, D(50), D(9000)])),
        futures=futures,
        record=draw(records),
        resting=draw(st.sampled_from([True, False, False, False]).flatmap(resting_or_none)),
    )


@st.composite
def entries(draw: st.DrawFn) -> View:
    """Flat bots with a signal, so that what follows it is asked at all."""
    seen = draw(views())
    wished = replace(
        seen.settings, max_daily_loss_perc=None, daily_target_perc=None, max_drawdown_perc=None
    )
    return replace(
        seen,
        settings=replace(wished, max_daily_trades=None, direction="both", entry_type="market"),
        rules=replace(seen.rules, active=True),
        position=Position(),
        signal=BUY,
        duty="trade",
        command=draw(st.sampled_from([None, "enter"])),
        resting=None,
        record=replace(seen.record, account_max_daily_loss=None),
    )


either = st.one_of(views(), entries())


@settings(max_examples=400, deadline=None)
@given(either)
def test_the_last_rule_that_decided_is_the_verdicts(seen: View) -> None:
    verdict, checks = explain(seen)
    assert verdict == decide(seen)
    decided = [check for check in checks if check.mark is Mark.DECIDED]
    assert 1 <= len(decided) <= 2, "what closes a position, and what keeps its order back"
    last = decided[-1]
    # A position that is closed: what was reached decided, and its order passed.
    if seen.position.is_open and seen.resting is not None and verdict.gate is Gate.SIGNAL_GONE:
        assert last.gate in (Gate.SIGNAL, Gate.SIGNAL_GONE)
    else:
        assert last.gate is verdict.gate
    if last.gate is verdict.gate:
        assert last.numbers == verdict.numbers
    for check in checks:
        assert not (check.mark is Mark.UNREACHED and check.numbers)


def number(check: Check, name: str) -> Decimal:
    return D(check.numbers[name])


#: What a rule that passed claims of its numbers.
CLAIMS: dict[Gate, Callable[[Check], bool]] = {
    Gate.MAX_DRAWDOWN: lambda c: number(c, "have") < number(c, "limit"),
    Gate.DAILY_TARGET: lambda c: number(c, "have") < number(c, "limit"),
    Gate.MAX_DAILY_TRADES: lambda c: number(c, "have") < number(c, "limit"),
    Gate.MAX_DAILY_LOSS: lambda c: number(c, "have") > number(c, "limit"),
    Gate.ACCOUNT_DAILY_LOSS: lambda c: number(c, "have") > number(c, "limit"),
    Gate.COOLDOWN: lambda c: not c.numbers or number(c, "have") >= number(c, "limit"),
    Gate.STOP_GUARD: lambda c: number(c, "have") < number(c, "limit"),
    Gate.MAX_OPEN_POSITIONS: lambda c: number(c, "have") < number(c, "limit"),
    Gate.SPREAD: lambda c: number(c, "have") <= number(c, "limit"),
    Gate.TOO_LARGE: lambda c: number(c, "have") <= number(c, "max_amount"),
    Gate.INSUFFICIENT_FUNDS: lambda c: number(c, "need") <= number(c, "have"),
    Gate.BELOW_MINIMUM: lambda c: number(c, "need") <= number(c, "have"),
    Gate.ENTRY_TIMEOUT: lambda c: number(c, "have") < number(c, "limit"),
}


@settings(max_examples=400, deadline=None)
@given(either)
def test_what_passed_is_true_by_its_own_numbers(seen: View) -> None:
    _verdict, checks = explain(seen)
    for check in checks:
        if check.mark is Mark.PASSED and check.gate in CLAIMS:
            assert CLAIMS[check.gate](check), check


@settings(max_examples=400, deadline=None)
@given(views())
def test_levels_that_passed_are_not_reached(seen: View) -> None:
    _verdict, checks = explain(seen)
    down = not seen.position.is_short
    for check in checks:
        if not check.closes or check.mark is not Mark.PASSED:
            continue
        name = {Gate.STOP_LOSS: "stop", Gate.TRAILING_STOP: "trailing"}.get(check.gate)
        if name:
            assert (number(check, "price") > number(check, name)) == down
        if check.gate is Gate.TAKE_PROFIT:
            assert (number(check, "price") < number(check, "target")) == down


#: How an owner takes a rule away.
OFF = {
    Gate.MAX_DRAWDOWN: {"max_drawdown_perc": None},
    Gate.MAX_DAILY_LOSS: {"max_daily_loss_perc": None},
    Gate.DAILY_TARGET: {"daily_target_perc": None},
    Gate.MAX_DAILY_TRADES: {"max_daily_trades": None},
    Gate.COOLDOWN: {"cooldown_minutes": None},
    Gate.STOP_GUARD: {"stop_guard_stops": None},
    Gate.SPREAD: {"max_spread_perc": None},
}


@settings(max_examples=600, deadline=None)
@given(either)
def test_without_the_rule_that_decided_a_later_one_does(seen: View) -> None:
    """The order is that of decide(): what is asked after a rule decides once it is gone."""
    verdict, checks = explain(seen)
    if verdict.action != "blocked" or verdict.gate not in OFF or seen.position.is_open:
        return
    order = [check.gate for check in checks]
    without = replace(seen, settings=replace(seen.settings, **OFF[verdict.gate]))
    then, _checks = explain(without)
    assert then.gate in order[order.index(verdict.gate) + 1 :], (verdict, then)


def test_a_rule_that_is_off_is_not_listed() -> None:
    gates = [check.gate for check in explain(view(signal=BUY, max_amount=None))[1]]
    assert gates == [
        *(Gate.DUTY_EXIT, Gate.MARKET_HALTED, Gate.NO_SIGNAL, Gate.BELOW_MINIMUM, Gate.SIGNAL)
    ]


@pytest.mark.parametrize("price", ["97", "98"])
def test_a_stop_that_is_reached_decides_and_its_order_has_to_pass(price: str) -> None:
    wished = {"stop_loss_perc": D(2), "take_profit_perc": D(4)}
    _verdict, checks = explain(view(price, position=HELD, free_base=D(2), **wished))
    assert [(check.gate, check.mark) for check in checks] == [
        (Gate.STOP_LOSS, Mark.DECIDED),
        (Gate.TAKE_PROFIT, Mark.UNREACHED),
        (Gate.SIGNAL, Mark.UNREACHED),
        (Gate.MARKET_HALTED, Mark.PASSED),
        (Gate.RECONCILE, Mark.PASSED),
        (Gate.BELOW_MINIMUM, Mark.PASSED),
    ]


def test_what_could_not_be_sold_at_its_stop_is_told_after_the_funds() -> None:
    """Large enough to buy, too small to be sold: the same rule, asked a second time."""
    seen = view(
        signal=BUY,
        position_size_fixed=D("5.1"),
        stop_loss_perc=D(5),
        min_amount=D(0),
        free_quote=D(100),
    )
    verdict, checks = explain(seen)
    assert verdict.gate is Gate.BELOW_MINIMUM
    told = [(check.gate, check.mark) for check in checks][3:]
    assert told == [
        (Gate.BELOW_MINIMUM, Mark.PASSED),
        (Gate.TOO_LARGE, Mark.PASSED),
        (Gate.INSUFFICIENT_FUNDS, Mark.PASSED),
        (Gate.BELOW_MINIMUM, Mark.DECIDED),
        (Gate.SIGNAL, Mark.UNREACHED),
    ]
