"""A key in the database and the client that is opened with it."""

from typing import Any

import pytest

from bots.connect import account_exchange
from bots.models import ApiKey, User
from trading.exchange import Fault, Refused

pytestmark = pytest.mark.django_db


def put(owner: User, api_key: str, secret: str) -> ApiKey:
    return ApiKey.put(
        owner=owner,
        exchange="binance",
        mode="live",
        label="main",
        api_key=api_key,
        secret_key=secret,
    )


@pytest.fixture(autouse=True)
def _nowhere(settings: Any) -> None:
    settings.EXCHANGE_API_BASE = {"binance": "http://127.0.0.1:9"}


def client_of(key: ApiKey) -> Any:
    return account_exchange(key.account)._client.raw


def test_ticks_share_a_client_until_the_key_is_replaced(alice: User) -> None:
    key = put(alice, "first", "s1")
    client = client_of(key)
    assert client_of(key) is client
    replaced = client_of(put(alice, "second", "s2"))
    assert replaced is not client
    assert (replaced.apiKey, replaced.secret) == ("second", "s2")


def test_a_new_secret_under_the_same_key_counts_at_once(alice: User) -> None:
    client = client_of(put(alice, "first", "s1"))
    renewed = client_of(put(alice, "first", "s2"))
    assert renewed is not client
    assert renewed.secret == "s2"


def test_a_deleted_key_is_missing_though_its_client_was_kept(alice: User) -> None:
    key = put(alice, "first", "s1")
    client_of(key)
    account = key.account
    key.delete()
    with pytest.raises(Refused) as refused:
        account_exchange(account)
    assert refused.value.fault is Fault.KEY_MISSING
