"""A client is kept for the key that it was made with, for a while, and for no other key."""

import gc
import time
import weakref
from collections.abc import Callable

import pytest

from tests.trading.accounts import Trader, new_trader
from trading.exchange import Fault, Refused
from trading.exchanges.ccxt_exchange import CcxtExchange, CcxtFeed, Credentials
from trading.exchanges.client import Clients
from trading.exchanges.kept import Kept


class Thing:
    """Something that can be seen to be gone."""


def kept(*, size: int = 9, idle_s: float = 60, clock: Callable[[], float] = time.monotonic):
    return Kept[Thing](size=size, idle_s=idle_s, monotonic=clock)


def test_the_same_secrets_get_the_same_client_and_any_other_part_another(feed: CcxtFeed):
    clients: Clients = feed.clients
    one = clients.client("key", "secret", "word")
    assert clients.client("key", "secret", "word") is one
    others = [
        clients.client(*secrets)
        for secrets in (
            ("other", "secret", "word"),
            ("key", "other", "word"),
            ("key", "secret", "other"),
            ("key", "secretword", ""),
            ("keysecret", "", "word"),
            ("", "", ""),
        )
    ]
    assert len({id(client) for client in [one, *others]}) == 7
    for client, secret in ((one, "secret"), (others[1], "other")):
        assert (client.raw.apiKey, client.raw.secret) == ("key", secret)


def test_a_public_client_is_nobody_elses(feed: CcxtFeed):
    assert feed.clients.client() is not feed.clients.client()


def test_another_exchange_mode_or_address_is_another_client(server, feed: CcxtFeed):
    feeds = [feed, CcxtFeed("binance", api_base=server.url, mode="testnet"), CcxtFeed("binance")]
    made = {id(one.clients.client("key", "secret").raw): one for one in feeds}
    assert len(made) == 3


def test_a_replaced_secret_counts_at_once_and_the_old_one_is_refused(trader: Trader, server):
    assert trader.exchange.balance()
    renewed = CcxtExchange(trader.feed, Credentials(api_key=trader.key, secret="another"))
    with pytest.raises(Refused):
        renewed.balance()
    again = CcxtExchange(trader.feed, Credentials(api_key=trader.key, secret=trader.secret))
    assert again.balance()
    assert again._client is trader.exchange._client


def test_two_windows_over_one_client_do_not_mix(trader: Trader, server):
    key = Credentials(api_key=trader.key, secret=trader.secret)
    short, long = (CcxtExchange(trader.feed, key, recv_window_ms=ms) for ms in (3000, 4000))
    assert short._client is long._client
    seen = len(server.control.requests())
    for exchange in (short, long, short):
        exchange.balance()
    sent = [request for request in server.control.requests()[seen:] if request["signature"]]
    assert [request["params"]["recvWindow"] for request in sent] == ["3000", "4000", "3000"]


def test_two_accounts_do_not_see_each_other(server, feed: CcxtFeed):
    one, other = new_trader(server, feed, USDT="1"), new_trader(server, feed, USDT="2")
    for _ in range(2):
        assert [t.exchange.balance()["USDT"].free for t in (one, other)] == [1, 2]


def test_what_nobody_asks_for_is_dropped_though_nobody_calls():
    store = kept(idle_s=0.1)
    gone = weakref.ref(store.get(b"a", Thing))
    assert gone() is not None
    deadline = time.monotonic() + 5
    while gone() is not None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert gone() is None
    assert len(store) == 0
    # It works on, and drops the next one as well.
    store.get(b"b", Thing)
    deadline = time.monotonic() + 5
    while len(store) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(store) == 0


def test_use_keeps_a_value_and_idleness_drops_it_to_the_second():
    now = [0.0]
    store = kept(idle_s=60, clock=lambda: now[0])
    used, idle = store.get(b"used", Thing), store.get(b"idle", Thing)
    now[0] = 59.0
    assert store.get(b"used", Thing) is used
    now[0] = 60.0
    assert store.get(b"used", Thing) is used
    assert len(store) == 1
    assert store.get(b"idle", Thing) is not idle


def test_no_more_than_so_many_are_kept_and_the_longest_unused_goes():
    store = kept(size=2)
    one, two = store.get(b"1", Thing), store.get(b"2", Thing)
    assert store.get(b"1", Thing) is one
    store.get(b"3", Thing)
    assert len(store) == 2
    assert store.get(b"1", Thing) is one
    assert store.get(b"2", Thing) is not two


def test_a_failure_is_not_kept():
    def fail() -> Thing:
        raise Refused(Fault.CLIENT, "no")

    store = kept()
    with pytest.raises(Refused):
        store.get(b"a", fail)
    assert isinstance(store.get(b"a", Thing), Thing)


def test_a_dropped_client_takes_its_secret_along(server, feed: CcxtFeed):
    other = new_trader(server, feed)
    other.exchange.balance()
    other.exchange.place(other.request())
    secret = other.secret
    raw = weakref.ref(other.exchange._client.raw)
    gc.collect()
    gc.disable()
    try:
        del other
        feed.clients._kept._idle_s, before = 0.0, feed.clients._kept._idle_s
        feed.clients._kept.drop_idle()
        feed.clients._kept._idle_s = before
        assert raw() is None
    finally:
        gc.enable()
    assert secret not in repr(vars(feed.clients._kept))
