"""While the demo's past is lived nobody waits for it, and it comes over whole or not at all."""

from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from bots import control, invariants, recompute, schedule, tick
from bots.demo import cast, history
from bots.models import BotConfig, BotState, Decision, Fill, Order, StateEvent, User
from tests.doors.content import traded_bot

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow(seconds=5)]


@pytest.fixture
def rider(monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path) -> BotConfig:
    """A demo bot that waits for its past; no message leaves."""
    settings.DATA_DIR = tmp_path
    monkeypatch.setattr(schedule.nudge_spread.__globals__["current_app"], "send_task", _nothing)
    user, _password = cast.make_user()
    bots = {bot.name: bot for bot in cast.make_bots(user, leave_past=True)}
    return bots["Tide rider"]


def _nothing(*_: Any, **__: Any) -> None:
    """The broker takes everything."""


def meanwhile(monkeypatch: pytest.MonkeyPatch, bot: BotConfig, act: Callable[[], None]) -> None:
    """Have somebody else do something while the bot lives through its tenth tick."""
    real, ticks = tick.run, 0

    def run(bot_id: int, *arguments: Any, **words: Any) -> Any:
        nonlocal ticks
        ticks += bot_id == bot.pk
        if ticks == 10:
            monkeypatch.setattr(tick, "run", real)
            somebody = Thread(target=_alone, args=(act,))
            somebody.start()
            somebody.join(timeout=15)
            assert not somebody.is_alive(), "they had to wait"
        return real(bot_id, *arguments, **words)

    monkeypatch.setattr(tick, "run", run)


def _alone(act: Callable[[], None]) -> None:
    try:
        act()
    finally:
        connection.close()


def test_others_write_meanwhile_and_see_nothing_of_it(
    rider: BotConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[bool] = []
    made: list[BotConfig] = []

    def trade() -> None:
        seen.append(BotState.objects.filter(pk=rider.pk).exists())
        if connection.vendor == "sqlite":
            made.append(traded_bot(User.objects.create_user("bob")))

    meanwhile(monkeypatch, rider, trade)
    (tmp_path / "demo-copy-of-a-killed-one").mkdir()
    assert history.write(rider, end=timezone.now(), days=3, seconds=60)
    assert seen == [False]
    if connection.vendor == "sqlite":
        assert not list(tmp_path.glob("demo-copy*"))
    state = BotState.objects.get(pk=rider.pk)
    assert sum(row.count for row in Decision.objects.filter(bot=rider)) == state.fence > 60
    assert BotConfig.objects.get(pk=rider.pk).is_active
    # What both made has numbers of its own, and each row names what is its bot's.
    assert Fill.objects.filter(bot=rider).exists()
    for fill in Fill.objects.select_related("order"):
        assert fill.order.bot_id == fill.bot_id
    for bot in made:
        assert Order.objects.filter(bot=bot).count() == 3
    assert recompute.recompute(rider.pk, by=None, via="command") == []
    assert invariants.check() == []
    assert schedule.scheduled()[rider.pk] == rider.check_interval_seconds
    assert tick.run(rider.pk) is not None


def test_whoever_starts_the_bot_meanwhile_keeps_it(
    rider: BotConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start() -> None:
        control.start(rider, by=rider.owner, via="page")

    if connection.vendor == "sqlite":
        meanwhile(monkeypatch, rider, start)
    else:  # its row is locked: they come first, or wait
        start()
    assert not history.write(rider, end=timezone.now(), days=1, seconds=60)
    assert StateEvent.objects.filter(bot=rider).count() == 1
    assert BotState.objects.get(pk=rider.pk).text == "pending (start)"
