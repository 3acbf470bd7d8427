"""Protections just below, at and above their bounds, each with its numbers."""

from typing import Any

import pytest

from tests.trading.values import BUY, HELD, NONE, SELL, D, quote, view
from trading.execution import Decision, decide
from trading.protections import iso
from trading.risk import Day, Gate

MINUTE = 60_000
#: 2026-01-01T00:00:00Z
T0 = 1_767_225_600_000


def entry(**changes: Any) -> Decision:
    return decide(view(**{"signal": BUY, **changes}))


def expect(decided: Decision, gate: Gate | None, **numbers: str) -> None:
    """Check that the wished-for entry goes through, or is blocked by `gate` with its numbers."""
    if gate is None:
        assert (decided.action, decided.gate) == ("enter", Gate.SIGNAL)
    else:
        assert (decided.action, decided.gate) == ("blocked", gate)
        assert decided.numbers == numbers
        assert (decided.side, decided.amount) == (None, None)


def test_an_instant_is_iso_text_never_too_early() -> None:
    assert iso(T0) == "2026-01-01T00:00:00+00:00"
    assert iso(T0 + 1) == "2026-01-01T00:00:01+00:00"


@pytest.mark.parametrize(
    ("passed", "have"),
    [
        (0, "0"),
        (29 * MINUTE, "29"),
        (30 * MINUTE - 1, "29"),
        (30 * MINUTE, None),
        (30 * MINUTE + 1, None),
    ],
)
def test_the_cooldown_after_a_loss(passed: int, have: str | None) -> None:
    decided = entry(cooldown_minutes=30, last_loss_at=T0, now=T0 + passed)
    gate = None if have is None else Gate.COOLDOWN
    expect(decided, gate, have=have or "", limit="30", until="2026-01-01T00:30:00+00:00")


def test_no_loss_needs_no_cooldown() -> None:
    expect(entry(cooldown_minutes=30, last_loss_at=None, now=T0), None)
    expect(entry(cooldown_minutes=None, last_loss_at=T0, now=T0), None)
    expect(entry(cooldown_minutes=0, last_loss_at=T0, now=T0), None)


GUARD: dict[str, Any] = {"stop_guard_stops": 3, "stop_guard_minutes": 60}
STOPS = (T0, T0 + 10 * MINUTE, T0 + 20 * MINUTE)


@pytest.mark.parametrize(
    ("stops", "gate"),
    [
        (STOPS[:2], None),
        (STOPS, Gate.STOP_GUARD),
        ((*STOPS, T0 + 30 * MINUTE), Gate.STOP_GUARD),
    ],
)
def test_the_stop_guard_below_at_and_above_its_count(
    stops: tuple[int, ...], gate: Gate | None
) -> None:
    decided = entry(**GUARD, stop_exits=stops, now=T0 + 40 * MINUTE)
    until = "2026-01-01T01:00:00+00:00" if len(stops) == 3 else "2026-01-01T01:10:00+00:00"
    expect(decided, gate, have=str(len(stops)), limit="3", until=until)


@pytest.mark.parametrize(
    ("now", "gate"),
    [
        (T0 + 60 * MINUTE - 1, Gate.STOP_GUARD),
        (T0 + 60 * MINUTE, None),
        (T0 + 60 * MINUTE + 1, None),
    ],
)
def test_the_stop_guard_ends_when_the_window_has_passed(now: int, gate: Gate | None) -> None:
    decided = entry(**GUARD, stop_exits=STOPS[::-1], now=now)
    expect(decided, gate, have="3", limit="3", until="2026-01-01T01:00:00+00:00")


@pytest.mark.parametrize("off", [{"stop_guard_stops": None}, {"stop_guard_minutes": 0}])
def test_a_stop_guard_without_count_or_window_is_off(off: dict[str, Any]) -> None:
    expect(entry(**GUARD | off, stop_exits=STOPS, now=T0 + 40 * MINUTE), None)


#: 5 % of 1000 are 50.
@pytest.mark.parametrize(
    ("profit", "peak", "have"),
    [
        ("-49.99", "0", None),
        ("-50", "0", "50"),
        ("-50.01", "0", "50.01"),
        ("70.01", "120", None),
        ("70", "120", "50"),
        ("69.99", "120", "50.01"),
        # A peak that was never stored is the start, or now.
        ("-50", "-50", "50"),
        ("500", "0", None),
    ],
)
def test_the_drawdown_from_the_peak(profit: str, peak: str, have: str | None) -> None:
    decided = entry(max_drawdown_perc=D(5), profit=D(profit), profit_peak=D(peak))
    gate = None if have is None else Gate.MAX_DRAWDOWN
    expect(decided, gate, have=have or "", limit="50")
    assert decided.switch_off == gate
    assert decided.pause is None


