"""SIGKILL of a real worker, wherever it is: nothing is lost, nothing is done twice."""

import time
from collections.abc import Callable
from typing import Any

import pytest
import redis
from django.conf import settings

from bots import control, invariants, schedule
from bots.models import BotConfig, BotState, Decision, Fill, Order, User
from tests.doors.client import Caller
from tests.testexchange import ExchangeControl
from tests.whole.api import state_of, wait_for
from tests.whole.conftest import MakeBot
from tests.whole.processes import FAST, Worker, wait_until

LEASE = float(FAST["LEASE_SECONDS"])


@pytest.fixture
def running(worker: Worker, live_bot: MakeBot, as_alice: Caller) -> BotConfig:
    """A live bot that runs."""
    bot = live_bot()
    wait_for(as_alice, bot.pk, status="running")
    return bot


def kill_when(worker: Worker, there: Callable[[], object]) -> None:
    wait_until(there, every=0.02)
    worker.end()


def come_back(worker: Worker, bot: BotConfig) -> None:
    """Start a worker again and nudge until a tick gets through the dead one's lease."""
    worker.start()
    fence = BotState.objects.get(pk=bot.pk).fence

    def ticked() -> bool:
        schedule.nudge(bot.pk)
        return BotState.objects.get(pk=bot.pk).fence > fence

    wait_until(ticked, timeout=LEASE + 5, every=0.3)


def posts_of(exchange: ExchangeControl, order: Order) -> list[dict[str, Any]]:
    name = order.client_order_id
    return [row for row in exchange.requests() if row["params"].get("newClientOrderId") == name]


def orders_of(exchange: ExchangeControl, order: Order) -> list[dict[str, Any]]:
    name = order.client_order_id
    return [row for row in exchange.orders() if row["clientOrderId"] == name]


def assert_all_holds(bot: BotConfig) -> None:
    quiet = BotState.objects.filter(pk=bot.pk, tick_started_at=None)
    wait_until(quiet.exists, timeout=LEASE + 2)
    assert invariants.check() == []


def test_between_two_ticks_a_kill_costs_nothing(
    worker: Worker, running: BotConfig, as_alice: Caller
) -> None:
    wait_until(BotState.objects.filter(pk=running.pk, tick_started_at=None).exists)
    worker.end()
    come_back(worker, running)
    wait_for(as_alice, running.pk, status="running")
    assert not Decision.objects.filter(action="interrupted").exists()
    assert_all_holds(running)


def test_a_tick_killed_before_its_order_leaves_no_order_and_is_closed_as_interrupted(
    worker: Worker, running: BotConfig, exchange: ExchangeControl, alice: User, as_alice: Caller
) -> None:
    wait_until(BotState.objects.filter(pk=running.pk, tick_started_at=None).exists)
    exchange.add_fault("hang", path="api/v3/ticker/*", seconds=3)
    time.sleep(float(FAST["PRICE_TTL_SECONDS"]))  # the next tick asks for the price again
    control.command(running, "enter", by=alice, via="api")
    kill_when(worker, lambda: exchange.faults()[0]["hits"])
    killed = BotState.objects.get(pk=running.pk)
    assert killed.tick_started_at is not None
    assert not Order.objects.exists()
    come_back(worker, running)
    gone = Decision.objects.get(action="interrupted")
    assert (gone.gate, gone.fence) == ("killed", killed.fence)
    # The command was not lost: the next tick took it.
    wait_for(as_alice, running.pk, in_position=True, has_unsettled_orders=False)
    order = Order.objects.get()
    assert len(posts_of(exchange, order)) == len(orders_of(exchange, order)) == 1
    assert_all_holds(running)


