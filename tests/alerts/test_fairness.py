"""Nobody's alerts wait behind somebody else's, and what is urgent behind nothing."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from bots.alerts import addresses, channels, delivery
from bots.alerts.delivery import Result
from bots.alerts.plan import plan
from bots.models import Alert, AlertChannel, AlertDelivery, AlertSettings, User
from tests.alerts.builders import ALL
from tests.pages.builders import bot_of


def channel_of(owner: User, number: int = 0) -> AlertChannel:
    address = addresses.webhook(f"https://example.org/{owner.pk}/{number}")
    return channels.add(owner, "webhook", address, label=f"c{number}", kinds=ALL)


def due(channel: AlertChannel, at: datetime) -> AlertDelivery:
    told = {"kind": "exit", "subject": "s", "body": "b", "alerts": 1}
    return AlertDelivery(channel=channel, created_at=at, due_at=at, **told)


def test_channels_that_nothing_reaches_hold_up_nobody(
    alice: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = timezone.now()
    dead = [channel_of(alice, number) for number in range(10)]
    AlertChannel.objects.update(failing_since=now - timedelta(hours=1))
    early = now - timedelta(minutes=20)
    AlertDelivery.objects.bulk_create([due(one, early) for one in dead for _n in range(60)], 500)
    mine = due(channel_of(bob), now)
    mine.save()
    sent: list[int] = []

    def courier(jobs: Sequence[Mapping[str, Any]]) -> dict[int, Result]:
        sent.extend(job["id"] for job in jobs)
        return {job["id"]: Result(ok=job["id"] == mine.pk, fault="connect") for job in jobs}

    monkeypatch.setattr(delivery, "_courier", courier)
    assert delivery.deliver(now) == 11
    assert sent[0] == mine.pk
    # One each, the oldest: those after it wait for what becomes of it.
    firsts = [one.deliveries.order_by("pk")[0].pk for one in dead]
    assert sorted(sent[1:]) == firsts


def test_what_is_urgent_passes_a_night_of_what_is_not(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bots.alerts.plan.MOST", 3)
    bot, now = bot_of(alice, "B"), timezone.now()
    channel_of(alice)
    local = now.astimezone(alice.zone)
    hour = timedelta(hours=1)
    AlertSettings.objects.create(
        owner=alice, quiet_from=(local - hour).time(), quiet_to=(local + hour).time()
    )
    told: dict[str, Any] = {"owner": alice, "bot": bot}
    at = now - timedelta(minutes=30)
    for number in range(3):
        Alert.objects.create(**told, kind="exit", reason="signal", at=at, key=f"x{number}", data={})
    urgent = Alert.objects.create(
        **told, kind="error", reason="api_key_invalid", at=now, key="u", data={"off": True}
    )
    assert plan(now) == 1
    urgent.refresh_from_db()
    assert urgent.told_at == now
    assert Alert.objects.filter(told_at=None).count() == 3


def test_each_key_that_is_refused_is_named(alice: User) -> None:
    channel_of(alice)
    now = timezone.now()

    def refused(key: int, at: datetime) -> None:
        Alert.objects.create(
            owner=alice,
            kind="key_refused",
            reason="api_key_invalid",
            at=at,
            key=f"key:{key}:api_key_invalid:{at.isoformat()}",
            data={"label": f"Key {key}", "last4": f"000{key}"},
        )

    refused(1, now)
    refused(2, now)
    assert plan(now) == 1
    body = AlertDelivery.objects.get().body
    assert "Key 1" in body
    assert "Key 2" in body
    later = now + timedelta(minutes=2)
    refused(3, later)  # another one is no repetition
    refused(1, later)
    assert plan(later) == 1
    body = AlertDelivery.objects.latest("pk").body
    assert "Key 3" in body
    assert "Key 1" not in body