def test_a_drawdown_switches_off_without_any_signal_and_lets_exits_go_on() -> None:
    deep: dict[str, Any] = {"max_drawdown_perc": D(5), "profit": D(-60)}
    decided = decide(view(signal=NONE, **deep))
    assert (decided.action, decided.switch_off) == ("blocked", "max_drawdown")
    decided = decide(view(position=HELD, signal=SELL, **deep))
    assert (decided.action, decided.gate, decided.switch_off) == ("exit", "signal", "max_drawdown")
    decided = decide(view(position=HELD, duty="exit", **deep))
    assert decided.switch_off is None


def test_a_drawdown_outranks_the_limits_of_the_day() -> None:
    decided = entry(
        max_drawdown_perc=D(5), profit=D(-60), max_daily_loss_perc=D(1), day=Day(pnl=D(-60))
    )
    assert (decided.gate, decided.switch_off, decided.pause) == (
        Gate.MAX_DRAWDOWN,
        Gate.MAX_DRAWDOWN,
        None,
    )


@pytest.mark.parametrize(("count", "gate"), [(1, None), (2, "max"), (3, "max")])
def test_open_positions_of_the_account(count: int, gate: str | None) -> None:
    decided = entry(account_positions=count, account_max_positions=2)
    expect(decided, Gate.MAX_OPEN_POSITIONS if gate else None, have=str(count), limit="2")
    assert decided.pause is None


def test_an_account_without_a_bound_of_positions_has_none() -> None:
    for off in (None, 0):
        expect(entry(account_positions=99, account_max_positions=off), None)


@pytest.mark.parametrize(
    ("pnl", "is_reached"), [("-99.99", False), ("-100", True), ("-100.01", True)]
)
def test_the_daily_loss_of_the_account_blocks_and_pauses(pnl: str, is_reached: bool) -> None:
    decided = entry(account_day_pnl=D(pnl), account_max_daily_loss=D(100))
    gate = Gate.ACCOUNT_DAILY_LOSS if is_reached else None
    expect(decided, gate, have=pnl, limit="-100")
    assert decided.pause == gate


def test_the_accounts_loss_pauses_without_a_signal_and_lets_exits_go_on() -> None:
    lost: dict[str, Any] = {"account_day_pnl": D(-100), "account_max_daily_loss": D(100)}
    assert decide(view(signal=NONE, **lost)).pause == "account_daily_loss"
    decided = decide(view(position=HELD, signal=SELL, **lost))
    assert (decided.action, decided.pause) == ("exit", "account_daily_loss")
    for off in (None, D(0)):
        expect(entry(**lost | {"account_max_daily_loss": off}), None)


@pytest.mark.parametrize(
    ("ask", "have"), [("100.99", None), ("101", None), ("101.01", "2.0098995")]
)
def test_the_spread_in_percent_of_the_middle_below_at_and_above(ask: str, have: str | None) -> None:
    """The widest that is allowed itself is allowed: 99 and 101 are 2 % around 100."""
    decided = entry(quote=quote("99", ask), max_spread_perc=D(2))
    expect(decided, None if have is None else Gate.SPREAD, have=have or "", limit="2")


def test_the_spread_guards_market_entries_only() -> None:
    wide = {"quote": quote("90", "110"), "max_spread_perc": D(1)}
    assert entry(**wide).gate is Gate.SPREAD
    assert entry(**wide).numbers == {"have": "20", "limit": "1"}
    assert entry(**wide, entry_type="limit").action == "enter"
    assert entry(**wide, entry_type="post_only").action == "enter"
    assert entry(**wide, entry_type="limit", entry_fallback="market", fallback_due=True).gate == (
        Gate.SPREAD
    )
    assert decide(view(position=HELD, command="exit", **wide)).action == "exit"
    assert entry(quote=quote("90", "110"), max_spread_perc=D(0)).action == "enter"


PASSING: list[dict[str, Any]] = [
    {"cooldown_minutes": 1, "last_loss_at": T0, "now": T0},
    {**GUARD, "stop_exits": STOPS, "now": T0 + 40 * MINUTE},
    {"account_positions": 2, "account_max_positions": 2},
    {"quote": quote("90", "110"), "max_spread_perc": D(1)},
]


@pytest.mark.parametrize("rule", PASSING, ids=["cooldown", "stop guard", "positions", "spread"])
def test_a_passing_rule_keeps_commands_back_and_exits_free(rule: dict[str, Any]) -> None:
    assert entry(**rule, signal=NONE, command="enter").action == "blocked"
    assert entry(**rule, signal=NONE).gate is Gate.NO_SIGNAL
    assert decide(view(position=HELD, signal=SELL, **rule)).action == "exit"
    assert entry(**rule, duty="exit").gate is Gate.DUTY_EXIT
