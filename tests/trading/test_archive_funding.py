"""Funding rates that are kept: page by page, month by month, and nothing that nobody told."""

from decimal import Decimal
from pathlib import Path

import pytest

from trading.archive import RateArchive, Told, fetch_rates
from trading.archive.fetch import LATE_MS
from trading.backtest.perpetual import Rates, Terms
from trading.exchange import Fault, Unusable

EIGHT = 28_800_000
#: 2026-02-27 00:00 UTC, two days before a month's end.
START = 1_772_150_400_000
WAVE = ("binance", "WAVE/USDT:USDT")


class NewestFirst:
    """Tells the newest of all its rates, however early the time that it is asked about."""

    def now(self) -> int:
        return START + 20 * EIGHT + 60_000

    def rates(self, symbol: str, since: int) -> list[tuple[int, Decimal]]:
        times = range(max(START, since // EIGHT * EIGHT), self.now(), EIGHT)
        return [(at, rate_at(at)) for at in times][-5:]


class Exchange:
    """Tells a rate every eight hours, three milliseconds late; notes each question."""

    def __init__(self, page: int = 4, first: int = START) -> None:
        self.page, self.first, self.asked = page, first, list[int]()
        self.fails_at = 0

    def now(self) -> int:
        return START + 20 * EIGHT + 60_000

    def rates(self, symbol: str, since: int) -> list[tuple[int, Decimal]]:
        self.asked.append(since)
        if len(self.asked) == self.fails_at:
            raise Unusable(Fault.MARKET_UNKNOWN, "gone")
        times = range(self.first, self.now(), EIGHT)
        rows = [(at + 3, rate_at(at)) for at in times if at + 3 >= since]
        return rows[: self.page]


def rate_at(at: int) -> Decimal:
    return Decimal(at // EIGHT % 7 - 3) / 10_000


@pytest.fixture
def archive(tmp_path: Path) -> RateArchive:
    return RateArchive(tmp_path)


def test_rates_are_kept_by_month_and_asked_for_once(archive: RateArchive) -> None:
    exchange, end = Exchange(), START + 18 * EIGHT
    assert fetch_rates(exchange, archive, *WAVE, START, end) == 18
    names = sorted(path.name for path in archive.folder(*WAVE).glob("*.npz"))
    assert names == ["2026-02.npz", "2026-03.npz"]
    kept = archive.read(*WAVE, START, end)
    assert kept.rates == tuple((at, rate_at(at)) for at in range(START, end, EIGHT))
    assert kept.asked == ((START, end),)
    assert archive.read(*WAVE, START + 1, START + EIGHT + 1).rates == kept.rates[1:2]
    again = Exchange()
    assert fetch_rates(again, archive, *WAVE, START, end) == 0
    assert again.asked == []
    assert list(archive.listed()) == [(*WAVE, 18, START, end - EIGHT)]


def test_a_fetch_that_was_ended_goes_on_there(archive: RateArchive) -> None:
    exchange, end = Exchange(), START + 18 * EIGHT
    exchange.fails_at = 3
    with pytest.raises(Unusable):
        fetch_rates(exchange, archive, *WAVE, START, end)
    ((at, _end),) = archive.lacking(*WAVE, START, end)
    assert at == START + 7 * EIGHT + 60_000
    assert fetch_rates(Exchange(), archive, *WAVE, START, end) == 10
    assert archive.lacking(*WAVE, START, end) == []


def test_before_a_market_was_there_none_was_paid_and_the_newest_may_come_late(
    archive: RateArchive,
) -> None:
    exchange = Exchange(page=100, first=START + 5 * EIGHT)
    now = exchange.now()
    assert fetch_rates(exchange, archive, *WAVE, START, now + EIGHT) == 16
    # Nobody said so: it may be an exchange that tells the newest rates first.
    assert archive.lacking(*WAVE, START, now) == [(START, START + 5 * EIGHT)]
    late = Exchange(page=100, first=now + EIGHT)
    assert fetch_rates(late, archive, *WAVE, START - EIGHT, now) == 0
    quiet = RateArchive(archive.root / "other")
    fetch_rates(late, quiet, *WAVE, START, now)
    assert quiet.lacking(*WAVE, START, now) == [(now - LATE_MS, now)]


def test_what_an_exchange_left_out_is_not_taken_for_none(archive: RateArchive) -> None:
    end = START + 20 * EIGHT
    fetch_rates(NewestFirst(), archive, *WAVE, START, end)
    told = archive.read(*WAVE, START, end)
    dues = list(Terms(rates=Rates(told=told.rates, asked=told.asked)).dues(START, end))
    assert [due.at for due in dues] == list(range(START, end, EIGHT))
    assert [due.is_assumed for due in dues] == [True] * 16 + [False] * 4


def test_a_damaged_month_counts_as_never_asked_about(archive: RateArchive) -> None:
    end = START + 18 * EIGHT
    fetch_rates(Exchange(), archive, *WAVE, START, end)
    (path,) = archive.folder(*WAVE).glob("2026-02.npz")
    path.write_bytes(path.read_bytes()[:-9])
    assert archive.lacking(*WAVE, START, end) == [(START, START + 6 * EIGHT)]
    archive.add(*WAVE, Told(rates=((START, Decimal(0)),), asked=((START, START + 1),)))
    assert archive.read(*WAVE, START, START + 2).asked == ((START, START + 1),)
    with pytest.raises(ValueError, match="no market"):
        archive.folder("..", "x")
