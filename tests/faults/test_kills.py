"""K rows: SIGKILL of a tick wherever it may be; nothing is lost, nothing is done twice."""

import os
import signal
import time
from pathlib import Path

import pytest

from bots.models import BotConfig, BotState, Command, Decision, Fill, Order
from tests.doors.client import Caller
from tests.faults import stage
from tests.faults.stage import FENCE, HEALED, LEASE, SWEEP, Traps
from tests.testexchange import ExchangeControl
from tests.whole.api import wait_for
from tests.whole.ledger import our_orders
from tests.whole.processes import Beat, Worker, wait_until

pytestmark = pytest.mark.long(seconds=80)

#: Both ways: the same must hold for what opens a position and for what closes it.
BOTH = pytest.mark.parametrize("kind", ["enter", "exit"])


def ready_for(kind: str, bot: BotConfig, api: Caller) -> int:
    """Bring the bot to where `kind` makes sense; returns how many orders that took."""
    if kind == "enter":
        return 0
    stage.ask(bot, "enter")
    wait_for(api, bot.pk, in_position=True, has_unsettled_orders=False)
    return 1


def assert_done(kind: str, bot: BotConfig, api: Caller) -> None:
    """The bot is where `kind` leads, by one more order than before."""
    wait_for(api, bot.pk, in_position=kind == "enter", has_unsettled_orders=False)


@BOTH
def test_K1_killed_before_the_intent_nothing_is_there(
    kind: str,
    ticking: Beat,
    bot: BotConfig,
    traps: Traps,
    exchange: ExchangeControl,
    as_alice: Caller,
) -> None:
    before = ready_for(kind, bot, as_alice)
    traps.set("intent.before", bot, "kill")
    stage.ask(bot, kind)
    fence = traps.wait_for_death("intent.before", bot)
    stage.assert_interrupted(bot, fence)
    # The dead tick left no order and no row; what its owner asked for is done by a later one.
    assert_done(kind, bot, as_alice)
    assert not Order.objects.filter(fence=fence).exists()
    assert len(stage.orders_of(bot)) == len(our_orders(exchange)) == before + 1
    stage.assert_all_holds(exchange, ticking)


@BOTH
def test_K2_killed_before_sending_the_order_is_abandoned(
    kind: str,
    ticking: Beat,
    bot: BotConfig,
    traps: Traps,
    exchange: ExchangeControl,
    as_alice: Caller,
) -> None:
    before = ready_for(kind, bot, as_alice)
    traps.set("intent.after", bot, "kill")
    stage.ask(bot, kind)
    fence = traps.wait_for_death("intent.after", bot)
    order = Order.objects.get(fence=fence, bot=bot)
    assert order.status in ("sent", "unknown")
    wait_until(Order.objects.filter(pk=order.pk, status="unknown").exists, SWEEP + HEALED)
    refused = as_alice.post(f"/bots/{bot.pk}/{kind}")
    assert (refused.status, refused.body["reason"]) == (409, "order_unknown")
    wait_until(Order.objects.filter(pk=order.pk, status="abandoned").exists, HEALED)
    order.refresh_from_db()
    assert order.not_found == 2
    assert (order.updated_at - order.signed_at).total_seconds() >= FENCE
    assert order.client_order_id not in our_orders(exchange)
    wait_for(as_alice, bot.pk, status="running", in_position=kind == "exit")
    assert len(stage.orders_of(bot)) == before + 1
    stage.assert_all_holds(exchange, ticking)


@BOTH
def test_K3_killed_before_the_answer_the_order_is_adopted(
    kind: str, ticking: Beat, bot: BotConfig, exchange: ExchangeControl, as_alice: Caller
) -> None:
    before = ready_for(kind, bot, as_alice)
    exchange.add_fault("hang", path="api/v3/order", method="POST", when="after", seconds=3)
    stage.ask(bot, kind)
    wait_until(lambda: len(our_orders(exchange)) == before + 1, every=0.01)
    fence = stage.kill_holder(bot)
    stage.assert_interrupted(bot, fence)
    assert_done(kind, bot, as_alice)
    order = Order.objects.get(fence=fence, bot=bot)
    assert (order.status, order.is_settled) == ("filled", True)
    assert len(stage.orders_of(bot)) == len(our_orders(exchange)) == before + 1
    assert Fill.objects.filter(order=order).count() == 1
    stage.assert_all_holds(exchange, ticking)


def test_K3_killed_while_the_request_is_held_back_it_comes_too_late(
    ticking: Beat, bot: BotConfig, exchange: ExchangeControl, as_alice: Caller
) -> None:
    # Held back for longer than recvWindow: then the exchange refuses what the dead one sent.
    exchange.add_fault("hang", path="api/v3/order", method="POST", seconds=2.5)
    stage.ask(bot, "enter")
    wait_until(lambda: exchange.faults()[0]["hits"], every=0.01)
    fence = stage.kill_holder(bot)
    order = Order.objects.get(fence=fence, bot=bot)
    wait_until(Order.objects.filter(pk=order.pk, status="abandoned").exists, HEALED)
    assert our_orders(exchange) == {}
    wait_for(as_alice, bot.pk, status="running", in_position=False)
    stage.assert_all_holds(exchange, ticking)


@BOTH
def test_K4_killed_before_the_answer_is_written_its_fills_count_once(
    kind: str,
    ticking: Beat,
    bot: BotConfig,
    traps: Traps,
    exchange: ExchangeControl,
    as_alice: Caller,
) -> None:
    before = ready_for(kind, bot, as_alice)
    exchange.set_fill_plan("BTCUSDT", [{"part": "0.4"}, {"part": "0.6", "slip": "0.0005"}])
    traps.set("answer.before", bot, "kill")
    stage.ask(bot, kind)
    fence = traps.wait_for_death("answer.before", bot)
    stage.assert_interrupted(bot, fence)
    assert_done(kind, bot, as_alice)
    order = Order.objects.get(fence=fence, bot=bot)
    assert (order.status, order.fills.count()) == ("filled", 2)
    assert len(stage.orders_of(bot)) == len(our_orders(exchange)) == before + 1
    stage.assert_all_holds(exchange, ticking)


