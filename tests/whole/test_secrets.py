"""A key that nobody else has goes through every fault: it must show up nowhere."""

import base64
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import pytest
import redis
from django.db import connection
from django.test import Client

from bots import control
from bots.models import ApiKey, BotState, Order, User
from tests.doors.client import Caller
from tests.testexchange import ExchangeControl
from tests.whole.api import state_of, wait_for
from tests.whole.processes import Worker, wait_until

PASSWORD = "alice-has-a-long-password"


class Canary:
    """A key, its secret and a passphrase, and all that was said while they were in use."""

    def __init__(self) -> None:
        self.api_key = "CANARYKEY" + secrets.token_hex(24)
        self.secret = "CANARYSECRET" + secrets.token_hex(24)
        self.passphrase = "CANARYPHRASE" + secrets.token_hex(8)
        self.heard: dict[str, list[str]] = {}

    def hear(self, where: str, text: object) -> None:
        self.heard.setdefault(where, []).append(text if isinstance(text, str) else repr(text))

    def needles(self, exchange: ExchangeControl) -> list[str]:
        """Return what must not be found: the secrets, encoded too, and every signature."""
        words = [self.api_key, self.secret, self.passphrase]
        encoded = [base64.b64encode(word.encode()).decode()[:-4] for word in words]
        mine = [row for row in exchange.requests() if row["api_key"] == self.api_key]
        signatures = {row["signature"] for row in mine if row["signature"]}
        assert len(signatures) >= 5
        return [*words, *encoded, *map(quote, words), *signatures]

    def assert_unheard(self, exchange: ExchangeControl) -> None:
        for needle in self.needles(exchange):
            for where, texts in self.heard.items():
                for text in texts:
                    at = text.find(needle)
                    assert at < 0, f"{needle[:16]}... in {where}: {text[max(at - 200, 0) : at]}"


@contextmanager
def overheard(canary: Canary, url: str) -> Iterator[None]:
    """Write down every command that reaches Redis, and so every message on the broker."""
    client = redis.Redis.from_url(url)
    done = threading.Event()
    with client.monitor() as monitor:

        def listen() -> None:
            for command in monitor.listen():
                canary.hear("the broker", command["command"])
                if done.is_set():
                    return

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            client.ping()
            thread.join(timeout=5)
            client.close()


class Listener(Caller):
    """A caller whose answers are all written down."""

    def __init__(self, user: User, canary: Canary) -> None:
        super().__init__(user)
        self._canary = canary

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        answer = super().__call__(method, path, body)
        self._canary.hear(f"API {method} {path}", str(answer.body) + str(dict(answer.headers)))
        return answer


#: Faults of signed requests: texts that name the key, addresses that hold the signature.
FAULTS: list[dict[str, Any]] = [
    {"action": "hang", "path": "api/v3/account", "seconds": 2},
    {"action": "close", "path": "api/v3/account"},
    {"action": "cut", "path": "api/v3/account"},
    {"action": "http", "path": "api/v3/account", "status": 503},
    {"action": "html", "path": "api/v3/account"},
    {"action": "hang", "path": "api/v3/order", "method": "POST", "seconds": 2, "when": "after"},
    {"action": "hang", "path": "api/v3/order", "method": "GET", "seconds": 2},
    {"action": "close", "path": "api/v3/myTrades"},
]


