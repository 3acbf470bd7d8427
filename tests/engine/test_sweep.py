"""The sweep: what happens each minute though every message was lost."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from bots import schedule, sweep
from bots.models import Account, ApiKey, Balance, BotConfig, BotState, Heartbeat, User
from tests.engine.bench import Bench
from tests.engine.conftest import Maker


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """The messages that the sweep queues, instead of the broker's."""
    messages: list[tuple[Any, ...]] = []

    def send(task: str, *args: Any, **_: Any) -> bool:
        messages.append((task, *args))
        return True

    monkeypatch.setattr(schedule, "send", send)
    return messages


def ran(b: Bench, seconds: float, **changes: Any) -> None:
    at = timezone.now() - timedelta(seconds=seconds)
    BotState.objects.filter(pk=b.bot.pk).update(last_run_at=at, **changes)


def test_a_bot_that_missed_three_intervals_is_ticked(
    bench: Maker, sent: list[tuple[Any, ...]]
) -> None:
    late, well, slow = bench(), bench(), bench(check_interval_seconds=600)
    ran(late, 200)
    ran(well, 100)
    ran(slow, 1000)
    found = sweep.sweep()
    assert found["late"] == 1
    assert ("bots.tasks.run_bot", late.bot.pk) in sent
    assert [row for row in sent if row[0] == "bots.tasks.run_bot"] == [
        ("bots.tasks.run_bot", late.bot.pk)
    ]


def test_a_bot_with_an_open_order_is_asked_for_each_minute(
    bench: Maker, sent: list[tuple[Any, ...]]
) -> None:
    b = bench()
    ran(b, 1, has_unsettled_orders=True)
    sweep.sweep()
    assert ("bots.tasks.run_bot", b.bot.pk) in sent


def test_a_bot_without_duty_is_left_alone(bench: Maker, sent: list[tuple[Any, ...]]) -> None:
    b = bench()
    b.stop()
    ran(b, 10_000)
    assert sweep.late_bots() == []
    sweep.sweep()
    assert [row for row in sent if row[0] == "bots.tasks.run_bot"] == []


def test_the_sweep_rolls_over_what_midnight_missed(
    bench: Maker, sent: list[tuple[Any, ...]]
) -> None:
    b = bench()
    now = timezone.now()
    BotState.objects.filter(pk=b.bot.pk).update(
        counter_day=now.date() - timedelta(days=2), day_ends_at=now - timedelta(days=1)
    )
    assert sweep.sweep()["rolled_over"] == 1
    assert b.state.counter_day == now.date()
    assert sweep.sweep()["rolled_over"] == 0


def test_the_sweep_repairs_the_schedule_and_shows_that_it_lives(
    bench: Maker, sent: list[tuple[Any, ...]]
) -> None:
    b = bench()
    schedule.sync(b.bot.pk, None)
    assert sweep.sweep()["repaired"] == 1
    assert schedule.scheduled() == {b.bot.pk: 60}
    age = Heartbeat.age("sweep", timezone.now())
    assert age is not None
    assert age < 10


def keyed(owner: User, label: str, **values: Any) -> ApiKey:
    account = Account.objects.create(owner=owner, exchange="binance", mode="testnet", label=label)
    return ApiKey.objects.create(account=account, api_key="a", secret_key="b", **values)


def test_keys_are_checked_when_new_and_when_the_check_is_old(
    alice: User, sent: list[tuple[Any, ...]]
) -> None:
    now = timezone.now()
    new = keyed(alice, "new")
    old = keyed(alice, "old", checked_at=now - timedelta(hours=25))
    keyed(alice, "fresh", checked_at=now - timedelta(hours=1))
    assert sweep.sweep()["key_checks"] == 2
    assert {row for row in sent if row[0] == "bots.tasks.check_key"} == {
        ("bots.tasks.check_key", new.pk),
        ("bots.tasks.check_key", old.pk),
    }


def test_balances_of_accounts_in_use_are_refreshed(
    alice: User, bench: Maker, sent: list[tuple[Any, ...]]
) -> None:
    now = timezone.now()
    used, fresh, _ = (keyed(alice, label) for label in ("used", "fresh", "idle"))
    for key in (used, fresh):
        b = bench()
        BotConfig.objects.filter(pk=b.bot.pk).update(mode="testnet", account=key.account)
    Balance.objects.create(account=fresh.account, as_of=now)
    assert sweep.sweep()["balances"] == 1
    assert ("bots.tasks.refresh_balance", used.account_id) in sent
