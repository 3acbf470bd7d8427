"""The archive: candles of the past in files, fetched page by page, and what is missing told."""

from pathlib import Path

import pytest

from trading.archive import Archive, Damaged, Part, Series, fetch
from trading.archive.fetch import BLOCK
from trading.archive.stretches import lacking, months, present, span_of
from trading.exchange import Fault, Unreachable
from trading.exchanges.simulated import SimulatedFeed
from trading.history import BadHistory
from trading.market import Candles

MINUTE = 60_000
#: 2026-02-28 22:00 UTC, two hours before a month's end.
START = 1_772_316_000_000
SERIES = Series(exchange="binance", symbol="WAVE/USDT", timeframe="1m")


class Exchange:
    """The simulated market, which notes what it is asked, and fails or lies as it is told."""

    def __init__(self, now: int = START + 10_000 * MINUTE, page: int = 500) -> None:
        self.feed = SimulatedFeed(1, lambda: now)
        self.asked: list[int] = []
        self.page, self.fails_at = page, None
        self.absent: set[int] = set()
        self.bad: dict[int, tuple[float, ...]] = {}

    def now(self) -> int:
        return self.feed.now()

    def past(self, symbol, timeframe, since):
        self.asked.append(since)
        if len(self.asked) == self.fails_at:
            raise KeyboardInterrupt
        rows = self.feed.past(symbol, timeframe, since)[: self.page]
        return [self.bad.get(row[0], row) for row in rows if row[0] not in self.absent]


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path)


def simulated(since: int, count: int) -> Candles:
    feed = SimulatedFeed(1, lambda: since + count * MINUTE)
    return feed.candles("WAVE/USDT", "1m", count)


def test_what_was_fetched_is_what_the_exchange_has_month_by_month(archive: Archive) -> None:
    end = START + 2_000 * MINUTE
    told: list[float] = []
    brought = fetch(Exchange(), archive, SERIES, START, end, tell=told.append)
    assert (brought.candles, brought.refused) == (2_000, 0)
    assert archive.months(SERIES) == ["2026-02", "2026-03"]
    found = archive.read(SERIES, START, end)
    assert found.candles == simulated(START, 2_000)
    assert (found.gaps, found.missing) == ((), 0)
    assert told == sorted(told)
    assert (told[0], told[-1]) == (0.0, 1.0)
    inside = archive.read(SERIES, START + 50 * MINUTE, START + 150 * MINUTE)
    assert inside.candles == simulated(START + 50 * MINUTE, 100)
    (shelf,) = archive.listed()
    assert (shelf.series, shelf.count, shelf.missing) == (SERIES, 2_000, 0)
    assert (shelf.first, shelf.end) == (START, end)


def test_what_is_there_is_not_asked_again(archive: Archive) -> None:
    fetch(Exchange(), archive, SERIES, START + 500 * MINUTE, START + 1_000 * MINUTE)
    exchange = Exchange(page=250)
    fetch(exchange, archive, SERIES, START, START + 1_500 * MINUTE)
    pages = (0, 250, 1_000, 1_250)
    assert exchange.asked == [START + minutes * MINUTE for minutes in pages]
    assert not archive.lacking(SERIES, START, START + 1_500 * MINUTE)


def test_a_fetch_that_was_ended_goes_on_where_it_was(archive: Archive) -> None:
    """What a Ctrl-C leaves is kept; what a kill leaves is whole blocks of it."""
    exchange, end = Exchange(now=START + 30_000 * MINUTE, page=5_000), START + 20_000 * MINUTE
    exchange.fails_at = 4
    with pytest.raises(KeyboardInterrupt):
        fetch(exchange, archive, SERIES, START, end)
    at = START + 15_000 * MINUTE
    assert archive.lacking(SERIES, START, end) == [(at, end)]
    again = Exchange(now=START + 30_000 * MINUTE, page=5_000)
    fetch(again, archive, SERIES, START, end)
    assert again.asked[0] == at
    assert BLOCK == 10_000
    assert len(archive.read(SERIES, START, end).candles) == 20_000


def test_what_the_exchange_does_not_have_is_a_gap_and_asked_once(archive: Archive) -> None:
    exchange, end = Exchange(), START + 1_000 * MINUTE
    exchange.absent = {START + minutes * MINUTE for minutes in range(300, 320)}
    fetch(exchange, archive, SERIES, START, end)
    found = archive.read(SERIES, START, end)
    assert found.gaps == ((START + 300 * MINUTE, START + 320 * MINUTE),)
    assert found.missing == 20
    again = Exchange()
    fetch(again, archive, SERIES, START, end)
    assert again.asked == []


class ShortSighted(Exchange):
    """Speaks of 300 candles in a page, as OKX does, and has none before the market was listed."""

    def past(self, symbol, timeframe, since):
        rows = super().past(symbol, timeframe, since)
        return [row for row in rows if START <= row[0] < since + 300 * MINUTE]


@pytest.mark.parametrize("before", [50, 500, 999, 1_000, 2_750])
def test_no_candle_is_lost_at_a_markets_beginning(archive: Archive, before: int) -> None:
    since, end = START - before * MINUTE, START + 1_500 * MINUTE
    exchange = ShortSighted()
    fetch(exchange, archive, SERIES, since, end)
    found = archive.read(SERIES, since, end)
    assert (found.candles.times[0], len(found.candles)) == (START, 1_500)
    assert archive.lacking(SERIES, since, end) == []
    assert len(exchange.asked) <= before // 1_000 + 1 + 10 + 6


