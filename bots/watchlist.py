"""Candles for watched markets, at a slow cadence: workers ask, pages read the rows.

Whether a bot trades there or not, a watched market has candles of one timeframe: one request each
time one of them closes, a few markets at a time, through the same market data, silences and rate
limits as ticks. Bots go first: this waits for the next sweep as soon as an exchange is in trouble.
"""

import logging
from collections.abc import Iterator
from datetime import datetime
from time import monotonic
from typing import NamedTuple

from django.core.cache import cache

from bots import candles
from bots.connect import feed_of
from bots.markets import WATCHED_TIMEFRAME
from bots.models import Market, StoredCandles
from bots.world import World
from trading.exchange import ExchangeError, Unreachable
from trading.market import TIMEFRAMES

log = logging.getLogger(__name__)

#: Candles asked for: two days and a bit, so that a day's change is known at once.
COUNT = 200
#: Markets of one exchange that one message reads, and for how long at most (seconds).
MOST, LONGEST = 20, 12.0
#: Seconds until a market that gave no candles is asked again.
ASK_AGAIN = 600


class Place(NamedTuple):
    """Whose public data is read."""

    exchange: str
    mode: str
    position_type: str


class _Due(NamedTuple):
    newest: int
    pk: int
    key: candles.Key
    place: Place


def places(now: datetime) -> list[Place]:
    """Return where watched markets wait for a newly closed candle. Two queries."""
    return sorted({due.place for due in _due(now)})


def refresh(place: Place, world: World | None = None) -> int:
    """Read the candles of the watched markets there that lack them longest; returns how many."""
    world = world or World()
    waiting = sorted(due for due in _due(world.clock()) if due.place == place)
    asked = cache.get_many([_mark(due) for due in waiting])
    end, count = monotonic() + LONGEST, 0
    feed = feed_of(*place[:2], world, place.position_type)
    for due in [due for due in waiting if _mark(due) not in asked][:MOST]:
        if monotonic() > end or not cache.add(_mark(due), 1, ASK_AGAIN):
            continue
        try:
            seen = world.data.candles(feed, due.key.symbol, WATCHED_TIMEFRAME, COUNT)
        except Unreachable as error:
            log.info("watched markets of %s wait: %s", place.exchange, error)
            # Nothing is wrong with this market: it is asked with the next message.
            cache.delete(_mark(due))
            break
        except ExchangeError as error:
            log.info("%s of %s gives no candles: %s", due.key.symbol, place.exchange, error)
            continue
        candles.store(due.key, seen)
        cache.delete(_mark(due))
        count += 1
    return count


def _mark(due: _Due) -> str:
    return f"watched-{due.pk}"


def _due(now: datetime) -> Iterator[_Due]:
    """Yield the watched markets whose next candle has closed, each market's data once."""
    watched = Market.objects.filter(watches__isnull=False, is_tradable=True).distinct()
    rows = {_key(market): market for market in watched.order_by("-pk")}
    stored = StoredCandles.objects.filter(
        timeframe=WATCHED_TIMEFRAME, symbol__in={key.symbol for key in rows}
    )
    columns = ("exchange", "mode", "symbol", "timeframe", "newest")
    newest = {candles.Key(*row[:4]): row[4] for row in stored.values_list(*columns)}
    closed = round(now.timestamp() * 1000) - 2 * TIMEFRAMES[WATCHED_TIMEFRAME]
    for key, market in rows.items():
        last = newest.get(key, 0)
        if last <= closed:
            place = Place(key.exchange, key.mode, market.position_type.value)
            yield _Due(last, market.pk, key, place)


def _key(market: Market) -> candles.Key:
    return candles.key_of(market.exchange, market.mode, market.symbol, WATCHED_TIMEFRAME)
