"""Keys go in and never come out; tokens are shown once."""

import html
import re
from typing import Any
from uuid import uuid4

import pytest
from django.db.models.signals import pre_save
from django.test import Client
from django.utils import translation

from bots import control
from bots.messages import about_key
from bots.models import Account, ApiKey, ApiToken, User
from bots.outcome import key_message_for
from tests.pages.builders import bot_of, holding, sign_in, state_of, text_of
from trading.exchange import Fault

#: What a check of a key can end in.
KEY_FAULTS = {
    Fault.NETWORK,
    Fault.MAINTENANCE,
    Fault.BAD_ANSWER,
    Fault.CLOCK,
    Fault.KEY_MISSING,
    Fault.KEY_UNDECRYPTABLE,
    Fault.KEY_INVALID,
    Fault.KEY_RIGHTS,
    Fault.RATE_LIMIT,
    Fault.CLIENT,
}
SECRETS = {"api_key": "PUBLICabcdefgh1234", "secret_key": "SECRETabcdefgh5678"}
KEY = {"exchange": "binance", "mode": "testnet", "label": "main", **SECRETS}


@pytest.fixture(autouse=True)
def _signed_in(alice: User, client: Client) -> None:
    sign_in(client, alice)


def _key(owner: User, **fields: str) -> ApiKey:
    return control.put_key(owner, via="page", **(KEY | fields))


