"""Limits: what an exchange forbids one process, all know; what it is about to forbid, none asks."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.testexchange import TestExchange
from tests.trading.accounts import SYMBOL, Trader, fault_of, new_trader
from trading.exchange import Fault, Unreachable
from trading.exchanges.ccxt_exchange import CcxtExchange, CcxtFeed, Credentials
from trading.exchanges.silence import Limits, LocalSilences, Quiet, Silences

ORDER = "api/v3/order"
TICKER = "api/v3/ticker/24hr"
#: 20 s into a minute, 0 s into ten seconds.
AT = 1_800_000_020.0


@dataclass
class Process:
    """What one worker has of its own, and a clock that a test moves."""

    server: TestExchange
    silences: Silences
    now: list[float]
    mode: str = "live"

    def __post_init__(self) -> None:
        self.feed = CcxtFeed(
            "binance",
            mode=self.mode,
            api_base=self.server.url,
            monotonic=self.clock,
            wall=lambda: AT + self.now[0],
            silences=self.silences,
        )
        self.feed.rules(SYMBOL)

    def clock(self) -> float:
        return self.now[0] + time.monotonic()

    def open(self, trader: Trader) -> CcxtExchange:
        key = Credentials(api_key=trader.key, secret=trader.secret)
        return CcxtExchange(self.feed, key)


@pytest.fixture
def now() -> list[float]:
    return [0.0]


@pytest.fixture
def pair(server: TestExchange, trader: Trader, now: list[float]) -> list[Process]:
    """Two workers that share what they know of silences."""
    shared = LocalSilences(lambda: now[0])
    return [Process(server, shared, now), Process(server, shared, now)]


def is_silent(call: Callable[..., object], *args: Any) -> float:
    """Return for how long, after a call that must not have gone out."""
    error = fault_of(call, *args)
    assert isinstance(error, Unreachable)
    assert (error.fault, error.sent) == (Fault.RATE_LIMIT, False)
    assert error.retry_after is not None
    return error.retry_after


@pytest.mark.parametrize(("action", "seconds"), [("rate_limit", 30), ("ban", 1800)])
def test_what_one_worker_is_told_silences_all_for_that_long(pair, server, now, action, seconds):
    server.control.add_fault(action, path=TICKER, retry_after=seconds)
    assert is_silent(pair[0].feed.quote, SYMBOL) == seconds
    seen = len(server.control.requests())
    for process in pair:
        assert is_silent(process.feed.quote, SYMBOL) == seconds
    assert len(server.control.requests()) == seen
    now[0] += seconds - 0.5
    assert is_silent(pair[1].feed.quote, SYMBOL) == 0.5
    now[0] += 0.5
    assert pair[1].feed.quote(SYMBOL).last == 20_000


def test_another_exchange_goes_on(pair, server, now):
    testnet = Process(server, pair[0].feed.clients._silences, now, mode="testnet")
    server.control.add_fault("ban", path=TICKER, retry_after=600)
    is_silent(pair[0].feed.quote, SYMBOL)
    assert testnet.feed.quote(SYMBOL).last == 20_000


def test_a_silence_is_never_cut_short(pair, server):
    pair[0].silences.keep(pair[0].feed.key, Quiet.ALL, "", 600, "ban")
    pair[1].silences.keep(pair[1].feed.key, Quiet.ALL, "", 10, "limit")
    assert is_silent(pair[1].feed.quote, SYMBOL) == 600


def test_an_order_limit_silences_new_orders_of_that_account_everywhere(pair, server, trader):
    other = new_trader(server)
    resting = trader.request(price="15000")
    here, there = pair[0].open(trader), pair[1].open(trader)
    here.place(resting)
    server.control.add_fault(
        "error", path=ORDER, method="POST", code=-1015, status=429, headers={"Retry-After": "7"}
    )
    is_silent(here.place, trader.request())
    posts = trader.posts()
    for exchange in (here, there):
        assert 0 < is_silent(exchange.place, trader.request()) <= 10
    assert trader.posts() == posts
    assert there.balance()
    assert there.find(resting) is not None
    there.cancel(resting)
    assert pair[1].open(other).place(other.request()).filled


@pytest.mark.parametrize(("used", "is_quiet"), [("4799", False), ("4800", True), ("6000", True)])
def test_from_80_percent_of_the_weight_on_only_what_orders_need_is_asked(
    pair, server, trader, now, used, is_quiet
):
    here, there = pair[0].open(trader), pair[1].open(trader)
    resting = trader.request(price="15000")
    here.place(resting)
    server.control.add_fault(
        "http",
        path="api/v3/account",
        status=200,
        headers={"X-MBX-USED-WEIGHT-1M": used},
        body={"balances": []},
    )
    here.balance()
    if not is_quiet:
        assert there.balance()
        return
    # The minute ends in 40 seconds.
    for call in (
        there.balance,
        lambda: pair[1].feed.quote(SYMBOL),
        lambda: there.open_orders(SYMBOL),
    ):
        assert is_silent(call) == pytest.approx(40, abs=0.01)
    assert there.find(resting) is not None
    there.cancel(resting)
    request = trader.request()
    bought = there.place(request)
    found = there.find(request)
    assert found is not None
    assert found.fills == bought.fills
    now[0] += 40
    assert there.balance()


@pytest.mark.parametrize(
    ("header", "limit", "seconds"),
    [("ORDER-COUNT-10S", 100, 10), ("ORDER-COUNT-1D", 200_000, 86_400 - AT % 86_400)],
)
def test_the_last_order_that_is_allowed_is_the_last(pair, server, trader, header, limit, seconds):
    here, there = pair[0].open(trader), pair[1].open(trader)
    for used, is_quiet in ((limit - 1, False), (limit, True)):
        server.control.add_fault(
            "http", path="api/v3/account", status=200, headers={f"X-MBX-{header}": str(used)},
            body={"balances": []},
        )  # fmt: skip
        here.balance()
        if is_quiet:
            assert is_silent(there.place, trader.request()) == pytest.approx(seconds, abs=0.01)
            assert there.balance()
        else:
            assert there.place(trader.request()).filled


@pytest.mark.parametrize(
    "info",
    [None, [], {}, {"rateLimits": None}, {"rateLimits": [None, 7, {"interval": "MINUTE"}]},
     {"rateLimits": [{"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE",
                      "intervalNum": "x", "limit": "y"}]}],
)  # fmt: skip
def test_limits_that_nobody_told_do_not_bind(info):
    limits = Limits(lambda: AT)
    limits.learn(info)
    assert list(limits.spent({"X-MBX-USED-WEIGHT-1M": "999999"})) == []


def test_counters_are_read_whatever_their_spelling():
    limits = Limits(lambda: AT)
    rule = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1}
    limits.learn({"rateLimits": [{**rule, "limit": 2400}]})
    (spent,) = limits.spent({"x-mbx-used-weight-1m": "1920", "X-MBX-USED-WEIGHT-1M ": "x"})
    assert (spent.quiet, spent.seconds) == (Quiet.READS, 40)
    assert spent.why == "1920 of 2400 weight/1M"
    assert list(limits.spent({"x-mbx-used-weight-1m": "many", "date": "1"})) == []
