"""Candles as rows: stored once, merged, pruned, and never at a tick's cost."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from bots import candles, housekeeping, sweep, tick
from bots.models import BotConfig, BotState, StoredCandles, User
from bots.world import World
from tests.engine.bench import Bench, make_bot
from tests.engine.conftest import Maker
from tests.engine.market import Market
from trading.market import Candles
from trading.market_data import MarketData

MINUTE = 60_000
KEY = candles.key_of("binance", "paper", "BTC/USDT", "1m")


def made(*minutes: int, close: float = 100.5) -> Candles:
    """Candles that open at these minutes."""
    rows = [(minute * MINUTE, 100.25, 101.125, 99.5, close, 0.1 + minute) for minute in minutes]
    return Candles.from_rows("BTC/USDT", "1m", rows)


def stored() -> Candles:
    return candles.latest("binance", "paper", "BTC/USDT", "1m")


def minutes() -> list[int]:
    return [time // MINUTE for time in stored().times]


def writes(queries: CaptureQueriesContext) -> list[str]:
    """The statements that touched the candles' table."""
    return [q["sql"] for q in queries.captured_queries if "storedcandles" in q["sql"]]


def test_what_is_read_is_exactly_what_was_seen(db: None) -> None:
    seen = made(*range(7))
    candles.store(KEY, seen)
    assert stored() == seen
    assert candles.latest("binance", "live", "BTC/USDT", "1m", count=2) == seen.last(2)
    assert len(candles.latest("binance", "testnet", "BTC/USDT", "1m")) == 0
    assert len(candles.latest("binance", "paper", "BTC/USDT", "5m")) == 0


def test_several_markets_are_read_in_one_query(db: None, django_assert_num_queries: Any) -> None:
    other = candles.key_of("kraken", "live", "ETH/USDT", "1h")
    nowhere = candles.key_of("kraken", "live", "BTC/USDT", "1m")
    candles.store(KEY, made(1, 2))
    candles.store(other, Candles.from_rows("ETH/USDT", "1h", [(0, 1.0, 2.0, 0.5, 1.5, 3.0)]))
    with django_assert_num_queries(1):
        found = candles.latest_of([KEY, other, nowhere])
    assert {key: len(value) for key, value in found.items()} == {KEY: 2, other: 1}
    with django_assert_num_queries(0):
        assert candles.latest_of([]) == {}


def test_a_merge_adds_what_is_missing_and_keeps_what_is_stored(db: None) -> None:
    candles.store(KEY, made(4, 5))
    candles.store(KEY, made(5, 6, close=99.75))
    assert minutes() == [4, 5, 6]
    assert stored().close == (100.5, 100.5, 99.75)
    candles.store(KEY, made(2, 3, 4, 5, 6))
    assert minutes() == [2, 3, 4, 5, 6]


def test_a_gap_stays_a_gap_until_somebody_saw_what_is_missing(db: None) -> None:
    candles.store(KEY, made(1, 2))
    candles.store(KEY, made(6, 7))
    assert minutes() == [1, 2, 6, 7]
    candles.store(KEY, made(3, 4, 5, 6, 7, 8))
    assert minutes() == [1, 2, 3, 4, 5, 6, 7, 8]


def test_no_more_than_the_newest_are_kept(db: None) -> None:
    candles.store(KEY, made(*range(499)))
    candles.store(KEY, made(*range(490, 510)))
    assert minutes() == list(range(10, 510))
    # A full row wants nothing that is older than it.
    assert candles.store(KEY, made(*range(510))).oldest <= 0
    assert minutes()[0] == 10


def test_the_second_worker_with_the_same_candle_writes_nothing(db: None) -> None:
    candles.store(KEY, made(1, 2, 3))
    before = StoredCandles.objects.values().get()
    with CaptureQueriesContext(connection) as queries:
        candles.store(KEY, made(2, 3))
    assert StoredCandles.objects.values().get() == before
    assert [sql.split()[0] for sql in writes(queries)] == ["SELECT"]


