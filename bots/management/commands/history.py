"""manage.py history fetch|import|list"""

from argparse import ArgumentParser
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from bots.backtests import past
from bots.lifecycle import PositionType
from bots.models.validity import SIMULATED
from trading import history
from trading.archive import Part, Series, Shelf
from trading.archive.stretches import present
from trading.exchange import ExchangeError
from trading.history import BadHistory, History
from trading.market import TIMEFRAMES


def instant(text: str) -> int:
    """Read 2026-03-01 or 2026-03-01T12:30 (UTC unless it says otherwise) as Unix ms."""
    at = datetime.fromisoformat(text)
    return past.ms(at if at.tzinfo else at.replace(tzinfo=UTC))


def written(at: int) -> str:
    """Return Unix ms as UTC, up to the minute."""
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M")


class Command(BaseCommand):
    help = (
        "Candles of the past, kept as files under DATA_DIR/history for backtests. fetch brings what"
        " is lacking from an exchange, and goes on where it was ended; import reads a CSV file;"
        " list tells what there is. Missing candles are told, never made up."
        " Exit codes: 1 the exchange or a file refused, 2 a wrong argument."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="fetch|import|list")
        fetch = verbs.add_parser("fetch", help="bring candles from an exchange")
        _name(fetch)
        fetch.add_argument("--since", type=instant, required=True, help="2026-03-01, UTC")
        fetch.add_argument("--until", type=instant, help="not included; now unless given")
        read = verbs.add_parser("import", help="read candles from a CSV file")
        _name(read)
        read.add_argument("file", type=Path, help="time, open, high, low, close, volume; or .gz")
        verbs.add_parser("list", help="tell what there is")

    def handle(self, *, verb: str, **options: Any) -> None:
        try:
            if verb == "list":
                self._list()
                return
            series = _series(options)
            if verb == "fetch":
                self._fetch(series, options["since"], options["until"])
            else:
                self._import(series, options["file"])
        except ExchangeError as error:
            raise CommandError(f"{error.text} - run it again, it goes on where it was") from None
        except (BadHistory, OSError, ValueError) as error:
            raise CommandError(str(error)) from None

    def _fetch(self, series: Series, since: int, until: int | None) -> None:
        if series.exchange == SIMULATED:
            raise CommandError("the simulated market needs no files: it is reckoned anew")
        kind = PositionType.FUTURES if ":" in series.symbol else PositionType.SPOT
        end = instant(datetime.now(UTC).isoformat()) if until is None else until
        if since >= end:
            raise CommandError("--since is not before --until")
        told = [-1]

        def tell(share: float) -> None:
            if int(share * 10) > told[0]:
                told[0] = int(share * 10)
                self.stdout.write(f"{told[0] * 10} %")
                self.stdout.flush()

        brought = past.bring(series, kind, since, end, tell)
        found = past.archive().read(series, since, end)
        self.stdout.write(f"{series}: {brought.candles:,} candles fetched, {_told(found)}")
        if brought.refused:
            self.stdout.write(f"{brought.refused:,} refused as none, the first: {brought.reason}")
        if kind == PositionType.FUTURES:
            self._fetch_rates(series, since, end)

    def _fetch_rates(self, series: Series, since: int, end: int) -> None:
        where = (series.exchange, series.symbol, since, end)
        count = past.bring_rates(*where, lambda _share: None)
        there = len(past.rate_archive().read(*where).rates)
        self.stdout.write(f"{count:,} funding rates fetched, {there:,} there")

    def _import(self, series: Series, path: Path) -> None:
        found = history.read_csv(path, series.symbol, series.timeframe)
        asked = tuple(present(found.candles))
        past.archive().add(series, Part(candles=found.candles, asked=asked))
        self.stdout.write(f"{series}: {_told(found)}")
        if found.repeated:
            self.stdout.write(f"{found.repeated:,} lines told a candle twice")

    def _list(self) -> None:
        shelves = list(past.archive().listed())
        if not shelves:
            self.stdout.write("no candles are kept yet")
        for shelf in shelves:
            self.stdout.write(_line(shelf))
        for exchange, symbol, count, first, last in past.rate_archive().listed():
            span = f"{written(first)} to {written(last)}"
            self.stdout.write(f"{exchange} {symbol} funding: {count:,} rates, {span}")


def _name(parser: ArgumentParser) -> None:
    parser.add_argument("exchange", help="a ccxt id: binance")
    parser.add_argument("symbol", help="BTC/USDT, or BTC/USDT:USDT for a perpetual")
    parser.add_argument("timeframe", choices=list(TIMEFRAMES), metavar="timeframe")


def _series(options: dict[str, Any]) -> Series:
    return Series(
        exchange=options["exchange"].strip().lower(),
        symbol=options["symbol"].strip().upper(),
        timeframe=options["timeframe"],
    )


def _told(found: History) -> str:
    if not len(found.candles):
        return "there are none of that time"
    times = found.candles.times
    text = f"{len(times):,} there, {written(times[0])} to {written(times[-1])}"
    if not found.missing:
        return f"{text}, none missing between"
    first = found.gaps[0]
    return (
        f"{text}, {found.missing:,} missing in {len(found.gaps)} gaps, the first from"
        f" {written(first[0])} to {written(first[1])}"
    )


def _line(shelf: Shelf) -> str:
    parts = [f"{shelf.series}: {shelf.count:,} candles"]
    if shelf.count:
        parts.append(f"{written(shelf.first)} to {written(shelf.end)}")
        parts.append(f"{shelf.missing:,} missing" if shelf.missing else "none missing")
    parts.append(f"{shelf.size / 1_048_576:.1f} MiB")
    if shelf.damaged:
        parts.append(f"damaged, fetch them again: {', '.join(shelf.damaged)}")
    return ", ".join(parts)
