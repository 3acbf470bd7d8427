"""The demo reaches every status by clicks and real ticks, and a second run changes nothing."""

import stat
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from bots import invariants, tick
from bots.backtests import running
from bots.demo import cast
from bots.lifecycle import Status
from bots.models import ApiKey, BacktestRun, BotConfig, BotState, Order, StateEvent, User


@pytest.fixture
def folder(settings: Any, tmp_path: Path) -> Path:
    settings.DATA_DIR = tmp_path
    return tmp_path


def run(*arguments: str) -> list[str]:
    out = StringIO()
    call_command("demo", *arguments, stdout=out)
    return out.getvalue().splitlines()


def test_every_status_is_there_after_each_bot_ticked_once(db: None, folder: Path) -> None:
    run()
    before = set(BotState.objects.values_list("status", flat=True))
    assert before == {Status.PENDING, Status.RUNNING, Status.PAUSED, Status.STOPPED}
    for bot in BotConfig.objects.filter(is_active=True):
        tick.run(bot.pk)
    texts = {state.text for state in BotState.objects.all()}
    assert {
        "waiting (market halted)",
        "paused (max daily trades reached)",
        "error (api key decrypt failed)",
        "error (api key missing)",
        "stopped (by owner)",
    } <= texts
    assert not any(state.is_unwatched for state in BotState.objects.all())
    running = BotState.objects.filter(status=Status.RUNNING)
    assert running.filter(in_position=True).exists()
    assert BotConfig.objects.filter(state=None).count() == 1
    assert invariants.check() == []


def test_no_status_is_written_by_hand(db: None, folder: Path) -> None:
    run()
    paused = BotState.objects.get(status=Status.PAUSED)
    moves = StateEvent.objects.filter(bot=paused.pk).order_by("pk")
    assert [(event.via, event.new_status) for event in moves][:: len(moves) - 1] == [
        ("command", "pending"),
        ("tick", "paused"),
    ]
    assert Order.objects.filter(bot=paused.pk, is_settled=True).count() == 2


def test_the_last_line_says_how_to_sign_in(db: None, folder: Path) -> None:
    line = run()[-1]
    assert line.startswith("login: demo  password: ")
    password = line.rpartition(" ")[2]
    assert len(password) >= 12
    assert User.objects.get(username="demo").check_password(password)
    kept = folder / cast.LOGIN_FILE
    assert kept.read_text() == line.removeprefix("login: ") + "\n"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_a_second_run_changes_nothing(db: None, folder: Path) -> None:
    run()
    password = User.objects.get(username="demo").password
    events = StateEvent.objects.count()
    bots = list(BotConfig.objects.order_by("pk").values_list("pk", "name"))
    assert run()[-1] == "login: demo  password: as it was set before"
    assert User.objects.get(username="demo").password == password
    assert list(BotConfig.objects.order_by("pk").values_list("pk", "name")) == bots
    assert (StateEvent.objects.count(), ApiKey.objects.count()) == (events, 1)
    tried = running.run(BacktestRun.objects.get().pk)
    assert tried is not None
    assert (tried.status, tried.summary["trades"] > 10) == ("done", True)


def test_a_bot_that_was_deleted_does_not_come_back(db: None, folder: Path) -> None:
    run()
    idle = BotConfig.objects.get(state=None)
    BotConfig.objects.filter(pk=idle.pk).update(deleted_at=idle.created_at)
    run()
    assert BotConfig.objects.filter(name=idle.name).count() == 1


def test_a_lost_password_can_be_set_anew(db: None, folder: Path) -> None:
    first = run()[-1].rpartition(" ")[2]
    second = run("--new-password")[-1].rpartition(" ")[2]
    assert first != second
    assert User.objects.get(username="demo").check_password(second)
    assert second in (folder / cast.LOGIN_FILE).read_text()


def test_without_exchanges_there_are_no_bots_with_keys(
    db: None, folder: Path, settings: Any
) -> None:
    settings.LIVE_EXCHANGES = []
    run()
    assert not BotConfig.objects.exclude(mode="paper").exists()
