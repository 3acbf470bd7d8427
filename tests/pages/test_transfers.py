"""Moving funds by page: a form, a question, one transfer; an unknown one is the owner's to tell."""

import re
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from bots.models import Account, ApiKey, Balance, Transfer, User
from tests.pages.builders import sign_in, text_of


@pytest.fixture
def account(alice: User, client: Client, settings: Any) -> Account:
    settings.LIVE_TRADING_ENABLED = True
    sign_in(client, alice)
    secrets = {"api_key": "PUBLICabcdefgh1234", "secret_key": "SECRETabcdefgh5678"}
    key = ApiKey.put(owner=alice, exchange="binance", mode="live", label="main", **secrets)
    return key.account


def fields(page: Any) -> dict[str, str]:
    """Return the hidden fields of the question."""
    found = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.content.decode())
    return {name: value for name, value in found if name != "csrfmiddlewaretoken"}


def test_it_asks_before_it_moves_and_moves_once(
    account: Account,
    alice: User,
    client: Client,
    sent: list[tuple[str, tuple[object, ...]]],
    django_capture_on_commit_callbacks: Any,
) -> None:
    path = f"/keys/{account.pk}/transfer/"
    assert path in client.get("/keys/").content.decode()
    form = fields(client.get(path))
    typed = form | {"amount": "25,50", "currency": "usdt", "direction": "to_futures"}
    question = client.post(path, typed)
    assert question.status_code == 200
    assert "Move 25.5 USDT from spot to futures?" in text_of(question)
    assert not Transfer.objects.exists()
    confirmed = fields(question)
    with django_capture_on_commit_callbacks(execute=True):
        assert client.post(path, confirmed).status_code == 302
    row = Transfer.objects.get()
    assert (row.amount, row.currency, row.direction) == (Decimal("25.5"), "USDT", "to_futures")
    assert (row.by, row.via, row.status) == (alice, "page", "requested")
    assert ("bots.tasks.send_transfer", (row.pk,)) in sent
    # A second click, and the form sent again after it was done.
    client.post(path, confirmed)
    Transfer.objects.update(status="done")
    client.post(path, confirmed)
    assert Transfer.objects.count() == 1
    assert "done" in text_of(client.get(path))


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"amount": "0"}, "Must be more than zero."),
        ({"amount": "-5"}, "Must be more than zero."),
        ({"amount": "x"}, "Enter a number."),
        ({"amount": "0.000000001"}, "8 decimal places"),
        ({"currency": "<b>"}, "Write the currency"),
        ({"direction": "to_moon"}, "to_moon"),
    ],
    ids=str,
)
def test_what_is_wrong_is_said_and_nothing_moves(
    account: Account, client: Client, typed: dict[str, str], words: str
) -> None:
    path = f"/keys/{account.pk}/transfer/"
    good = fields(client.get(path)) | {"amount": "1", "currency": "USDT", "direction": "to_spot"}
    page = client.post(path, good | typed | {"confirmed": "yes"})
    assert page.status_code == 422
    assert words in text_of(page)
    assert "<b>" not in page.content.decode().partition('name="currency"')[2][:80]
    assert not Transfer.objects.exists()


def test_an_unknown_one_blocks_until_the_owner_has_compared(
    account: Account, alice: User, client: Client
) -> None:
    path = f"/keys/{account.pk}/transfer/"
    form = fields(client.get(path)) | {"amount": "1", "currency": "USDT", "direction": "to_spot"}
    client.post(path, form | {"confirmed": "yes"})
    Transfer.objects.update(status="unknown", message="no answer")
    page = text_of(client.get(path))
    assert "Compare both wallets" in page
    assert "Another transfer of this account has not ended yet." in page
    row = Transfer.objects.get()
    client.post(f"/transfers/{row.pk}/close/", {"moved": "maybe"})
    row.refresh_from_db()
    assert row.status == "unknown"
    client.post(f"/transfers/{row.pk}/close/", {"moved": "yes"})
    row.refresh_from_db()
    assert (row.status, row.closed_by) == ("done", alice)
    client.post(f"/transfers/{row.pk}/close/", {"moved": "no"})
    row.refresh_from_db()
    assert row.status == "done"


def test_both_wallets_are_shown_and_reasons_that_forbid(
    account: Account, client: Client, settings: Any
) -> None:
    from django.utils import timezone

    path = f"/keys/{account.pk}/transfer/"
    Balance.objects.create(
        account=account, spot={"USDT": "12.5"}, futures={"USDT": "7"}, as_of=timezone.now()
    )
    page = text_of(client.get(path))
    assert "Spot wallet: 12.50 USDT. Futures wallet: 7.00 USDT." in page
    settings.LIVE_TRADING_ENABLED = False
    page = text_of(client.get(path))
    assert "LIVE_TRADING_ENABLED" in page
    form = {"amount": "1", "currency": "USDT", "direction": "to_spot", "confirmed": "yes"}
    number = "8d1fd1f4-0000-4000-8000-000000000001"
    answer = client.post(path, form | {"number": number}, follow=True)
    assert "Live trading is switched off here" in text_of(answer)
    assert not Transfer.objects.exists()
