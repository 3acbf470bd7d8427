"""Keys go in and never come out; balances are rows with an age, refreshed by workers."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from bots import control, schedule
from bots.api import throttle
from bots.models import Account, ApiKey, Balance, BotState, Order, User
from tests.doors.client import KEY, Caller, fields_of
from tests.doors.content import make_key


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What was handed to the broker."""
    messages: list[tuple[Any, ...]] = []
    monkeypatch.setattr(schedule, "send", lambda *message: messages.append(message) or True)
    return messages


def test_a_key_is_stored_unchecked_and_a_worker_is_told(
    as_alice: Caller, sent: list[Any], django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        answer = as_alice.post("/api-keys", KEY)
    assert answer.status == 201
    key = ApiKey.objects.get()
    expected = {"id": key.pk, "account": key.account_id, "label": "main", "last4": "1234"}
    assert expected.items() <= answer.body.items()
    assert (answer.body["exchange"], answer.body["mode"]) == ("binance", "testnet")
    assert answer.body["is_valid"] is None
    assert sent == [("bots.tasks.check_key", key.pk)]


def test_no_answer_carries_a_secret(as_alice: Caller) -> None:
    answers = [as_alice.post("/api-keys", KEY | {"passphrase": "WORDSOFTHEKEY"})]
    key_id = answers[0].body["id"]
    answers += [
        as_alice.get("/api-keys"),
        as_alice.get(f"/api-keys/{key_id}"),
        as_alice.get(f"/api-keys/balance?api_key={key_id}"),
        as_alice.post("/api-keys", KEY | {"mode": "moon"}),
        as_alice.post("/api-keys", KEY | {"secret_key": "with\x07bell" + KEY["secret_key"]}),
    ]
    for answer in answers:
        text = json.dumps(answer.body)
        for secret in (KEY["api_key"], KEY["secret_key"], "WORDSOFTHEKEY"):
            assert secret not in text


def test_the_api_does_not_read_the_encrypted_columns(as_alice: Caller, alice: User) -> None:
    key = make_key(alice)
    with CaptureQueriesContext(connection) as queries:
        as_alice.get("/api-keys")
        as_alice.get(f"/api-keys/balance?api_key={key.pk}")
        as_alice.get("/bot-configs")
    assert not [query for query in queries if "secret_key" in query["sql"]]


def test_a_new_key_replaces_the_old_one_under_the_same_account(as_alice: Caller) -> None:
    old = as_alice.post("/api-keys", KEY).body
    new = as_alice.post("/api-keys", KEY | {"api_key": "REPLACEMENTOFTHEKEY0000"}).body
    assert (new["account"], new["last4"]) == (old["account"], "0000")
    assert as_alice.get(f"/api-keys/{old['id']}").status == 404
    assert as_alice.get("/api-keys").body["count"] == 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"mode": "paper"}, "mode"),
        ({"exchange": "mtgox"}, "exchange"),
        ({"label": "  "}, "label"),
        ({"label": "x" * 61}, "label"),
        ({"api_key": ""}, "api_key"),
        ({"api_key": "with space"}, "api_key"),
        ({"api_key": "schlüssel"}, "api_key"),
        ({"secret_key": ""}, "secret_key"),
        ({"secret_key": "x" * 5001}, "secret_key"),
        ({"passphrase": "\x00"}, "passphrase"),
        ({"is_valid": True}, "is_valid"),
        ({"owner": 1}, "owner"),
        ({"account": 1}, "account"),
    ],
)
def test_bad_keys_are_refused_by_name(changes: Any, field: str, as_alice: Caller) -> None:
    assert fields_of(as_alice.post("/api-keys", KEY | changes)) == {field}
    assert not Account.objects.exists()


@pytest.mark.parametrize("path", ["/api-keys/{}", "/api-keys?api_key={}"])
def test_a_key_can_be_forgotten_and_its_account_stays(
    path: str, as_alice: Caller, alice: User
) -> None:
    key = make_key(alice)
    assert as_alice.delete(path.format(key.pk)).status == 204
    assert not ApiKey.objects.exists()
    assert Account.objects.filter(pk=key.account_id).exists()
    assert as_alice.delete(path.format(key.pk)).status == 404


def test_a_key_that_a_position_needs_is_not_forgotten(as_alice: Caller, alice: User) -> None:
    key = make_key(alice)
    values = {"name": "n", "symbol": "BTC/USDT", "position_size_perc": 5, "exchange": "binance"}
    bot = control.create(alice, values | {"mode": "testnet", "account": key.account})
    control.start(bot, by=alice, via="page")
    BotState.objects.filter(pk=bot.pk).update(
        in_position=True, position_side="long", entry_price=100
    )
    answer = as_alice.delete(f"/api-keys/{key.pk}")
    assert (answer.status, answer.body["reason"]) == (409, "in_use")
    assert ApiKey.objects.filter(pk=key.pk).exists()
    BotState.objects.filter(pk=bot.pk).update(in_position=False, position_side="")
    assert as_alice.delete(f"/api-keys/{key.pk}").status == 204


def test_a_balance_is_told_with_its_age(as_alice: Caller, alice: User, sent: list[Any]) -> None:
    key = make_key(alice)
    now = timezone.now()
    Balance.objects.create(
        account=key.account,
        spot={"BTC": "0.1", "USDT": "5"},
        futures={"USDT": "0.000000000000000001"},
        as_of=now,
    )
    body = as_alice.get(f"/api-keys/balance?api_key={key.pk}").body
    assert body["spot"] == {"BTC": "0.1", "USDT": "5"}
    assert body["total"] == {"BTC": "0.1", "USDT": "5.000000000000000001"}
    assert body["as_of"].startswith(f"{now:%Y-%m-%dT%H:%M:%S}")
    assert sent == []


@pytest.mark.parametrize("age", [None, 61])
def test_an_old_balance_has_a_worker_ask_again_but_not_at_each_call(
    age: int | None, as_alice: Caller, alice: User, sent: list[Any]
) -> None:
    key = make_key(alice)
    if age:
        Balance.objects.create(account=key.account, as_of=timezone.now() - timedelta(seconds=age))
    sent.clear()
    for _ in range(3):
        body = as_alice.get(f"/api-keys/balance?api_key={key.pk}").body
        assert (body["total"], body["as_of"] is None) == ({}, age is None)
    assert sent == [("bots.tasks.refresh_balance", key.account_id)]
    throttle.memory.clear()
    as_alice.get(f"/api-keys/balance?api_key={key.pk}")
    assert len(sent) == 2


def test_no_exchange_is_called_and_no_order_made(as_alice: Caller, alice: User) -> None:
    as_alice.post("/api-keys", KEY)
    assert not Order.objects.exists()
    assert not Balance.objects.exists()
