"""Exchanges through ccxt: the only file that imports it, and only when first used."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from decimal import Decimal
from functools import lru_cache
from types import ModuleType
from typing import Any

from trading.exchange import Fault, Refused, Unusable
from trading.exchanges.account import FENCE_S, CcxtExchange
from trading.exchanges.answers import bad, candle_rows, rate_rows, ticker_quote
from trading.exchanges.clock import ExchangeClock
from trading.exchanges.credentials import Credentials
from trading.exchanges.errors import Call
from trading.exchanges.futures import CcxtFutures
from trading.exchanges.markets import Markets
from trading.exchanges.meter import Meter
from trading.exchanges.silence import Silences
from trading.market import TIMEFRAMES, Candles, Quote, Rules

__all__ = [
    "CcxtExchange",
    "CcxtFeed",
    "CcxtFutures",
    "Credentials",
    "open_account",
    "preload",
    "shared_feed",
]

#: Candles that are asked for at once.
PAGE = 1000


def _ccxt() -> ModuleType:
    import ccxt

    module: ModuleType = ccxt
    return module


def preload() -> None:
    """Import ccxt now: called in the worker's parent, so that its children share the memory."""
    _ccxt()


@dataclass(eq=False, repr=False)
class CcxtFeed:
    """Public market data of one ccxt exchange (trading.exchange.Feed), shared by a process.

    `mode` live or testnet (paper reads live data); `market_type` spot or swap; `api_base` replaces
    scheme and host of the exchange's REST addresses; `timeout_s` holds for connecting and for
    reading. Markets are loaded again after `markets_ttl_s`, the clock is compared after
    `time_ttl_s` (0: at each question). `silences`: a store shared with other processes, else each
    has its own. `meter` is told of used-up limits and of the exchange's clock. Refused(CLIENT) if
    ccxt cannot serve this.
    """

    exchange_id: str
    _: KW_ONLY
    mode: str = "live"
    market_type: str = "spot"
    api_base: str | None = None
    timeout_s: float = 8.0
    markets_ttl_s: float = 600.0
    time_ttl_s: float = 600.0
    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    silences: Silences | None = None
    meter: Meter | None = None

    def __post_init__(self) -> None:
        wanted = (self.exchange_id, self.market_type, self.mode)
        if wanted == ("binance", "swap", "testnet"):
            text = "ccxt does not serve Binance's futures testnet: use paper or live there"
            raise Refused(Fault.CLIENT, text)
        # Not at the top: whoever only names these classes must not pay for an HTTP client.
        from trading.exchanges.client import Clients

        self.name = self.exchange_id
        self.key = " ".join(filter(None, (*wanted, self.api_base)))
        self.clients = Clients(
            _ccxt(),
            self.exchange_id,
            mode=self.mode,
            market_type=self.market_type,
            api_base=self.api_base,
            timeout_s=self.timeout_s,
            monotonic=self.monotonic,
            wall=self.wall,
            scope=self.key,
            silences=self.silences,
            meter=self.meter,
        )
        self._client = self.clients.client()
        self.markets = Markets(
            self._client.raw,
            self._load_markets,
            market_type=self.market_type,
            ttl_s=self.markets_ttl_s,
            monotonic=self.monotonic,
        )
        self.clock = ExchangeClock(
            self._fetch_time,
            ttl_s=self.time_ttl_s,
            monotonic=self.monotonic,
            wall=self.wall,
            measured=self._tell_clock,
        )

    def __repr__(self) -> str:
        return f"CcxtFeed({self.key})"

    def now(self) -> int:
        """Return the exchange's time, Unix ms."""
        return self.clock.now()

    def symbols(self) -> Mapping[str, Rules]:
        """Return the rules of all markets of this type, keyed by symbol."""
        return self.markets.rules()

    def rules(self, symbol: str) -> Rules:
        """Return one market's rules; Unusable(MARKET_UNKNOWN) if it was delisted or never was."""
        return self.markets.of(symbol)

    def candles(self, symbol: str, timeframe: str, count: int) -> Candles:
        """Return the newest `count` candles that are closed by the exchange's own clock."""
        self._known(symbol, timeframe)
        now, length = self.now(), TIMEFRAMES[timeframe]
        rows: list[tuple[float, ...]] = []
        since = (now // length - count) * length
        while count and since <= now:
            page = self._page(symbol, timeframe, since if count >= PAGE else None, count + 1)
            rows += page
            if count < PAGE or not page or page[-1][0] < since:
                break
            since = int(page[-1][0]) + length
        closed = [row for row in rows if row[0] + length <= now]
        return Candles.from_rows(symbol, timeframe, closed[-count:] if count else [])

    def past(self, symbol: str, timeframe: str, since: int) -> list[tuple[float, ...]]:
        """Return a page of closed candles that opened at `since` (Unix ms) or later."""
        self._known(symbol, timeframe)
        closed = self.now() - TIMEFRAMES[timeframe]
        return [row for row in self._page(symbol, timeframe, since, PAGE) if row[0] <= closed]

    def rates(self, symbol: str, since: int) -> list[tuple[int, Decimal]]:
        """Return a page of a perpetual's funding rates from `since` (Unix ms) on, oldest first.

        Unusable(MARKET_UNKNOWN) where ccxt knows no such list at this exchange.
        """
        self.markets.known(symbol)
        if not self._client.raw.has.get("fetchFundingRateHistory"):
            raise Unusable(Fault.MARKET_UNKNOWN, f"{self.name} does not list funding rates")
        args = (symbol, since, PAGE)
        return rate_rows(self._client.call(Call.READ, "fetch_funding_rate_history", *args))

    def _known(self, symbol: str, timeframe: str) -> None:
        self.markets.known(symbol)
        if timeframe not in (self._client.raw.timeframes or {}):
            raise Unusable(Fault.MARKET_UNKNOWN, f"{self.name} has no {timeframe} candles")

    def _page(
        self, symbol: str, timeframe: str, since: int | None, limit: int
    ) -> list[tuple[float, ...]]:
        args = (symbol, timeframe, since, min(limit, PAGE))
        return candle_rows(self._client.call(Call.READ, "fetch_ohlcv", *args))

    def quote(self, symbol: str) -> Quote:
        """Return bid, ask and last price."""
        self.markets.known(symbol)
        now = self.now()
        ticker = self._client.call(Call.READ, "fetch_ticker", symbol)
        if isinstance(ticker, Mapping) and ticker.get("bid") is None:
            # The ticker of Binance's futures has no book in it.
            books = self._client.call(Call.READ, "fetch_bids_asks", [symbol])
            book = books.get(symbol) if isinstance(books, Mapping) else None
            if not isinstance(book, Mapping):
                raise bad("the answer is no book of this market")
            ticker = {**ticker, "bid": book.get("bid"), "ask": book.get("ask")}
        return ticker_quote(ticker, symbol, now)

    def _tell_clock(self, ahead_ms: float) -> None:
        if self.meter is not None and self._client.raw.has.get("fetchTime"):
            self.meter.ahead(self.key, ahead_ms)

    def _load_markets(self) -> None:
        self._client.call(Call.READ, "load_markets", True)
        self.clients.limits.learn(self._client.raw.last_json_response)

    def _fetch_time(self) -> int:
        if not self._client.raw.has.get("fetchTime"):
            return int(self.wall() * 1000)
        found = self._client.call(Call.VITAL, "fetch_time")
        if not isinstance(found, int):
            raise bad("the exchange's time is no number")
        return found


def open_account(
    feed: CcxtFeed,
    credentials: Credentials,
    *,
    recv_window_ms: int = 5000,
    fence_s: float = FENCE_S,
) -> CcxtExchange:
    """Return the account for the market type of its feed. Refused(CLIENT) as CcxtFutures."""
    kind = CcxtExchange if feed.market_type == "spot" else CcxtFutures
    return kind(feed, credentials, recv_window_ms=recv_window_ms, fence_s=fence_s)


@lru_cache(maxsize=32)
def shared_feed(exchange_id: str, **options: Any) -> CcxtFeed:
    """Return this process's feed for these arguments of CcxtFeed; Refused(CLIENT) as there."""
    return CcxtFeed(exchange_id, **options)


# A connection must not be used by two processes.
os.register_at_fork(after_in_child=shared_feed.cache_clear)
