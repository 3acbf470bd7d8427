"""The owner's verbs, written once: page, API, admin and command call these same functions.

Each one changes row, history and schedule in one transaction and nudges the engine on commit.
`by` is the user who asked (None: the system), `via` the door: page, api, admin, command.
"""

import random
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, TypeVar
from uuid import uuid4

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from bots import schedule
from bots.lifecycle import Duty, Mode, Move, Reason, Status, WindDown
from bots.models import (
    Account,
    ApiKey,
    BotConfig,
    BotState,
    Command,
    Outpaced,
    StateEvent,
    User,
)
from trading.day import day_end, local_day

ATTEMPTS = 50
T = TypeVar("T")


class Refusal(Exception):
    """The verb cannot be done now: `reason` is a stable word, `message` says it to a person."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


def record(
    old: BotState | None,
    new: BotState,
    move: Move,
    *,
    by: User | None,
    via: str,
    why: str = "",
) -> StateEvent:
    """Write the history row of a change that has just been made, in its transaction."""
    return StateEvent.objects.create(
        bot_id=new.pk,
        move=move,
        old_status=old.status if old else "",
        old_reason=old.reason if old else "",
        new_status=new.status,
        new_reason=new.reason,
        by=by,
        via=via,
        why=why,
    )


def _outpacing(attempt: Callable[[], T]) -> T:
    """Run a read-and-change until nobody changes the row in between."""
    for turn in range(ATTEMPTS):
        try:
            with transaction.atomic():
                return attempt()
        except (Outpaced, IntegrityError):
            if turn == ATTEMPTS - 1:
                raise
            time.sleep(random.uniform(0, 0.02))  # noqa: S311 - spreads contenders, no secret
    raise AssertionError("unreachable")


def _read(bot_id: int) -> BotConfig:
    return BotConfig.objects.select_related("state", "owner", "account").get(pk=bot_id)


def start(bot: BotConfig, *, by: User | None, via: str) -> BotState:
    """Start a bot: active, state pending, a tick queued after commit. Refusal when it cannot.

    A bot that already starts, runs or waits stays as it is (and is nudged): clicks do no harm.
    """
    state = _outpacing(lambda: _start(bot.pk, by, via))
    schedule.nudge(bot.pk)
    return state


def _start(bot_id: int, by: User | None, via: str) -> BotState:
    bot = _read(bot_id)
    _check_may_start(bot)
    old = bot.state_or_none
    if old and old.duty == Duty.TRADE and old.status not in (Status.STOPPED, Status.ERROR):
        return old
    BotConfig.objects.filter(pk=bot_id).update(is_active=True)
    new = _first_state(bot) if old is None else _restart(old)
    record(old, new, Move.START, by=by, via=via)
    schedule.sync(bot_id, bot.check_interval_seconds)
    return new


def _first_state(bot: BotConfig) -> BotState:
    day = local_day(bot.owner.zone, timezone.now())
    return BotState.objects.create(
        bot=bot, counter_day=day, day_ends_at=day_end(bot.owner.zone, day), run_epoch=1
    )


def _restart(old: BotState) -> BotState:
    return old.change(
        Move.START,
        guard={"version": old.version},
        reason=Reason.START,
        duty=Duty.TRADE,
        wind_down=WindDown.LEAVE,
        run_epoch=old.run_epoch + 1,
        failures=0,
        last_ok_at=None,
        retry_at=None,
        last_error_message="",
        last_error_at=None,
    )


def _check_may_start(bot: BotConfig) -> None:
    if bot.deleted_at:
        raise Refusal("deleted", _("This bot was deleted."))
    if not bot.owner.is_active:
        raise Refusal("owner_inactive", _("The owner of this bot is deactivated."))
    if bot.mode == Mode.LIVE and not settings.LIVE_TRADING_ENABLED:
        raise Refusal(
            "live_disabled",
            _("Live trading is switched off here (LIVE_TRADING_ENABLED)."),
        )
    if bot.mode != Mode.PAPER and bot.exchange not in settings.LIVE_EXCHANGES:
        raise Refusal("paper_only", _("This exchange is offered for paper bots only."))


def stop(
    bot: BotConfig,
    *,
    by: User | None,
    via: str,
    position: str = WindDown.LEAVE,
    reason: Reason = Reason.BY_OWNER,
) -> BotState | None:
    """Stop a bot; `position`: leave it, close it, or stop after the next exit.

    From the answer on no entry is committed. Duty stays `exit` until what is owed is done.
    Returns None for a bot that was never started: there is nothing to stop.
    """
    state = _outpacing(lambda: _stop(bot.pk, by, via, position, reason))
    if state and state.duty == Duty.EXIT:
        schedule.nudge(bot.pk)
    return state


def _stop(bot_id: int, by: User | None, via: str, position: str, reason: Reason) -> BotState | None:
    bot = _read(bot_id)
    old = bot.state_or_none
    if old is None:
        return None
    owes = old.has_unsettled_orders or (old.in_position and position != WindDown.LEAVE)
    # A tick in flight may be about to learn of a fill: it settles under duty exit, then ends it.
    if old.tick_started_at is not None:
        owes = True
    duty = Duty.EXIT if owes else Duty.NONE
    if old.status == Status.STOPPED and old.duty != Duty.TRADE:
        if (old.duty, old.wind_down) == (duty, position):
            return old
        reason = Reason(old.reason)
    BotConfig.objects.filter(pk=bot_id).update(is_active=False)
    new = old.change(
        Move.STOP,
        guard={"version": old.version},
        reason=reason,
        duty=duty,
        wind_down=position,
        run_epoch=old.run_epoch + 1,
        retry_at=None,
    )
    record(old, new, Move.STOP, by=by, via=via, why=position)
    Command.objects.filter(bot_id=bot_id, status=Command.Status.PENDING).update(
        status=Command.Status.REFUSED, result="stopped", ended_at=timezone.now()
    )
    schedule.sync(bot_id, bot.check_interval_seconds if duty == Duty.EXIT else None)
    return new


def command(bot: BotConfig, kind: str, *, by: User | None, via: str) -> Command:
    """Ask the next tick to enter or exit by force. Refusal when one waits or it makes no sense."""
    row = _outpacing(lambda: _command(bot.pk, kind, by, via))
    schedule.nudge(bot.pk)
    return row


def _command(bot_id: int, kind: str, by: User | None, via: str) -> Command:
    expire_commands(bot_id)
    state = BotState.objects.filter(pk=bot_id).first()
    if state is None or state.duty == Duty.NONE:
        raise Refusal("not_running", _("The bot is not running."))
    _check_may_command(state, kind)
    if Command.objects.filter(bot_id=bot_id, status=Command.Status.PENDING).exists():
        raise Refusal("pending", _("A command is already waiting for the next tick."))
    # Touching the row lets the page see the command, and a tick in flight know that it came late.
    state.change(None, guard={"version": state.version})
    return Command.objects.create(
        bot_id=bot_id,
        kind=kind,
        by=by,
        via=via,
        expires_at=timezone.now() + timedelta(seconds=settings.COMMAND_TTL_SECONDS),
    )


def _check_may_command(state: BotState, kind: str) -> None:
    if state.has_unsettled_orders:
        raise Refusal("order_unknown", _("An order is still open or unanswered."))
    if kind == Command.Kind.ENTER and state.duty != Duty.TRADE:
        raise Refusal("not_running", _("The bot is stopping: it opens nothing."))
    if kind == Command.Kind.ENTER and state.in_position:
        raise Refusal("in_position", _("The bot already holds a position."))
    if kind == Command.Kind.EXIT and not state.in_position:
        raise Refusal("flat", _("The bot holds no position."))


def expire_commands(bot_id: int) -> None:
    """Close the bot's commands that waited too long."""
    now = timezone.now()
    Command.objects.filter(
        bot_id=bot_id, status=Command.Status.PENDING, expires_at__lte=now
    ).update(status=Command.Status.EXPIRED, ended_at=now)


