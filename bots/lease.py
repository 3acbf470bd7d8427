"""One tick at a time: a lease on the state row, fenced, and given back with what the tick found.

No transaction stays open over the network. Every write of a tick carries its fence, so a tick
that was frozen past its lease can change nothing any more.
"""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from bots import decisions, failpoints, holders, schedule
from bots.change import record
from bots.lifecycle import Duty, Move, Reason, Status, WindDown
from bots.models import Account, BotConfig, BotState, Command, Decision, Order, Outpaced
from bots.world import World
from trading import execution, strategies
from trading.market import Candles
from trading.risk import Levels


class LeaseLost(Exception):
    """Another tick took over: this one must leave everything as it is."""


@dataclass(kw_only=True)
class Held:
    """A bot that this tick holds; `state` is the row as this tick last read or wrote it."""

    bot: BotConfig
    state: BotState
    epoch: int  # the run_epoch at the claim: stop, start and edit raise the row's
    day: date  # the trading day this tick judges by: a reset meanwhile moves the row's on
    world: World
    started: datetime
    deadline: float  # time.monotonic()
    candles: Candles | None = None  # what this tick saw, to be stored once it is over
    #: What this tick decided last, and on what: kept with its decision row.
    judged: tuple[execution.View, execution.Decision] | None = None

    @property
    def seconds_left(self) -> float:
        """Seconds until this tick must be over."""
        return self.deadline - time.monotonic()

    @property
    def account(self) -> Account:
        """The bot's account; a tick gets as far as asking for it only when there is one."""
        if self.bot.account is None:
            raise ValueError(f"bot {self.bot.pk} has no account")
        return self.bot.account

    @property
    def has_rungs(self) -> bool:
        """Whether the bot's strategy is one of several orders that rest at once."""
        return strategies.ladder_of(self.bot.strategy) is not None

    @property
    def mine(self) -> dict[str, Any]:
        """The filter that every write of this tick carries."""
        return {"pk": self.bot.pk, "fence": self.state.fence}

    def locked(self) -> BotState:
        """Return the row as it is now, locked until the open transaction ends; LeaseLost if gone.

        SQLite needs no row lock: its IMMEDIATE transaction is alone already.
        """
        fresh = BotState.objects.select_for_update(of=("self",)).filter(**self.mine).first()
        if fresh is None:
            raise LeaseLost(f"bot {self.bot.pk}: fence {self.state.fence} has passed")
        return fresh

    def refresh(self) -> None:
        """Read the row again, after this tick itself wrote it."""
        fresh = BotState.objects.filter(**self.mine).first()
        if fresh is None:
            raise LeaseLost(f"bot {self.bot.pk}: fence {self.state.fence} has passed")
        # The row of a killed tick that this one closed is the newest, and only this tick knows it.
        fresh.decision_id = self.state.decision_id
        self.state = fresh


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a tick found: the move it asks for, and the decision row that says why."""

    move: Move | None
    reason: Reason | None
    action: str
    gate: str
    numbers: Mapping[str, str] = field(default_factory=dict)
    message: str = ""
    order: Order | None = None
    retry_after: float | None = None
    levels: Levels | None = None
    price: Any = None


def claim(
    bot_id: int,
    world: World,
    *,
    only_if_due: bool = False,
    duties: Collection[str] = (Duty.TRADE, Duty.EXIT),
) -> Held | None:
    """Take the bot for one tick, or return None: no such duty, or another tick has it.

    `only_if_due`: also leave a bot alone that was just ticked and has nothing new to do, so that
    copies of one message make one tick.
    """
    for _ in range(5):
        rows = BotConfig.objects.select_related("state", "owner", "account").order_by()
        # Not first(): there is one at most, and to order it costs as much as to read it.
        bot = next(iter(rows.filter(pk=bot_id, state__duty__in=duties)), None)
        if bot is None:
            return None
        state = bot.state
        now = world.clock()
        if only_if_due and not is_due(bot, state, now):
            return None
        free = Q(lease_until=None) | Q(lease_until__lt=Now())
        # The version makes what was read exact: a stop in between fails the claim, not the stop.
        won = BotState.objects.filter(free, pk=bot_id, version=state.version).update(
            fence=state.fence + 1,
            lease_until=Now() + timedelta(seconds=settings.LEASE_SECONDS),
            lease_holder=holders.me(),
            tick_started_at=now,
            last_run_at=now,
            ticked_epoch=state.run_epoch,
        )
        if won:
            return _held(bot, state, world, now)
        if not BotState.objects.filter(free, pk=bot_id).exists():
            return None
    return None


def is_due(bot: BotConfig, state: BotState, now: datetime) -> bool:
    """Whether a bot wants its tick: its interval is half over, or something new waits for it."""
    if state.last_run_at is None or state.ticked_epoch != state.run_epoch:
        return True
    if state.status == Status.STOPPED and state.duty == Duty.TRADE:
        return True  # the day was reset
    since = (now - state.last_run_at).total_seconds()
    interval = bot.check_interval_seconds
    if state.has_unsettled_orders:
        interval = min(interval, settings.MIN_CHECK_INTERVAL_SECONDS)
    # Half of it: a message may come a little early. A clock set back must not silence a bot.
    if since < 0 or since >= interval / 2:
        return True
    return Command.objects.filter(bot=bot, status=Command.Status.PENDING).exists()


def _held(bot: BotConfig, state: BotState, world: World, now: datetime) -> Held:
    interrupted = state.tick_started_at
    state.fence += 1
    state.version += 1
    state.last_run_at = now
    held = Held(
        bot=bot,
        state=state,
        epoch=state.run_epoch,
        day=state.counter_day,
        world=world,
        started=now,
        deadline=time.monotonic() + settings.TICK_DEADLINE_SECONDS,
    )
    if interrupted is not None:
        gone = Outcome(move=None, reason=None, action=Decision.Action.INTERRUPTED, gate="killed")
        state.decision_id = decisions.write(held, gone, fence=state.fence - 1, at=interrupted)
    return held


def release(held: Held, outcome: Outcome) -> Outcome | None:
    """End the tick: decision, status (unless owner or day moved on), lease. None: it was lost."""
    failpoints.reach("release.before", held.bot.pk)
    try:
        try:
            # Nearly always nobody touched the row since this tick last saw it.
            with transaction.atomic():
                _write_end(held, outcome, held.state, {**held.mine, "version": held.state.version})
        except Outpaced:
            with transaction.atomic():
                _write_end(held, outcome, held.locked(), held.mine)
                # Whoever wrote meanwhile sent a nudge that found us in the way.
                schedule.nudge(held.bot.pk)
    except LeaseLost:
        return None
    return outcome


def _write_end(held: Held, outcome: Outcome, row: BotState, guard: dict[str, Any]) -> None:
    changes: dict[str, Any] = {
        "lease_until": None,
        "tick_started_at": None,
        "decision_id": decisions.write(held, outcome, fence=row.fence, at=held.started),
    }
    if outcome.price is not None:
        changes |= {"last_price": outcome.price, "last_price_at": held.started}
    if outcome.levels is not None and row.in_position:
        changes |= level_columns(outcome.levels)
    judged = row.run_epoch == held.epoch and row.counter_day == held.day
    move = outcome.move if judged and row.duty == Duty.TRADE else None
    if move is not None:
        changes |= _verdict(held, row, outcome)
    elif row.status != Status.ERROR:  # what switched the bot off stays to be read
        if outcome.message:
            changes |= {"last_error_message": outcome.message, "last_error_at": held.started}
        elif row.duty == Duty.EXIT:
            changes |= {"last_error_message": ""}
    is_open = row.has_unsettled_orders or row.has_ladder or not row.in_position
    if row.duty == Duty.NONE and owes(row) and is_open:
        # A comparison found an order that nobody knew of, or a stop without its position.
        move, changes["duty"] = Move.SETTLE, Duty.EXIT
    elif row.duty == Duty.EXIT and not owes(row):
        move, changes["duty"] = Move.SETTLE, Duty.NONE
    new = row.change(move, guard=guard, **changes)
    if move is not None and _is_news(row, new):
        at = held.world.clock()
        record(row, new, move, by=None, via="tick", why=outcome.message, at=at)
    if new.duty != row.duty:
        BotConfig.objects.filter(pk=new.pk).update(is_active=False)
        interval = None if new.duty == Duty.NONE else held.bot.check_interval_seconds
        schedule.sync(new.pk, interval)


def owes(state: BotState) -> bool:
    """Whether a bot that does not trade any more still has something to be done."""
    if state.has_ladder:
        return True
    if state.in_position:
        # A stop that rests at the exchange stays with a position that its owner keeps.
        return state.has_unsettled_orders or state.wind_down != WindDown.LEAVE
    return state.has_unsettled_orders or state.has_protection


def _is_news(old: BotState, new: BotState) -> bool:
    return (old.status, old.reason, old.duty) != (new.status, new.reason, new.duty)


def _verdict(held: Held, row: BotState, outcome: Outcome) -> dict[str, Any]:
    """The columns that say how the tick went, for a bot under duty trade."""
    changes: dict[str, Any] = {"reason": outcome.reason}
    if outcome.move == Move.RUN:
        changes |= {"failures": 0, "last_ok_at": held.started, "retry_at": None}
        changes |= {"last_error_message": ""}
    elif outcome.move in (Move.WAIT, Move.FAIL, Move.SWITCH_OFF):
        # Too little money or a halted market is no failure: it never grows into an error.
        failed = outcome.action == Decision.Action.FAILED
        changes |= {"failures": row.failures + 1 if failed else 0, "last_error_at": held.started}
        changes |= {"last_error_message": outcome.message, "retry_at": None}
        if outcome.retry_after is not None:
            changes["retry_at"] = held.started + timedelta(seconds=outcome.retry_after)
    if outcome.move == Move.SWITCH_OFF:
        # Entries are over; a position is watched on as far as the account still lets us.
        changes |= {"wind_down": WindDown.AFTER_EXIT}
        owed = row.has_unsettled_orders or row.has_ladder or row.in_position
        changes |= {"duty": Duty.EXIT if owed else Duty.NONE, "run_epoch": row.run_epoch + 1}
    elif outcome.move == Move.PAUSE:
        left = row.has_unsettled_orders or row.has_ladder
        changes |= {"duty": Duty.EXIT if left else Duty.NONE}
        changes |= {"last_ok_at": held.started, "failures": 0, "run_epoch": row.run_epoch + 1}
        changes |= {"last_error_message": "", "retry_at": None}
    return changes


def level_columns(levels: Levels) -> dict[str, Any]:
    """Return risk levels under the names of BotState's columns."""
    return {
        "stop_loss_price": levels.stop,
        "take_profit_price": levels.target,
        "trailing_stop_price": levels.trailing,
        "max_price_since_entry": levels.max_price,
    }
