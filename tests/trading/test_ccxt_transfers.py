"""Funds between spot and futures wallets, through the real ccxt: once, exactly, or not known."""

from decimal import Decimal as D
from functools import partial

import pytest

from tests.trading.accounts import fault_of
from tests.trading.futures_accounts import FuturesTrader as Trader
from trading.exchange import Fault, Refused, Rejected, Unreachable
from trading.exchanges.ccxt_exchange import CcxtFutures
from trading.wallets import Wallet

SPOT, FUTURES = Wallet.SPOT, Wallet.FUTURES
MINUTE = 60_000


@pytest.fixture
def trader(futures_trader: Trader, server) -> Trader:
    server.control.set_balance(futures_trader.name, "USDT", "500")
    server.control.set_permissions(futures_trader.key, permitsUniversalTransfer=True)
    assert isinstance(futures_trader.exchange, CcxtFutures)
    return futures_trader


def wallets(trader: Trader) -> tuple[D, D]:
    """What is in the spot wallet and in the futures wallet, by the exchange's truth."""
    spot = trader.server.control.balances(trader.name)["USDT"]["free"]
    return spot, D(trader.truth()["wallets"][trader.name]["USDT"])


def test_funds_go_there_and_back_to_the_last_decimal(trader: Trader):
    there = trader.exchange.transfer("USDT", D("123.45678901"), SPOT, FUTURES)
    assert wallets(trader) == (D("376.54321099"), D("10123.45678901"))
    back = trader.exchange.transfer("USDT", D("0.00000001"), FUTURES, SPOT)
    assert wallets(trader) == (D("376.54321100"), D("10123.45678900"))
    assert [str(row["tranId"]) for row in trader.truth()["transfers"]] == [there, back]


def test_the_list_tells_what_became_of_a_transfer(trader: Trader):
    before = trader.exchange.now()
    name = trader.exchange.transfer("USDT", D(5), SPOT, FUTURES)
    until = trader.exchange.now() + MINUTE
    (found,) = trader.exchange.transfers("USDT", SPOT, since=before - MINUTE, until=until)
    assert (found.transfer_id, found.currency, found.amount) == (name, "USDT", D(5))
    assert found.is_done
    assert before - 1000 <= found.at <= until
    asked = trader.server.control.requests()[-1]["params"]
    assert asked["type"] == "MAIN_UMFUTURE"
    assert "fromAccount" not in asked
    assert trader.exchange.transfers("USDT", FUTURES, since=before - MINUTE, until=until) == []
    assert trader.exchange.transfers("BTC", SPOT, since=before - MINUTE, until=until) == []
    assert trader.exchange.transfers("USDT", SPOT, since=until, until=until + 1) == []


@pytest.mark.parametrize(
    ("currency", "amount", "source"),
    [
        ("NOPE", "1", SPOT),
        ("USDT", "0.000000001", SPOT),
        ("USDT", "1.123456789", SPOT),
        ("USDT", "0", SPOT),
        ("USDT", "-1", SPOT),
        ("USDT", "NaN", SPOT),
        ("USDT", "1", FUTURES),
    ],
)
def test_what_cannot_be_sent_as_it_stands_is_not_sent(trader: Trader, currency, amount, source):
    posts = len(trader.posts())
    error = fault_of(trader.exchange.transfer, currency, D(amount), source, FUTURES)
    assert isinstance(error, Rejected)
    assert len(trader.posts()) == posts


def test_too_few_funds_are_a_clear_no(trader: Trader):
    error = fault_of(trader.exchange.transfer, "USDT", D("500.01"), SPOT, FUTURES)
    assert isinstance(error, Rejected)
    assert error.fault is Fault.INSUFFICIENT_FUNDS
    assert wallets(trader) == (500, 10_000)


def test_a_key_without_the_right_is_refused(trader: Trader, server):
    server.control.set_permissions(trader.key, permitsUniversalTransfer=False)
    error = fault_of(trader.exchange.transfer, "USDT", D(1), SPOT, FUTURES)
    assert isinstance(error, Refused)
    assert error.fault is Fault.KEY_RIGHTS
    assert wallets(trader) == (500, 10_000)


@pytest.mark.parametrize("action", ["close", "html", "null", "empty_object"])
def test_a_lost_answer_is_no_answer_and_nothing_is_sent_again(trader: Trader, server, action):
    if action == "empty_object":
        server.control.add_fault("http", path="sapi/v1/asset/transfer", status=200, body={})
    else:
        server.control.add_fault(action, path="sapi/v1/asset/transfer", when="after")
    error = fault_of(trader.exchange.transfer, "USDT", D(1), SPOT, FUTURES)
    assert isinstance(error, Unreachable)
    assert error.sent
    assert len([row for row in trader.posts() if "transfer" in row["path"]]) == 1


def test_a_list_that_may_not_be_whole_is_not_believed(trader: Trader, server):
    row = {"asset": "USDT", "amount": "1", "type": "MAIN_UMFUTURE", "status": "CONFIRMED"}
    rows = [row | {"timestamp": trader.exchange.now(), "tranId": n + 1} for n in range(100)]
    body = {"total": 300, "rows": rows}
    server.control.add_fault("http", path="sapi/v1/asset/transfer", status=200, body=body)
    until = trader.exchange.now()
    ask = partial(trader.exchange.transfers, since=until - MINUTE, until=until)
    error = fault_of(ask, "USDT", SPOT)
    assert error.fault is Fault.BAD_ANSWER
