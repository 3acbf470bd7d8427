"""Limits, held answers, scripts, the clock's rate and the truth of the test exchange."""

from __future__ import annotations

import json
import threading
import time
from decimal import Decimal as D
from typing import Any

import ccxt
import pytest

from tests.testexchange import ControlError, ExchangeControl, TestExchange
from tests.testexchange.clients import NOON, PERP, SYMBOL, FuturesTrader, Trader, get

MINUTE = 60_000
ORDER = "api/v3/order"


@pytest.fixture
def later(control: ExchangeControl, request: pytest.FixtureRequest) -> int:
    """A time that no other test counts in."""
    days = 1 + list(request.session.items).index(request.node)
    return control.set_time(NOON + days * 24 * 60 * MINUTE)


# Limits


def test_too_much_weight_is_refused_until_the_minute_is_over(
    server: TestExchange, control: ExchangeControl, later: int
) -> None:
    control.set_time(later + 18_000)
    control.set_limits(weight_1m=10)
    path, query = "api/v3/klines", "symbol=BTCUSDT&interval=1m&limit=1"
    answers = [get(server, path, query) for _ in range(6)]
    assert [status for status, _, _ in answers] == [200] * 5 + [429]
    assert [headers["X-MBX-USED-WEIGHT-1M"] for _, headers, _ in answers[:5]] == [
        *("2", "4", "6", "8", "10"),
    ]
    assert answers[-1][1]["Retry-After"] == "42"
    assert json.loads(answers[-1][2])["code"] == -1003
    assert get(server, "fapi/v1/klines", query)[0] == 200
    control.advance(42_000)
    assert get(server, path, query)[0] == 200


def test_going_on_after_429_leads_to_a_ban(
    server: TestExchange, control: ExchangeControl, later: int
) -> None:
    control.set_limits(weight_1m=1, ban_after=2, ban_s=100)
    seen = [get(server, "api/v3/ping") for _ in range(5)]
    assert [status for status, _, _ in seen] == [200, 429, 429, 418, 418]
    assert seen[-1][1]["Retry-After"] == "100"
    control.advance(60_000)
    status, headers, _ = get(server, "api/v3/ping")
    assert (status, headers["Retry-After"]) == (418, "40")
    control.advance(40_000)
    assert get(server, "api/v3/ping")[0] == 200


def test_orders_are_counted_by_account_and_refused_beyond_the_limit(
    server: TestExchange, alice: Trader, control: ExchangeControl, later: int
) -> None:
    bob = Trader(server, "bob")
    control.set_limits(orders_10s=2, orders_1d=4)
    alice.buy(0.01, "b-1")
    alice.buy(0.01, "b-2")
    headers = alice.ccxt.last_response_headers
    counted = {name: value for name, value in headers.items() if "ORDER-COUNT" in name.upper()}
    assert set(counted.values()) == {"2"}
    with pytest.raises(ccxt.DDoSProtection, match="-1015"):
        alice.buy(0.01, "b-3")
    assert bob.buy(0.01, "b-4")["status"] == "closed"
    control.advance(10_000)
    alice.buy(0.01, "b-5")
    alice.buy(0.01, "b-6")
    control.advance(10_000)
    with pytest.raises(ccxt.DDoSProtection, match="orders per 1D"):
        alice.buy(0.01, "b-7")
    assert len(alice.true_orders()) == 4


def test_futures_count_their_own_orders(
    server: TestExchange, control: ExchangeControl, later: int
) -> None:
    bob = FuturesTrader(server, "bob-counts")
    control.set_limits(futures_orders_1m=1)
    bob.order("buy", 0.1, "o-1")
    with pytest.raises(ccxt.DDoSProtection, match="-1015"):
        bob.stop("sell", 0.1, "a-1", stopLossPrice=19000)
    assert bob.ccxt.last_response_headers["Retry-After"] == "60"


def test_an_unknown_limit_is_refused(control: ExchangeControl) -> None:
    with pytest.raises(ControlError):
        control.set_limits(orders_1y=1)


# Faults


