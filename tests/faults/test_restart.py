"""K8 with the times of production: everything is killed in mid-order, and started again."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bots import schedule
from bots.models import BotState, Order
from tests.doors.client import Caller
from tests.faults import stage
from tests.faults.stage import Traps
from tests.testexchange import ExchangeControl, TestExchange
from tests.whole.api import wait_for
from tests.whole.conftest import MakeBot
from tests.whole.processes import Beat, Worker, database_url, wait_until

pytestmark = pytest.mark.alone

#: What is promised: watched again within 15 s of the restart, though a lease lasts a minute.
WATCHED = 15.0
LEASE = 60.0


@pytest.fixture(scope="module")
def worker_env(
    django_db_setup: None, django_db_blocker: Any, market: TestExchange, trap_folder: Path
) -> dict[str, str]:
    """No time is scaled: what is not named here is the product's own default."""
    own = {
        "DATABASE_URL": database_url(),
        "EXCHANGE_API_BASE": market.api_base,
        "FAILPOINTS": str(trap_folder),
        "LIVE_TRADING_ENABLED": "true",
        "LEASE_SECONDS": str(LEASE),
    }
    return {**os.environ, **own}


@pytest.fixture
def whole(slate: None, worker_env: dict[str, str], tmp_path: Path) -> Iterator[tuple[Worker, Beat]]:
    worker, beat = Worker(tmp_path / "worker.log", worker_env), Beat(tmp_path / "b.log", worker_env)
    schedule.ensure_platform_rows()
    try:
        worker.start()
        beat.start()
        yield worker, beat
    finally:
        worker.end()
        beat.end()


def test_K8_everything_killed_in_mid_order_is_watched_within_15_seconds_of_the_restart(
    whole: tuple[Worker, Beat],
    trap_folder: Path,
    live_bot: MakeBot,
    exchange: ExchangeControl,
    as_alice: Caller,
) -> None:
    worker, beat = whole
    traps = Traps(folder=trap_folder)
    watching = live_bot(name="Watching", check_interval_seconds=5, stop_loss_perc=2)
    buying = live_bot(name="Buying", check_interval_seconds=5, stop_loss_perc=2)
    for bot in (watching, buying):
        wait_for(as_alice, bot.pk, timeout=20, status="running")
    stage.ask(watching, "enter")
    wait_for(as_alice, watching.pk, in_position=True, has_unsettled_orders=False)
    traps.set("answer.before", buying, "killgroup")
    stage.ask(buying, "enter")
    traps.wait_for_death("answer.before", buying)
    beat.end()
    worker.end()
    dead = BotState.objects.get(pk=buying.pk)
    assert dead.lease_until is not None
    assert dead.lease_until.timestamp() - time.time() > LEASE - 15
    assert Order.objects.get(bot=buying).status == "sent"

    began = time.time()
    worker.start()
    beat.start()
    bots = (watching.pk, buying.pk)
    wait_until(lambda: all(is_watched(pk, began) for pk in bots), WATCHED - (time.time() - began))
    stage.assert_all_holds(exchange, beat)


def is_watched(bot_id: int, since: float) -> bool:
    """Whether a tick has looked at the bot's position, and knows its stop."""
    state = BotState.objects.get(pk=bot_id)
    return (
        state.in_position
        and state.stop_loss_price is not None
        and not state.has_unsettled_orders
        and state.tick_started_at is None
        and state.last_price_at is not None
        and state.last_price_at.timestamp() > since
    )
