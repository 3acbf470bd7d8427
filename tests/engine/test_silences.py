"""The silences of exchanges as rows: written at once, read by all, and never cut short."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError
from django.utils import timezone

from bots import silences
from bots.connect import feed_of
from bots.models import Silence
from bots.silences import StoredSilences
from bots.world import World
from trading.exchanges.silence import Quiet

pytestmark = pytest.mark.django_db
SCOPE = "binance spot live"


class Clock:
    """The time that the store sees."""

    def __init__(self) -> None:
        self.at = timezone.now()

    def __call__(self) -> Any:
        return self.at

    def pass_time(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(silences.timezone, "now", clock)
    return clock


def test_what_one_process_is_told_another_knows_within_a_second(clock: Clock) -> None:
    one, other = StoredSilences(), StoredSilences()
    assert other.left(SCOPE, Quiet.ALL) <= 0
    one.keep(SCOPE, Quiet.ALL, "", 60, "HTTP 418")
    assert one.left(SCOPE, Quiet.ALL) == 60
    clock.pass_time(1)
    assert other.left(SCOPE, Quiet.ALL) == 59
    clock.pass_time(59)
    assert other.left(SCOPE, Quiet.ALL) <= 0
    row = Silence.objects.get()
    assert (row.scope, row.quiet, row.account, row.why) == (SCOPE, "all", "", "HTTP 418")


def test_a_process_that_starts_anew_knows_at_once(clock: Clock) -> None:
    StoredSilences().keep(SCOPE, Quiet.ALL, "", 60, "")
    assert StoredSilences().left(SCOPE, Quiet.ALL) == 60


def test_a_silence_covers_its_scope_kind_and_account_only(clock: Clock) -> None:
    store = StoredSilences()
    store.keep(SCOPE, Quiet.ORDERS, "a", 60, "")
    assert store.left(SCOPE, Quiet.ORDERS, "a") == 60
    for other in ((SCOPE, Quiet.ORDERS, "b"), (SCOPE, Quiet.ALL, "a"), ("okx", Quiet.ORDERS, "a")):
        assert store.left(*other) <= 0


@pytest.mark.parametrize("same_process", [True, False])
def test_a_shorter_silence_does_not_end_a_longer_one(clock: Clock, same_process: bool) -> None:
    one = StoredSilences()
    one.keep(SCOPE, Quiet.ALL, "", 600, "ban")
    other = one if same_process else StoredSilences()
    other.keep(SCOPE, Quiet.ALL, "", 10, "limit")
    assert StoredSilences().left(SCOPE, Quiet.ALL) == 600
    assert Silence.objects.get().why == "ban"
    one.keep(SCOPE, Quiet.ALL, "", 900, "longer")
    assert Silence.objects.get().why == "longer"


def test_rows_are_read_once_a_second_and_written_once(
    clock: Clock, django_assert_num_queries: Any
) -> None:
    store = StoredSilences()
    store.keep(SCOPE, Quiet.READS, "", 60, "")
    with django_assert_num_queries(1):
        for _ in range(10):
            clock.pass_time(0.09)
            store.left(SCOPE, Quiet.READS)
            store.keep(SCOPE, Quiet.READS, "", 60 - 0.9, "")
    clock.pass_time(1)
    with django_assert_num_queries(1):
        store.left(SCOPE, Quiet.READS)


def test_a_clock_that_goes_back_does_not_stop_the_reading(clock: Clock) -> None:
    store = StoredSilences()
    store.left(SCOPE, Quiet.ALL)
    clock.pass_time(-3600)
    Silence.keep(scope=SCOPE, quiet="all", account="", until=clock() + timedelta(seconds=9), why="")
    assert store.left(SCOPE, Quiet.ALL) == 9


def test_without_a_database_a_process_heeds_what_it_was_told(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise DatabaseError("gone")

    store = StoredSilences()
    monkeypatch.setattr(Silence, "keep", fail)
    monkeypatch.setattr(Silence.objects, "filter", fail)
    store.keep(SCOPE, Quiet.ALL, "", 60, "ban")
    assert store.left(SCOPE, Quiet.ALL) == 60
    assert len(caplog.records) == 2


def test_the_feeds_of_all_bots_heed_the_stored_silences(settings: Any) -> None:
    settings.EXCHANGE_API_BASE = {"binance": "http://127.0.0.1:9"}
    feed: Any = feed_of("binance", "live", World())
    assert feed.clients._silences is silences.shared_silences()
