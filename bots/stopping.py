"""Stop, of one bot and of many: from the answer on no entry is committed."""

from collections.abc import Iterable
from datetime import datetime
from functools import partial
from typing import Any

from django.db import OperationalError, transaction
from django.db.models import F, Q
from django.utils import timezone

from bots import schedule
from bots.change import outpacing, read, record
from bots.following import follow
from bots.lifecycle import Duty, Move, Reason, Status, WindDown
from bots.models import BotConfig, BotState, Command, Outpaced, StateEvent, User

CHUNK = 500


def stop(
    bot: BotConfig,
    *,
    by: User | None,
    via: str,
    position: str = WindDown.LEAVE,
    reason: Reason = Reason.BY_OWNER,
    why: str = "",
    at: datetime | None = None,
) -> BotState | None:
    """Stop a bot; `position`: leave it, close it, or stop after the next exit.

    From the answer on no entry is committed. Duty stays `exit` until what is owed is done. `why`:
    what whoever asked says of it; the history keeps it. `at` (None: now): when, for a replay of
    past candles.
    Returns None for a bot that was never started: there is nothing to stop.
    """
    state = outpacing(lambda: stop_once(bot.pk, by, via, position, reason, why, at))
    if state and state.duty == Duty.EXIT:
        schedule.nudge(bot.pk)
    told = partial(stop, by=by, via=via, position=position, reason=reason, why=why, at=at)
    follow(bot, told)
    return state


def stop_once(
    bot_id: int,
    by: User | None,
    via: str,
    position: str,
    reason: Reason,
    why: str = "",
    at: datetime | None = None,
) -> BotState | None:
    """Stop inside the caller's transaction; Outpaced when the row changed meanwhile."""
    bot = read(bot_id)
    old = bot.state_or_none
    if old is None:
        return None
    changes = _changes(old, position, reason)
    if changes is None:
        return old
    new = old.change(
        Move.STOP,
        guard={"version": old.version},
        run_epoch=old.run_epoch + 1,
        **changes,
    )
    BotConfig.objects.filter(pk=bot_id).update(is_active=False)
    record(old, new, Move.STOP, by=by, via=via, why=_told(position, why), at=at)
    _refuse_commands([bot_id])
    schedule.sync(bot_id, bot.check_interval_seconds if new.duty == Duty.EXIT else None)
    return new


def _changes(old: BotState, position: str, reason: Reason) -> dict[str, Any] | None:
    """Return what Stop makes of a row; None where it already is so."""
    owes = old.has_unsettled_orders or (old.in_position and position != WindDown.LEAVE)
    owes = owes or old.has_ladder or (old.has_protection and not old.in_position)
    # A tick in flight may be about to learn of a fill: it settles under duty exit, then ends it.
    if old.tick_started_at is not None:
        owes = True
    duty = Duty.EXIT if owes else Duty.NONE
    if old.status == Status.STOPPED and old.duty != Duty.TRADE:
        if (old.duty, old.wind_down) == (duty, position):
            return None
        reason = Reason(old.reason)
    return {"reason": reason, "duty": duty, "wind_down": position, "retry_at": None}


def _told(position: str, why: str) -> str:
    """Return what the history says of a stop: what becomes of the position, and why."""
    return f"{position}: {why}" if why else position


def _refuse_commands(bot_ids: Iterable[int]) -> None:
    Command.objects.filter(bot_id__in=bot_ids, status=Command.Status.PENDING).update(
        status=Command.Status.REFUSED, result="stopped", ended_at=timezone.now()
    )


def halt(user: User | None, *, flatten: bool, by: User | None, via: str, why: str = "") -> int:
    """Stop every bot of `user`, or of all (None), that has duty or would resume by itself.

    `flatten` closes every position, also those that stopped bots left. A thousand bots are stopped
    by a handful of statements, so that no new order is written a second after the click. Returns
    how many bots were told. Those that are busy do not spare the others: Outpaced names them.
    """
    concerned = Q(duty__in=[Duty.TRADE, Duty.EXIT]) | Q(status=Status.PAUSED)
    if flatten:
        concerned |= Q(in_position=True)
    states = BotState.objects.filter(concerned)
    if user is not None:
        states = states.filter(bot__owner=user)
    ids = list(states.order_by("pk").values_list("pk", flat=True))
    position = WindDown.CLOSE if flatten else WindDown.LEAVE
    chunks = [ids[start : start + CHUNK] for start in range(0, len(ids), CHUNK)]
    told: list[int] = []
    busy: list[int] = []
    for chunk in chunks:
        try:
            told += outpacing(partial(_halt, chunk, position, by, via, why))
        except (Outpaced, OperationalError):
            busy += chunk
    _tidy_up(told)
    if busy:
        names = ", ".join(str(pk) for pk in busy)
        raise Outpaced(f"stopped: {len(told)}; busy, not stopped: bots {names}")
    return len(told)


def _halt(ids: list[int], position: str, by: User | None, via: str, why: str = "") -> list[int]:
    """Stop these bots in one transaction, equal ones by one statement. Returns their ids."""
    rows = BotState.objects.select_for_update().filter(pk__in=ids).order_by("pk")
    groups: dict[tuple[tuple[str, Any], ...], list[BotState]] = {}
    for row in rows:
        changes = _changes(row, position, Reason.HALT)
        if changes is not None:
            groups.setdefault(tuple(changes.items()), []).append(row)
    for key, states in groups.items():
        pks = [state.pk for state in states]
        changes = {**dict(key), "status": Status.STOPPED, "run_epoch": F("run_epoch") + 1}
        BotState.objects.filter(pk__in=pks).update(**changes)
        StateEvent.objects.bulk_create(_event(state, dict(key), by, via, why) for state in states)
    BotConfig.objects.filter(pk__in=ids, is_active=True).update(is_active=False)
    _refuse_commands(ids)
    return ids


def _event(
    old: BotState, changes: dict[str, Any], by: User | None, via: str, why: str
) -> StateEvent:
    return StateEvent(
        bot_id=old.pk,
        move=Move.STOP,
        old_status=old.status,
        old_reason=old.reason,
        new_status=Status.STOPPED,
        new_reason=changes["reason"],
        by=by,
        via=via,
        why=_told(changes["wind_down"], why),
        run_epoch=old.run_epoch + 1,
    )


def _tidy_up(ids: list[int]) -> None:
    """Bring beat's rows in line and nudge the bots that have something left to be done.

    After the stops, since each row that goes is a statement of its own; the sweep does the same.
    """
    for start in range(0, len(ids), CHUNK):
        chunk = ids[start : start + CHUNK]
        with transaction.atomic():
            states = BotState.objects.select_for_update().filter(pk__in=chunk).order_by("pk")
            duty = {state.pk: state.duty for state in states.select_related("bot")}
            seconds = dict(
                BotConfig.objects.filter(pk__in=chunk).values_list("pk", "check_interval_seconds")
            )
            at_work = {pk: seconds[pk] for pk in chunk if duty[pk] != Duty.NONE}
            schedule.repair(at_work, [schedule.row_name(pk) for pk in chunk])
        schedule.nudge_spread(list(at_work), 0)
