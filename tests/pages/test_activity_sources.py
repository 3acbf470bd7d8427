"""Commands, funding and keys that are gone, as lines of the activity page."""

import csv
from datetime import date, timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone, translation

from bots import control
from bots.activity import SOURCES, Kind, Wanted, every, newest, sources, timeline
from bots.lifecycle import Reason
from bots.models import (
    AccessEvent,
    BotConfig,
    BotState,
    Command,
    Funding,
    KeyEvent,
    Order,
    StateEvent,
    User,
)
from bots.views import words
from tests.pages.builders import bot_of, holding, sign_in, state_of, text_of
from tests.pages.test_activity import NOW, event, key_of, order, transfer
from trading.exchange import Fault
from trading.risk import Gate


@pytest.fixture(autouse=True)
def _signed_in(alice: User, client: Client) -> None:
    sign_in(client, alice)


def command(bot: BotConfig, status: str = "done", *, ago: float = 0, **values: Any) -> Command:
    """A command that ended `ago` minutes before NOW; one that waits was given then."""
    at = NOW - timedelta(minutes=ago)
    fields = {"kind": "enter", "by": bot.owner, "via": "page", **values}
    ended = None if status == "pending" else at
    fields = {"created_at": at - timedelta(seconds=20) if ended else at, **fields}
    return Command.objects.create(
        bot=bot, status=status, ended_at=ended, **{"expires_at": timezone.now(), **fields}
    )


def funding(bot: BotConfig, amount: str = "-0.42", *, ago: float = 0) -> Funding:
    at = NOW - timedelta(minutes=ago)
    return Funding.objects.create(
        bot=bot,
        account=bot.account,
        symbol="BTC/USDT:USDT",
        funding_id=str(Funding.objects.count()),
        amount=Decimal(amount),
        at=at,
        trading_day=at.date(),
    )


def lines(client: Client, query: str = "") -> list[Any]:
    found: list[Any] = client.get(f"/activity/?{query}").context["lines"]
    return found


def futures_bot(owner: User, name: str = "Perp") -> BotConfig:
    bot = bot_of(owner, name)
    BotConfig.objects.filter(pk=bot.pk).update(position_type="futures", exchange="binance")
    bot.refresh_from_db()
    return bot


def test_what_was_asked_and_what_became_of_it(alice: User, client: Client) -> None:
    bot = bot_of(alice)
    command(bot, ago=5, order=order(bot, ago=90))
    command(bot, "refused", ago=4, result="max_daily_loss", via="api")
    command(bot, "refused", ago=3, kind="exit", result="stopped", by=None, via="command")
    command(bot, "expired", ago=2, kind="cancel")
    told = [
        (line.what, line.result, line.details, line.by, line.via, line.chip, line.url)
        for line in lines(client, "kind=command")
    ]
    page, orders = f"/bots/{bot.pk}/", f"/bots/{bot.pk}/orders/"
    late, limit = "No tick followed it in time.", "The daily loss limit is reached."
    stopped = "The bot was stopped first."
    assert told == [
        ("Cancel the waiting order", "expired", late, "alice", "page", "error", page),
        ("Close position", "refused", stopped, "", "command", "error", page),
        ("Buy now", "refused", limit, "alice", "API", "error", page),
        ("Buy now", "done", "", "alice", "page", "running", orders),
    ]


def test_a_forced_entry_is_named_by_the_way_it_went(alice: User, client: Client) -> None:
    bot = bot_of(alice)
    sold = order(bot)
    type(sold).objects.filter(pk=sold.pk).update(side="sell")
    command(bot, order=sold)
    BotConfig.objects.filter(pk=bot.pk).update(direction="short")
    command(bot, "refused", result="spread", ago=1)
    command(bot, ago=2, order=order(bot))
    named = [line.what for line in lines(client, "kind=command")]
    assert named == ["Sell short now", "Sell short now", "Buy now"]


