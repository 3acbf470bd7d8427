"""Market data shared by all bots of a process, and the checks without which no order is built."""

from trading.exchange import Feed
from trading.market import Candles, Quote, Rules


def check_candles(candles: Candles, now: int) -> None:
    """Raise Unusable unless these closed candles may feed an order; `now`: exchange time, ms."""
    raise NotImplementedError


def check_quote(quote: Quote, now: int | None = None, max_age_ms: int = 600_000) -> None:
    """Raise Unusable unless this quote may feed an order; its age counts when `now` is given."""
    raise NotImplementedError


class MarketData:
    """Candles, quotes and rules per `feed.key` and market: fetched once, checked, shared."""

    def __init__(
        self,
        *,
        price_ttl_s: float = 2.0,
        markets_ttl_s: float = 60.0,
        failure_ttl_s: float = 2.0,
        max_entries: int = 4096,
    ) -> None:
        raise NotImplementedError

    def candles(self, feed: Feed, symbol: str, timeframe: str, count: int) -> Candles:
        """Return the newest `count` closed candles; ExchangeError (Unusable for bad data)."""
        raise NotImplementedError

    def quote(self, feed: Feed, symbol: str) -> Quote:
        """Return a quote at most `price_ttl_s` old; ExchangeError."""
        raise NotImplementedError

    def rules(self, feed: Feed, symbol: str) -> Rules:
        """Return the market's rules, at most `markets_ttl_s` old; Unusable(MARKET_UNKNOWN)."""
        raise NotImplementedError