def test_a_tick_killed_after_the_exchange_took_its_order_is_adopted(
    worker: Worker, running: BotConfig, exchange: ExchangeControl, alice: User, as_alice: Caller
) -> None:
    order_path = {"path": "api/v3/order", "method": "POST", "when": "after"}
    exchange.add_fault("hang", seconds=3, **order_path)
    control.command(running, "enter", by=alice, via="api")

    def taken() -> bool:
        order = Order.objects.first()
        return order is not None and bool(orders_of(exchange, order))

    kill_when(worker, taken)
    assert Order.objects.get().status == "sent"
    come_back(worker, running)
    wait_for(as_alice, running.pk, in_position=True, has_unsettled_orders=False)
    order = Order.objects.get()
    assert order.status == "filled"
    assert len(posts_of(exchange, order)) == len(orders_of(exchange, order)) == 1
    assert Fill.objects.filter(order=order).count() == 1
    assert Decision.objects.filter(action="interrupted").exists()
    assert_all_holds(running)


def test_a_tick_killed_before_the_exchange_took_its_order_never_orders(
    worker: Worker, running: BotConfig, exchange: ExchangeControl, alice: User, as_alice: Caller
) -> None:
    # Held back for longer than recvWindow: then the exchange refuses what the dead worker sent.
    fault = exchange.add_fault("hang", seconds=2.5, path="api/v3/order", method="POST")
    control.command(running, "enter", by=alice, via="api")
    kill_when(worker, lambda: [f for f in exchange.faults() if f["id"] == fault and f["hits"]])
    order = Order.objects.get()
    assert order.status == "sent"
    come_back(worker, running)

    def given_up() -> bool:
        schedule.nudge(running.pk)
        order.refresh_from_db()
        return order.status == "abandoned"

    wait_until(given_up, every=0.3)
    assert order.not_found == 2
    assert orders_of(exchange, order) == []
    assert Order.objects.count() == 1
    wait_for(as_alice, running.pk, status="running", in_position=False)
    assert_all_holds(running)


@pytest.mark.parametrize("seconds", [0, 0.9])
def test_of_twenty_copies_of_one_message_one_ticks_and_nineteen_leave(
    worker: Worker,
    running: BotConfig,
    exchange: ExchangeControl,
    as_alice: Caller,
    seconds: float,
) -> None:
    """The others come while the one still ticks (0.9 s), or when it has long ended."""
    wait_until(BotState.objects.filter(pk=running.pk, tick_started_at=None).exists)
    control.edit(running, {"check_interval_seconds": 60}, by=None, via="command")
    before = BotState.objects.get(pk=running.pk).fence
    time.sleep(float(FAST["PRICE_TTL_SECONDS"]))
    exchange.add_fault("hang", path="api/v3/ticker/*", seconds=seconds)
    for _ in range(20):
        assert schedule.send(schedule.RUN_BOT, running.pk)
    with redis.Redis.from_url(settings.REDIS_URL) as broker:
        wait_until(lambda: broker.llen("botsite") == 0, every=0.02)
    quiet = BotState.objects.filter(pk=running.pk, tick_started_at=None)
    wait_until(quiet.filter(fence__gt=before).exists)
    assert BotState.objects.get(pk=running.pk).fence == before + 1
    assert state_of(as_alice, running.pk)["status"] == "running"
    assert_all_holds(running)


def test_stop_wins_over_the_tick_in_flight(
    worker: Worker, running: BotConfig, exchange: ExchangeControl, alice: User, as_alice: Caller
) -> None:
    wait_until(BotState.objects.filter(pk=running.pk, tick_started_at=None).exists)
    exchange.add_fault("hang", path="api/v3/account", seconds=0.8, times=None)
    control.command(running, "enter", by=alice, via="api")
    wait_until(lambda: exchange.faults()[0]["hits"], every=0.02)
    stopped = as_alice.post(f"/bots/{running.pk}/stop")
    assert (stopped.status, stopped.body["duty"]) == (200, "exit")
    state = wait_for(as_alice, running.pk, duty="none")
    assert (state["status"], state["reason"]) == ("stopped", "by_owner")
    assert not Order.objects.exists()
    assert schedule.scheduled() == {}
    assert_all_holds(running)
