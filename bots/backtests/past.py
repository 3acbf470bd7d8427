"""Where candles and funding rates of the past are: in files, or reckoned anew where simulated."""

import logging
import time
from collections.abc import Callable
from datetime import datetime
from typing import cast

from django.conf import settings
from django.utils import timezone

from bots.connect import feed_of
from bots.lifecycle import Mode, PositionType
from bots.models import BotConfig
from bots.models.validity import SIMULATED
from bots.world import World
from trading.archive import Archive, Fetched, RateArchive, Series, Stretch, fetch, fetch_rates
from trading.archive.fetch import Past
from trading.archive.funding import PastRates
from trading.backtest import Rates
from trading.exchange import ExchangeError
from trading.exchanges.simulated import SimulatedFeed
from trading.history import History, gaps
from trading.market import TIMEFRAMES, Candles

log = logging.getLogger(__name__)

Tell = Callable[[float], None]


class Full(Exception):
    """There is no room for more candles: what users ask for is bounded."""


def archive() -> Archive:
    """Return this installation's files of candles."""
    return Archive(settings.DATA_DIR / "history")


def rate_archive() -> RateArchive:
    """Return this installation's files of funding rates."""
    return RateArchive(settings.DATA_DIR / "history")


def series_of(bot: BotConfig) -> Series:
    """Return whose candles a backtest of a bot is made on: those of the live market."""
    return Series(exchange=bot.exchange, symbol=bot.symbol, timeframe=bot.timeframe)


def ms(at: datetime) -> int:
    """Return an instant in Unix milliseconds."""
    return round(at.timestamp() * 1000)


def bring(
    series: Series,
    position_type: str,
    since: int,
    until: int,
    tell: Tell,
    feed: Past | None = None,
) -> Fetched:
    """Fetch what the archive lacks of a series from its exchange (for workers and operators).

    ExchangeError; `tell` as in trading.archive.fetch. Pages never call this.
    """
    store = archive()
    if not store.lacking(series, since, until):
        return Fetched()
    found = feed or cast("Past", feed_of(series.exchange, Mode.LIVE, World(), position_type))
    patient = Patient(tell)
    return fetch(found, store, series, since, until, tell=patient.tell, sleep=patient.sleep)


class Patient:
    """Goes on telling while an exchange is waited for: silence would be taken for death."""

    def __init__(self, tell: Tell) -> None:
        self._tell, self.share = tell, 0.0

    def tell(self, share: float) -> None:
        """Tell which share is done."""
        self.share = share
        self._tell(share)

    def sleep(self, seconds: float) -> None:
        """Wait, and tell each second that it goes on."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, 1.0))
            self._tell(self.share)


def stored(series: Series, since: int, until: int) -> tuple[History, list[Stretch]]:
    """Return the archive's candles, and the stretches that were never fetched. Damaged."""
    store = archive()
    return store.read(series, since, until), store.lacking(series, since, until)


def simulated(symbol: str, timeframe: str, since: int, until: int, tell: Tell) -> History:
    """Return the simulated market's closed candles from `since` up to `until` (Unix ms)."""
    now = ms(timezone.now())
    feed, length = SimulatedFeed(settings.MARKET_SEED, lambda: now), TIMEFRAMES[timeframe]
    rows: list[tuple[float, ...]] = []
    at, end = -(-since // length) * length, min(until, now) // length * length
    begun, whole = at, max(end - at, 1)
    while at < end:
        tell((at - begun) / whole)
        page = feed.past(symbol, timeframe, at)
        rows += [row for row in page if row[0] < end]
        at += len(page) * length
    candles = Candles.from_rows(symbol, timeframe, rows)
    return History(candles=candles, repeated=0, gaps=gaps(candles))


def candles_of(bot: BotConfig, since: int, until: int, tell: Tell) -> History:
    """Return what a backtest of a bot is made on, fetched where it is not there yet.

    For workers. ExchangeError, Damaged, Full; `tell` hears which share is done, and may raise to
    end it.
    """
    if bot.exchange == SIMULATED:
        return simulated(bot.symbol, bot.timeframe, since, until, tell)
    series, store = series_of(bot), archive()
    most = settings.HISTORY_MAX_MB * 1024 * 1024
    if store.lacking(series, since, until) and store.size() >= most:
        raise Full(
            f"{settings.HISTORY_MAX_MB} MiB of candles are kept: an operator has to make room"
        )
    bring(series, bot.position_type, since, until, tell)
    return store.read(series, since, until)


def rates_kept(bot: BotConfig, since: int, until: int) -> Rates:
    """Return what is kept of the funding rates of a bot's market; nothing of a spot market."""
    if bot.position_type != PositionType.FUTURES:
        return Rates()
    told = rate_archive().read(bot.exchange, bot.symbol, since, until)
    return Rates(told=told.rates, asked=told.asked)


def bring_rates(exchange: str, symbol: str, since: int, until: int, tell: Tell) -> int:
    """Fetch the funding rates that are lacking; how many came (for workers and operators).

    ExchangeError, and what `tell` raises: it hears while an exchange is waited for.
    """
    store = rate_archive()
    if not store.lacking(exchange, symbol, since, until):
        return 0
    feed = cast("PastRates", feed_of(exchange, Mode.LIVE, World(), PositionType.FUTURES))
    sleep = Patient(tell).sleep
    return fetch_rates(feed, store, exchange, symbol, since, until, sleep=sleep)


def rates_of(bot: BotConfig, since: int, until: int, tell: Tell) -> Rates:
    """Return the funding rates of a bot's market, fetched where they are not there yet.

    For workers. An exchange that does not tell them is no reason to fail: the result says of how
    many payments the rate is assumed.
    """
    if bot.position_type == PositionType.FUTURES:
        try:
            bring_rates(bot.exchange, bot.symbol, since, until, tell)
        except ExchangeError as error:
            log.warning("funding rates of %s %s: %s", bot.exchange, bot.symbol, error)
    return rates_kept(bot, since, until)
