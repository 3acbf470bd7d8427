"""What one schedule plays on: bots, their market and exchange, and two clocks that may disagree."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from django.db import connection, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from bots import control, failpoints, reconcile, reset, tick
from bots.models import Account, BotConfig, BotState, Order, User
from bots.world import World
from tests.engine.bench import make_bot
from tests.engine.market import Market
from tests.level_a.venue import Killed, Venue
from trading.market_data import MarketData

LEASE_SECONDS = 60
D = Decimal

#: What the bots of a schedule are like.
KINDS: tuple[dict[str, Any], ...] = (
    {"stop_loss_perc": D(5), "take_profit_perc": D(5), "daily_target_perc": D(5)},
    {
        "entry_type": "limit",
        "entry_timeout_seconds": 30,
        "entry_fallback": "market",
        "trailing_stop_perc": D(3),
        "trailing_stop_active": True,
        "max_daily_trades": 5,
        "max_daily_loss_perc": D(5),
    },
)


@dataclass(frozen=True, kw_only=True)
class Cast:
    """Who plays: made once a process, put back by rolling each schedule back."""

    owner: User
    bots: tuple[BotConfig, ...]


def make_cast() -> Cast:
    """Make an owner with an account and bots that were never started."""
    owner = User(username="level-a")
    owner.set_unusable_password()
    owner.save()
    account = Account.objects.create(
        owner=owner, exchange="binance", mode="testnet", label="level a"
    )
    bots = []
    for number, kind in enumerate(KINDS):
        bot = make_bot(owner, name=f"Level A {number}", **kind)
        BotConfig.objects.filter(pk=bot.pk).update(mode="testnet", account=account)
        bot.refresh_from_db()
        bots.append(bot)
    return Cast(owner=owner, bots=tuple(bots))


@dataclass(kw_only=True)
class Stage:
    """One schedule's market, exchange and clocks. Times are virtual; `elapsed` never goes back."""

    cast: Cast
    market: Market = field(default_factory=Market)
    skew: timedelta = timedelta(0)
    elapsed: float = 0
    kills: int = 0
    freezes: int = 0
    taken_at: dict[int, float] = field(default_factory=dict)
    _looks: int = 0
    _at_point: tuple[str, Callable[[], None]] | None = None

    def __post_init__(self) -> None:
        self.venue = Venue(self.market)

    def clock(self) -> datetime:
        """Our own clock: the exchange's, or what it was stepped to."""
        return self.market.at + self.skew

    @contextmanager
    def lights(self) -> Iterator[None]:
        """Roll everything back at the end; meanwhile time is the schedule's own."""
        with (
            patch("django.utils.timezone.now", self.clock),
            patch("bots.lease.time", SimpleNamespace(monotonic=lambda: self.elapsed)),
            patch.object(failpoints, "reach", self._reach),
            patch("bots.schedule.nudge.send", lambda *_args, **_kwargs: True),
            transaction.atomic(),
        ):
            yield
            transaction.set_rollback(True)

    def pass_time(self, seconds: float) -> None:
        """Move both clocks on; leases that nobody gave back end after a minute."""
        self.elapsed += seconds
        self.market.pass_time(seconds)
        self.venue.arrive()
        ended = [pk for pk, at in self.taken_at.items() if self.elapsed - at > LEASE_SECONDS]
        self.end_leases(ended)

    def end_leases(self, bot_ids: list[int]) -> None:
        """End leases as the database's clock does: the row's version stays."""
        rows = BotState.objects.filter(pk__in=bot_ids, lease_until__gt=Now())
        QuerySet.update(rows, lease_until=Now() - timedelta(seconds=1))
        for pk in bot_ids:
            self.taken_at.pop(pk, None)

    def tick(self, bot: BotConfig, after: float = 0) -> Any:
        """Let time pass and tick a bot; returns its outcome, or None."""
        self.pass_time(after)
        free = not self.is_leased(bot)
        if free:
            self.taken_at[bot.pk] = self.elapsed
        found = tick.run(bot.pk, self._world())
        if free and not self.is_leased(bot):
            self.taken_at.pop(bot.pk, None)
        return found

    def compare(self, bot: BotConfig) -> None:
        """Compare a bot with its exchange, as the sweep does with one that nobody ticks."""
        reconcile.reconcile(bot.pk, self._world())

    def _world(self) -> World:
        data = MarketData(price_ttl_s=0, markets_ttl_s=0, failure_ttl_s=0)
        return World(clock=self.clock, data=data, feed=self.market, exchange=self.venue)

    def is_leased(self, bot: BotConfig) -> bool:
        return BotState.objects.filter(pk=bot.pk, lease_until__gt=Now()).exists()

    def tick_until(self, bot: BotConfig, point: str, do: Callable[[], None]) -> bool:
        """Tick, and do something at a failpoint; returns whether the tick came there."""
        self._at_point = (point, do)
        try:
            self.tick(bot)
        finally:
            came = self._at_point is None
            self._at_point = None
        return came

    def kill_at_point(self, bot: BotConfig, point: str) -> None:
        def die() -> None:
            raise Killed

        self._expect_death(lambda: self.tick_until(bot, point, die))

    def kill_at_statement(self, bot: BotConfig, number: int) -> None:
        """Kill the tick before its `number`-th statement; what was not committed is gone."""
        left = number

        def count(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            nonlocal left
            if not sql.startswith(("SAVEPOINT", "RELEASE", "ROLLBACK")):
                left -= 1
                if left == 0:
                    raise Killed
            return execute(sql, params, many, context)

        def tick_counted() -> None:
            with connection.execute_wrapper(count):
                self.tick(bot)

        self._expect_death(tick_counted)

    def kill_at_order(self, bot: BotConfig, when: str) -> None:
        """Kill the tick as the exchange is about to take its order, or has just taken it."""
        self.venue.kill = when
        self._expect_death(lambda: self.tick(bot))
        self.venue.kill = ""

    def freeze(
        self, bot: BotConfig, point: str, seconds: float, meanwhile: Callable[[], None]
    ) -> None:
        """Freeze a tick at a point; it wakes after others did what they did, and goes on."""

        woken: list[tuple[BotState, BotState]] = []

        def sleep() -> None:
            before = BotState.objects.get(pk=bot.pk)
            self.freezes += 1
            self.pass_time(seconds)
            meanwhile()
            woken.append((before, BotState.objects.get(pk=bot.pk)))

        self.tick_until(bot, point, sleep)
        for before, after in woken:
            self._check_woken(point, before, after)

    def _check_woken(self, point: str, before: BotState, after: BotState) -> None:
        """What a tick may do that was frozen at `point` while its bot's row changed."""
        was_rolled = before.day_ends_at <= self.clock() or before.counter_day != after.counter_day
        if before.fence != after.fence and not was_rolled:
            version = BotState.objects.get(pk=before.pk).version
            assert version == after.version, "a tick that was overtaken wrote to its bot"
        if point in ("tick.claimed", "intent.before") and before.run_epoch != after.run_epoch:
            written = Order.objects.filter(bot=before.pk, fence=before.fence)
            assert not written.exists(), "an order came of a tick from before a stop, start or edit"

    def roll_over(self) -> None:
        """The part of the sweep that invariants wait for; the schedule must be right without it."""
        reset.roll_over(self.clock())

    @property
    def writes(self) -> int:
        """A number that stays until somebody writes a row (SQLite); elsewhere it grows."""
        self._looks += 1
        return int(getattr(connection.connection, "total_changes", self._looks))

    def state(self, bot: BotConfig) -> BotState | None:
        return BotState.objects.filter(pk=bot.pk).first()

    def start(self, bot: BotConfig) -> None:
        control.start(bot, by=self.cast.owner, via="api")

    def _expect_death(self, run: Callable[[], object]) -> None:
        try:
            run()
        except Killed:
            self.kills += 1

    def _reach(self, point: str, _bot_id: int) -> None:
        if self._at_point is not None and self._at_point[0] == point:
            do, self._at_point = self._at_point[1], None
            do()