@pytest.mark.parametrize("ends_at", range(1, 8))
def test_a_fetch_that_is_ended_in_a_leap_keeps_only_what_is_sure(
    archive: Archive, ends_at: int
) -> None:
    since, end = START - 700 * MINUTE, START + 900 * MINUTE
    exchange = ShortSighted()
    exchange.fails_at = ends_at
    with pytest.raises(KeyboardInterrupt):
        fetch(exchange, archive, SERIES, since, end)
    fetch(ShortSighted(), archive, SERIES, since, end)
    assert len(archive.read(SERIES, since, end).candles) == 900


def test_a_candle_that_is_none_is_refused_and_missing(archive: Archive) -> None:
    exchange, at = Exchange(), START + 10 * MINUTE
    exchange.bad = {
        at: (at, 10.0, 9.0, 11.0, 10.0, 1.0),
        at + MINUTE: (at + MINUTE + 1, 1, 1, 1, 1, 1),
    }
    brought = fetch(exchange, archive, SERIES, START, START + 100 * MINUTE)
    assert (brought.candles, brought.refused) == (98, 2)
    assert "a high or low that does not hold" in brought.reason
    found = archive.read(SERIES, START, START + 100 * MINUTE)
    assert found.gaps == ((at, at + 2 * MINUTE),)


def test_only_closed_candles_and_one_that_is_late_is_asked_for_again(archive: Archive) -> None:
    now = START + 100 * MINUTE + 30_000
    exchange = Exchange(now=now)
    exchange.absent = {START + 99 * MINUTE}
    fetch(exchange, archive, SERIES, START, now + 10 * MINUTE)
    assert archive.read(SERIES, START, now).candles.times[-1] == START + 98 * MINUTE
    exchange.absent = set()
    fetch(exchange, archive, SERIES, START, now)
    assert archive.read(SERIES, START, now).candles == simulated(START, 100)


def test_no_answer_is_asked_for_again_and_then_told(archive: Archive) -> None:
    class Silent(Exchange):
        def past(self, symbol, timeframe, since):
            self.asked.append(since)
            raise Unreachable(Fault.NETWORK, "no answer")

    silent, slept = Silent(), []
    with pytest.raises(Unreachable):
        fetch(silent, archive, SERIES, START, START + 10 * MINUTE, sleep=slept.append)
    assert (len(silent.asked), slept) == (4, [1.0, 2.0, 4.0])
    assert archive.lacking(SERIES, START, START + MINUTE) == [(START, START + MINUTE)]


@pytest.mark.parametrize("harm", ["cut", "flipped", "empty"])
def test_a_damaged_file_is_noticed_and_fetched_anew(archive: Archive, harm: str) -> None:
    end = START + 200 * MINUTE
    fetch(Exchange(), archive, SERIES, START, end)
    path = archive.folder(SERIES) / "2026-03.npz"
    raw = bytearray(path.read_bytes())
    if harm == "flipped":
        raw[len(raw) // 3] ^= 1
    path.write_bytes({"cut": raw[:-200], "flipped": raw, "empty": b""}[harm])
    with pytest.raises(Damaged, match=r"2026-03\.npz"):
        archive.read(SERIES, START, end)
    assert [shelf.damaged for shelf in archive.listed()] == [("2026-03",)]
    assert archive.lacking(SERIES, START, end) == [(span_of("2026-03")[0], end)]
    fetch(Exchange(), archive, SERIES, START, end)
    assert archive.read(SERIES, START, end).candles == simulated(START, 200)


def test_candles_told_otherwise_are_refused_and_nothing_is_written(archive: Archive) -> None:
    candles = simulated(START, 100)
    archive.add(SERIES, Part(candles=candles, asked=tuple(present(candles))))
    rows = [list(row) for row in zip(candles.times, candles.open, candles.high, strict=True)]
    other = Candles.from_rows(
        SERIES.symbol, "1m", [(at, o + 1, h + 1, o, o + 1, 1.0) for at, o, h in rows]
    )
    with pytest.raises(BadHistory, match="differently"):
        archive.add(SERIES, Part(candles=other, asked=tuple(present(other))))
    assert archive.read(SERIES, START, START + 100 * MINUTE).candles == candles


def test_no_name_leads_out_of_the_archive(archive: Archive) -> None:
    for exchange, symbol in (("..", "BTC/USDT"), ("binance", "../x"), ("", "x"), (".x", "x")):
        with pytest.raises(ValueError, match="no series"):
            archive.folder(Series(exchange=exchange, symbol=symbol, timeframe="1m"))
    odd = Series(exchange="a/../b", symbol="BTC/USDT:USDT", timeframe="1h")
    assert archive.folder(odd).parent.parent.parent == archive.root


def test_stretches_of_time() -> None:
    assert lacking([(10, 20), (30, 40)], 0, 50) == [(0, 10), (20, 30), (40, 50)]
    assert lacking([(0, 50)], 10, 20) == []
    december = 1_767_139_200_000  # 2025-12-31
    day = 86_400_000
    assert list(months(december, december + 2 * day)) == [
        ("2025-12", december, december + day),
        ("2026-01", december + day, december + 2 * day),
    ]