def test_two_workers_at_once_lose_nothing_that_is_stored(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    candles.store(KEY, made(1, 2))
    merge = candles._merge

    def outrun(old: Candles, seen: Candles) -> Candles:
        monkeypatch.setattr(candles, "_merge", merge)
        candles.store(KEY, made(2, 3, 4))
        return merge(old, seen)

    monkeypatch.setattr(candles, "_merge", outrun)
    candles.store(KEY, made(2, 3))
    assert minutes() == [1, 2, 3, 4]


def a_round(market: Market, bots: list[BotConfig], data: MarketData) -> list[str]:
    """Tick the bots once, as one worker would; what was said to the candles' table."""
    world = World(clock=market.clock, data=data, feed=market)
    with CaptureQueriesContext(connection) as queries:
        for bot in bots:
            assert tick.run(bot.pk, world) is not None
    return [sql.split()[0] for sql in writes(queries)]


def test_a_new_candle_is_stored_once_whatever_the_number_of_bots(alice: User) -> None:
    market, data = Market(), MarketData(price_ttl_s=1)
    bots = [Bench(alice, name=f"Bot {number}").bot for number in range(4)]
    assert a_round(market, bots, data) == ["SELECT", "INSERT"]
    assert len(stored()) == 200
    market.pass_time(1)
    assert a_round(market, bots, data) == []
    market.pass_time(60)
    assert a_round(market, bots, data) == ["SELECT", "UPDATE"]
    assert len(stored()) == 201
    assert stored().times[-1] == market.now() // MINUTE * MINUTE - MINUTE


def test_a_bot_that_looks_further_back_adds_its_past_once(alice: User) -> None:
    market, data = Market(), MarketData(price_ttl_s=1)
    near, far = make_bot(alice), make_bot(alice, name="Far", params={"ema_slow": 90})
    from bots import control

    for bot in (near, far):
        control.start(bot, by=alice, via="page")
    assert a_round(market, [near, far], data) == ["SELECT", "INSERT", "SELECT", "UPDATE"]
    assert len(stored()) == 360
    market.pass_time(60)
    assert a_round(market, [near, far], data) == ["SELECT", "UPDATE"]
    assert len(stored()) == 361


def test_a_failure_to_store_leaves_the_tick_as_it_is(
    bench: Maker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tries: list[object] = []

    def fail(*args: object) -> None:
        tries.append(args)
        raise DatabaseError("the disk is full")

    monkeypatch.setattr(candles, "store", fail)
    b = bench()
    b.tick()
    assert b.where == ("running", "no_signal", "trade")
    assert b.state.lease_until is None
    assert "candles of binance live BTC/USDT 1m are not stored" in caplog.text
    b.tick(after=1)
    assert len(tries) == 1, "it is tried again with the next candle, not with each tick"
    b.tick()
    assert len(tries) == 2


def test_a_failure_in_the_database_ends_no_transaction_around_the_tick(bench: Maker) -> None:
    def fail(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith("INSERT") and "storedcandles" in sql:
            raise DatabaseError("the disk is full")
        return execute(sql, *rest)

    b = bench()
    with connection.execute_wrapper(fail):
        b.tick()
    assert b.where == ("running", "no_signal", "trade")
    assert not StoredCandles.objects.exists()


def test_it_is_stored_after_the_lease_was_given_back(
    bench: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    b, leases = bench(), []
    store = candles.store

    def look(key: candles.Key, seen: Candles) -> object:
        leases.append(b.state.lease_until)
        return store(key, seen)

    monkeypatch.setattr(candles, "store", look)
    b.tick()
    assert leases == [None]


def test_the_memory_of_a_process_has_an_end(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candles, "REMEMBERED", 2)
    for number in range(5):
        bot = BotConfig(exchange=f"exchange{number}", mode="paper")
        candles.keep(bot, made(1))
    assert len(candles._known) <= 2
    assert StoredCandles.objects.count() == 5


def test_candles_go_a_day_after_the_last_bot_of_their_market(bench: Maker) -> None:
    b = bench()
    b.tick()
    testnet = KEY._replace(mode="testnet")
    candles.store(testnet, made(1))
    now = timezone.now()
    day = timedelta(days=1, minutes=1)
    assert housekeeping.prune_candles(now) == 0, "somebody looked at them today"
    assert housekeeping.prune_candles(now + day) == 1, "the bot watches the live market alone"
    assert StoredCandles.objects.get().mode == "live"
    assert housekeeping.prune_candles(now + 9 * day) == 0, "its ticks may only be failing"
    b.stop()
    b.tick()
    BotState.objects.filter(pk=b.bot.pk).update(duty="none")
    StoredCandles.objects.update(updated_at=now - day)
    sweep.sweep()
    assert not StoredCandles.objects.exists()
