"""D2: another writer holds SQLite's lock, for a moment or for longer than anybody waits."""

import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

from bots.models import BotConfig, Decision, Installation, Order, User
from tests.doors.client import Caller, signed_in
from tests.faults import stage
from tests.faults.stage import HEALED, Traps
from tests.testexchange import ExchangeControl, TestExchange
from tests.whole.api import wait_for
from tests.whole.ledger import our_orders
from tests.whole.processes import FAST, Beat, Web, Worker, database_url

pytestmark = pytest.mark.long(seconds=25)

#: How long the product waits for a lock here; its default is 20 s.
PATIENCE = 1


@pytest.fixture(scope="module")
def worker_env(
    django_db_setup: None, django_db_blocker: Any, market: TestExchange, trap_folder: Path
) -> dict[str, str]:
    own = {
        "DATABASE_URL": f"{database_url()}?timeout={PATIENCE}",
        "EXCHANGE_API_BASE": market.api_base,
        "FAILPOINTS": str(trap_folder),
    }
    return {**os.environ, **FAST, **own}


@contextmanager
def locked() -> Iterator[None]:
    """Hold the one lock that writers need."""
    path = str(connection.settings_dict["NAME"])
    with closing(sqlite3.connect(path, timeout=20, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def held_at(point: str, bot: BotConfig, traps: Traps, ticking: Beat) -> None:
    Installation.get()  # made by the first who asks: not while nobody can write
    stage.come_to_rest(ticking)
    traps.set(point, bot, "hold")
    stage.ask(bot, "enter")
    traps.wait_until_held(point, bot)
    ticking.send(signal.SIGCONT)


def test_D2_sqlite_locked_for_a_moment_the_tick_waits(
    ticking: Beat, bot: BotConfig, traps: Traps, exchange: ExchangeControl, as_alice: Caller
) -> None:
    held_at("intent.before", bot, traps, ticking)
    with locked():
        traps.let_go("intent.before", bot)
        time.sleep(PATIENCE / 3)
        assert our_orders(exchange) == {}
    wait_for(as_alice, bot.pk, in_position=True, has_unsettled_orders=False)
    assert not Decision.objects.filter(bot=bot, action="interrupted").exists()
    stage.assert_all_holds(exchange, ticking)


@pytest.mark.parametrize("point", ["intent.before", "answer.before"])
def test_D2_sqlite_locked_for_long_the_tick_gives_up_and_no_page_fails(
    point: str,
    ticking: Beat,
    worker: Worker,
    site: Web,
    bot: BotConfig,
    traps: Traps,
    exchange: ExchangeControl,
    as_alice: Caller,
    alice: User,
) -> None:
    session = signed_in(alice).cookies[settings.SESSION_COOKIE_NAME].value
    page = {"Cookie": f"{settings.SESSION_COOKIE_NAME}={session}"}
    held_at(point, bot, traps, ticking)
    told = worker.output().count("database is locked")
    with locked():
        traps.let_go(point, bot)
        for path in ("/", f"/bots/{bot.pk}/", f"/bots/{bot.pk}/panel/", "/keys/"):
            assert site.ask("GET", path, page)[0] == 200, path
        status, body = site.ask("POST", f"/api/v1/bots/{bot.pk}/stop", as_alice.headers)
        assert (status, "busy" in body) == (503, True)
        # Now it has given up to write its intent, or the answer, and the release as well.
        worker.wait_for("database is locked", times=told + 2)
        assert len(our_orders(exchange)) == int(point == "answer.before")
    wait_for(as_alice, bot.pk, HEALED, in_position=True, has_unsettled_orders=False)
    order = Order.objects.get(bot=bot)
    assert (order.status, order.fills.count()) == ("filled", 1)
    assert len(our_orders(exchange)) == 1
    wait_for(as_alice, bot.pk, HEALED, status="running")
    stage.assert_all_holds(exchange, ticking)
