"""What one schedule plays on: bots, their market and exchange, and two clocks that may disagree."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from django.db import connection, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.test import override_settings

from bots import control, failpoints, reconcile, reset, sweep, tick
from bots.models import Account, BotConfig, BotState, Order, User
from bots.world import World
from tests.engine.bench import make_bot
from tests.engine.market import Market
from tests.level_a import perpetual
from tests.level_a.perpetual import Perpetual
from tests.level_a.venue import Killed, Venue
from trading.market_data import MarketData

LEASE_SECONDS = 60
#: The last point that every tick passes.
AT_LAST = "release.before"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
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
    {
        "strategy": "dca",
        "params": {"orders": 3, "resting": 2, "step": 2, "step_scale": 1},
        "take_profit_perc": D(3),
        "stop_loss_perc": D(15),
        "max_daily_loss_perc": D(5),
    },
    {
        "strategy": "grid",
        "params": {"lowest": 90, "highest": 110, "lines": 6, "resting": 2, "below": "sell"},
        "stop_loss_perc": D(12),
        "daily_target_perc": D(5),
    },
    {
        "mode": "live",
        "position_type": "futures",
        "symbol": perpetual.SYMBOL,
        "leverage": perpetual.LEVERAGE,
        "direction": "both",
        "stop_loss_perc": D(5),
        "take_profit_perc": D(5),
    },
)


@dataclass(frozen=True, kw_only=True)
class Cast:
    """Who plays: made once a process, put back by rolling each schedule back."""

    owner: User
    bots: tuple[BotConfig, ...]

    @property
    def perpetuals(self) -> tuple[BotConfig, ...]:
        """The bots that trade futures."""
        return tuple(bot for bot in self.bots if bot.position_type == "futures")


def make_cast() -> Cast:
    """Make an owner with an account and bots that were never started."""
    owner = User(username="level-a")
    owner.set_unusable_password()
    owner.save()
    accounts = {
        mode: Account.objects.create(owner=owner, exchange="binance", mode=mode, label="level a")
        for mode in ("testnet", "live")
    }
    bots = []
    for number, kind in enumerate(KINDS):
        values = {"mode": "testnet"} | kind
        account = accounts[values["mode"]]
        bot = make_bot(owner, name=f"Level A {number}", account=account, **values)
        # A schedule starts at noon of today, whatever time it is.
        BotConfig.objects.filter(pk=bot.pk).update(created_at=LONG_AGO)
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
    _at_point: tuple[str, Callable[[str], None]] | None = None

    def __post_init__(self) -> None:
        self.spot, self.perpetual = Venue(self.market), Perpetual(self.market)

    @property
    def venues(self) -> tuple[Venue, ...]:
        """All accounts."""
        return self.spot, self.perpetual

    def venue_of(self, bot: BotConfig) -> Venue:
        """Return the account that a bot trades on."""
        return self.perpetual if bot in self.cast.perpetuals else self.spot

    def calm(self) -> None:
        """End every fault, and bring back what was moved by hand."""
        for venue in self.venues:
            venue.calm()

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
            # As in a worker that has run for a while, whatever time it is.
            patch.object(reconcile, "STARTED", LONG_AGO),
            override_settings(LIVE_TRADING_ENABLED=True),
            transaction.atomic(),
        ):
            yield
            transaction.set_rollback(True)

    def pass_time(self, seconds: float) -> None:
        """Move both clocks on; leases that nobody gave back end after a minute."""
        self.elapsed += seconds
        self.market.pass_time(seconds)
        for venue in self.venues:
            venue.arrive()
        ended = [pk for pk, at in self.taken_at.items() if self.elapsed - at > LEASE_SECONDS]
        self.end_leases(ended)

    def end_leases(self, bot_ids: list[int]) -> None:
        """End leases as the database's clock does: the row's version stays."""
        rows = BotState.objects.filter(pk__in=bot_ids, lease_until__gt=Now())
        QuerySet.update(rows, lease_until=Now() - timedelta(seconds=1))
        for pk in bot_ids:
            self.taken_at.pop(pk, None)

    def restart(self) -> None:
        """Let every process be gone: the sweep of the next one frees what they held."""
        self.end_leases([bot.pk for bot in self.cast.bots])
        reconcile.STARTED = self.clock()

    def force(self, share: str, price: str) -> None:
        """Let the exchange close a share of the futures position; nothing else at that moment."""
        self.pass_time(1)
        self.perpetual.force(share, price)
        self.pass_time(1)

    def move(self, share: Decimal) -> None:
        """Let the price move to a share of itself: what rests there is met before anybody looks."""
        self.market.price = (self.market.price * share).quantize(self.market.market.price_tick)
        for venue in self.venues:
            venue.meet()

    def pay(self, amount: Decimal) -> None:
        """Let the futures position pay or receive funding; nothing else at that moment."""
        self.pass_time(1)
        self.perpetual.pay(amount)
        self.pass_time(1)

    def tick(self, bot: BotConfig, after: float = 0) -> Any:
        """Let time pass and tick a bot; returns its outcome, or None."""
        self.pass_time(after)
        free = not self.is_leased(bot)
        if free:
            self.taken_at[bot.pk] = self.elapsed
        found = tick.run(bot.pk, self._world(bot))
        if free and not self.is_leased(bot):
            self.taken_at.pop(bot.pk, None)
        return found

    def compare(self, bot: BotConfig) -> None:
        """Compare a bot with its exchange, as the sweep does with one that nobody ticks."""
        reconcile.reconcile(bot.pk, self._world(bot))

    def sweep(self) -> set[int]:
        """Run the sweep; returns the bots that it wants compared."""
        sent: list[tuple[Any, ...]] = []
        with patch("bots.schedule.send", lambda *message, **_: sent.append(message) or True):
            sweep.sweep()
        return {message[1] for message in sent if message[0] == "bots.tasks.reconcile"}

    def _world(self, bot: BotConfig) -> World:
        data = MarketData(price_ttl_s=0, markets_ttl_s=0, failure_ttl_s=0)
        return World(clock=self.clock, data=data, feed=self.market, exchange=self.venue_of(bot))

    def is_leased(self, bot: BotConfig) -> bool:
        return BotState.objects.filter(pk=bot.pk, lease_until__gt=Now()).exists()

    def tick_until(self, bot: BotConfig, point: str, do: Callable[[str], None]) -> None:
        """Tick, and do something at a failpoint, or at the tick's end where it never came there."""
        self._at_point = (point, do)
        try:
            self.tick(bot)
        finally:
            self._at_point = None

    def kill_at_point(self, bot: BotConfig, point: str) -> None:
        def die(_point: str) -> None:
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

    def kill_at_order(self, bot: BotConfig, when: str, order: int = 0) -> None:
        """Kill the tick as the exchange is about to take one of its orders, or has just done so."""
        venue = self.venue_of(bot)
        venue.kill, venue.spared = when, order
        self._expect_death(lambda: self.tick(bot))
        venue.kill, venue.spared = "", 0

    def freeze(
        self, bot: BotConfig, point: str, seconds: float, meanwhile: Callable[[], None]
    ) -> None:
        """Freeze a tick at a point; it wakes after others did what they did, and goes on."""

        woken: list[tuple[str, BotState, BotState]] = []

        def sleep(reached: str) -> None:
            before = BotState.objects.get(pk=bot.pk)
            self.freezes += 1
            self.pass_time(seconds)
            meanwhile()
            woken.append((reached, before, BotState.objects.get(pk=bot.pk)))

        self.tick_until(bot, point, sleep)
        for reached, before, after in woken:
            self._check_woken(reached, before, after)

    def _check_woken(self, point: str, before: BotState, after: BotState) -> None:
        """What a tick may do that was frozen at `point` while its bot's row changed."""
        was_rolled = before.day_ends_at <= self.clock() or before.counter_day != after.counter_day
        if before.fence != after.fence and not was_rolled:
            version = BotState.objects.get(pk=before.pk).version
            assert version == after.version, "a tick that was overtaken wrote to its bot"
        early = ("tick.claimed", "intent.before", "rung.before")
        if point in early and before.run_epoch != after.run_epoch:
            written = Order.objects.filter(bot=before.pk, fence=before.fence)
            if point == "rung.before":  # a stop for the position may have been placed before
                written = written.filter(purpose=Order.Purpose.RUNG)
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
        if self._at_point is not None and point in (self._at_point[0], AT_LAST):
            do, self._at_point = self._at_point[1], None
            do(point)