def create(owner: User, values: Mapping[str, Any]) -> BotConfig:
    """Make a bot from BotConfig fields (checked: ValidationError names the field).

    A paper bot gets an account, and so a book, of its own.
    """
    with transaction.atomic():
        bot = BotConfig(owner=owner, **values)
        if bot.mode == Mode.PAPER:
            bot.account = Account.objects.create(
                owner=owner,
                exchange=bot.exchange,
                mode=Mode.PAPER,
                label=f"paper {uuid4().hex}",
            )
        bot.full_clean()
        bot.save()
        return bot


def edit(bot: BotConfig, changes: Mapping[str, Any], *, by: User | None, via: str) -> BotConfig:
    """Change a bot's settings (checked). A tick in flight places no order on the old ones."""

    def attempt() -> BotConfig:
        fresh = _read(bot.pk)
        for name, value in changes.items():
            setattr(fresh, name, value)
        fresh.full_clean()
        fresh.save()
        old = fresh.state_or_none
        if old is not None:
            new = old.change(None, guard={"version": old.version}, run_epoch=old.run_epoch + 1)
            record(old, new, Move.EDIT, by=by, via=via, why=", ".join(sorted(changes)))
            if new.duty != Duty.NONE:
                schedule.sync(fresh.pk, fresh.check_interval_seconds)
        return fresh

    return _outpacing(attempt)


def delete(bot: BotConfig, *, by: User | None, via: str) -> None:
    """Hide a bot for good; its ledger stays. Refusal while in position or unsettled."""

    def attempt() -> None:
        state = BotState.objects.filter(pk=bot.pk).first()
        if state and state.in_position:
            raise Refusal("in_position", _("Close the position first: nobody would watch it."))
        if state and (state.has_unsettled_orders or state.tick_started_at):
            raise Refusal("unsettled", _("An order or a tick is under way: try again shortly."))
        if state:
            _stop(bot.pk, by, via, WindDown.LEAVE, Reason.BY_OWNER)
        BotConfig.objects.filter(pk=bot.pk).update(deleted_at=timezone.now(), is_active=False)

    _outpacing(attempt)


def halt(user: User | None, *, flatten: bool, by: User | None, via: str) -> int:
    """Stop every bot with duty of `user`, or of all (None). Returns how many were stopped."""
    bots = BotConfig.objects.filter(state__duty__in=[Duty.TRADE, Duty.EXIT])
    if user is not None:
        bots = bots.filter(owner=user)
    position = WindDown.CLOSE if flatten else WindDown.LEAVE
    count = 0
    for bot in bots:
        stop(bot, by=by, via=via, position=position, reason=Reason.HALT)
        count += 1
    return count


def put_key(owner: User, **fields: str) -> ApiKey:
    """Store a key (see ApiKey.put) and have a worker check it with the exchange."""
    with transaction.atomic():
        key = ApiKey.put(owner=owner, **fields)
        transaction.on_commit(lambda: schedule.send("bots.tasks.check_key", key.pk))
    return key
