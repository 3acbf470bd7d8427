"""The operator's commands: each calls one verb and says by its exit code what became of it."""

import json
from datetime import date, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from bots import schedule, stopping, tick
from bots.lifecycle import Duty, Reason, Status
from bots.models import (
    Alert,
    AlertChannel,
    AlertDelivery,
    ApiToken,
    BotConfig,
    BotState,
    Command,
    DayStats,
    Decision,
    Fill,
    Order,
    Outpaced,
    PaperOrder,
    StateEvent,
    User,
)
from tests.doors.client import Caller
from tests.doors.content import resting_order, traded_bot

NAMES = [
    "accept_exchange",
    "cancel_orders",
    "check_invariants",
    "create_api_token",
    "daily_reset",
    "demo",
    "halt",
    "prune",
    "recompute",
    "reconcile",
    "replay_decision",
    "rotate_keys",
    "run_bot",
    "start_bot",
    "stop_bot",
    "sync_schedule",
    "transfer",
]


def run(*arguments: Any) -> tuple[int, list[str]]:
    """Return a command's exit code and the lines it printed."""
    out = StringIO()
    try:
        call_command(*map(str, arguments), stdout=out, stderr=out)
    except CommandError as error:
        return error.returncode, [*out.getvalue().splitlines(), str(error)]
    return 0, out.getvalue().splitlines()


