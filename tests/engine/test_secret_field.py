"""Secrets at rest: encrypted, write-only, and harmless when their key is lost."""

from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core import serializers
from django.db import connection

from bots.connect import account_exchange
from bots.models import Account, ApiKey, User
from bots.models.fields import Undecryptable
from trading.exchange import Fault, Refused

SECRET, PUBLIC = "canary-SECRET-7d1f", "canary-PUBLIC-93aa"


@pytest.fixture
def key(alice: User) -> ApiKey:
    return ApiKey.put(
        owner=alice,
        exchange="binance",
        mode="testnet",
        label="main",
        api_key=PUBLIC,
        secret_key=SECRET,
    )


def stored(key: ApiKey) -> dict[str, bytes]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT api_key, secret_key FROM bots_apikey WHERE id = %s", [key.pk])
        row = cursor.fetchone()
    return {"api_key": bytes(row[0]), "secret_key": bytes(row[1])}


def opened(key: ApiKey) -> ApiKey:
    return ApiKey.objects.defer(None).get(pk=key.pk)


def test_the_database_holds_no_secret_in_clear(key: ApiKey) -> None:
    for token in stored(key).values():
        assert SECRET.encode() not in token
        assert PUBLIC.encode() not in token
    assert opened(key).secret_key == SECRET
    assert key.last4 == PUBLIC[-4:]


def test_the_same_secret_is_never_stored_the_same(key: ApiKey) -> None:
    before = stored(key)
    key.save()
    assert stored(key)["secret_key"] != before["secret_key"]


def test_a_key_is_loaded_without_its_secrets(key: ApiKey) -> None:
    loaded = ApiKey.objects.get(pk=key.pk)
    assert {"api_key", "secret_key", "passphrase"} <= loaded.get_deferred_fields()


@pytest.mark.parametrize("form", ["json", "python", "xml"])
def test_a_dump_of_the_database_carries_no_secret(key: ApiKey, form: str) -> None:
    text = str(serializers.serialize(form, [opened(key)]))
    assert SECRET not in text
    assert PUBLIC not in text


def test_a_key_shows_no_secret_of_itself(key: ApiKey) -> None:
    for text in (str(key), repr(key), repr(opened(key)), f"{opened(key)}"):
        assert SECRET not in text
        assert PUBLIC not in text


def test_an_older_key_still_decrypts_and_the_first_encrypts(key: ApiKey, settings: Any) -> None:
    new = Fernet.generate_key().decode()
    settings.FERNET_KEYS = [new, *settings.FERNET_KEYS]
    assert opened(key).secret_key == SECRET
    opened(key).save()
    settings.FERNET_KEYS = [new]
    assert opened(key).secret_key == SECRET


def test_a_lost_key_breaks_no_row_and_destroys_no_token(key: ApiKey, settings: Any) -> None:
    old, before = settings.FERNET_KEYS, stored(key)
    settings.FERNET_KEYS = [Fernet.generate_key().decode()]
    lost = opened(key)
    assert isinstance(lost.secret_key, Undecryptable)
    assert not lost.secret_key
    lost.is_valid = False
    lost.save()
    assert stored(key) == before
    settings.FERNET_KEYS = old
    assert opened(key).secret_key == SECRET


def test_a_lost_key_is_refused_before_the_network_is_asked(key: ApiKey, settings: Any) -> None:
    settings.FERNET_KEYS = [Fernet.generate_key().decode()]
    with pytest.raises(Refused) as refused:
        account_exchange(key.account)
    assert refused.value.fault == Fault.KEY_UNDECRYPTABLE
    assert SECRET not in str(refused.value)


def test_a_secret_is_never_written_by_an_expression(key: ApiKey) -> None:
    from django.db.models import Value
    from django.db.models.functions import Concat

    with pytest.raises(TypeError):
        ApiKey.objects.filter(pk=key.pk).update(secret_key=Concat(Value("a"), Value("b")))


def test_a_key_belongs_to_the_account_of_its_owner(key: ApiKey, mallory: User) -> None:
    hers = ApiKey.put(
        owner=mallory,
        exchange="binance",
        mode="testnet",
        label="main",
        api_key="m-key",
        secret_key="m-secret",
    )
    assert hers.account != key.account
    assert Account.objects.get(pk=key.account_id).owner.username == "alice"
    assert opened(key).secret_key == SECRET
