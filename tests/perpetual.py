"""A bot on a perpetual whose candles are kept, so that it can be tried without an exchange."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from bots.backtests import past
from bots.models import BotConfig, Market, User
from tests.pages.builders import bot_of
from trading.archive import Part, Series
from trading.exchange import Fault, Unusable
from trading.exchanges.simulated import SimulatedFeed

PERP = "WAVE/USDT:USDT"
MARKET = {"exchange": "binance", "symbol": PERP, "timeframe": "15m", "strategy": "ema_rsi"}


class Silent:
    """An exchange that tells no rates; it stands in for `past.feed_of`'s."""

    def now(self) -> int:
        return past.ms(timezone.now())

    def rates(self, symbol: str, since: int) -> list[Any]:
        raise Unusable(Fault.MARKET_UNKNOWN, "it does not list funding rates")


def kept_perpetual(owner: User) -> BotConfig:
    """Return a futures bot whose market's candles are kept: those of the simulated WAVE/USDT."""
    Market.objects.create(
        exchange="binance",
        mode="live",
        symbol=PERP,
        base="WAVE",
        quote="USDT",
        amount_step="0.1",
        price_tick="0.001",
        min_notional=5,
        as_of=timezone.now(),
    )
    feed = SimulatedFeed(settings.MARKET_SEED, lambda: past.ms(timezone.now()))
    candles = replace(feed.candles("WAVE/USDT", "15m", 1600), symbol=PERP)
    end = past.ms(timezone.now() + timedelta(hours=1))
    part = Part(candles=candles, asked=((candles.times[0], end),))
    past.archive().add(Series(exchange="binance", symbol=PERP, timeframe="15m"), part)
    held = {"position_type": "futures", "mode": "live", "direction": "both", "leverage": 5}
    size = {"position_size_perc": None, "position_size_fixed": 2000}
    no_limits = dict.fromkeys(("stop_loss_perc", "max_daily_trades", "max_daily_loss_perc"))
    return bot_of(owner, "Both ways", **{**MARKET, **held, **size, **no_limits})
