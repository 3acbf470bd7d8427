"""The activity page: all that happened, newest first, filtered by the address, in pages and CSV."""

import csv
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from bots import control
from bots.activity import Wanted, every, newest
from bots.models import ApiKey, BotConfig, KeyEvent, Order, StateEvent, Transfer, User
from tests.pages.builders import HOSTILE, HTMX, bot_of, filled, market, sign_in, state_of, text_of

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _signed_in(alice: User, client: Client) -> None:
    sign_in(client, alice)


def event(bot: BotConfig, move: str = "run", *, ago: float = 0, **values: Any) -> StateEvent:
    """A change of state `ago` minutes before NOW."""
    fields = {"new_status": "running", "new_reason": "no_signal", "via": "tick", **values}
    return StateEvent.objects.create(bot=bot, move=move, at=NOW - timedelta(minutes=ago), **fields)


def order(bot: BotConfig, status: str = "filled", *, ago: float = 0, **values: Any) -> Order:
    """An order that ended `ago` minutes before NOW."""
    row = filled(bot, "buy", "0.5", "100").order
    Order.objects.filter(pk=row.pk).update(
        status=status, updated_at=NOW - timedelta(minutes=ago), **values
    )
    return row


def key_of(owner: User, label: str = "main") -> ApiKey:
    fields = {"exchange": "binance", "mode": "live", "label": label}
    return control.put_key(
        owner, via="page", **fields, api_key="key12345678", secret_key="secret123456"
    )


def transfer(key: ApiKey, status: str = "done", *, ago: float = 0) -> Transfer:
    at = NOW - timedelta(minutes=ago)
    return Transfer.objects.create(
        account=key.account,
        currency="USDT",
        amount="25.5",
        direction="to_futures",
        status=status,
        by=key.account.owner,
        via="page",
        created_at=at,
        expires_at=at,
        ended_at=None if status == "unknown" else at,
    )


def one_of_each(owner: User) -> BotConfig:
    bot, key = bot_of(owner), key_of(owner)
    event(bot, "start", ago=50, by=owner, via="page", new_status="pending", new_reason="start")
    order(bot, ago=40)
    transfer(key, ago=30)
    KeyEvent.objects.filter(account=key.account).update(at=NOW - timedelta(minutes=60))
    ApiKey.objects.filter(pk=key.pk).update(
        checked_at=NOW - timedelta(minutes=20),
        check_fault="api_key_invalid",
        check_message="-2015 Invalid API-key",
    )
    event(bot, "stop", ago=10, by=owner, via="api", new_status="stopped", new_reason="halt")
    return bot


def names(items: Any) -> list[str]:
    return [item.name for item in items]


def test_one_time_line_of_all_kinds(alice: User, client: Client) -> None:
    bot = one_of_each(alice)
    items = newest(alice, Wanted(), 50)
    assert names(items) == ["state", "check", "transfer", "order", "state", "key"]
    text = text_of(client.get("/activity/"))
    places = [text.index(word) for word in ("Stopped - halt", "-2015", "25.5 USDT", "Entry: buy")]
    assert places == sorted(places)
    assert "alice" in text
    assert "Dip buyer" in text
    assert f'href="/bots/{bot.pk}/orders/"' in client.get("/activity/").content.decode()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("kind=state", ["state", "state"]),
        ("kind=order", ["order"]),
        ("kind=transfer", ["transfer"]),
        ("kind=key", ["check", "key"]),
        ("errors=1", ["check"]),
        ("from=2026-03-10", ["state", "check", "transfer", "order", "state", "key"]),
        ("to=2026-03-09", []),
        ("from=2026-03-11", []),
        ("kind=nonsense&bot=x&from=soon&before=1.2", 6 * ["any"]),
    ],
)
def test_filters_live_in_the_address(
    query: str, expected: list[str], alice: User, client: Client
) -> None:
    one_of_each(alice)
    lines = client.get(f"/activity/?{query}").context["lines"]
    found = [line.item.name for line in lines]
    assert found == expected or (expected == 6 * ["any"] and len(found) == 6)