def in_thread(call: Any) -> tuple[threading.Thread, list[Any]]:
    """The call under way, and the list that will have its answer or error."""
    results: list[Any] = []

    def run() -> None:
        try:
            results.append(call())
        except ccxt.BaseError as error:
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, results


def eventually(holds: Any) -> None:
    deadline = time.monotonic() + 5
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert holds()


def test_an_accepted_order_is_held_back_until_it_is_released(
    alice: Trader, control: ExchangeControl
) -> None:
    fault = control.add_fault("hold", path=ORDER, method="POST", when="after")
    thread, results = in_thread(lambda: alice.buy(0.1, "b-1"))
    eventually(lambda: len(alice.true_orders()) == 1)
    assert results == []
    control.release_fault(fault)
    thread.join(5)
    assert results[0]["status"] == "closed"


def test_a_request_held_before_acceptance_is_too_late_afterwards(
    alice: Trader, control: ExchangeControl
) -> None:
    control.add_fault("hold", path=ORDER, method="POST")
    thread, results = in_thread(lambda: alice.buy(0.1, "b-1", timestamp=NOON, recvWindow=5000))
    eventually(lambda: control.faults()[0]["hits"] == 1)
    control.advance(5001)
    control.clear_faults()
    thread.join(5)
    assert isinstance(results[0], ccxt.InvalidNonce)
    assert alice.true_orders() == []


def test_a_script_says_which_call_goes_wrong_how(alice: Trader, control: ExchangeControl) -> None:
    control.script(
        [
            {"action": "http", "status": 503, "path": ORDER, "method": "POST", "nth": 2},
            {"action": "close", "path": ORDER, "method": "POST", "nth": 3, "when": "after"},
            {"action": "error", "code": -1001, "path": ORDER, "method": "GET", "nth": 1},
            {"action": "empty", "path": ORDER, "method": "POST", "nth": 5, "wait": 0.2},
        ]
    )
    assert alice.buy(0.01, "b-1")["status"] == "closed"
    with pytest.raises(ccxt.ExchangeNotAvailable):
        alice.buy(0.01, "b-2")
    with pytest.raises(ccxt.NetworkError):
        alice.buy(0.01, "b-3")
    with pytest.raises(ccxt.OperationFailed):
        alice.order("b-3")
    assert alice.order("b-3")["status"] == "closed"
    assert alice.buy(0.01, "b-4")["status"] == "closed"
    started = time.monotonic()
    assert alice.buy(0.01, "b-5")["id"] is None
    assert time.monotonic() - started > 0.2
    assert [rule["hits"] for rule in control.faults()] == [1, 1, 1, 1]


@pytest.mark.parametrize("when", ["before", "after"])
def test_faults_strike_algo_orders_too(
    server: TestExchange, control: ExchangeControl, when: str
) -> None:
    bob = FuturesTrader(server, f"bob-algo-{when}")
    bob.order("buy", 0.1, "o-1")
    control.add_fault("error", code=-1007, path="fapi/v1/algoOrder", method="POST", when=when)
    with pytest.raises(ccxt.BaseError, match="-1007"):
        bob.stop("sell", 0.1, f"a-{when}", stopLossPrice=19000)
    placed = [algo["clientAlgoId"] for algo in bob.truth()["algo_orders"]]
    assert placed == ([] if when == "before" else [f"a-{when}"])


# The clock


def test_the_clock_may_run_faster_stand_and_step(control: ExchangeControl) -> None:
    control.set_time(NOON, rate=1000)
    time.sleep(0.1)
    passed = control.now() - NOON
    assert 100_000 <= passed < 5_000_000
    stopped = control.set_rate(0)
    assert control.now() == stopped >= NOON + passed
    assert control.advance(MINUTE) == stopped + MINUTE
    with pytest.raises(ControlError, match="backwards"):
        control.set_rate(-1)