def test_a_command_stands_where_it_ended_else_where_it_was_given(alice: User) -> None:
    bot, other = bot_of(alice), bot_of(alice, "Other")
    ended = command(bot, ago=10, created_at=NOW - timedelta(minutes=30))
    waits = command(other, "pending", ago=20)
    event(bot, ago=15)
    found = newest(alice, Wanted(), 10)
    assert [(item.name, item.row.pk) for item in found if item.name == "command"] == [
        ("command", ended.pk),
        ("command", waits.pk),
    ]
    assert [item.name for item in found] == ["command", "state", "command"]


def test_a_command_that_waits_is_no_error_until_its_time_is_over(
    alice: User, client: Client
) -> None:
    bot = bot_of(alice)
    row = command(bot, "pending", expires_at=timezone.now() + timedelta(hours=1))
    (line,) = lines(client)
    assert (line.result, line.chip, line.details) == ("waiting for the next tick", "pending", "")
    token = client.get("/activity/").context["token"]
    assert lines(client, "errors=1") == []
    Command.objects.filter(pk=row.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    (line,) = lines(client, "errors=1")
    assert (line.result, line.chip) == ("expired", "error")
    assert client.get(f"/activity/rows/?v={token}").status_code == 200, "the poll sees it"


def test_errors_are_refused_and_expired_commands_alone(alice: User) -> None:
    bot = bot_of(alice)
    for number, status in enumerate(("pending", "done", "refused", "expired")):
        command(bot, status, ago=number, expires_at=timezone.now() + timedelta(hours=1))
    funding(bot)
    key_of(alice)
    found = newest(alice, Wanted(errors=True), 10)
    assert [item.row.status for item in found] == ["refused", "expired"]
    assert [item.row.status for item in every(alice, Wanted(errors=True))] == [
        "refused",
        "expired",
    ]


@pytest.mark.parametrize("language", ["en", "tr"])
@pytest.mark.parametrize("result", [*Gate, *Fault, "stopped"])
def test_whatever_refuses_a_command_is_said_in_a_sentence(result: str, language: str) -> None:
    with translation.override(language):
        told = words.refusal(str(result))
    assert told.endswith(".")
    assert "_" not in told
    with translation.override("en"):
        assert (words.refusal(str(result)) == told) is (language == "en")


def test_the_engine_writes_no_result_without_words(alice: User) -> None:
    """A stop refuses what waits with its own word, which is no gate and no failure."""
    bot = bot_of(alice)
    state_of(bot, "running", "no_signal", "trade")
    control.command(bot, "enter", by=alice, via="page")
    control.stop(bot, by=alice, via="page")
    (row,) = Command.objects.filter(bot=bot)
    assert row.result not in {*Gate, *Fault, *Reason.values}
    assert words.refusal(row.result) == "The bot was stopped first."
    assert words.refusal("never heard of") == "never heard of"


def test_payments_with_their_sign_day_and_currency(alice: User, client: Client) -> None:
    bot = futures_bot(alice)
    funding(bot, "-1.25", ago=3)
    funding(bot, "0.0042", ago=2)
    told = [(line.what, line.result, line.chip) for line in lines(client, "kind=funding")]
    assert told == [
        ("Funding payment: +0.0042 USDT", "received", "running"),
        ("Funding payment: \N{MINUS SIGN}1.25 USDT", "paid", "stopped"),
    ]
    (link,) = {line.url for line in lines(client, "kind=funding")}
    assert link == f"/bots/{bot.pk}/fills/?from=2026-03-10&to=2026-03-10#funding"
    assert "Funding payments" in text_of(client.get(link))
    alice.language = "tr"
    alice.save()
    assert "Fonlama ödemesi: \N{MINUS SIGN}1,25 USDT" in text_of(client.get("/activity/"))
    assert Funding.objects.get(amount="-1.25").trading_day == date(2026, 3, 10)


def kinds(client: Client, query: str = "") -> list[str]:
    return [value for value, _label in client.get(f"/activity/?{query}").context["kinds"]]


def test_who_trades_no_futures_is_not_offered_their_payments(alice: User, client: Client) -> None:
    bot_of(alice)
    assert kinds(client) == ["state", "order", "command", "transfer", "key", "access"]
    assert kinds(client, "kind=funding") == Kind.values, "asked for by hand, it is shown as chosen"
    futures_bot(alice)
    assert kinds(client) == Kind.values


def test_a_key_that_is_replaced_and_deleted_leaves_its_lines(alice: User, client: Client) -> None:
    fields = {"exchange": "binance", "mode": "live", "label": "main", "secret_key": "s" * 12}
    control.put_key(alice, via="page", api_key="firstkey1111", **fields)
    new = control.put_key(alice, via="api", api_key="secondkey2222", **fields)
    client.post(f"/keys/{new.pk}/delete/")
    told = [(one.what, one.result, one.by, one.via) for one in lines(client, "kind=key")]
    assert told == [
        ("Key …2222", "deleted", "alice", "page"),
        ("Key …2222", "added", "alice", "API"),
        ("Key …1111", "replaced", "alice", "API"),
        ("Key …1111", "added", "alice", "page"),
    ]
    assert {line.place for line in lines(client)} == {"main"}
    stored = [value for row in KeyEvent.objects.values() for value in row.values()]
    assert not any("key1111" in str(value) or "ssss" in str(value) for value in stored)


def test_a_key_that_may_not_go_leaves_no_line(alice: User) -> None:
    key, bot = key_of(alice), bot_of(alice)
    BotConfig.objects.filter(pk=bot.pk).update(account=key.account, mode="live", exchange="binance")
    BotState.objects.create(bot=bot, counter_day=NOW.date(), day_ends_at=NOW)
    BotState.objects.filter(pk=bot.pk).update(**holding())
    with pytest.raises(control.Refusal, match="A bot needs this key"):
        control.drop_key(key, by=alice, via="page")
    assert [row.what for row in KeyEvent.objects.all()] == ["added"]


def test_a_key_deleted_twice_at_once_leaves_one_line(alice: User) -> None:
    key = key_of(alice)
    for _ in range(2):
        control.drop_key(key, by=alice, via="page")
    assert sorted(row.what for row in KeyEvent.objects.all()) == ["added", "deleted"]


def everything(owner: User) -> BotConfig:
    """Rows of every source at the very same instant, several of each."""
    bot, key = futures_bot(owner), key_of(owner)
    for number in range(8):
        event(bot)
        command(bot, "refused" if number % 2 else "done", result="spread")
        funding(bot)
        order(bot)
    command(bot, "pending", expires_at=timezone.now() + timedelta(hours=1))
    transfer(key)
    what = KeyEvent.What.REPLACED
    for _ in range(4):
        KeyEvent.of(key, what, by=owner, via="page")
    KeyEvent.objects.update(at=NOW)
    type(key).objects.update(checked_at=NOW, check_fault="api_key_invalid")
    return bot


@pytest.mark.parametrize("few", [1, timeline.FEW])
@pytest.mark.parametrize("size", [1, 3, 7])
def test_pages_over_one_instant_lose_and_repeat_nothing(
    size: int, few: int, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeline, "FEW", few)
    everything(alice)
    seen: list[str] = []
    while part := newest(alice, Wanted(), size, seen[-1] if seen else ""):
        seen += [item.cursor for item in part]
    assert seen == [item.cursor for item in every(alice, Wanted())]
    assert len(set(seen)) == len(seen) == 4 * 8 + 1 + 1 + 5 + 1
    ranks = [sources.RANKS[cursor.split(".")[1]] for cursor in seen]
    assert ranks == sorted(ranks), "rows of one instant stand in the order of their sources"


def test_nothing_of_others(alice: User, bob: User, client: Client) -> None:
    theirs = everything(bob)
    assert len(list(every(bob, Wanted()))) == 40
    assert list(every(alice, Wanted())) == []
    assert newest(alice, Wanted(bot=theirs.pk), 50) == []
    for kind in Kind:
        assert lines(client, f"kind={kind}") == []
        assert lines(client, f"kind={kind}&bot={theirs.pk}&errors=1") == []
    assert len(client.get("/activity.csv").content.decode().splitlines()) == 1


@pytest.mark.parametrize("few", [1, timeline.FEW])
@pytest.mark.parametrize("errors", [False, True])
def test_two_users_with_the_same_history_see_their_own_alone(
    errors: bool, few: int, alice: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeline, "FEW", few)
    everything(alice)
    theirs = everything(bob)
    for user in (alice, bob):
        found = newest(user, Wanted(errors=errors), 100)
        assert len(found) == (5 if errors else 40)
        owners = {(one.row.bot if one.is_of_bot else one.row.account).owner_id for one in found}
        assert owners == {user.pk}
    assert newest(alice, Wanted(bot=theirs.pk), 100) == []


def test_a_bot_alone_has_its_commands_and_payments(alice: User, client: Client) -> None:
    everything(alice)
    other = futures_bot(alice, "Other")
    command(other, ago=2)
    funding(other, ago=3)
    names = [line.item.name for line in lines(client, f"bot={other.pk}")]
    assert names == ["command", "funding"]


def test_a_deleted_bots_lines_have_no_links(alice: User, client: Client) -> None:
    bot = futures_bot(alice)
    command(bot)
    funding(bot)
    BotConfig.objects.filter(pk=bot.pk).update(deleted_at=timezone.now())
    assert [(line.url, line.bot) for line in lines(client)] == [("", bot), ("", bot)]


def test_the_csv_tells_them_as_they_are_stored(alice: User, client: Client) -> None:
    bot = futures_bot(alice)
    bought = order(bot, ago=60)
    command(bot, ago=1, order=bought)
    command(bot, "refused", ago=2, kind="exit", result="flat", by=None, via="command")
    funding(bot, "-0.420000000000000001", ago=3)
    control.drop_key(key_of(alice), by=alice, via="page")
    text = client.get("/activity.csv").content.decode()
    table = list(csv.DictReader(StringIO(text)))
    told = {(row["kind"], row["what"]): row for row in table}
    done, refused = told["command", "enter"], told["command", "exit"]
    assert (done["result"], done["order"]) == ("done", bought.client_order_id)
    assert (done["at"], done["by"]) == ("2026-03-10T11:59:00Z", "alice")
    assert (refused["result"], refused["reason"], refused["by"]) == ("refused", "flat", "")
    paid = told["funding", "paid"]
    assert (paid["amount"], paid["reason"]) == ("-0.420000000000000001", "USDT")
    assert (paid["details"], paid["bot_or_account"]) == ("BTC/USDT:USDT", "Perp")
    gone = told["key", "deleted"]
    assert (gone["details"], gone["bot_or_account"], gone["via"]) == ("5678", "main", "page")
    assert "12345678" not in text


BOUND = f"{int(NOW.timestamp()) * 10**6}.state.99999"


@pytest.mark.parametrize("before", ["", BOUND])
@pytest.mark.parametrize(
    ("name", "errors", "index"),
    [
        ("state", False, "event_at"),
        ("order", False, "order_changed"),
        ("command", False, "command_moment"),
        ("command", True, "command_undone"),
        ("funding", False, "funding_at"),
        ("key", False, "key_event_at"),
    ],
)
def test_a_long_history_is_read_by_its_index(
    name: str,
    errors: bool,
    index: str,
    before: str,
    alice: User,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """From FEW rows on a page reads as many as it shows: nothing sorts what the user ever did."""
    monkeypatch.setattr(timeline, "FEW", 1)
    everything(alice)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:  # in a table of a few rows it would not care
            cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
            cursor.execute("SET LOCAL enable_bitmapscan = off")
    source = SOURCES[sources.RANKS[name]]
    rows = timeline._rows(source, Wanted(errors=errors), timeline._read(before))
    found = timeline._newest_first(source, alice, rows)[:51]
    plan = found.explain()
    assert len(found) > 3
    assert index in plan.split(), plan
    assert "TEMP B-TREE FOR ORDER BY" not in plan, plan


def test_each_source_that_is_read_by_time_has_an_index_that_begins_with_it() -> None:
    told = {
        (model, str(index.fields[0] if index.fields else index.expressions[0]))
        for model in (StateEvent, Order, Command, Funding, KeyEvent, AccessEvent)
        for index in model._meta.indexes
        if not index.condition
    }
    moment = "Coalesce(F(ended_at), F(created_at))"
    for source in SOURCES:
        at = moment if source.name == "command" else source.at
        assert not source.is_indexed or (source.rows().model, at) in told, source.name
    assert {source.name for source in SOURCES if not source.is_indexed} == {"transfer", "check"}