@pytest.mark.parametrize(
    ("point", "where"),
    [("answer.after", "here"), ("answer.after", "elsewhere"), ("release.before", "here")],
)
def test_K5_killed_before_the_release_the_order_stands(
    point: str,
    where: str,
    ticking: Beat,
    bot: BotConfig,
    traps: Traps,
    exchange: ExchangeControl,
    as_alice: Caller,
) -> None:
    """The lease of a process that nobody here can see to be dead ends by itself."""
    if point == "answer.after":
        traps.set(point, bot, "kill")
        stage.ask(bot, "enter")
    else:
        stage.ask(bot, "enter")
        wait_until(Order.objects.filter(bot=bot).exists, every=0.01)
        traps.set(point, bot, "kill")
    fence = traps.wait_for_death(point, bot)
    died = time.monotonic()
    if where == "elsewhere":
        BotState.objects.filter(pk=bot.pk, fence=fence).update(lease_holder="")
    stage.assert_interrupted(bot, fence)
    waited = time.monotonic() - died
    assert waited <= LEASE + SWEEP
    if where == "elsewhere":
        assert waited > LEASE / 2
    state = wait_for(as_alice, bot.pk, status="running", reason="in_position")
    assert state["last_error_message"] == ""
    order = Order.objects.get(bot=bot)
    assert (order.status, order.fills.count()) == ("filled", 1)
    stage.assert_all_holds(exchange, ticking)


def test_K7_frozen_past_the_fence_the_late_request_is_refused(
    ticking: Beat,
    worker: Worker,
    worker_env: dict[str, str],
    bot: BotConfig,
    traps: Traps,
    exchange: ExchangeControl,
    as_alice: Caller,
    tmp_path: Path,
) -> None:
    second = Worker(tmp_path / "second.log", worker_env)
    traps.set("intent.after", bot, "freeze")
    stage.ask(bot, "enter")
    child = traps.wait_for("intent.after", bot)
    try:
        second.start()
        order = Order.objects.get(bot=bot)
        # Nobody can say that the frozen one is dead: its lease ends by time, then it is judged.
        wait_until(Order.objects.filter(pk=order.pk, status="abandoned").exists, 2 * HEALED)
        assert [row for row in exchange.requests() if is_post(row, order)] == []
        frozen = order.fence
        os.kill(child, signal.SIGCONT)
        late = wait_until(lambda: [row for row in exchange.requests() if is_post(row, order)])
        assert [row["code"] for row in late] == [-1021]
        worker.send(signal.SIGCONT)
        stage.wait_for_ticks(bot, 2)
        order.refresh_from_db()
        assert (order.status, order.fence) == ("abandoned", frozen)
        assert our_orders(exchange) == {}
        wait_for(as_alice, bot.pk, status="running", in_position=False)
        assert len(stage.orders_of(bot)) == 1
        stage.assert_all_holds(exchange, ticking)
    finally:
        worker.send(signal.SIGCONT)
        second.end()


def is_post(row: dict[str, object], order: Order) -> bool:
    params = row["params"]
    assert isinstance(params, dict)
    return row["method"] == "POST" and params.get("newClientOrderId") == order.client_order_id


#: Where the whole group dies, and what becomes of the entry that was under way.
GROUP = {
    "intent.before": "filled",  # what was asked for waits for the next tick
    "intent.after": "abandoned",
    "answer.before": "filled",
    "answer.after": "filled",
}


@pytest.mark.parametrize("point", GROUP)
def test_K8_the_whole_worker_killed_ticks_again(
    point: str,
    ticking: Beat,
    worker: Worker,
    bot: BotConfig,
    traps: Traps,
    exchange: ExchangeControl,
    as_alice: Caller,
) -> None:
    traps.set(point, bot, "killgroup")
    stage.ask(bot, "enter")
    fence = traps.wait_for_death(point, bot)
    wait_until(lambda: not worker.is_alive)
    worker.end()
    began = time.monotonic()
    worker.start()
    stage.assert_interrupted(bot, fence)
    assert time.monotonic() - began < HEALED
    if GROUP[point] == "abandoned":
        wait_until(Order.objects.filter(bot=bot, status="abandoned").exists, HEALED)
        assert our_orders(exchange) == {}
    else:
        wait_for(as_alice, bot.pk, in_position=True, has_unsettled_orders=False)
    assert [order.status for order in stage.orders_of(bot)] == [GROUP[point]]
    assert not Command.objects.filter(bot=bot, status="pending").exists()
    wait_for(as_alice, bot.pk, status="running")
    stage.assert_all_holds(exchange, ticking)


def test_K8_killed_between_two_ticks_nothing_is_interrupted(
    ticking: Beat, worker: Worker, bot: BotConfig, exchange: ExchangeControl, as_alice: Caller
) -> None:
    stage.ask(bot, "enter")
    wait_for(as_alice, bot.pk, in_position=True, has_unsettled_orders=False)
    stage.come_to_rest(ticking)
    worker.end()
    ticking.send(signal.SIGCONT)
    worker.start()
    stage.wait_for_ticks(bot)
    assert not Decision.objects.filter(bot=bot, action="interrupted").exists()
    wait_for(as_alice, bot.pk, status="running", reason="in_position")
    stage.assert_all_holds(exchange, ticking)
