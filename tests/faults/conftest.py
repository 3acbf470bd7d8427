"""The stage of tests.whole, and on it a worker whose ticks can be killed wherever they are."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.testexchange import TestExchange
from tests.whole.conftest import (
    MakeBot,
    as_alice,
    beat,
    exchange,
    key,
    live_bot,
    market,
    module_worker,
    platform,
    scaled,
    slate,
    tick_now,
    worker,
)
from tests.whole.processes import FAST, Beat, Web, Worker, database_url

if TYPE_CHECKING:
    from bots.models import BotConfig
    from tests.doors.client import Caller
    from tests.faults.stage import Traps

__all__ = [
    "as_alice",
    "beat",
    "exchange",
    "key",
    "live_bot",
    "market",
    "module_worker",
    "platform",
    "scaled",
    "slate",
    "tick_now",
    "worker",
]

HERE = Path(__file__).parent
# Their asserts shall tell what they saw.
pytest.register_assert_rewrite("tests.faults.stage", "tests.whole.ledger")

on_postgres = os.environ.get("TEST_DATABASE", "sqlite") == "postgres"
#: Every row is a test on PostgreSQL; on SQLite those whose outcome the database has a say in.
DECISIVE = ("test_kills.py", "test_restart.py", "test_sqlite.py")
collect_ignore = (
    ["test_sqlite.py"]
    if on_postgres
    else [path.name for path in HERE.glob("test_*.py") if path.name not in DECISIVE]
)


@pytest.fixture(scope="module")
def trap_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("failpoints")


@pytest.fixture(scope="module")
def worker_env(
    django_db_setup: None, django_db_blocker: Any, market: TestExchange, trap_folder: Path
) -> dict[str, str]:
    """The environment of this module's processes: scaled times, test exchange, failpoints."""
    own = {
        "DATABASE_URL": database_url(),
        "EXCHANGE_API_BASE": market.api_base,
        "FAILPOINTS": str(trap_folder),
    }
    return {**os.environ, **FAST, **own}


@pytest.fixture(scope="module")
def module_beat(
    worker_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Beat]:
    """One beat for the tests of a module; it stands still between them."""
    beat = Beat(tmp_path_factory.mktemp("beat") / "beat.log", worker_env)
    try:
        yield beat
    finally:
        beat.end()


@pytest.fixture
def ticking(worker: Worker, module_beat: Beat) -> Iterator[Beat]:
    """Worker and beat at work: bots tick by their rows, the sweep comes by its own."""
    from bots import schedule
    from tests.faults.stage import come_to_rest

    schedule.ensure_platform_rows()
    if module_beat.is_alive:
        module_beat.send(signal.SIGCONT)
    else:
        module_beat.start()
    yield module_beat
    with suppress(AssertionError):  # a test that failed may leave a tick open
        come_to_rest(module_beat)


@pytest.fixture
def traps(ticking: Beat, trap_folder: Path) -> "Iterator[Traps]":
    """After the test nothing is held any more, so that the worker comes to rest."""
    from tests.faults.stage import Traps

    traps = Traps(folder=trap_folder)
    yield traps
    traps.clear()


@pytest.fixture
def bot(ticking: Beat, live_bot: MakeBot, as_alice: "Caller") -> "BotConfig":
    """A live bot that runs, looked at each second, and trades when it is told to."""
    from tests.whole.api import wait_for

    made = live_bot()
    wait_for(as_alice, made.pk, status="running")
    return made


@pytest.fixture
def site(worker_env: dict[str, str], tmp_path: Path) -> Iterator[Web]:
    """The site itself, beside worker and beat."""
    site = Web(tmp_path / "web.log", worker_env)
    try:
        site.start()
        yield site
    finally:
        site.end()