def test_a_bot_alone(alice: User, client: Client) -> None:
    one_of_each(alice)
    other = bot_of(alice, "Other")
    event(other, ago=5)
    lines = client.get(f"/activity/?bot={other.pk}").context["lines"]
    assert [line.bot for line in lines] == [other]


def test_days_are_those_of_the_reader(alice: User, client: Client) -> None:
    alice.time_zone = "Pacific/Auckland"
    alice.save()
    bot = bot_of(alice)
    event(bot)  # noon in UTC is one o'clock of the next day there
    assert client.get("/activity/?from=2026-03-11&to=2026-03-11").context["lines"]
    assert not client.get("/activity/?from=2026-03-10&to=2026-03-10").context["lines"]


def test_errors_are_failures_of_every_kind(alice: User) -> None:
    bot, key = bot_of(alice), key_of(alice)
    for number, status in enumerate(("rejected", "unknown", "abandoned", "filled", "canceled")):
        order(bot, status, ago=number, is_settled=False)
    transfer(key, "failed")
    transfer(key, "unknown")
    event(bot, "protect", why="-2010 Stop price would trigger immediately.")
    event(bot, "protect", why="resting")
    event(bot, "fail", new_status="error", new_reason="network")
    event(bot, "wait", new_status="waiting", new_reason="network")
    found = newest(alice, Wanted(errors=True), 50)
    statuses = sorted(item.row.status for item in found if item.name in ("order", "transfer"))
    assert statuses == ["abandoned", "failed", "rejected", "unknown", "unknown"]
    assert sorted(item.row.move for item in found if item.name == "state") == ["fail", "protect"]


