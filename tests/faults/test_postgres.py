"""D1: PostgreSQL restarts in mid-tick. This module has a server of its own, with fsync on."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from bots.models import Order
from tests.doors.client import Caller
from tests.faults import stage
from tests.faults.stage import HEALED, Traps
from tests.postgres import PostgresServer, postgres_server
from tests.testexchange import ExchangeControl, TestExchange
from tests.whole.api import wait_for
from tests.whole.conftest import MakeBot
from tests.whole.ledger import our_orders
from tests.whole.processes import FAST, Beat, database_url, wait_until

pytestmark = pytest.mark.long(seconds=35)


@pytest.fixture(scope="module", autouse=True)
def database(django_db_setup: None, django_db_blocker: Any) -> Iterator[PostgresServer]:
    """Move this module to another server, which no other test uses."""
    names = ("HOST", "PORT", "NAME")
    before = {name: connection.settings_dict[name] for name in names}
    with postgres_server(durable=True) as server, django_db_blocker.unblock():
        connection.close()
        connection.settings_dict.update(HOST="127.0.0.1", PORT=server.port, NAME="postgres")
        try:
            call_command("migrate", run_syncdb=True, verbosity=0)
            call_command("createcachetable", verbosity=0)
            with django_db_blocker.block():
                yield server
        finally:
            connection.close()
            connection.settings_dict.update(before)


POINTS = ("intent.before", "intent.after", "answer.before", "answer.after", "release.before")


@pytest.fixture(scope="module")
def worker_env(database: PostgresServer, market: TestExchange, trap_folder: Path) -> dict[str, str]:
    """A process for each point, so that one restart meets a tick at each of them."""
    own = {
        "DATABASE_URL": database_url(),
        "EXCHANGE_API_BASE": market.api_base,
        "FAILPOINTS": str(trap_folder),
        "WORKER_CONCURRENCY": str(len(POINTS) + 1),
    }
    return {**os.environ, **FAST, **own}


@pytest.mark.parametrize("crash", [False, True], ids=["restart", "crash"])
def test_D1_postgres_restarted_in_mid_tick_the_k_row_holds_at_each_point(
    crash: bool,
    database: PostgresServer,
    ticking: Beat,
    live_bot: MakeBot,
    traps: Traps,
    exchange: ExchangeControl,
    as_alice: Caller,
) -> None:
    bots = {point: live_bot(name=point) for point in POINTS}
    for bot in bots.values():
        wait_for(as_alice, bot.pk, status="running")
    stage.come_to_rest(ticking)
    for point, bot in bots.items():
        traps.set(point, bot, "hold")
        stage.ask(bot, "enter")
    for point, bot in bots.items():
        traps.wait_until_held(point, bot)
    connection.close()
    database.stop(crash=crash)
    database.start()
    for point, bot in bots.items():
        traps.let_go(point, bot)
    ticking.send(signal.SIGCONT)
    for point, bot in bots.items():
        # What was asked for and not yet written down waits for the next tick.
        wait_until(Order.objects.filter(bot=bot, is_settled=True).exists, HEALED)
        order = Order.objects.get(bot=bot)
        is_there = order.client_order_id in our_orders(exchange)
        # The server may be away for longer than a request that was signed before is good for.
        assert is_there or point == "intent.after"
        assert (order.status, order.fills.count()) == (
            ("filled", 1) if is_there else ("abandoned", 0)
        )
        wait_for(as_alice, bot.pk, HEALED, in_position=is_there, has_unsettled_orders=False)
        wait_for(as_alice, bot.pk, HEALED, status="running")
        stage.wait_for_ticks(bot)
    stage.assert_all_holds(exchange, ticking)
