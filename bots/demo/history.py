"""A demo bot's past: the engine itself, run over the simulated market of the last days.

The simulated price is a function of seed, market and time, so the past is there to be looked up
and goes over into the present without a seam. Ticks, paper book, ledger and rollovers are those
of every day; only the clock is set by hand.
"""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from bots import control, reset, schedule, tick
from bots.demo import VIA, aside
from bots.demo.past import PastFeed, Stretch
from bots.lifecycle import Duty, WindDown
from bots.models import BotConfig, BotState
from bots.world import World
from trading import strategies
from trading.market_data import MarketData

#: How often the bot is ticked in its past: the candles that these bots trade by are as long.
STEP = timedelta(hours=1)
#: As long as the bot's row is locked, nobody can start it.
LONGEST_SECONDS = 12.0
#: On a copy nobody waits for us; somebody waits for the demo.
ASIDE_SECONDS = 60.0
FOREVER_SECONDS = 10**9


class TooSlow(Exception):
    """This machine needs too long for so many days; nothing was written."""


@dataclass
class Clock:
    """A clock that is set by hand."""

    at: datetime

    def __call__(self) -> datetime:
        return self.at

    def ms(self) -> int:
        """The same as Unix milliseconds."""
        return round(self.at.timestamp() * 1000)


def longest() -> float:
    """Return how many seconds the history of one bot may take here."""
    return ASIDE_SECONDS if aside.is_possible() else LONGEST_SECONDS


def write(bot: BotConfig, *, end: datetime, days: int, rests_days: int = 0, seconds: float) -> bool:
    """Let a bot that never started live through the `days` before `end`.

    It is there in one transaction: a process that is killed leaves no trace of it, and workers and
    sweeps meet the bot only when it has come to the present. On SQLite it lives on a copy of the
    database. `rests_days`: for so many days it has been stopped. Returns False for a bot that has
    started already. TooSlow after `seconds`.
    """
    if not aside.is_possible():
        return _live(bot, end=end, days=days, rests_days=rests_days, seconds=seconds)
    with aside.copied() as copy:
        # No worker sees this bot yet: nudges would be for nothing.
        with copy.in_use(), schedule.silently():
            fresh = BotConfig.objects.select_related("owner", "account").get(pk=bot.pk)
            lived = _live(fresh, end=end, days=days, rests_days=rests_days, seconds=seconds)
        return lived and copy.bring_over(fresh)


def _live(bot: BotConfig, *, end: datetime, days: int, rests_days: int, seconds: float) -> bool:
    """Do it, in one transaction of the database that is in use."""
    clock = Clock(end - timedelta(days=days))
    world = _world(bot, clock, end)
    limit = time.monotonic() + seconds
    stops_at = end - timedelta(days=rests_days) if rests_days else None
    with transaction.atomic():
        BotConfig.objects.select_for_update().get(pk=bot.pk)
        if BotState.objects.filter(pk=bot.pk).exists():
            return False
        control.start(bot, by=bot.owner, via=VIA, at=clock.at)
        while clock.at <= end:
            if time.monotonic() > limit:
                raise TooSlow(f"{bot.name}: {days} days take longer than {seconds:g} s")
            state = BotState.objects.get(pk=bot.pk)
            if stops_at and clock.at >= stops_at:
                close = WindDown.CLOSE
                control.stop(bot, by=bot.owner, via=VIA, position=close, at=clock.at)
                stops_at = None
            elif reset.is_due(state, clock.at):
                reset.roll_over(clock.at, bot_ids=[bot.pk])
            elif state.duty == Duty.NONE:
                # Paused or stopped: the next thing that happens to it is its daily reset.
                clock.at = min(state.day_ends_at, stops_at or state.day_ends_at)
            else:
                tick.run(bot.pk, world)
                clock.at += STEP
    return True


def _world(bot: BotConfig, clock: Clock, end: datetime) -> World:
    strategy = strategies.get(bot.strategy)
    window = strategy.window(strategies.clean(strategy, bot.params))
    stretch = Stretch(
        symbol=bot.symbol,
        timeframe=bot.timeframe,
        before=window,
        start=clock.ms(),
        end=round(end.timestamp() * 1000),
    )
    feed = PastFeed(settings.MARKET_SEED, clock.ms, stretch)
    data = MarketData(price_ttl_s=1, markets_ttl_s=FOREVER_SECONDS)
    return World(clock=clock, data=data, feed=feed)
