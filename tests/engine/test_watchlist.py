"""Watched markets get their candles from workers, seldom, and from nobody else."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bots import candles, schedule, sweep, watchlist
from bots.models import Market, StoredCandles, User, Watch
from bots.world import World
from tests.pages.builders import market
from trading.exchange import Fault, Unreachable, Unusable
from trading.exchanges.simulated import SimulatedFeed
from trading.market import Candles
from trading.market_data import MarketData

PLACE = watchlist.Place("simulated", "live", "spot")


class Counting(SimulatedFeed):
    """The simulated market, which takes note of what it is asked and fails where it is told to."""

    def __init__(self, clock: Callable[[], int]) -> None:
        super().__init__(1, clock)
        self.asked: list[str] = []
        self.errors: dict[str, Exception] = {}

    def candles(self, symbol: str, timeframe: str, count: int) -> Candles:
        self.asked.append(symbol)
        if error := self.errors.get(symbol):
            raise error
        return super().candles(symbol, timeframe, count)


@dataclass
class Stage:
    """A clock to set, a feed that counts, and the task's own act."""

    now: datetime
    feed: Counting | None = None

    def refresh(self) -> list[str]:
        """Refresh once; returns what the exchange was asked for."""
        assert self.feed is not None
        self.feed.asked.clear()
        data = MarketData(price_ttl_s=0, markets_ttl_s=0, failure_ttl_s=0)
        watchlist.refresh(PLACE, World(clock=lambda: self.now, data=data))
        return list(self.feed.asked)


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    made = Stage(now=datetime(2026, 3, 1, 12, 3, tzinfo=UTC))
    made.feed = Counting(lambda: round(made.now.timestamp() * 1000))
    monkeypatch.setattr(watchlist, "feed_of", lambda *_: made.feed)
    return made


def _watched(user: User, *symbols: str, **values: Any) -> list[Market]:
    rows = [market(symbol, **values) for symbol in symbols]
    for row in rows:
        Watch.put(user, row, on=True)
    return rows


def test_a_watched_market_is_asked_once_a_candle(stage: Stage, alice: User, bob: User) -> None:
    rows = _watched(alice, "BTC/USDT")
    Watch.put(bob, rows[0], on=True)
    market("ETH/USDT")
    assert stage.refresh() == ["BTC/USDT"]
    kept = candles.latest("simulated", "paper", "BTC/USDT", "15m")
    assert len(kept) == watchlist.COUNT
    assert stage.refresh() == []
    stage.now += timedelta(minutes=15)
    assert watchlist.places(stage.now) == [PLACE]
    assert stage.refresh() == ["BTC/USDT"]
    assert len(candles.latest("simulated", "paper", "BTC/USDT", "15m")) == watchlist.COUNT + 1
    Watch.put(alice, rows[0], on=False)
    Watch.put(bob, rows[0], on=False)
    stage.now += timedelta(hours=1)
    assert watchlist.places(stage.now) == []
    assert stage.refresh() == []


def test_the_oldest_come_first_and_only_so_many(
    stage: Stage, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchlist, "MOST", 2)
    _watched(alice, "BTC/USDT", "ETH/USDT", "SOL/USDT")
    assert stage.refresh() == ["BTC/USDT", "ETH/USDT"]
    stage.now += timedelta(minutes=15)
    assert stage.refresh() == ["SOL/USDT", "BTC/USDT"]
    monkeypatch.setattr(watchlist, "LONGEST", -1.0)
    assert stage.refresh() == []


def test_a_market_without_candles_waits_and_keeps_no_other_back(stage: Stage, alice: User) -> None:
    _watched(alice, "BTC/USDT", "ETH/USDT")
    assert stage.feed is not None
    stage.feed.errors["BTC/USDT"] = Unusable(Fault.BROKEN_DATA, "a gap")
    assert stage.refresh() == ["BTC/USDT", "ETH/USDT"]
    assert stage.refresh() == []
    assert StoredCandles.objects.count() == 1


def test_an_exchange_in_trouble_is_left_alone_until_the_next_message(
    stage: Stage, alice: User
) -> None:
    _watched(alice, "BTC/USDT", "ETH/USDT")
    assert stage.feed is not None
    stage.feed.errors["BTC/USDT"] = Unreachable(Fault.RATE_LIMIT, "slow down", sent=False)
    assert stage.refresh() == ["BTC/USDT"]
    stage.feed.errors.clear()
    assert stage.refresh() == ["BTC/USDT", "ETH/USDT"]


def test_halted_markets_and_twin_lists_cost_nothing(stage: Stage, alice: User) -> None:
    _watched(alice, "BTC/USDT")
    _watched(alice, "BTC/USDT", mode="live")
    _watched(alice, "HALT/USDT", is_tradable=False)
    assert stage.refresh() == ["BTC/USDT"]


def test_the_sweep_sends_for_watched_markets_alone(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[Any, ...]] = []
    monkeypatch.setattr(schedule, "send", lambda task, *args, **_: sent.append((task, *args)))
    _watched(alice, "BTC/USDT", exchange="binance", mode="testnet")
    market("ETH/USDT", exchange="kraken")
    assert sweep.sweep()["watched"] == 1
    asked = [row[1:] for row in sent if row[0] == "bots.tasks.refresh_watched"]
    assert asked == [("binance", "testnet", "spot")]
