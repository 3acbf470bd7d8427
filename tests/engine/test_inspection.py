"""The invariants are looked at all the time, in bounded runs; a suspicion counts when it lasts."""

from datetime import timedelta
from typing import Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.utils import timezone

from bots import invariants, tasks
from bots.invariants import Among
from bots.models import BotConfig, BotState, Inspection, Order, User
from bots.watch import find, inspection
from tests.pages.builders import bot_of, filled, state_of


@pytest.fixture
def bots(alice: User, monkeypatch: pytest.MonkeyPatch) -> list[BotConfig]:
    """Five sound bots, two of which are looked at between two looks at the clock."""
    monkeypatch.setattr(inspection, "SLICE", 2)
    made = [bot_of(alice, f"b{n}") for n in range(5)]
    for bot in made:
        state_of(bot, "running", "no_signal", "trade")
    assert invariants.check() == []
    return made


def harm(bot: BotConfig) -> None:
    """A stored profit that no fill gives."""
    BotState.objects.filter(pk=bot.pk).update(profit=7)


def mend(bot: BotConfig) -> None:
    BotState.objects.filter(pk=bot.pk).update(profit=0)


def run(seconds: float = 60) -> Inspection:
    assert inspection.inspect(seconds) is not None
    return Inspection.objects.latest("pk")


def test_a_pass_over_sound_bots_ends_at_once(bots: list[BotConfig]) -> None:
    row = run()
    assert row.ended_at is not None
    assert (row.bots, row.violations, row.found) == (5, 0, [])


def test_the_next_pass_begins_when_it_is_due(bots: list[BotConfig]) -> None:
    first = run()
    assert inspection.inspect() is None
    old = timezone.now() - inspection.PASS_EVERY
    Inspection.objects.filter(pk=first.pk).update(begun_at=old)
    assert run().pk != first.pk


def test_a_run_ends_when_its_time_is_over_and_the_next_goes_on(bots: list[BotConfig]) -> None:
    seen = []
    for _ in range(3):
        row = inspection.inspect(0)
        assert row is not None
        seen.append(row.bots)
    assert seen == [0, 0, 0]

    class Clock:
        """Lets one slice through each run."""

        now = 0.0

        def monotonic(self) -> float:
            self.now += 1
            return self.now

    inspection.time, kept = Clock(), inspection.time  # type: ignore[assignment]
    try:
        for _ in range(3):
            row = inspection.inspect(1.5)
            assert row is not None
            seen.append(row.bots)
    finally:
        inspection.time = kept
    assert seen[3:] == [2, 4, 5]
    assert Inspection.objects.count() == 1


def test_what_is_still_wrong_a_minute_later_counts(bots: list[BotConfig]) -> None:
    harm(bots[3])
    row = run()
    assert (row.ended_at, row.violations) == (None, 0)
    assert row.suspects == [{"code": "I7", "bot": bots[3].pk}]
    row = run()
    assert row.ended_at is not None
    assert (row.violations, row.suspects) == (1, [])
    assert row.found[0].startswith(f"I7 bot {bots[3].pk}: profit 7")
    assert list(find("violations").rows(timezone.now())) == [row]


def test_what_heals_was_a_tick_under_way(bots: list[BotConfig]) -> None:
    harm(bots[0])
    run()
    mend(bots[0])
    row = run()
    assert row.ended_at is not None
    assert (row.violations, row.found) == (0, [])
    assert not find("violations").rows(timezone.now())


def test_another_fault_of_the_same_bot_is_a_suspicion_of_its_own(bots: list[BotConfig]) -> None:
    harm(bots[0])
    run()
    mend(bots[0])
    BotState.objects.filter(pk=bots[0].pk).update(day_ends_at=timezone.now() - timedelta(hours=1))
    assert run().violations == 0


def test_what_belongs_to_no_bot_is_looked_at_too(
    bots: list[BotConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    def rule(_: Any, among: Among) -> Any:
        if among.is_first:
            yield invariants.Violation(code="I10", bot_id=None, text="a key in the clear")

    monkeypatch.setattr(invariants, "RULES", (rule,))
    run()
    row = run()
    assert (row.violations, row.found) == (1, ["I10 bot -: a key in the clear"])


def test_a_slice_that_takes_too_long_is_told_and_left(
    bots: list[BotConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    check = invariants.check

    def slow(among: Among) -> Any:
        if bots[2].pk in among:
            raise SoftTimeLimitExceeded
        return check(among=among)

    monkeypatch.setattr(invariants, "check", slow)
    row = run()
    assert row.ended_at is not None
    assert (row.bots, row.violations) == (5, 1)
    assert "took too long" in row.found[0]


def test_two_workers_share_no_slice(bots: list[BotConfig]) -> None:
    begun = Inspection.objects.create()
    other = Inspection.objects.get(pk=begun.pk)
    assert inspection._look(begun)
    assert not inspection._look(other)
    assert Inspection.objects.get().bots == 2


def test_old_passes_go(bots: list[BotConfig], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "KEPT", 2)
    monkeypatch.setattr(inspection, "PASS_EVERY", timedelta(0))
    rows = [run() for _ in range(4)]
    assert set(Inspection.objects.all()) == set(rows[2:])


def test_the_sweep_asks_for_it(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    monkeypatch.setattr(tasks.schedule, "send", lambda task, *_, **__: bool(sent.append(task)))
    tasks.sweep()
    assert "bots.tasks.inspect" in sent


def test_a_range_of_bots_finds_what_is_theirs(bots: list[BotConfig], bob: User) -> None:
    """Each rule looks at the bots it is given and at no others."""
    for bot in (bots[1], bots[3]):
        harm(bot)
        filled(bot, "buy", "1", "100")
        Order.objects.filter(bot=bot).update(booked=5, expected_price=None)
        BotState.objects.filter(pk=bot.pk).update(fence=9, has_unsettled_orders=True)
        BotState.objects.filter(pk=bot.pk).update(day_ends_at=timezone.now() - timedelta(hours=1))
        BotState.objects.filter(pk=bot.pk).update(lease_until=timezone.now(), duty="trade")
        BotConfig.objects.filter(pk=bot.pk).update(is_active=False)
    everything = {str(one) for one in invariants.check()}
    mine = {str(one) for one in invariants.check(among=Among(first=bots[1].pk, last=bots[2].pk))}
    others = {str(one) for one in invariants.check(among=Among(first=bots[3].pk))}
    assert mine | others == everything
    assert all(f"bot {bots[1].pk}:" in one for one in mine)
    assert all(f"bot {bots[3].pk}:" in one for one in others)
    assert {one[:3].strip() for one in mine} >= {"I1", "I2", "I3", "I5", "I7", "I9", "I12", "I14"}
    assert invariants.check(among=Among(first=bots[4].pk)) == []
