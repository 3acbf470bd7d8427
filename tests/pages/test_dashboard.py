"""The dashboard: trouble first, a day per currency, one poll, few questions."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from time import monotonic
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from bots import uptime
from bots.models import BotState, DayStats, Heartbeat, User
from tests.pages.builders import HTMX, bot_of, holding, market, sign_in, state_of, text_of


@pytest.fixture(autouse=True)
def _signed_in(alice: User, client: Client) -> None:
    sign_in(client, alice)


def test_without_bots_there_is_one_sentence_and_one_button(client: Client) -> None:
    text = text_of(client.get("/"))
    assert "You have no bots yet." in text
    assert "Make your first bot" in text


def test_errors_and_unwatched_positions_come_first(alice: User, client: Client) -> None:
    names = {
        "a stopped": ("stopped", "by_owner", "none", {}),
        "b running": ("running", "no_signal", "trade", {}),
        "y unwatched": ("stopped", "by_owner", "none", holding()),
        "z error": ("error", "api_key_missing", "none", {}),
    }
    bot_of(alice, "c never")
    for name, (status, reason, duty, columns) in names.items():
        state_of(bot_of(alice, name), status, reason, duty, **columns)
    page = client.get("/")
    order = [row.bot.name for row in page.context["page"]]
    assert order == ["z error", "y unwatched", "b running", "a stopped", "c never"]
    assert "<title>(2) Dashboard" in page.content.decode()
    assert "Never started" in text_of(page)


def test_profit_of_different_currencies_is_never_added_up(alice: User, client: Client) -> None:
    for symbol, pnl in (("BTC/USDT", "12.5"), ("SOL/USDT", "-2.25"), ("ETH/BTC", "0.0003")):
        bot = bot_of(alice, symbol, symbol=symbol)
        state_of(bot, "running", "no_signal", "trade", daily_pnl=Decimal(pnl))
    page = client.get("/")
    assert page.context["today"] == [("BTC", Decimal("0.0003")), ("USDT", Decimal("10.25"))]
    assert "+10.25 USDT" in text_of(page)
    assert "+0.0003 BTC" in text_of(page)


def test_fifty_bots_cost_eight_queries_at_most(
    alice: User, client: Client, django_assert_max_num_queries: Any
) -> None:
    market()
    for number in range(50):
        bot = bot_of(alice, f"bot {number}")
        columns = holding() if number % 2 else {}
        state_of(bot, "running", "in_position" if columns else "no_signal", "trade", **columns)
        day = timezone.now().date()
        DayStats.objects.create(bot=bot, day=day, pnl=Decimal(number))
    with django_assert_max_num_queries(8):
        page = client.get("/")
    assert page.content.decode().count("<polyline") == 50


def test_one_poll_serves_the_whole_page(alice: User, client: Client) -> None:
    bot = bot_of(alice)
    state_of(bot, "running", "no_signal", "trade")
    page = client.get("/?status=running")
    body = page.content.decode()
    assert body.count("hx-get=") == 1
    token = page.context["token"]
    path = f"/board/?v={token}&status=running"
    assert path.replace("&", "&amp;") in body or f"status=running&amp;v={token}" in body
    assert client.get(path, headers=HTMX).status_code == 204
    BotState.objects.filter(pk=bot.pk).update(daily_trades_count=3)
    answer = client.get(path, headers=HTMX)
    assert answer.status_code == 200
    assert "3 / 10" in text_of(answer)


def test_a_minute_alone_refreshes_ages(
    alice: User, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    state_of(bot_of(alice), "running", "no_signal", "trade")
    token = client.get("/").context["token"]
    head, minute = token.rsplit("-", 1)
    assert client.get(f"/board/?v={head}-{int(minute) - 1}").status_code == 200


def test_the_filter_lives_in_the_address(alice: User, client: Client) -> None:
    state_of(bot_of(alice, "one"), "running", "no_signal", "trade")
    state_of(bot_of(alice, "two"), "error", "network", "trade")
    bot_of(alice, "three", symbol="SOL/USDT")

    def names(query: str) -> list[str]:
        return [row.bot.name for row in client.get(f"/?{query}").context["page"]]

    assert names("status=error") == ["two"]
    assert names("status=never") == ["three"]
    assert names("q=sol") == ["three"]
    assert names("status=error&q=sol") == []
    assert 'href="/?status=error"' in client.get("/").content.decode()


def test_more_than_fifty_bots_are_paged(alice: User, client: Client) -> None:
    for number in range(52):
        bot_of(alice, f"bot {number:02}")
    assert len(client.get("/").context["page"]) == 50
    second = client.get("/?page=2")
    assert len(second.context["page"]) == 2
    assert len(client.get("/?page=nonsense").context["page"]) == 50


@pytest.fixture
def up_since(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Say how many seconds ago the platform started."""

    def since(seconds: float) -> None:
        monkeypatch.setattr(uptime, "_STARTED", monotonic() - seconds)

    return since


def test_a_platform_that_starts_is_no_fault(
    alice: User, client: Client, up_since: Callable[[float], None]
) -> None:
    bot_of(alice)
    up_since(5)
    page = client.get("/")
    assert "The platform is starting" in text_of(page)
    assert "sign of life" not in text_of(page)
    token = page.context["token"]
    assert client.get(f"/board/?v={token}", headers=HTMX).status_code == 204
    up_since(31)
    late = client.get(f"/board/?v={token}", headers=HTMX)
    assert "No worker has given a sign of life yet" in text_of(late)
    up_since(5)
    Heartbeat.beat("worker")
    assert "is starting" not in text_of(client.get("/"))


def test_a_silent_worker_is_said(
    alice: User, client: Client, up_since: Callable[[float], None]
) -> None:
    bot_of(alice)
    up_since(31)
    assert "No worker has given a sign of life yet" in text_of(client.get("/"))
    Heartbeat.beat("worker")
    assert "sign of life" not in text_of(client.get("/"))


def test_deleted_bots_disappear(alice: User, client: Client) -> None:
    bot = bot_of(alice, "going")
    client.post(f"/bots/{bot.pk}/delete/")
    assert "going was deleted." in text_of(client.get("/"))
    assert client.get("/").context["total"] == 0


def test_modes_are_tagged(alice: User, client: Client) -> None:
    bot_of(alice)
    assert '<span class="tag paper">PAPER</span>' in client.get("/").content.decode()
    turkish = client.get("/", headers={"Accept-Language": "tr"}).content.decode()
    assert '<span class="tag paper">KÂĞIT</span>' in turkish


def test_seven_days_are_the_readers_last_seven(
    alice: User, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice.time_zone = "Pacific/Auckland"
    alice.save()
    bot = bot_of(alice)
    state_of(bot, "running", "no_signal", "trade")
    # In Auckland it is the 10th already.
    now = datetime(2026, 6, 9, 14, 0, tzinfo=UTC)
    monkeypatch.setattr(timezone, "now", lambda: now)
    for day in range(1, 11):
        DayStats.objects.create(bot=bot, day=date(2026, 6, day), pnl=Decimal(day))
    DayStats.objects.filter(bot=bot, day=date(2026, 6, 7)).delete()
    spark = client.get("/").context["sparks"][bot.pk]
    assert spark.total == 4 + 5 + 6 + 8 + 9 + 10
    # A point for the start and one for each day, the one without a trade too.
    assert len(spark.points.split()) == 8
