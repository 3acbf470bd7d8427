"""A market that tests write the script of: its price, its trend, and what it refuses to tell."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count as counter

from tests.trading.feeds import RULES, SYMBOL
from trading.exchange import ExchangeError, Fault, Unusable
from trading.market import TIMEFRAMES, Candles, Quote, Rules

_numbers = counter(1)

#: Steps of two candles in turn: the trend is their sum, the RSI lies between 35 and 65.
TRENDS = {"up": (3.0, -2.0), "down": (-3.0, 2.0), "flat": (0.0, 0.0)}


def closes(trend: str, count: int, end: float) -> list[float]:
    """Return `count` closes of a trend that end at `end`: up buys, down sells, flat does nothing.

    Multiples of 1/1000 of the end price, so that any price may be scripted.
    """
    first, second = TRENDS[trend]
    steps = [first if number % 2 else second for number in range(count)]
    prices = [0.0]
    for step in steps[1:]:
        prices.append(prices[-1] + step)
    return [end * (1 + (price - prices[-1]) / 1000) for price in prices]


class Market:
    """Implements trading.exchange.Feed from attributes that a test sets.

    `at` is the time that World and feed agree on (noon of today: no test meets midnight unasked);
    `trend` says what the strategy sees (by
    timeframe in `trends`); `error`, `candle_error`, `quote_error` and `rules_error` are raised;
    `candles_are` and `quote_is` replace what is told; `on_look` is called once, in mid-tick.
    """

    name = "scripted"

    def __init__(self, *, now: datetime | None = None, price: str = "100") -> None:
        self.key = f"scripted:{next(_numbers)}"
        self.at = now or datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
        self.price = Decimal(price)
        self.ask: Decimal | None = None
        self.trend = "flat"
        self.trends: dict[str, str] = {}
        self.market = replace(RULES, min_notional=Decimal(5))
        self.others: dict[str, Decimal] = {}
        self.missing: set[str] = set()
        self.error: ExchangeError | None = None
        self.candle_error: ExchangeError | None = None
        self.quote_error: ExchangeError | None = None
        self.rules_error: ExchangeError | None = None
        self.candles_are: Candles | None = None
        self.quote_is: Quote | None = None
        self.asked: list[tuple[str, str, int]] = []
        self.on_look: Callable[[], object] | None = None

    def clock(self) -> datetime:
        """Return the scripted time, for World."""
        return self.at

    def pass_time(self, seconds: float = 60) -> None:
        """Move the time on."""
        self.at += timedelta(seconds=seconds)

    def now(self) -> int:
        return round(self.at.timestamp() * 1000)

    def symbols(self) -> Mapping[str, Rules]:
        return {SYMBOL: self.market}

    def rules(self, symbol: str) -> Rules:
        self._maybe_fail(self.rules_error)
        return replace(self.market, symbol=symbol, base=symbol.partition("/")[0])

    def candles(self, symbol: str, timeframe: str, count: int) -> Candles:
        self._maybe_fail(self.candle_error)
        if symbol in self.missing:
            raise Unusable(Fault.MARKET_UNKNOWN, f"{symbol} is not traded here")
        self.asked.append((symbol, timeframe, count))
        if self.on_look is not None:
            hook, self.on_look = self.on_look, None
            hook()
        if self.candles_are is not None:
            return self.candles_are
        return self.make_candles(symbol, timeframe, count)

    def make_candles(self, symbol: str, timeframe: str, count: int) -> Candles:
        """Return sound candles that end at the script's price."""
        length = TIMEFRAMES[timeframe]
        newest = self.now() // length * length - length
        price = float(self.others.get(symbol, self.price))
        prices = closes(self.trends.get(timeframe, self.trend), count, price)
        rows = []
        before = prices[0]
        for number, close in enumerate(prices):
            opened = newest - (count - 1 - number) * length
            rows.append((opened, before, max(before, close), min(before, close), close, 1.0))
            before = close
        return Candles.from_rows(symbol, timeframe, rows)

    def quote(self, symbol: str) -> Quote:
        self._maybe_fail(self.quote_error)
        if self.quote_is is not None:
            return self.quote_is
        ask = self.price if self.ask is None else self.ask
        return Quote(symbol=symbol, bid=self.price, ask=ask, last=self.price, at=self.now())

    def _maybe_fail(self, error: ExchangeError | None) -> None:
        if self.error is not None or error is not None:
            raise self.error or error  # type: ignore[misc]
