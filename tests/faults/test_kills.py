"""K rows: SIGKILL of a tick wherever it may be; nothing is lost, nothing is done twice."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bots.models import BotConfig, BotState, Command, Decision, Fill, Order
from tests.doors.client import Caller
from tests.faults import stage
from tests.faults.conftest import on_postgres
from tests.faults.stage import FENCE, HEALED, LEASE, SWEEP, Traps
from tests.testexchange import ExchangeControl
from tests.whole.api import wait_for
from tests.whole.ledger import our_orders
from tests.whole.processes import Beat, Worker, wait_until

pytestmark = pytest.mark.long(seconds=80 if on_postgres else 50)

#: Both ways: the same must hold for what opens a position and for what closes it.
BOTH = pytest.mark.parametrize("kind", ["enter", "exit"])


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A bot at work, the traps for its ticks, and all that must agree when it is over."""

    beat: Beat
    bot: BotConfig
    traps: Traps
    exchange: ExchangeControl
    api: Caller

    def ready_for(self, kind: str) -> int:
        """Bring the bot to where `kind` makes sense; returns how many orders that took."""
        if kind == "enter":
            return 0
        stage.ask(self.bot, "enter")
        self.wait_until_done("enter")
        return 1

    def wait_until_done(self, kind: str) -> None:
        """Wait until the bot is where `kind` leads."""
        self.wait_for(in_position=kind == "enter", has_unsettled_orders=False)

    def wait_for(self, **wanted: Any) -> dict[str, Any]:
        """Wait until the API tells this of the bot; returns its state."""
        return wait_for(self.api, self.bot.pk, **wanted)

    def killed_at(self, point: str, kind: str) -> int:
        """Ask for `kind`; returns the number of the tick that was killed when it got to `point`."""
        self.traps.set(point, self.bot, "kill")
        stage.ask(self.bot, kind)
        return self.traps.wait_for_death(point, self.bot)

    def assert_orders(self, count: int) -> None:
        """There are so many orders, and the exchange knows them all."""
        assert len(stage.orders_of(self.bot)) == len(our_orders(self.exchange)) == count

    def assert_all_holds(self) -> None:
        stage.assert_all_holds(self.exchange, self.beat)


@pytest.fixture
def scene(
    ticking: Beat, bot: BotConfig, traps: Traps, exchange: ExchangeControl, as_alice: Caller
) -> Scene:
    return Scene(beat=ticking, bot=bot, traps=traps, exchange=exchange, api=as_alice)


def wait_until_abandoned(order: Order, timeout: float = HEALED) -> None:
    wait_until(Order.objects.filter(pk=order.pk, status="abandoned").exists, timeout)


@BOTH
def test_K1_killed_before_the_intent_nothing_is_there(kind: str, scene: Scene) -> None:
    before = scene.ready_for(kind)
    fence = scene.killed_at("intent.before", kind)
    stage.assert_interrupted(scene.bot, fence)
    # The dead tick left no order and no row; what its owner asked for is done by a later one.
    scene.wait_until_done(kind)
    assert not Order.objects.filter(fence=fence).exists()
    scene.assert_orders(before + 1)
    scene.assert_all_holds()


@BOTH
def test_K2_killed_before_sending_the_order_is_abandoned(kind: str, scene: Scene) -> None:
    before = scene.ready_for(kind)
    fence = scene.killed_at("intent.after", kind)
    order = Order.objects.get(fence=fence, bot=scene.bot)
    assert order.status in ("sent", "unknown")
    wait_until(Order.objects.filter(pk=order.pk, status="unknown").exists, SWEEP + HEALED)
    refused = scene.api.post(f"/bots/{scene.bot.pk}/{kind}")
    assert (refused.status, refused.body["reason"]) == (409, "order_unknown")
    wait_until_abandoned(order)
    order.refresh_from_db()
    assert order.not_found == 2
    assert (order.updated_at - order.signed_at).total_seconds() >= FENCE
    assert order.client_order_id not in our_orders(scene.exchange)
    scene.wait_for(status="running", in_position=kind == "exit")
    assert len(stage.orders_of(scene.bot)) == before + 1
    scene.assert_all_holds()


@BOTH
def test_K3_killed_before_the_answer_the_order_is_adopted(kind: str, scene: Scene) -> None:
    before = scene.ready_for(kind)
    scene.exchange.add_fault("hang", path="api/v3/order", method="POST", when="after", seconds=3)
    stage.ask(scene.bot, kind)
    wait_until(lambda: len(our_orders(scene.exchange)) == before + 1, every=0.01)
    fence = stage.kill_holder(scene.bot)
    stage.assert_interrupted(scene.bot, fence)
    scene.wait_until_done(kind)
    order = Order.objects.get(fence=fence, bot=scene.bot)
    assert (order.status, order.is_settled) == ("filled", True)
    scene.assert_orders(before + 1)
    assert Fill.objects.filter(order=order).count() == 1
    scene.assert_all_holds()


