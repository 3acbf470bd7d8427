"""What workers measure by the way: kept in memory, written now and then, in no order's way."""

from datetime import timedelta

import pytest
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from bots import meters, tasks
from bots.lifecycle import Mode
from bots.meters import BOUNDS, Meters
from bots.models import Account, Gauge, TickTimes, User
from bots.watch import find, platform

KEY = "ab" * 32


def queries(act: object) -> int:
    with CaptureQueriesContext(connection) as captured:
        act()  # type: ignore[operator]
    return len(captured)


def test_nothing_is_written_while_an_exchange_is_asked(db: None) -> None:
    one = Meters()
    asked = queries(lambda: one.used("binance", "", "weight/1M", used=1, most=9, seconds=60))
    asked += queries(lambda: one.ahead("binance", 3))
    asked += queries(lambda: one.ticked(0.1))
    asked += queries(one.write)  # not yet
    assert asked == 0
    one.write(at_once=True)
    assert (Gauge.objects.count(), TickTimes.objects.count()) == (2, 1)


def test_the_newest_reading_of_all_processes_is_shown(alice: User) -> None:
    account = Account.objects.create(owner=alice, exchange="binance", mode=Mode.LIVE, label="main")
    one, other = Meters(), Meters()
    for meter, used in ((one, 30), (other, 45), (one, 41)):
        meter.belongs(KEY, account.pk)
        meter.used("binance spot live", KEY, "orders/10S", used=used, most=50, seconds=4)
        meter.write(at_once=True)
    other.used("binance spot live", "", "weight/1M", used=600, most=6000, seconds=-5)
    other.write(at_once=True)
    (orders, weight) = platform.budgets(timezone.now(), 10)
    assert (orders.gauge.value, orders.share, orders.is_near) == (41, 82, True)
    assert orders.gauge.account == account
    assert (weight.share, weight.is_over, weight.is_near) == (10, True, False)
    assert weight.gauge.account is None
    assert [gauge.value for gauge in find("budgets").rows(timezone.now())] == [41]


def test_a_budget_is_near_from_four_fifths_on(db: None) -> None:
    one = Meters()
    for what, used in (("a", 79), ("b", 80)):
        one.used("x", "", what, used=used, most=100, seconds=60)
    one.write(at_once=True)
    assert [row.what for row in find("budgets").rows(timezone.now())] == ["b"]
    assert [b.is_near for b in platform.budgets(timezone.now(), 5)] == [True, False]


def test_clocks_are_off_either_way(db: None) -> None:
    one = Meters()
    for scope, ahead in (("fast", 1000.6), ("fine", 1000.0), ("slow", -1001.0)):
        one.ahead(scope, ahead)
    one.write(at_once=True)
    assert [(c.gauge.scope, c.is_off) for c in platform.clocks()] == [
        ("fast", True),
        ("fine", False),
        ("slow", True),
    ]
    off = find("clocks").rows(timezone.now())
    assert {row.scope for row in off} == {"fast", "slow"}


def test_tick_times_of_all_processes_are_one_distribution(db: None) -> None:
    assert platform.latency(timezone.now()) is None
    one, other = Meters(), Meters()
    other._process = "another"
    for _ in range(50):
        one.ticked(0.1)
        other.ticked(0.1)
    for _ in range(3):
        other.ticked(1.5)
    other.ticked(300.0)  # beyond all buckets
    for meter in (one, other, one):  # written twice, counted once
        meter.write(at_once=True)
    found = platform.latency(timezone.now())
    assert found is not None
    assert (found.ticks, found.slowest) == (104, 300.0)
    assert 0.1 <= found.median < 0.125
    assert 0.1 <= found.p95 < 0.125
    assert 1.5 <= found.p99 < 1.5 * 1.25
    later = timezone.now() + platform.RECENT + timedelta(minutes=2)
    assert platform.latency(later) is None


def test_a_percentile_is_never_above_the_slowest() -> None:
    counts = [0] * (len(BOUNDS) + 1)
    counts[10] = 1
    assert platform.percentile(counts, 0.5, 0.04) == 0.04
    assert platform.percentile(counts, 0.5, 9.0) == BOUNDS[10]


def test_old_tick_times_go(db: None) -> None:
    old = timezone.now() - meters.KEPT - timedelta(minutes=1)
    TickTimes.objects.create(minute=old, process="x", counts=[1], slowest=1)
    one = Meters()
    one.ticked(0.1)
    one.write(at_once=True)
    assert [row.slowest for row in TickTimes.objects.all()] == [0.1]


def test_a_database_that_is_away_breaks_nothing(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    one = Meters()
    one.ticked(0.1)

    def fail(*_: object) -> None:
        raise DatabaseError("away")

    with monkeypatch.context() as patched:
        patched.setattr(one, "_write", fail)
        one.write(at_once=True)
    one.ticked(0.2)
    one.write(at_once=True)
    assert sum(TickTimes.objects.get().counts) == 2


def test_a_tick_in_a_worker_is_timed(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    one = Meters()
    monkeypatch.setattr(tasks, "shared_meters", lambda: one)
    monkeypatch.setattr(tasks.tick, "run", lambda *_, **__: object())
    tasks.run_bot(1)
    monkeypatch.setattr(tasks.tick, "run", lambda *_, **__: None)  # not ours to tick
    tasks.run_bot(1)
    one.write(at_once=True)
    assert sum(TickTimes.objects.get().counts) == 1
