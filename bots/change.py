"""How a state row is changed: read, write if it still is as it was read, leave an event."""

import random
import time
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from django.db import IntegrityError, transaction
from django.utils import timezone

from bots.lifecycle import Move
from bots.models import BotConfig, BotState, Outpaced, StateEvent, User

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
    at: datetime | None = None,
) -> StateEvent:
    """Write the history row of a change that has just been made, in its transaction.

    `at` (None: now): when it was, by the clock of whoever changed the state.
    """
    return StateEvent.objects.create(
        bot_id=new.pk,
        at=at or timezone.now(),
        move=move,
        old_status=old.status if old else "",
        old_reason=old.reason if old else "",
        new_status=new.status,
        new_reason=new.reason,
        by=by,
        via=via,
        why=why,
        run_epoch=new.run_epoch,
    )


def outpacing(attempt: Callable[[], T]) -> T:
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


def read(bot_id: int) -> BotConfig:
    return BotConfig.objects.select_related("state", "owner", "account").get(pk=bot_id)
