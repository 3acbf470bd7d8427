"""The table of statuses and moves, and the database that refuses what it does not allow."""

from itertools import product

import pytest
from django.db import IntegrityError, connection, transaction

from bots import lifecycle
from bots.lifecycle import (
    ALLOWED,
    FATAL,
    LIMITS,
    MOVES,
    RUNNING_REASONS,
    STOPS,
    TRANSIENT,
    Duty,
    IllegalMove,
    Move,
    Reason,
    Status,
)
from bots.models import BotState, Outpaced
from tests.engine.conftest import Maker
from trading.exchange import Fault

P, R, W, S, E, X = (
    Status.PENDING,
    Status.RUNNING,
    Status.WAITING,
    Status.PAUSED,
    Status.ERROR,
    Status.STOPPED,
)
TICKS = {P, R, W, E, X}
#: Written out by hand: the statuses each move may come from, and where it leads.
EXPECTED: dict[Move, tuple[set[Status], Status | None]] = {
    Move.START: ({X, S, E}, P),
    Move.STOP: ({P, R, W, S, E, X}, X),
    Move.RUN: (TICKS, R),
    Move.WAIT: (TICKS, W),
    Move.FAIL: (TICKS, E),
    Move.SWITCH_OFF: (TICKS, E),
    Move.PAUSE: (TICKS, S),
    Move.RESET: ({P, R, W, S, E, X}, X),
    Move.SETTLE: ({P, R, W, S, E, X}, None),
    Move.EDIT: ({P, R, W, S, E, X}, None),
    Move.PROTECT: ({P, R, W, S, E, X}, None),
    Move.ADJUST: ({P, R, W, S, E, X}, None),
    Move.RECOMPUTE: ({P, R, W, S, E, X}, None),
}


@pytest.mark.parametrize(("status", "move"), list(product(Status, EXPECTED)))
def test_a_move_leads_where_the_table_says_or_is_refused(status: Status, move: Move) -> None:
    sources, to = EXPECTED[move]
    if status in sources:
        assert lifecycle.target(status, move) == (to or status)
    else:
        with pytest.raises(IllegalMove):
            lifecycle.target(status, move)


def test_the_table_above_has_every_move() -> None:
    assert set(EXPECTED) == set(MOVES) == set(Move)


def test_every_fault_of_an_exchange_is_a_reason() -> None:
    assert {lifecycle.reason_of(fault).value for fault in Fault} == {f.value for f in Fault}


def test_every_reason_belongs_to_one_group() -> None:
    groups = [{Reason.START, Reason.DAILY_RESET}, RUNNING_REASONS, TRANSIENT, LIMITS, FATAL, STOPS]
    assert sum(len(group) for group in groups) == len(set().union(*groups)) == len(Reason)


def test_duty_is_trade_exactly_where_a_bot_is_on() -> None:
    assert {status for status, _, duties in ALLOWED if Duty.TRADE in duties} == {P, R, W, E, X}
    for status in (P, R, W):
        assert not lifecycle.is_allowed(status, Reason.START, Duty.NONE)
        assert all(duties == {Duty.TRADE} for at, _, duties in ALLOWED if at == status)


def test_the_stable_text_is_english_and_names_the_reason() -> None:
    assert lifecycle.text("error", "api_key_decrypt_failed") == "error (api key decrypt failed)"
    assert lifecycle.text("paused", "max_daily_loss") == "paused (max daily loss reached)"


def write_raw(pk: int, status: str, reason: str, duty: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE bots_botstate SET status = %s, reason = %s, duty = %s WHERE bot_id = %s",
            [status, reason, duty, pk],
        )


def test_the_database_takes_the_legal_rows_and_no_other(bench: Maker) -> None:
    b = bench()
    for status, reason, duty in product(Status.values, Reason.values, Duty.values):
        if lifecycle.is_allowed(status, reason, duty):
            write_raw(b.bot.pk, status, reason, duty)
        else:
            with pytest.raises(IntegrityError):
                write_raw(b.bot.pk, status, reason, duty)


@pytest.mark.parametrize(
    ("status", "reason", "duty"),
    [
        ("running", "no_signal", "none"),
        ("running", "no_signal", "exit"),
        ("stopped", "by_owner", "trade"),
        ("paused", "max_daily_loss", "trade"),
        ("error", "api_key_invalid", "trade"),
        ("error", "network", "none"),
        ("waiting", "api_key_invalid", "trade"),
        ("pending", "by_owner", "trade"),
        ("asleep", "no_signal", "trade"),
        ("running", "", "trade"),
    ],
)
def test_the_database_refuses_what_no_bot_may_be(
    bench: Maker, status: str, reason: str, duty: str
) -> None:
    b = bench()
    with pytest.raises(IntegrityError):
        write_raw(b.bot.pk, status, reason, duty)


def test_a_change_from_a_row_that_moved_on_is_outpaced(bench: Maker) -> None:
    b = bench()
    old = b.state
    b.tick()
    with pytest.raises(Outpaced):
        old.change(Move.WAIT, guard={}, reason=Reason.NETWORK)
    with pytest.raises(IllegalMove):
        b.state.change(Move.START, guard={}, reason=Reason.START)
    assert b.where == ("running", "no_signal", "trade")


def test_every_write_stamps_version_and_time(bench: Maker) -> None:
    b = bench()
    old = b.state
    BotState.objects.filter(pk=b.bot.pk).update(failures=1)
    assert b.state.version == old.version + 1
    assert b.state.last_updated_at > old.last_updated_at
    new = b.state.change(None, guard={}, failures=2)
    assert (
        (new.version, new.failures) == (b.state.version, b.state.failures) == (old.version + 2, 2)
    )


def test_a_state_row_cannot_be_saved(bench: Maker) -> None:
    state = bench().state
    with pytest.raises(TypeError):
        state.save()
    with pytest.raises(TypeError):
        BotState.objects.update_or_create(pk=state.pk, defaults={"status": "running"})
