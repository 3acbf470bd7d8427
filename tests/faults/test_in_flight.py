"""B1, U2, U3, P1: what comes while a tick is under way, at every point of it."""

import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest
import redis
from django.conf import settings
from django.db import connection, models

from bots import control, schedule
from bots.models import BotConfig, BotState, Decision, Fill, Order, User
from tests.doors.client import Caller
from tests.faults import stage
from tests.faults.stage import HEALED, Traps
from tests.testexchange import ExchangeControl
from tests.whole.api import state_of, wait_for
from tests.whole.ledger import our_orders
from tests.whole.processes import FAST, Beat, Worker, wait_until

pytestmark = pytest.mark.long(seconds=55)

#: Every point that a tick with an order passes, and whether its order exists by then.
POINTS = {
    "tick.claimed": False,
    "intent.before": False,
    "intent.after": True,
    "answer.before": True,
    "answer.after": True,
    "release.before": True,
}


def hold(point: str, bot: BotConfig, traps: Traps, ticking: Beat, kind: str = "enter") -> int:
    """Let the tick that carries out `kind` wait at `point`; returns its process."""
    ticking.send(signal.SIGSTOP)
    stage.come_to_rest()
    traps.set(point, bot, "hold")
    stage.ask(bot, kind)  # its nudge is the only message
    pid = traps.wait_until_held(point, bot)
    ticking.send(signal.SIGCONT)
    return pid


@pytest.mark.parametrize("seconds", [0, 0.9])
def test_B1_of_twenty_copies_of_one_message_one_ticks(
    seconds: float, ticking: Beat, bot: BotConfig, exchange: ExchangeControl, as_alice: Caller
) -> None:
    """The others come while the one still ticks (0.9 s), or when it has long ended."""
    stage.come_to_rest(ticking)
    # Edited at rest: one tick is due now, and none for the next half minute.
    control.edit(bot, {"check_interval_seconds": 60}, by=None, via="command")
    before = BotState.objects.get(pk=bot.pk).fence
    time.sleep(float(FAST["PRICE_TTL_SECONDS"]))  # the tick asks for the price again
    exchange.add_fault("hang", path="api/v3/ticker/*", seconds=seconds)
    for _ in range(20):
        assert schedule.send(schedule.RUN_BOT, bot.pk)
    with redis.Redis.from_url(settings.REDIS_URL) as broker:
        wait_until(lambda: broker.llen("botsite") == 0, every=0.02)
    quiet = BotState.objects.filter(pk=bot.pk, tick_started_at=None)
    wait_until(quiet.filter(fence__gt=before).exists)
    stage.come_to_rest()
    assert BotState.objects.get(pk=bot.pk).fence == before + 1
    assert state_of(as_alice, bot.pk)["status"] == "running"
    stage.assert_all_holds(exchange)


@pytest.mark.parametrize("end", ["goes on", "is killed"])
@pytest.mark.parametrize("point", POINTS)
def test_U2_after_stop_has_answered_no_entry_is_committed(
    point: str,
    end: str,
    ticking: Beat,
    bot: BotConfig,
    traps: Traps,
    exchange: ExchangeControl,
    as_alice: Caller,
) -> None:
    pid = hold(point, bot, traps, ticking)
    stopped = as_alice.post(f"/bots/{bot.pk}/stop")
    assert (stopped.status, stopped.body["duty"]) == (200, "exit")
    written = Order.objects.filter(bot=bot).count()
    assert written == int(POINTS[point])
    if end == "is killed":
        os.kill(pid, signal.SIGKILL)
    else:
        traps.let_go(point, bot)
    state = wait_for(as_alice, bot.pk, HEALED + 5, duty="none")
    assert (state["status"], state["reason"]) == ("stopped", "by_owner")
    assert Order.objects.filter(bot=bot).count() == written
    bought = bool(our_orders(exchange))
    assert state["in_position"] is bought
    if point != "intent.after":
        assert bought is POINTS[point]
    elif end == "is killed":
        assert not bought  # else it may have gone on in time, or too late for the exchange
    assert bot.pk not in schedule.scheduled()
    stage.assert_all_holds(exchange, ticking)


