"""What a tick is given from outside: time and markets. Tests and replays bring their own."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache

from django.conf import settings
from django.utils import timezone

from trading.exchange import Exchange
from trading.market_data import MarketData, SharedFeed


@cache
def shared_data() -> MarketData:
    """Return this process's market data, shared by all bots that it ticks."""
    return MarketData(
        price_ttl_s=settings.PRICE_TTL_SECONDS, markets_ttl_s=settings.MARKETS_TTL_SECONDS
    )


@dataclass(frozen=True, kw_only=True)
class World:
    """`clock` returns the aware time; `feed` (None: the bot's own exchange) its market data.

    `exchange` (None: the bot's own account) is where the orders go.
    """

    clock: Callable[[], datetime] = timezone.now
    data: MarketData = field(default_factory=shared_data)
    feed: SharedFeed | None = None
    exchange: Exchange | None = None

    def now_ms(self) -> int:
        """The clock's time as Unix milliseconds."""
        return round(self.clock().timestamp() * 1000)