@pytest.mark.postgres
def test_K3_killed_while_the_request_is_held_back_it_comes_too_late(scene: Scene) -> None:
    # Held back for longer than recvWindow: then the exchange refuses what the dead one sent.
    scene.exchange.add_fault("hang", path="api/v3/order", method="POST", seconds=2.5)
    stage.ask(scene.bot, "enter")
    wait_until(lambda: scene.exchange.faults()[0]["hits"], every=0.01)
    fence = stage.kill_holder(scene.bot)
    wait_until_abandoned(Order.objects.get(fence=fence, bot=scene.bot))
    assert our_orders(scene.exchange) == {}
    scene.wait_for(status="running", in_position=False)
    scene.assert_all_holds()


@BOTH
def test_K4_killed_before_the_answer_is_written_its_fills_count_once(
    kind: str, scene: Scene
) -> None:
    before = scene.ready_for(kind)
    scene.exchange.set_fill_plan("BTCUSDT", [{"part": "0.4"}, {"part": "0.6", "slip": "0.0005"}])
    fence = scene.killed_at("answer.before", kind)
    stage.assert_interrupted(scene.bot, fence)
    scene.wait_until_done(kind)
    order = Order.objects.get(fence=fence, bot=scene.bot)
    assert (order.status, order.fills.count()) == ("filled", 2)
    scene.assert_orders(before + 1)
    scene.assert_all_holds()


@pytest.mark.parametrize(
    ("point", "where"),
    [("answer.after", "here"), ("answer.after", "elsewhere"), ("release.before", "here")],
)
def test_K5_killed_before_the_release_the_order_stands(
    point: str, where: str, scene: Scene
) -> None:
    """The lease of a process that nobody here can see to be dead ends by itself."""
    bot = scene.bot
    if point == "answer.after":
        fence = scene.killed_at(point, "enter")
    else:
        stage.ask(bot, "enter")
        wait_until(Order.objects.filter(bot=bot).exists, every=0.01)
        scene.traps.set(point, bot, "kill")
        fence = scene.traps.wait_for_death(point, bot)
    died = time.monotonic()
    if where == "elsewhere":
        BotState.objects.filter(pk=bot.pk, fence=fence).update(lease_holder="")
    stage.assert_interrupted(bot, fence)
    waited = time.monotonic() - died
    assert waited <= LEASE + SWEEP
    if where == "elsewhere":
        assert waited > LEASE / 2
    state = scene.wait_for(status="running", reason="in_position")
    assert state["last_error_message"] == ""
    order = Order.objects.get(bot=bot)
    assert (order.status, order.fills.count()) == ("filled", 1)
    scene.assert_all_holds()


@pytest.mark.postgres
def test_K7_frozen_past_the_fence_the_late_request_is_refused(
    scene: Scene, worker: Worker, worker_env: dict[str, str], tmp_path: Path
) -> None:
    bot, exchange = scene.bot, scene.exchange
    second = Worker(tmp_path / "second.log", worker_env)
    scene.traps.set("intent.after", bot, "freeze")
    stage.ask(bot, "enter")
    child = scene.traps.wait_for("intent.after", bot)
    try:
        second.start()
        order = Order.objects.get(bot=bot)
        # Nobody can say that the frozen one is dead: its lease ends by time, then it is judged.
        wait_until_abandoned(order, 2 * HEALED)
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
        scene.wait_for(status="running", in_position=False)
        assert len(stage.orders_of(bot)) == 1
        scene.assert_all_holds()
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


@pytest.mark.postgres
@pytest.mark.parametrize("point", GROUP)
def test_K8_the_whole_worker_killed_ticks_again(point: str, scene: Scene, worker: Worker) -> None:
    bot = scene.bot
    scene.traps.set(point, bot, "killgroup")
    stage.ask(bot, "enter")
    fence = scene.traps.wait_for_death(point, bot)
    wait_until(lambda: not worker.is_alive)
    worker.end()
    began = time.monotonic()
    worker.start()
    stage.assert_interrupted(bot, fence)
    assert time.monotonic() - began < HEALED
    if GROUP[point] == "abandoned":
        wait_until(Order.objects.filter(bot=bot, status="abandoned").exists, HEALED)
        assert our_orders(scene.exchange) == {}
    else:
        scene.wait_until_done("enter")
    assert [order.status for order in stage.orders_of(bot)] == [GROUP[point]]
    assert not Command.objects.filter(bot=bot, status="pending").exists()
    scene.wait_for(status="running")
    scene.assert_all_holds()


@pytest.mark.postgres
def test_K8_killed_between_two_ticks_nothing_is_interrupted(scene: Scene, worker: Worker) -> None:
    stage.ask(scene.bot, "enter")
    scene.wait_until_done("enter")
    stage.come_to_rest(scene.beat)
    worker.end()
    scene.beat.send(signal.SIGCONT)
    worker.start()
    stage.wait_for_ticks(scene.bot)
    assert not Decision.objects.filter(bot=scene.bot, action="interrupted").exists()
    scene.wait_for(status="running", reason="in_position")
    scene.assert_all_holds()
