"""The stage: one test exchange and one worker a module, a clean slate for each test."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.testexchange import (
    DEFAULT_API_KEY,
    DEFAULT_CONFIG,
    DEFAULT_SECRET,
    ExchangeControl,
    TestExchange,
)
from tests.whole.processes import FAST, Beat, Worker, database_url, wait_until

if TYPE_CHECKING:
    from bots.lease import Outcome
    from bots.models import ApiKey, BotConfig, User
    from tests.doors.client import Caller
    from tests.whole.platform import Platform

MakeBot = Callable[..., "BotConfig"]


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestExchange]:
    """One exchange process for the tests of a module.

    BTC and BNB stand still, so that no bot trades there unless a test moves the price; ETH moves.
    """
    folder = tmp_path_factory.mktemp("market")
    files = {
        "BTCUSDT": standing_still(folder / "btc.csv", "20000"),
        "BNBUSDT": standing_still(folder / "bnb.csv", "312.34"),
    }
    symbols = [
        entry | ({"file": files[entry["symbol"]]} if entry["symbol"] in files else {})
        for entry in DEFAULT_CONFIG["symbols"]
    ]
    with TestExchange(config={"symbols": symbols}) as exchange:
        yield exchange


def standing_still(path: Path, price: str) -> str:
    """Write 1m candles of one price, from 13 hours ago to an hour from now; returns the path."""
    first = int(time.time()) // 60 - 13 * 60
    rows = [
        f"{(first + number) * 60_000},{price},{price},{price},{price},1"
        for number in range(14 * 60)
    ]
    path.write_text("\n".join(["timestamp_ms,open,high,low,close,volume", *rows, ""]))
    return str(path)


@pytest.fixture
def exchange(market: TestExchange) -> Iterator[ExchangeControl]:
    """The module's exchange without faults, with a flat, funded account."""
    control = market.control
    control.reset_limits()
    yield control
    control.refuse(False)
    control.clear_faults()
    control.set_fee(maker="0.001", taker="0.001", mode="default", bnb_price="300")
    control.restore_key(DEFAULT_API_KEY)
    for symbol in ("BTCUSDT", "ETHUSDT"):
        control.clear_price(symbol)
        control.resume(symbol)
        control.list_symbol(symbol)
    for asset, free in {"USDT": 10_000, "BTC": 0, "BNB": 0}.items():
        control.set_balance("default", asset, free)


@pytest.fixture
def scaled(settings: Any, market: TestExchange) -> Any:
    """Django's settings in this process as the worker has them in its environment."""
    for name, text in FAST.items():
        if text != "true" and name not in ("LOG_LEVEL", "RECV_WINDOW_MS"):
            setattr(settings, name, float(text) if "." in text else int(text))
    settings.RECV_WINDOW_MS = int(FAST["RECV_WINDOW_MS"])
    # No test waits for the end of a lease that this process holds, and it may be a busy one.
    settings.LEASE_SECONDS, settings.TICK_DEADLINE_SECONDS = 30, 20
    settings.LIVE_TRADING_ENABLED = settings.ALERTS_ALLOW_PRIVATE = True
    settings.EXCHANGE_API_BASE = {"binance": market.url}
    return settings


@pytest.fixture(scope="module")
def worker_env(django_db_setup: None, django_db_blocker: Any, market: TestExchange) -> Any:
    """The environment of this module's processes: scaled times, and the test exchange."""
    base = {"DATABASE_URL": database_url(), "EXCHANGE_API_BASE": market.api_base}
    return {**os.environ, **FAST, **base}


@pytest.fixture(scope="module")
def module_worker(
    worker_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Worker]:
    worker = Worker(tmp_path_factory.mktemp("worker") / "worker.log", worker_env)
    try:
        worker.start()
        yield worker
    finally:
        worker.end()


@pytest.fixture
def slate(transactional_db: None, scaled: Any) -> Iterator[None]:
    """An empty broker before the test; afterwards no tick runs on into the next one."""
    import redis

    broker = redis.Redis.from_url(scaled.REDIS_URL)
    broker.flushdb()
    yield
    from bots.models import BotState

    broker.flushdb()
    broker.close()
    busy = BotState.objects.filter(tick_started_at__isnull=False)
    # A test that killed its worker may leave a tick open.
    with suppress(AssertionError):
        wait_until(lambda: not busy.exists(), timeout=float(FAST["LEASE_SECONDS"]))


@pytest.fixture
def worker(slate: None, module_worker: Worker) -> Worker:
    """The module's worker, over a clean slate."""
    if not module_worker.is_alive:  # a test that failed may have left it dead
        module_worker.start()
    return module_worker


@pytest.fixture
def beat(slate: None, worker_env: dict[str, str], tmp_path: Path) -> Iterator[Beat]:
    """A beat of this test's own; start it when its rows are there."""
    beat = Beat(tmp_path / "beat.log", worker_env)
    yield beat
    beat.end()


@pytest.fixture
def platform(
    slate: None, settings: Any, worker_env: dict[str, str], tmp_path: Path
) -> "Iterator[Platform]":
    """A worker and a beat, and this process, on a broker that the test may stop."""
    from tests.whole.platform import running_platform

    with running_platform(tmp_path, settings, worker_env) as platform:
        yield platform


@pytest.fixture
def tick_now(scaled: Any, db: None) -> Callable[[int], "Outcome | None"]:
    """Tick a bot in this process, with eyes that have seen nothing before."""
    from bots import connect, silences, tick
    from bots.world import World
    from trading.exchanges.ccxt_exchange import preload, shared_feed
    from trading.market_data import MarketData

    preload()
    silences.shared_silences.cache_clear()

    def run(bot_id: int) -> "Outcome | None":
        shared_feed.cache_clear()
        connect._proofs.clear()
        return tick.run(bot_id, World(data=MarketData(price_ttl_s=0, failure_ttl_s=0)))

    return run


@pytest.fixture
def as_alice(alice: "User") -> "Caller":
    """Alice's script: the API with a token of all scopes."""
    from tests.doors.client import Caller

    return Caller(alice)


@pytest.fixture
def key(alice: "User") -> "ApiKey":
    """Alice's key of the exchange's account, as stored; nobody has checked it."""
    from bots.models import ApiKey

    secrets = {"api_key": DEFAULT_API_KEY, "secret_key": DEFAULT_SECRET}
    return ApiKey.put(owner=alice, exchange="binance", mode="live", label="main", **secrets)


@pytest.fixture
def live_bot(alice: "User", key: "ApiKey", scaled: Any) -> MakeBot:
    """Make a started live bot of alice's that trades by command or signal only."""
    from bots import control

    def make(*, start: bool = True, **changes: Any) -> "BotConfig":
        values = {
            "name": "Live",
            "exchange": "binance",
            "mode": "live",
            "symbol": "BTC/USDT",
            "account": key.account,
            "position_size_fixed": Decimal(1000),
            "check_interval_seconds": 1,
        }
        bot = control.create(alice, values | changes)
        if start:
            control.start(bot, by=alice, via="command")
            bot.refresh_from_db()
        return bot

    return make