def test_pages_lose_and_repeat_nothing(alice: User, client: Client) -> None:
    """Many rows of one instant, of several kinds: the hard case of going on after a row."""
    bot, key = bot_of(alice), key_of(alice)
    KeyEvent.objects.update(at=NOW)
    for number in range(60):
        event(bot, ago=number // 30)
        order(bot, ago=number // 30)
    transfer(key)
    seen, path = [], "/activity/"
    while path:
        context = client.get(path).context
        seen += [line.item.cursor for line in context["lines"]]
        path = f"/activity/?before={context['older']}" if context["older"] else ""
    whole = [item.cursor for item in every(alice, Wanted())]
    assert seen == whole
    assert len(set(seen)) == len(seen) == 122


def test_a_page_costs_the_same_however_long_the_history(alice: User, client: Client) -> None:
    market()
    bots = [one_of_each(alice), bot_of(alice, "Second")]
    with CaptureQueriesContext(
        connection,
    ) as few:
        client.get("/activity/")
    for number in range(200):
        event(bots[number % 2], ago=number)
    for number in range(20):
        order(bots[number % 2], ago=number)
    with CaptureQueriesContext(connection) as many:
        client.get("/activity/")
    assert len(many) == len(few) <= 15


def test_a_poll_without_news_is_204(alice: User, client: Client) -> None:
    bot = one_of_each(alice)
    token = client.get("/activity/").context["token"]
    assert client.get(f"/activity/rows/?v={token}", headers=HTMX).status_code == 204
    event(bot)
    fresh = client.get(f"/activity/rows/?v={token}", headers=HTMX)
    assert fresh.status_code == 200
    assert fresh.content.decode().lstrip().startswith('<section id="activity"')
    token = fresh.context["token"]
    # An order that ends moves and changes its line.
    row = Order.objects.get()
    Order.objects.filter(pk=row.pk).update(status="canceled")
    assert client.get(f"/activity/rows/?v={token}", headers=HTMX).status_code == 200


def test_older_pages_are_not_polled(alice: User, client: Client) -> None:
    bot = bot_of(alice)
    for number in range(60):
        event(bot, ago=number)
    first = client.get("/activity/")
    assert "data-poll" in first.content.decode()
    older = client.get(f"/activity/?before={first.context['older']}")
    assert "data-poll" not in older.content.decode()
    assert "Newest" in text_of(older)


def test_the_filter_goes_with_links_and_poll(alice: User, client: Client) -> None:
    bot = bot_of(alice)
    for number in range(60):
        event(bot, ago=number)
    body = client.get(f"/activity/?bot={bot.pk}&kind=state").content.decode()
    assert f"/activity/rows/?bot={bot.pk}&amp;kind=state&amp;v=" in body
    assert f"/activity.csv?bot={bot.pk}&amp;kind=state" in body
    assert f"?bot={bot.pk}&amp;kind=state&amp;before=" in body


def test_nothing_of_others(alice: User, bob: User, client: Client) -> None:
    theirs = one_of_each(bob)
    assert list(every(alice, Wanted())) == []
    assert list(every(alice, Wanted(bot=theirs.pk))) == []
    assert client.get(f"/activity/?bot={theirs.pk}").context["lines"] == []


def test_a_deleted_bot_keeps_its_history_without_links(alice: User, client: Client) -> None:
    bot = one_of_each(alice)
    BotConfig.objects.filter(pk=bot.pk).update(deleted_at=timezone.now())
    body = client.get("/activity/").content.decode()
    assert "Dip buyer" in body
    assert f"/bots/{bot.pk}/" not in body


def test_hostile_texts_are_texts(alice: User, client: Client) -> None:
    bot = bot_of(alice, HOSTILE[:40])
    event(bot, "fail", why=HOSTILE, new_status="error", new_reason="network")
    order(bot, "rejected", message=HOSTILE)
    assert "<script>alert" not in client.get("/activity/").content.decode()


def test_events_in_words(alice: User, client: Client) -> None:
    bot = bot_of(alice)
    event(bot, "edit", why="stop_loss_perc, name", by=alice, via="page")
    event(bot, "stop", why="after_exit", new_status="stopped", new_reason="by_owner")
    event(bot, "protect", why="resting")
    event(
        bot,
        "wait",
        why="The exchange could not be reached. [read timed out]",
        new_status="waiting",
        new_reason="network",
    )
    lines = client.get("/activity/").context["lines"]
    told = {line.item.row.move: (line.details, line.raw) for line in lines}
    assert told == {
        "edit": ("stop loss, %, name", ""),
        "stop": ("after the next exit", ""),
        "protect": ("at the exchange", ""),
        "wait": ("The exchange could not be reached, or did not answer in time.", "read timed out"),
    }


def test_the_csv_has_every_row_and_no_formula(alice: User, client: Client) -> None:
    bot = one_of_each(alice)
    order(bot, "rejected", message="=1+1", ago=5)
    response = client.get("/activity.csv")
    table = list(csv.DictReader(StringIO(response.content.decode())))
    assert [row["kind"] for row in table] == [
        *("order", "state", "check", "transfer", "order", "state", "key")
    ]
    assert table[0]["details"] == "'=1+1"
    assert table[1]["at"] == "2026-03-10T11:50:00Z"
    assert (table[1]["what"], table[1]["result"], table[1]["reason"]) == ("stop", "stopped", "halt")
    assert (table[3]["amount"], table[3]["bot_or_account"]) == ("25.5", "main")
    assert (table[4]["side"], table[4]["amount"], table[4]["price"]) == ("buy", "0.5", "")
    assert all(None not in row for row in table)
    narrow = client.get("/activity.csv?kind=key").content.decode()
    assert len(narrow.splitlines()) == 3


def test_an_empty_page_says_what_will_stand_here(client: Client, alice: User) -> None:
    assert "Nothing has happened yet" in text_of(client.get("/activity/"))
    state_of(bot_of(alice), "running", "no_signal", "trade")
    assert "Nothing fits this filter" in text_of(client.get("/activity/?errors=1"))
