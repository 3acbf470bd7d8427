"""A comparison that somebody asks for: queued once, done by a worker, and told as it was."""

from typing import Any

import pytest

from bots import control, reconcile, schedule, tasks
from bots.change import Refusal
from bots.models import BotState, Comparison
from tests.engine.bench import Bench, D
from tests.engine.conftest import Maker
from trading.exchange import Fault, Unreachable

Sent = list[tuple[str, tuple[object, ...]]]


@pytest.fixture
def queued(monkeypatch: pytest.MonkeyPatch) -> Sent:
    found: Sent = []

    def send(task: str, *args: object, expires: float = 60) -> bool:
        found.append((task, args))
        return True

    monkeypatch.setattr(schedule, "send", send)
    return found


def differing(bench: Maker) -> tuple[Bench, Any]:
    """A bot that is off: it bought 2, and 0.5 are there."""
    b = bench()
    exchange = b.scripted()
    b.enter()
    exchange.holdings["BTC"] = D("0.5")
    BotState.objects.filter(pk=b.bot.pk).update(reconciled_at=None)
    b.tick()
    b.bot.refresh_from_db()
    assert b.where == ("error", "reconcile", "exit")
    return b, exchange


def test_pressing_twice_queues_one_and_its_end_lets_the_next_be_asked(
    bench: Maker, queued: Sent
) -> None:
    b, exchange = differing(bench)
    queued.clear()
    for _ in range(3):
        control.compare(b.bot)
    assert queued == [("bots.tasks.reconcile", (b.bot.pk,))]
    assert control.is_comparing(b.bot.pk)
    before = Comparison.objects.get().as_of
    b.market.pass_time(30)
    (finding,) = reconcile.reconcile(b.bot.pk, b.world)
    assert not finding.ok
    assert Comparison.objects.get().as_of > before
    # The message's own end: no key reaches the exchange, and the next may be asked all the same.
    tasks.reconcile(b.bot.pk)
    assert not control.is_comparing(b.bot.pk)
    exchange.holdings["BTC"] = D(2)
    control.compare(b.bot)
    assert len(queued) == 2
    (finding,) = reconcile.reconcile(b.bot.pk, b.world)
    assert finding.ok
    assert Comparison.objects.get().ok
    # The owner starts it: a comparison alone switches nothing on.
    assert b.where == ("error", "reconcile", "exit")


def test_what_cannot_be_compared_is_refused(
    bench: Maker, queued: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    b = bench(start=False)
    with pytest.raises(Refusal) as paper:
        control.compare(b.bot)
    b.scripted()
    b.bot.refresh_from_db()
    with pytest.raises(Refusal) as early:
        control.compare(b.bot)
    b.start()
    b.bot.refresh_from_db()
    monkeypatch.setattr(schedule, "send", lambda *_, **__: False)
    with pytest.raises(Refusal) as away:
        control.compare(b.bot)
    assert [one.value.reason for one in (paper, early, away)] == [
        "paper_bot",
        "not_started",
        "no_worker",
    ]
    assert not control.is_comparing(b.bot.pk)
    assert ("bots.tasks.reconcile", (b.bot.pk,)) not in queued


def test_a_failed_comparison_says_what_failed_and_not_that_the_sides_differ(bench: Maker) -> None:
    b, exchange = differing(bench)
    before = Comparison.objects.get().as_of
    exchange.list_error = Unreachable(Fault.NETWORK, "timed out")
    b.market.pass_time(30)
    (finding,) = reconcile.reconcile(b.bot.pk, b.world)
    assert not finding.ok
    newest = b.decisions[-1]
    assert (newest.action, newest.gate) == ("failed", "network")
    assert Comparison.objects.get().as_of == before


def test_what_could_not_be_compared_yet_is_not_told_as_agreement(
    bench: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    b, _exchange = differing(bench)
    monkeypatch.setattr(reconcile, "compare", lambda *_: None)
    b.market.pass_time(30)
    (finding,) = reconcile.reconcile(b.bot.pk, b.world)
    assert not finding.ok
    newest = b.decisions[-1]
    assert (newest.action, newest.gate) == ("blocked", "order_unknown")
