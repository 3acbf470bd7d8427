"""What the test exchange does wrong on demand."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import ccxt
import pytest

from tests.testexchange import ControlError, ExchangeControl, TestExchange
from tests.testexchange.clients import NOON, Trader, get
from tests.testexchange.settings import ROOT

ORDER = "api/v3/order"
MINUTE = 60_000


LOST: dict[str, tuple[dict[str, Any], type[ccxt.BaseError]]] = {
    "http 502": ({"action": "http", "status": 502}, ccxt.ExchangeNotAvailable),
    "-1000": ({"action": "error", "code": -1000}, ccxt.OperationFailed),
    "-1001": ({"action": "error", "code": -1001}, ccxt.OperationFailed),
    "-1006": ({"action": "error", "code": -1006}, ccxt.BaseError),
    "-1007": ({"action": "error", "code": -1007}, ccxt.RequestTimeout),
    "-1008": ({"action": "error", "code": -1008}, ccxt.BaseError),
    "close": ({"action": "close"}, ccxt.NetworkError),
    "cut": ({"action": "cut"}, ccxt.NetworkError),
    "429": ({"action": "rate_limit", "retry_after": 7}, ccxt.DDoSProtection),
    "418": ({"action": "ban", "retry_after": 60}, ccxt.DDoSProtection),
}


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", LOST)
def test_a_lost_answer_leaves_an_order_only_after_acceptance(
    alice: Trader, control: ExchangeControl, name: str, when: str
) -> None:
    fault, expected = LOST[name]
    control.add_fault(**fault, path=ORDER, method="POST", when=when)
    with pytest.raises(expected):
        alice.buy(0.1, "b-1")
    accepted = [] if when == "before" else [("b-1", "FILLED", "0.10000000")]
    orders = alice.true_orders()
    assert [(o["clientOrderId"], o["status"], o["executedQty"]) for o in orders] == accepted
    assert len(alice.true_trades()) == len(accepted)
    [rule] = control.faults()
    assert rule["hits"] == 1


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("action", ["html", "truncated", "empty", "list", "null", "other_order"])
def test_a_senseless_answer_with_status_200_reaches_the_client(
    alice: Trader, control: ExchangeControl, action: str, when: str
) -> None:
    control.add_fault(action, path=ORDER, method="POST", when=when)
    answer = alice.buy(0.1, "b-1")
    assert answer["id"] == ("999999999" if action == "other_order" else None)
    assert [o["clientOrderId"] for o in alice.true_orders()] == (["b-1"] if when == "after" else [])
    assert control.requests()[-1]["fault"] == action


def test_a_hanging_answer_times_out_though_the_order_was_accepted(
    alice: Trader, control: ExchangeControl
) -> None:
    alice.ccxt.timeout = 300
    control.add_fault("hang", path=ORDER, when="after", seconds=1)
    with pytest.raises(ccxt.RequestTimeout):
        alice.buy(0.1, "b-1")
    assert alice.order("b-1")["status"] == "closed"


def test_an_order_that_hangs_before_matching_may_still_come_later(
    alice: Trader, control: ExchangeControl
) -> None:
    alice.ccxt.timeout = 200
    control.add_fault("hang", path=ORDER, method="POST", seconds=0.6)
    with pytest.raises(ccxt.RequestTimeout):
        alice.buy(0.1, "b-1")
    with pytest.raises(ccxt.OrderNotFound):
        alice.order("b-1")
    deadline = time.monotonic() + 5
    while not alice.true_orders() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert alice.order("b-1")["filled"] == 0.1


def test_a_frozen_request_is_refused_when_its_window_is_over(
    alice: Trader, control: ExchangeControl
) -> None:
    control.add_fault("hang", path=ORDER, method="POST", seconds=0.5)
    refused: list[BaseException] = []

    def order() -> None:
        try:
            alice.buy(0.1, "b-1", timestamp=NOON, recvWindow=5000)
        except ccxt.BaseError as error:
            refused.append(error)

    thread = threading.Thread(target=order)
    thread.start()
    while not control.faults()[0]["hits"]:
        time.sleep(0.01)
    control.advance(5001)
    thread.join()
    assert isinstance(refused[0], ccxt.InvalidNonce)
    assert alice.true_orders() == []


def test_a_rule_counts_what_it_matches_and_leaves_the_rest_alone(
    server: TestExchange, control: ExchangeControl
) -> None:
    control.add_fault(
        "http", path="*/ticker/price", params={"symbol": "BTCUSDT"}, times=2, after=1, status=500
    )
    path = "api/v3/ticker/price"
    assert get(server, path, "symbol=ETHUSDT")[0] == 200
    assert [get(server, path, "symbol=BTCUSDT")[0] for _ in range(5)] == [200, 500, 500, 200, 200]
    always = control.add_fault("http", path="*ping", times=None, status=503, headers={"X-A": "b"})
    answers = [get(server, "api/v3/ping") for _ in range(3)]
    assert [(status, headers["X-A"]) for status, headers, _ in answers] == [(503, "b")] * 3
    control.remove_fault(always)
    assert get(server, "api/v3/ping")[0] == 200
    with pytest.raises(ControlError, match="unknown fault"):
        control.add_fault("explode")


def test_limits_name_the_seconds_to_wait(server: TestExchange, control: ExchangeControl) -> None:
    control.add_fault("rate_limit", retry_after=7)
    status, headers, body = get(server, "api/v3/ping")
    assert (status, headers["Retry-After"], json.loads(body)["code"]) == (429, "7", -1003)
    control.add_fault("ban", retry_after=60)
    status, headers, _ = get(server, "api/v3/ping")
    assert (status, headers["Retry-After"]) == (418, "60")


def test_candles_show_each_defect(server: TestExchange, control: ExchangeControl) -> None:
    def candles() -> Any:
        return json.loads(get(server, "api/v3/klines", "symbol=BTCUSDT&interval=1m&limit=10")[2])

    whole = candles()
    seen: dict[str, Any] = {}
    for defect in ("gap", "duplicate", "nan", "negative", "zero", "reversed", "empty"):
        control.add_fault("klines", path="*klines", defect=defect)
        seen[defect] = candles()
    assert seen["gap"] == whole[:5] + whole[6:]
    assert seen["duplicate"] == [*whole[:6], *whole[5:]]
    closes = [seen[defect][-2][4] for defect in ("nan", "negative", "zero")]
    assert closes == ["NaN", "-1.00000000", "0.00000000"]
    assert (seen["reversed"], seen["empty"]) == (whole[::-1], [])
    control.add_fault("klines", path="*klines", defect="stale", times=None)
    control.advance(10 * MINUTE)
    assert candles()[-1][0] == NOON
    control.clear_faults()
    assert candles()[-1][0] == NOON + 10 * MINUTE


def test_refusing_resets_connections_until_it_is_over(
    alice: Trader, control: ExchangeControl
) -> None:
    control.refuse()
    with pytest.raises(ccxt.NetworkError):
        alice.buy(0.1, "b-1")
    assert alice.true_orders() == []
    control.refuse(False)
    assert alice.buy(0.1, "b-1")["status"] == "closed"


def test_a_killed_exchange_refuses_and_comes_back_on_its_port() -> None:
    with TestExchange() as exchange:
        port = exchange.port
        exchange.kill()
        with pytest.raises(ConnectionRefusedError):
            HTTPConnection("127.0.0.1", port).request("GET", "/api/v3/ping")
        exchange.start()
        assert exchange.port == port
        assert get(exchange, "api/v3/ping")[0] == 200


def test_the_exchange_does_not_outlive_the_process_that_started_it() -> None:
    script = (
        "import os, signal; from tests.testexchange import TestExchange; "
        "print(TestExchange().start().pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    parent = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, check=False
    )
    assert parent.returncode == -signal.SIGKILL
    pid, deadline = int(parent.stdout), time.monotonic() + 5
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_running(pid)


def is_running(pid: int) -> bool:
    """Whether the process is there and not merely waiting to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_weights_are_counted_by_the_minute(server: TestExchange, alice: Trader) -> None:
    server.control.advance(7 * MINUTE)
    stamp = f"timestamp={NOON + 7 * MINUTE}"
    used = [
        int(get(server, path, params, key=alice.key)[1]["X-MBX-USED-WEIGHT-1M"])
        for path, params in (
            ("api/v3/klines", f"symbol=BTCUSDT&interval=1m&{stamp}"),
            ("api/v3/account", stamp),
            ("api/v3/openOrders", stamp),
            ("api/v3/openOrders", f"symbol=BTCUSDT&{stamp}"),
        )
    ]
    assert used == [2, 22, 102, 108]
    assert server.control.truth()["weights"][str(NOON + 7 * MINUTE)] == 108


def test_a_keep_alive_client_gets_hundreds_of_answers_a_second(
    server: TestExchange, control: ExchangeControl
) -> None:
    connection = HTTPConnection("127.0.0.1", server.port)
    started = time.monotonic()
    for _ in range(500):
        connection.request("GET", "/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=200")
        assert connection.getresponse().read()
    connection.close()
    assert time.monotonic() - started < 2
