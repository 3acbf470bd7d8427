"""Moving funds by API and command: the same verb, asked for by those who may."""

from decimal import Decimal
from io import StringIO
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from bots.models import Account, Transfer, User
from tests.doors.client import KEY, Caller, fields_of

MOVE = {"currency": "usdt", "amount": "25.5", "direction": "to_futures"}


@pytest.fixture
def account(alice: User, settings: Any) -> Account:
    settings.LIVE_TRADING_ENABLED = True
    body = Caller(alice).post("/api-keys", KEY | {"mode": "live"}).body
    return Account.objects.get(pk=body["account"])


def run(*arguments: Any) -> tuple[int, str]:
    out = StringIO()
    try:
        call_command("transfer", *map(str, arguments), stdout=out)
    except CommandError as error:
        return error.returncode, str(error)
    return 0, out.getvalue()


def test_a_repetition_with_the_same_number_is_the_same_transfer(
    account: Account, alice: User, as_alice: Caller
) -> None:
    path = f"/accounts/{account.pk}/transfers"
    wanted = MOVE | {"number": str(uuid4())}
    first = as_alice.post(path, wanted)
    assert first.status == 202
    told = {name: first.body[name] for name in ("status", "amount", "currency", "direction", "via")}
    assert told == {**MOVE, "currency": "USDT", "status": "requested", "via": "api"}
    assert as_alice.post(path, wanted).body == first.body
    other = as_alice.post(path, wanted | {"amount": "26"})
    assert (other.status, other.body["reason"]) == (409, "number_used")
    again = as_alice.post(path, MOVE)
    assert (again.status, again.body["reason"]) == (409, "pending")
    assert as_alice.get(path).body == {"items": [first.body], "count": 1}
    assert Transfer.objects.get().by == alice


def test_keys_and_live_are_both_needed(account: Account, alice: User) -> None:
    path = f"/accounts/{account.pk}/transfers"
    for scopes in (("read", "trade", "live"), ("read", "trade", "keys")):
        assert Caller(alice, *scopes).post(path, MOVE).status == 403
    assert Caller(alice, "keys", "live").post(path, MOVE).status == 202
    row = Transfer.objects.get()
    Transfer.objects.update(status="unknown")
    close = f"{path}/{row.pk}/close"
    assert Caller(alice, "keys").post(close, {"moved": True}).status == 403
    assert Caller(alice, "keys", "live").post(close, {"moved": True}).body["status"] == "done"
    refused = Caller(alice, "keys", "live").post(close, {"moved": False})
    assert (refused.status, refused.body["reason"]) == (409, "not_unknown")


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"amount": "0"}, "amount"),
        ({"amount": "1e-9"}, "amount"),
        ({"amount": "NaN"}, "amount"),
        ({"currency": "U S"}, "currency"),
        ({"direction": "out"}, "direction"),
        ({"number": "7"}, "number"),
        ({"status": "done"}, "status"),
    ],
    ids=str,
)
def test_wrong_fields_are_named(
    account: Account, as_alice: Caller, wrong: dict[str, Any], field: str
) -> None:
    answer = as_alice.post(f"/accounts/{account.pk}/transfers", MOVE | wrong)
    assert fields_of(answer) == {field}
    assert not Transfer.objects.exists()


def test_a_transfer_of_another_account_is_not_found(
    account: Account, alice: User, as_alice: Caller
) -> None:
    other = Account.objects.create(owner=alice, exchange="binance", mode="live", label="other")
    row = as_alice.post(f"/accounts/{account.pk}/transfers", MOVE).body
    Transfer.objects.update(status="unknown")
    path = f"/accounts/{other.pk}/transfers/{row['id']}/close"
    assert as_alice.post(path, {"moved": True}).status == 404


def test_the_command_asks_and_queues(
    account: Account, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    monkeypatch.setattr("builtins.input", lambda question: "no")
    assert run(account.pk, "1", "USDT", "--to", "futures") == (1, "nothing was moved")
    assert run(account.pk, "x", "USDT", "--to", "futures", "--yes") == (1, "'x' is no number")
    assert run(account.pk, "0", "USDT", "--to", "spot", "--yes")[0] == 1
    assert run(account.pk + 1, "1", "USDT", "--to", "spot", "--yes")[0] == 2
    assert not Transfer.objects.exists()
    monkeypatch.setattr("builtins.input", lambda question: "yes")
    code, text = run(account.pk, "1.25", "usdt", "--to", "spot")
    row = Transfer.objects.get()
    assert (code, row.via, row.by, row.amount) == (0, "command", None, Decimal("1.25"))
    assert (row.currency, row.direction) == ("USDT", "to_spot")
    assert f"transfer {row.pk}" in text
    code, text = run(account.pk, "1", "USDT", "--to", "spot", "--yes")
    assert code == 1
    assert "(pending)" in text