@pytest.mark.slow(seconds=10)
def test_a_key_leaves_no_trace_outside_its_encrypted_columns(
    worker: Worker,
    exchange: ExchangeControl,
    alice: User,
    settings: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG")
    canary = Canary()
    with overheard(canary, settings.REDIS_URL):
        api = Listener(alice, canary)
        exchange.add_account(
            "canary",
            api_key=canary.api_key,
            secret=canary.secret,
            balances={"USDT": 10_000},
        )
        bot_id = live_a_hard_life(canary, api, exchange)
        look_everywhere(canary, api, alice, bot_id)
    canary.hear("the worker's log", worker.output())
    canary.hear("the web's log", caplog.text)
    for table, row in database_rows():
        canary.hear(f"table {table}", row)
    assert {"the broker", "the worker's log", "table bots_apikey"} <= canary.heard.keys()
    assert any("bots.tasks.run_bot" in text for text in canary.heard["the broker"])
    canary.assert_unheard(exchange)


def live_a_hard_life(canary: Canary, api: Listener, exchange: ExchangeControl) -> int:
    """Add the key, run a bot with it through every fault; returns the bot."""
    body = {"exchange": "binance", "mode": "live", "label": "canary"}
    words = {"secret_key": canary.secret, "passphrase": canary.passphrase}
    # A body that is refused comes back as a 422 that names fields, not what was in them.
    assert api.post("/api-keys", {**body, **words, "api_key": canary.api_key + " x"}).status == 422
    made = api.post("/api-keys", {**body, **words, "api_key": canary.api_key})
    assert made.status == 201
    key_id = made.body["id"]
    wait_until(lambda: api.get(f"/api-keys/{key_id}").body["is_valid"])
    config = {
        "name": "Canary",
        "exchange": "binance",
        "mode": "live",
        "symbol": "BTC/USDT",
        "position_size_fixed": "1000",
        "check_interval_seconds": 1,
        "api_key": key_id,
    }
    bot_id = int(api.post("/bot-configs", config).body["id"])
    api.post(f"/bots/{bot_id}/start")
    wait_for(api, bot_id, status="running")
    echo = f"busy: X-MBX-APIKEY {canary.api_key}, {canary.secret} (signature {canary.passphrase})"
    for fault in [*FAULTS, {**FAULTS[3], "body": echo}, {**FAULTS[3], "body": {"msg": echo}}]:
        rule = exchange.add_fault(api_key=canary.api_key, **fault)

        def met(rule: int = rule) -> bool:
            kind = "exit" if state_of(api, bot_id)["in_position"] else "enter"
            api.post(f"/bots/{bot_id}/{kind}")
            api.get(f"/api-keys/balance?api_key={key_id}")
            control.schedule.send("bots.tasks.run_bot", bot_id)
            return any(row["id"] == rule and row["hits"] for row in exchange.faults())

        wait_until(met, timeout=20, every=0.4)
    exchange.revoke_key(canary.api_key)
    ApiKey.objects.filter(pk=key_id).update(checked_at=None)
    control.schedule.send("bots.tasks.check_key", key_id)
    wait_until(lambda: api.get(f"/api-keys/{key_id}").body["is_valid"] is False)
    return bot_id


def look_everywhere(canary: Canary, api: Listener, alice: User, bot_id: int) -> None:
    """Read every list of the API, every page of the owner and of the operator."""
    assert Order.objects.exists()
    assert BotState.objects.get(pk=bot_id).fence > 5
    for name in ("orders", "trades", "events", "days"):
        api.get(f"/bots/{bot_id}/{name}?limit=500")
    for path in ("/api-keys", "/bot-configs", f"/bot-states/{bot_id}"):
        api.get(path)
    User.objects.filter(pk=alice.pk).update(is_staff=True, is_superuser=True)
    browser = Client()
    form = {"login": "alice", "password": PASSWORD}
    assert browser.post("/accounts/login/", form).status_code == 302
    tabs = ("decisions", "orders", "fills", "events", "days", "panel", "settings", "stop")
    pages = ["/", "/board/", "/keys/", "/profile/", "/status/", f"/bots/{bot_id}/"]
    pages += [f"/bots/{bot_id}/{tab}/" for tab in tabs]
    models = ("botconfig", "botstate", "apikey", "account", "order", "stateevent", "decision")
    pages += ["/admin/", *[f"/admin/bots/{model}/" for model in models]]
    pages += [f"/admin/bots/apikey/{ApiKey.objects.get().pk}/change/"]
    answers = {page: browser.get(page) for page in pages}
    assert answers["/"].status_code == answers[f"/bots/{bot_id}/"].status_code == 200
    assert answers["/admin/"].status_code == 200
    for page, answer in answers.items():
        canary.hear(page, answer.content.decode())


def database_rows() -> Iterator[tuple[str, str]]:
    """Yield every row of every table as text; binary columns as the characters they hold."""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            for row in cursor.fetchall():
                cells = [
                    bytes(cell).decode("latin-1") if isinstance(cell, bytes | memoryview) else cell
                    for cell in row
                ]
                yield table, " ".join(str(cell) for cell in cells)