def test_candles_and_resting_orders_follow_a_fast_clock(
    alice: Trader, control: ExchangeControl
) -> None:
    control.clear_price("BTCUSDT")
    last = alice.ccxt.fetch_ohlcv(SYMBOL, "1m", limit=1)[0][0]
    alice.limit("buy", 0.1, float(control.price("BTCUSDT") - 10), "l-1")
    control.set_time(NOON, rate=36_000)  # ten hours in a second
    eventually(lambda: alice.true_orders()[0]["status"] == "FILLED")
    control.set_rate(0)
    assert alice.ccxt.fetch_ohlcv(SYMBOL, "1m", limit=1)[0][0] > last
    [trade] = alice.true_trades()
    assert NOON < trade["time"] <= control.now()


# Truth


def test_the_truth_tells_how_often_an_order_was_sent_and_taken(
    server: TestExchange, alice: Trader, control: ExchangeControl
) -> None:
    bob = FuturesTrader(server, "bob-posts")
    control.add_fault("http", status=503, path=ORDER, method="POST")
    control.add_fault("http", status=503, path=ORDER, method="POST", when="after", nth=2)
    for client_id in ("p-1", "p-2"):
        with pytest.raises(ccxt.ExchangeNotAvailable):
            alice.buy(0.01, client_id)
    alice.buy(0.01, "p-2")
    with pytest.raises(ccxt.InsufficientFunds):
        alice.buy(5, "p-3")
    bob.order("buy", 0.1, "p-4")
    bob.stop("sell", 0.1, "p-5", stopLossPrice=19000)
    posts = control.order_posts()
    counts = {name: posts[name] for name in ("p-1", "p-2", "p-3", "p-4", "p-5")}
    assert counts == {
        "p-1": {"received": 1, "accepted": 0},
        "p-2": {"received": 2, "accepted": 2},
        "p-3": {"received": 1, "accepted": 0},
        "p-4": {"received": 1, "accepted": 1},
        "p-5": {"received": 1, "accepted": 1},
    }
    taken = [
        r["params"]["newClientOrderId"]
        for r in control.requests()
        if r["accepted"] and r["method"] == "POST" and r["path"] == ORDER
    ]
    assert taken[-2:] == ["p-2", "p-2"]


def test_the_truth_holds_both_sides(
    server: TestExchange, alice: Trader, control: ExchangeControl
) -> None:
    bob = FuturesTrader(server, "bob-truth")
    alice.limit("buy", 0.1, 19000, "t-1")
    alice.ccxt.private_post_orderlist_oco(
        {
            "symbol": "BTCUSDT",
            "side": "BUY",
            "quantity": "0.1",
            "aboveType": "STOP_LOSS",
            "aboveStopPrice": "21000",
            "belowType": "LIMIT_MAKER",
            "belowPrice": "18000",
            "listClientOrderId": "t-list",
        }
    )
    bob.order("sell", 0.1, "t-2")
    bob.order("buy", 0.1, "t-3", 19000)
    bob.stop("buy", 0.1, "t-4", stopLossPrice=21000)
    truth = control.truth()
    assert {o["clientOrderId"] for o in truth["open_orders"]["futures"]} >= {"t-3"}
    assert {o["clientAlgoId"] for o in truth["open_orders"]["algo"]} >= {"t-4"}
    assert sum(o["orderListId"] != -1 for o in truth["open_orders"]["spot"]) == 2
    assert [entry["listClientOrderId"] for entry in truth["lists"]] == ["t-list"]
    futures = truth["futures"]
    [position] = futures["positions"]["bob-truth"]
    assert (position["symbol"], D(position["amount"])) == ("BTCUSDT", D("-0.1"))
    assert (position["leverage"], position["isolated"]) == (10, True)
    assert D(futures["wallets"]["bob-truth"]["USDT"]) == 9999
    assert [r["incomeType"] for r in futures["income"]["bob-truth"]] == ["TRANSFER", "COMMISSION"]
    mine = [o for o in futures["orders"] if o["account"] == "bob-truth"]
    assert [(o["clientOrderId"], o["status"], o["api_key"]) for o in mine] == [
        ("t-2", "FILLED", bob.key),
        ("t-3", "NEW", bob.key),
    ]
    assert bob.ccxt.fetch_open_orders(PERP)[0]["clientOrderId"] == "t-3"