@pytest.mark.parametrize("name", NAMES)
def test_each_command_explains_itself_and_its_exit_codes(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        call_command(name, "--help")
    assert stopped.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "Exit code" in text


def test_a_decision_is_replayed_and_a_broken_one_is_told(bot: BotConfig) -> None:
    run("start_bot", bot.pk)
    run("run_bot", bot.pk)
    row = Decision.objects.get(bot=bot)
    code, lines = run("replay_decision", row.pk)
    assert (code, lines[-1]) == (0, "the same verdict")
    assert lines[0].startswith(f"decision {row.pk} of bot {bot.pk} (Wave): 1 tick at ")
    assert any(line.startswith(f"then: {row.action} ({row.gate})") for line in lines)
    kept = json.loads(row.inputs)
    kept["view"]["rules"]["active"] = False
    Decision.objects.filter(pk=row.pk).update(inputs=json.dumps(kept))
    code, lines = run("replay_decision", row.pk)
    assert (code, lines[-1]) == (1, "not the same verdict")
    assert "now:  blocked (market_halted)" in lines
    Decision.objects.filter(pk=row.pk).update(inputs=json.dumps(kept | {"v": "older"}))
    assert run("replay_decision", row.pk)[0] == 1
    assert "earlier version" in run("replay_decision", row.pk)[1][-1]
    assert run("replay_decision", 10**9)[0] == 2


def test_start_tick_and_stop(bot: BotConfig) -> None:
    assert run("start_bot", bot.pk) == (0, [f"bot {bot.pk} (Wave): pending (start)"])
    event = StateEvent.objects.get(bot=bot)
    assert (event.by, event.via) == (None, "command")
    code, lines = run("run_bot", bot.pk)
    decision = Decision.objects.get(bot=bot)
    assert code == 0
    assert lines[1].startswith(f"decision: {decision.action} ({decision.gate})")
    code, lines = run("stop_bot", bot.pk)
    assert (code, BotState.objects.get(pk=bot.pk).reason) == (0, Reason.BY_OPERATOR)


def test_a_stop_can_close_the_position(alice: User) -> None:
    bot = traded_bot(alice)
    assert run("stop_bot", bot.pk, "--close")[0] == 0
    state = BotState.objects.get(pk=bot.pk)
    assert (state.duty, state.wind_down) == (Duty.EXIT, "close")
    run("run_bot", bot.pk)
    assert not BotState.objects.get(pk=bot.pk).in_position


def test_a_stop_that_leaves_a_position_says_that_nobody_watches_it(alice: User) -> None:
    bot = traded_bot(alice)
    assert "nobody watches its open position now" in run("stop_bot", bot.pk)[1]


def test_a_position_that_a_stop_left_can_be_closed_later(alice: User) -> None:
    bot = traded_bot(alice)
    run("stop_bot", bot.pk)
    assert BotState.objects.get(pk=bot.pk).is_unwatched
    assert run("stop_bot", bot.pk, "--close")[0] == 0
    run("run_bot", bot.pk)
    state = BotState.objects.get(pk=bot.pk)
    assert (state.in_position, state.status, state.duty) == (False, "stopped", Duty.NONE)


def test_an_entry_order_that_rests_is_cancelled_by_the_next_tick(bot: BotConfig) -> None:
    run("start_bot", bot.pk)
    code, lines = run("cancel_orders", bot.pk)
    assert (code, "(no_order)" in lines[-1]) == (1, True)
    resting_order(bot)
    assert run("cancel_orders", bot.pk)[0] == 0
    waiting = Command.objects.get(bot=bot)
    assert (waiting.kind, waiting.status, waiting.via) == ("cancel", "pending", "command")
    assert run("cancel_orders", 999)[0] == 2


def test_what_cannot_be_done_has_its_exit_codes(bot: BotConfig, alice: User) -> None:
    for name in ("start_bot", "stop_bot", "run_bot"):
        code, lines = run(name, 999)
        assert (code, lines) == (2, ["there is no bot 999"])
    assert run("reconcile", "--bot", 999)[0] == 2
    assert run("create_api_token", "nobody")[0] == 2
    assert run("halt", "--user", "nobody")[0] == 2
    assert run("run_bot", bot.pk)[0] == 1
    User.objects.filter(pk=alice.pk).update(is_active=False)
    code, lines = run("start_bot", bot.pk)
    assert (code, "(owner_inactive)" in lines[-1]) == (1, True)
    assert run("create_api_token", "alice")[0] == 1
    assert not ApiToken.objects.exists()


def test_the_last_line_is_a_token_that_works(alice: User) -> None:
    code, lines = run("create_api_token", "alice")
    caller = Caller()
    caller.headers["Authorization"] = f"Bearer {lines[-1]}"
    assert (code, caller.get("/bot-configs").status) == (0, 200)
    assert set(ApiToken.objects.get().scopes) == {"read", "trade", "keys", "live"}
    run("create_api_token", "alice", "--scopes", "read", "--name", "narrow")
    assert ApiToken.objects.get(name="narrow").scopes == ["read"]


def test_a_forced_reset_run_twice_resets_once(alice: User) -> None:
    bot = traded_bot(alice)
    tomorrow = BotState.objects.get(pk=bot.pk).counter_day + timedelta(days=1)
    assert run("daily_reset", "--day", tomorrow)[1] == ["rolled over: 1"]
    assert run("daily_reset", "--day", tomorrow)[1] == ["rolled over: 0"]
    assert run("daily_reset")[1] == ["rolled over: 0"]
    state = BotState.objects.get(pk=bot.pk)
    assert (state.status, state.daily_trades_count, state.counter_day) == (
        Status.STOPPED,
        0,
        tomorrow,
    )
    assert DayStats.objects.filter(bot=bot).count() == 1
    with pytest.raises(CommandError, match="is no date"):
        call_command("daily_reset", "--day", "tomorrow")


def test_the_schedule_is_repaired(alice: User) -> None:
    bot = traded_bot(alice)
    schedule.sync(bot.pk, None)
    schedule.sync(4711, 60)
    assert run("sync_schedule")[1] == ["added: 1, changed: 0, removed: 1"]
    assert run("sync_schedule", "--verbosity", "0")[1] == []
    assert list(schedule.scheduled()) == [bot.pk]


def test_invariants_hold_until_somebody_cheats(alice: User) -> None:
    bot = traded_bot(alice)
    assert run("check_invariants") == (0, ["violations: 0"])
    assert run("check_invariants", "--json") == (0, ["[]"])
    BotState.objects.filter(pk=bot.pk).update(daily_trades_count=99)
    code, lines = run("check_invariants", "--json")
    found = json.loads(lines[0])
    assert (code, [(row["code"], row["bot_id"]) for row in found]) == (1, [("I3", bot.pk)])
    code, lines = run("check_invariants")
    assert (code, lines[0].startswith(f"I3 bot {bot.pk}")) == (1, True)


def test_reconcile_tells_whether_the_book_agrees(alice: User) -> None:
    bot = traded_bot(alice)
    code, lines = run("reconcile")
    assert (code, lines[-1]) == (0, "compared: 1, wrong: 0")
    bot.account.paper_balances.filter(currency="ETH").update(units=0)
    code, lines = run("reconcile", "--bot", bot.pk)
    assert (code, lines[0].startswith(f"bot {bot.pk}: WRONG")) == (1, True)


def test_recompute_puts_right_what_is_stored_beside_the_fills(alice: User) -> None:
    bot = traded_bot(alice)
    assert run("recompute") == (0, ["bots: 1, values changed: 0"])
    right = BotState.objects.get(pk=bot.pk).daily_pnl
    BotState.objects.filter(pk=bot.pk).update(daily_pnl=right + 1)
    told = f"bot {bot.pk}: daily_pnl {right + 1:f}, fills say {right:f}"
    assert run("recompute", "--dry-run") == (0, [told, "bots: 1, values would change: 1"])
    assert run("recompute", "--bot", bot.pk) == (0, [told, "bots: 1, values changed: 1"])
    assert BotState.objects.get(pk=bot.pk).daily_pnl == right
    assert run("recompute", "--bot", 999)[0] == 2


def test_halt_stops_one_user_or_all(alice: User, bob: User) -> None:
    hers, his = traded_bot(alice), traded_bot(bob)
    assert run("halt", "--user", "alice") == (0, ["stopped: 1"])
    assert BotState.objects.get(pk=hers.pk).text == "stopped (halt)"
    assert BotState.objects.get(pk=his.pk).status == Status.RUNNING
    assert BotState.objects.get(pk=hers.pk).in_position
    assert run("halt", "--flatten") == (0, ["stopped: 2"])
    for bot in (hers, his):
        tick.run(bot.pk)
        assert not BotState.objects.get(pk=bot.pk).in_position


def test_halt_tells_which_bots_it_did_not_reach(
    alice: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    hers, his = traded_bot(alice), traded_bot(bob)
    inner = stopping._halt

    def attempt(bot_ids: list[int], *rest: Any) -> Any:
        if hers.pk in bot_ids:
            raise Outpaced("taken")
        return inner(bot_ids, *rest)

    monkeypatch.setattr("bots.change.ATTEMPTS", 1)
    monkeypatch.setattr(stopping, "CHUNK", 1)
    monkeypatch.setattr(stopping, "_halt", attempt)
    assert run("halt") == (1, [f"stopped: 1; busy, not stopped: bots {hers.pk}"])
    assert BotState.objects.get(pk=his.pk).text == "stopped (halt)"


def test_prune_keeps_history_and_what_is_still_needed(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bots.housekeeping.BATCH", 1)
    bot = traded_bot(alice)
    kept = {model: model.objects.count() for model in (Order, Fill, StateEvent, DayStats)}
    assert run("prune", "--days", 30)[1] == [
        "deleted: 0 decisions, 0 commands, 0 paper orders, 0 alerts and messages, 0 signals"
    ]
    old = timezone.now() - timedelta(days=31)
    for told_at in (old, None):
        Alert.objects.create(owner=alice, kind="error", at=old, told_at=told_at, key=str(told_at))
    channel = AlertChannel.objects.create(owner=alice, service="webhook", secret_url="jsons://h")
    for ended_at in (old, None):
        AlertDelivery.objects.create(channel=channel, kind="error", ended_at=ended_at)
    Decision.objects.update(last_at=old)
    Command.objects.update(ended_at=old)
    PaperOrder.objects.update(created_at=old)
    open_order = Order.objects.filter(bot=bot).latest("pk")
    Order.objects.filter(pk=open_order.pk).update(is_settled=False)
    assert run("prune", "--days", 30)[1] == [
        "deleted: 2 decisions, 3 commands, 2 paper orders, 2 alerts and messages, 0 signals"
    ]
    assert Decision.objects.get().pk == BotState.objects.get(pk=bot.pk).decision_id
    assert Alert.objects.get().told_at is None
    assert AlertDelivery.objects.get().ended_at is None
    assert PaperOrder.objects.get().client_order_id == open_order.client_order_id
    assert {model: model.objects.count() for model in kept} == kept


@pytest.mark.parametrize("days", ["0", "-1", "x", "1.5"])
def test_prune_wants_a_number_of_days(days: str, db: None) -> None:
    with pytest.raises(CommandError, match="whole number of days"):
        call_command("prune", "--days", days)


def test_the_token_and_reset_commands_speak_of_today(alice: User) -> None:
    day = run("daily_reset", "--day", date(2000, 1, 1))
    assert day == (0, ["rolled over: 0"])
