"""A key in the database and the client that is opened with it."""

from typing import Any

import pytest

from bots.connect import account_exchange, exchange_of, feed_of
from bots.models import ApiKey, BotConfig, User
from bots.world import World
from trading.exchange import Fault, Refused
from trading.exchanges.ccxt_exchange import CcxtExchange, CcxtFutures

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


def test_spot_and_futures_of_one_account_are_two_exchanges(alice: User) -> None:
    account = put(alice, "first", "s1").account
    spot, futures = account_exchange(account), account_exchange(account, "futures")
    assert (type(spot), type(futures)) == (CcxtExchange, CcxtFutures)
    assert (spot.key.split()[1], futures.key.split()[1]) == ("spot", "swap")
    feed: Any = feed_of("binance", "live", World(), "futures")
    assert feed.key == futures.key
    assert feed_of("binance", "paper", World()).key == spot.key


def test_the_position_type_of_a_bot_decides(alice: User) -> None:
    account = put(alice, "first", "s1").account
    values = {"exchange": "binance", "mode": "live", "account": account}
    bot = BotConfig(owner=alice, symbol="BTC/USDT", position_type="spot", **values)
    assert type(exchange_of(bot, World())) is CcxtExchange
    bot = BotConfig(owner=alice, symbol="BTC/USDT:USDT", position_type="futures", **values)
    assert type(exchange_of(bot, World())) is CcxtFutures


@pytest.mark.parametrize(
    ("mode", "text"), [("testnet", "futures testnet"), ("paper", "trade spot only")]
)
def test_futures_that_cannot_be_traded_are_refused_in_plain_words(
    alice: User, mode: str, text: str
) -> None:
    account = put(alice, "first", "s1").account
    account.mode = mode
    bot = BotConfig(
        owner=alice,
        symbol="BTC/USDT:USDT",
        position_type="futures",
        exchange="binance",
        mode=mode,
        account=account,
    )
    with pytest.raises(Refused, match=text) as refused:
        exchange_of(bot, World())
    assert refused.value.fault is Fault.CLIENT