def edited(bot: BotConfig, as_alice: Caller) -> None:
    change = as_alice.patch(f"/bot-configs/{bot.pk}", {"position_size_fixed": "500"})
    assert change.status == 200, change.body


def deleted(bot: BotConfig, as_alice: Caller) -> None:
    refused = as_alice.delete(f"/bot-configs/{bot.pk}")
    assert (refused.status, refused.body["reason"]) == (409, "unsettled")
    assert as_alice.post(f"/bots/{bot.pk}/stop").status == 200


def owner_gone(bot: BotConfig, as_alice: Caller) -> None:
    User.objects.filter(pk=bot.owner_id).update(is_active=False)
    control.halt(bot.owner, flatten=False, by=None, via="admin")


@pytest.mark.parametrize("change", [edited, deleted, owner_gone], ids=lambda one: one.__name__)
def test_U3_changed_in_mid_tick_the_tick_discards(
    change: Callable[[BotConfig, Caller], None],
    ticking: Beat,
    bot: BotConfig,
    traps: Traps,
    exchange: ExchangeControl,
    as_alice: Caller,
    alice: User,
) -> None:
    stage.ask(bot, "enter")
    wait_for(as_alice, bot.pk, in_position=True, has_unsettled_orders=False)
    stage.ask(bot, "exit")
    wait_for(as_alice, bot.pk, in_position=False, has_unsettled_orders=False)
    fills = list(Fill.objects.order_by("pk").values())
    hold("intent.before", bot, traps, ticking)
    change(bot, as_alice)
    traps.let_go("intent.before", bot)
    wait_until(Decision.objects.filter(bot=bot, gate="outpaced").exists, HEALED)
    if change is edited:
        # The command still waits: the next tick takes it, by the new settings.
        wait_for(as_alice, bot.pk, in_position=True, has_unsettled_orders=False)
        order = stage.orders_of(bot)[-1]
        assert order.amount * 20_000 <= 500
    else:
        wait_until(BotState.objects.filter(pk=bot.pk, duty="none", status="stopped").exists)
        assert len(stage.orders_of(bot)) == 2
    if change is deleted:
        assert as_alice.delete(f"/bot-configs/{bot.pk}").status == 204
        assert as_alice.get(f"/bot-configs/{bot.pk}").status == 404
    assert list(Fill.objects.order_by("pk").values())[:2] == fills
    assert Decision.objects.filter(bot=bot).count() > 2
    stage.assert_all_holds(exchange, ticking)


@pytest.fixture
def migrate(slate: None) -> Iterator[Callable[[], None]]:
    """Return what brings the tables of a next version: state rows with a column more."""
    column = models.IntegerField(null=True)
    column.set_attributes_from_name("of_the_next_version")
    done = False

    def migrate() -> None:
        nonlocal done
        with connection.schema_editor() as editor:
            editor.add_field(BotState, column)
        done = True

    yield migrate
    if done:
        with connection.schema_editor() as editor:
            editor.remove_field(BotState, column)


@pytest.mark.parametrize("is_migrated", [False, True], ids=["same version", "new version"])
def test_P1_sigterm_in_mid_tick_lets_the_tick_finish(
    is_migrated: bool,
    migrate: Callable[[], None],
    ticking: Beat,
    worker: Worker,
    bot: BotConfig,
    traps: Traps,
    exchange: ExchangeControl,
    as_alice: Caller,
) -> None:
    hold("tick.claimed", bot, traps, ticking)
    ticking.send(signal.SIGSTOP)
    worker.send(signal.SIGTERM)
    worker.wait_for("Warm shutdown")
    if is_migrated:
        migrate()
    traps.let_go("tick.claimed", bot)
    assert worker.wait_for_end() == 0
    state = state_of(as_alice, bot.pk)
    assert (state["in_position"], state["has_unsettled_orders"]) == (True, False)
    assert not Decision.objects.filter(bot=bot, action="interrupted").exists()
    assert len(our_orders(exchange)) == 1
    worker.end()
    worker.start()
    ticking.send(signal.SIGCONT)
    stage.wait_for_ticks(bot)
    wait_for(as_alice, bot.pk, status="running", reason="in_position")
    stage.assert_all_holds(exchange, ticking)