def test_a_key_is_stored_queued_for_its_check_and_shown_by_its_end(
    alice: User,
    client: Client,
    sent: list[tuple[str, tuple[object, ...]]],
    django_capture_on_commit_callbacks: Any,
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        page = client.post("/keys/", KEY, follow=True)
    key = ApiKey.objects.get(account__owner=alice)
    assert ("bots.tasks.check_key", (key.pk,)) in sent
    assert "…1234" in text_of(page)
    assert "not checked yet" in text_of(page)
    for secret in SECRETS.values():
        assert secret not in page.content.decode()


def test_a_refused_form_does_not_hand_the_secret_back(client: Client) -> None:
    page = client.post("/keys/", KEY | {"label": ""})
    assert page.status_code == 422
    for secret in SECRETS.values():
        assert secret not in page.content.decode()
    assert not ApiKey.objects.exists()


def test_a_key_saved_twice_at_once_is_a_message(client: Client) -> None:
    def rival(instance: ApiKey, **_: Any) -> None:
        ApiKey.objects.bulk_create([ApiKey(account=instance.account, last4="9999", **SECRETS)])

    pre_save.connect(rival, sender=ApiKey)
    try:
        answer = client.post("/keys/", KEY)
    finally:
        pre_save.disconnect(rival, sender=ApiKey)
    assert (answer.status_code, answer.url) == (302, "/keys/")
    assert "This key was replaced at the same time." in text_of(client.get("/keys/"))


def test_a_private_key_of_many_lines_is_taken_whole(alice: User, client: Client) -> None:
    middle = "\r\n".join(["ABCDEFGHabcdefgh" * 4] * 60)
    pem = f"-----BEGIN PRIVATE KEY-----\r\n{middle}\r\n-----END PRIVATE KEY-----"
    refused = client.post("/keys/", KEY | {"secret_key": pem, "label": ""}).content.decode()
    assert "BEGIN PRIVATE KEY" not in refused
    assert '<textarea name="secret_key"' in refused
    assert client.post("/keys/", KEY | {"secret_key": pem}).status_code == 302
    key = ApiKey.objects.get(account__owner=alice)
    assert key.secret_key == pem
    assert client.post("/keys/", KEY | {"secret_key": "x" * 5001}).status_code == 422


def test_a_key_with_the_same_label_replaces_the_old_one(alice: User, client: Client) -> None:
    old = _key(alice)
    page = client.get("/keys/?exchange=binance&mode=testnet&label=main")
    assert page.context["form"]["label"].value() == "main"
    client.post("/keys/", KEY | {"api_key": "ANOTHERpublic9876"})
    new = ApiKey.objects.get(account__owner=alice)
    assert (new.last4, new.account_id) == ("9876", old.account_id)


def test_rights_and_the_bots_that_use_it_are_shown(alice: User, client: Client) -> None:
    key = _key(alice)
    rights = {"may_trade": True, "may_withdraw": True, "ip_bound": False}
    ApiKey.objects.update(is_valid=False, check_message="may withdraw", **rights)
    bot = bot_of(alice, "User of it", exchange="binance", mode="testnet", account=key.account)
    text = text_of(client.get("/keys/"))
    for words in ("refused", "may trade", "may withdraw", "usable from any address", bot.name):
        assert words in text


def test_a_key_is_not_deleted_under_a_position(alice: User, client: Client) -> None:
    key = _key(alice)
    bot = bot_of(alice, "Busy", exchange="binance", mode="testnet", account=key.account)
    state_of(bot, "running", "in_position", "trade", **holding())
    path = f"/keys/{key.pk}/delete/"
    assert "These bots still need it for a position or an order: Busy" in text_of(client.get(path))
    assert "A bot needs this key for its position" in text_of(client.post(path, follow=True))
    assert ApiKey.objects.filter(pk=key.pk).exists()
    client.post(f"/bots/{bot.pk}/stop/")
    client.post(path)
    assert not ApiKey.objects.exists()
    assert Account.objects.filter(pk=key.account_id).exists()


def test_a_token_is_shown_once_and_carries_its_scopes(alice: User, client: Client) -> None:
    data = {"name": "script", "scopes": ["read", "trade"], "number": str(uuid4())}
    page = client.post("/profile/tokens/", data)
    secret = page.context["secret"]
    assert secret in page.content.decode()
    token = ApiToken.find(secret)
    assert token is not None
    assert (token.owner, token.scopes) == (alice, ["read", "trade"])
    again = client.get("/profile/")
    assert secret not in again.content.decode()
    assert "script" in text_of(again)
    client.post(f"/profile/tokens/{token.pk}/revoke/")
    assert ApiToken.find(secret) is None


def test_the_scope_live_is_not_granted_by_a_page(client: Client) -> None:
    data = {"name": "x", "scopes": ["read", "live"], "number": str(uuid4())}
    page = client.post("/profile/tokens/", data)
    assert page.status_code == 422
    assert not ApiToken.objects.exists()
    assert 'value="live"' not in client.get("/profile/").content.decode()


def test_a_reload_makes_no_second_token_and_shows_none(alice: User, client: Client) -> None:
    drawn = client.get("/profile/").content.decode()
    number = re.findall(r'name="number" value="([^"]+)"', drawn)[0]
    data = {"name": "script", "scopes": ["read"], "number": number}
    first = client.post("/profile/tokens/", data)
    secret = first.context["secret"]
    assert number not in first.content.decode()
    again = client.post("/profile/tokens/", data, follow=True)
    assert again.redirect_chain == [("/profile/", 302)]
    assert "This token was made already and is not shown again." in text_of(again)
    assert secret not in again.content.decode()
    assert ApiToken.objects.filter(owner=alice).count() == 1
    assert secret not in str(dict(client.session.items()))
    other = {**data, "number": str(uuid4())}
    assert client.post("/profile/tokens/", other).context["secret"] not in ("", secret)


def test_two_users_forms_do_not_get_in_each_others_way(
    alice: User, bob: User, client: Client
) -> None:
    data = {"name": "script", "scopes": ["read"], "number": str(uuid4())}
    client.post("/profile/tokens/", data)
    sign_in(client, bob)
    assert client.post("/profile/tokens/", data).status_code == 200
    assert ApiToken.objects.count() == 2


@pytest.mark.parametrize("fault", [fault.value for fault in Fault])
def test_the_check_of_a_key_speaks_of_the_key_and_not_of_a_bot(
    fault: str, alice: User, client: Client
) -> None:
    _key(alice)
    ApiKey.objects.update(is_valid=False, check_fault=fault, check_message="raw")
    with translation.override("en"):
        english = about_key(fault)
    assert fault not in KEY_FAULTS or "bot" not in english
    assert english in html.unescape(text_of(client.get("/keys/")))
    User.objects.filter(pk=alice.pk).update(language="tr")
    with translation.override("tr"):
        turkish = about_key(fault)
    assert turkish in html.unescape(text_of(client.get("/keys/")))


def test_a_refused_key_is_not_said_to_switch_itself_off() -> None:
    text = key_message_for(Fault.KEY_RIGHTS, "this key may withdraw")
    assert text.startswith("The api key has the wrong rights")
    assert text.endswith("enter it here. [this key may withdraw]")
    network = key_message_for(Fault.NETWORK, "timeout")
    assert "The key is checked again by itself. [timeout]" in network
