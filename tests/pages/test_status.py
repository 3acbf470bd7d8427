"""The operator's status page: what it shows, to whom, and by how many queries."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from bots import schedule
from bots.meters import Meters
from bots.models import BotState, Heartbeat, Inspection, Silence, User
from bots.watch import platform
from tests.doors.content import resting_order
from tests.pages.builders import bot_of, holding, sign_in, state_of, text_of


@pytest.fixture
def staff(client: Client, bob: User) -> Client:
    bob.is_staff = True
    bob.save()
    sign_in(client, bob)
    return client


def crowd(owner: User, count: int) -> None:
    """Bots that are late, that hold an unwatched position, and that have an unknown order."""
    old = timezone.now() - timedelta(hours=2)
    for number in range(count):
        state_of(bot_of(owner, f"L{number}"), "running", "no_signal", "trade", last_run_at=old)
        state_of(bot_of(owner, f"U{number}"), "stopped", "by_owner", "none", **holding())
        waiting = state_of(bot_of(owner, f"O{number}"), "running", "no_signal", "trade").bot
        resting_order(waiting, status="unknown", created_at=old)
        BotState.objects.filter(pk=waiting.pk).update(status="waiting", reason="order_unknown")


def test_only_operators_see_it(client: Client, alice: User) -> None:
    sign_in(client, alice)
    assert client.get("/status/").status_code == 404
    client.logout()
    assert client.get("/status/").status_code == 302


def test_what_needs_a_look_is_counted_and_listed(staff: Client, alice: User) -> None:
    crowd(alice, 1)
    page = staff.get("/status/")
    asked = {one.question.name: one.count for one in page.context["asked"] if one.count}
    assert asked == {"late": 1, "unwatched": 1, "unknown": 1}
    text = text_of(page)
    for name in ("L0", "U0", "O0", "bs1rest"):
        assert name in text
    assert "other questions found nothing" in text
    assert "/admin/bots/botstate/?watch=late" in page.content.decode()


def test_measurements_are_shown(staff: Client, alice: User) -> None:
    meters = Meters()
    meters.used("binance spot live", "", "weight/1M", used=5100, most=6000, seconds=30)
    meters.ahead("binance spot live", -1234)
    for _ in range(100):
        meters.ticked(0.24)
    meters.write(at_once=True)
    until = timezone.now() + timedelta(minutes=5)
    Silence.keep(scope="kraken spot live", quiet="all", account="", until=until, why="429 banned")
    texts = ["I7 bot 3: profit 7, fills say 0"]
    ended = timezone.now() - timedelta(minutes=3)
    Inspection.objects.create(ended_at=ended, bots=41, violations=1, found=texts)
    Inspection.objects.create(bots=17)
    text = text_of(staff.get("/status/"))
    for part in (
        "85 %",
        "5,100 of 6,000",
        "this address",
        "-1234 ms",
        "240 ms",
        "kraken spot live",
        "429 banned",
        *texts,
        "17 bots so far",
    ):
        assert part in text, part


def test_an_empty_platform_says_so(staff: Client) -> None:
    text = text_of(staff.get("/status/"))
    assert "No tick in the last 15 minutes." in text
    assert "No exchange has told of a limit in the last day." in text
    assert text.count("not yet") == 2  # the daily reset and the first pass


@pytest.mark.parametrize(("queued", "word"), [(0, "flowing"), (5, "behind"), (None, "broker")])
def test_the_queue_is_judged_by_the_bots_on_duty(
    queued: int | None, word: str, staff: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule, "queued", lambda: queued)
    assert word in text_of(staff.get("/status/"))


def test_the_broker_tells_how_many_messages_wait(db: None) -> None:
    before = schedule.queued()
    assert before is not None
    from bots.schedule.nudge import send

    assert send("bots.tasks.canary")
    assert schedule.queued() == before + 1


def test_without_a_broker_the_page_still_answers(staff: Client, settings: Any) -> None:
    from celery import current_app

    kept = current_app.conf.broker_url
    current_app.conf.broker_url = "redis://127.0.0.1:1/0"
    try:
        page = staff.get("/status/")
    finally:
        current_app.conf.broker_url = kept
    assert page.status_code == 200
    assert page.context["queued"] is None


def test_signs_of_life_are_judged_by_their_own_pace(db: None, settings: Any) -> None:
    now = timezone.now()
    settings.CANARY_SECONDS, settings.SWEEP_SECONDS = 90, 60
    Heartbeat.objects.create(name="worker", at=now - timedelta(seconds=200))
    Heartbeat.objects.create(name="sweep", at=now - timedelta(seconds=200))
    found = {str(sign.label): sign.is_late for sign in platform.signs(now)}
    rest = {"daily reset": False, "alerts": True}
    assert found == {"beat": True, "worker": False, "sweep": True, **rest}
    schedule.ensure_platform_rows()
    from django_celery_beat.models import PeriodicTask

    PeriodicTask.objects.filter(name=schedule.CANARY).update(last_run_at=now)
    assert not platform.signs(now)[0].is_late


def test_a_reset_that_did_not_come_is_silent_and_a_job_that_ended_is_over(
    staff: Client, db: None
) -> None:
    now = timezone.now()
    for hours, is_late in ((24, False), (25, False), (26, True)):
        at = now - timedelta(hours=hours)
        Heartbeat.objects.update_or_create(name="reset", defaults={"at": at, "note": "3 bots"})
        [reset] = [sign for sign in platform.signs(now) if str(sign.label) == "daily reset"]
        assert (reset.is_late, reset.note) == (is_late, "3 bots")
    Heartbeat.objects.create(name="demo", at=now - timedelta(seconds=5), note="history of Grid")
    assert "demo ● alive" in text_of(staff.get("/status/"))
    Heartbeat.objects.update(at=now - timedelta(hours=2))
    assert "demo over 2 h ago history of Grid" in text_of(staff.get("/status/"))


def test_many_bots_need_no_more_queries(staff: Client, alice: User) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert staff.get("/status/").status_code == 200
        return len(captured)

    crowd(alice, 1)
    queries()
    few = queries()
    crowd_of_others = User.objects.create(username="crowd")
    crowd(crowd_of_others, 4)
    assert queries() == few
