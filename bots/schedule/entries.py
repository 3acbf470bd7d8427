"""Rows as beat keeps them: when each is due, and when it was sent last. Times are Unix seconds."""

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeAlias
from zlib import crc32

from celery.utils.time import maybe_make_aware
from django.db import Error as DatabaseError
from django.db.models import Q
from django_celery_beat.schedulers import ModelEntry

from bots.schedule.rows import RUN_BOT

log = logging.getLogger(__name__)

CATCH_UP_SECONDS = 60  # what was missed in a pause is spread over this
SOON_SECONDS = 0.2  # how soon a row may be asked again

#: The rows of bots are all of one kind (bots.schedule.repair sees to that), the others are few.
BOTS = Q(task=RUN_BOT)
COLUMNS = (
    "pk",
    "name",
    "args",
    "interval__every",
    "expire_seconds",
    "last_run_at",
    "date_changed",
)


class BotRow:
    """The row of one bot: due at its own moment of each interval. Times are Unix seconds."""

    __slots__ = ("args", "due", "interval", "name", "options", "pk", "sent_at", "share")
    task = RUN_BOT

    def __init__(self, values: tuple[Any, ...]) -> None:
        """Read the values of COLUMNS; ValueError if somebody made a row that cannot be a bot's."""
        self.pk, self.name, args, self.interval, expires, last_run_at, changed = values
        if not self.interval:
            raise ValueError("no interval")
        self.args = json.loads(args)
        self.options = {"expires": expires} if expires else {}
        # Not Python's hash(): the moment must be the same after a restart and in a second beat.
        self.share = crc32(self.name.encode())
        self.sent_at = (last_run_at or changed).timestamp()
        self.due = 0.0

    def same_as(self, other: object) -> bool:
        """Whether nothing that beat goes by has changed."""
        mine = (self.name, self.args, self.interval, self.options)
        return isinstance(other, BotRow) and mine == (
            other.name,
            other.args,
            other.interval,
            other.options,
        )

    def plan(self, now: float) -> None:
        """Set when it is due next: at its moment. A long wait for one that was missed is cut."""
        phase = self.share % self.interval
        slot = phase + ((now - phase) // self.interval + 1) * self.interval
        missed = slot - self.interval > self.sent_at
        if missed and self.interval > CATCH_UP_SECONDS:
            slot = min(slot, now + self.share % CATCH_UP_SECONDS)
        self.due = slot

    def is_due(self, now: float) -> bool:
        """Whether it is really to be sent, now that its time has come."""
        return True

    def sent(self, now: float) -> None:
        """Take note that it was sent."""
        self.sent_at = now
        self.plan(now)


class OtherRow(ModelEntry):  # type: ignore[misc]
    """Any other row: crontab, one-off and so on, judged by django-celery-beat's own rules."""

    def __init__(self, model: Any, app: Any, clock: Callable[[], float]) -> None:
        self.clock = clock
        super().__init__(model, app=app)
        self.pk, self.changed, self.due = model.pk, model.date_changed, 0.0
        self.schedule.nowfun = self._default_now

    def _default_now(self) -> datetime:
        return datetime.fromtimestamp(self.clock(), UTC)

    @property
    def sent_at(self) -> float:
        return maybe_make_aware(self.last_run_at).timestamp()

    @sent_at.setter
    def sent_at(self, at: float) -> None:
        self.last_run_at = self.model.last_run_at = datetime.fromtimestamp(at, UTC)

    def same_as(self, other: object) -> bool:
        return isinstance(other, OtherRow) and self.changed == other.changed and self == other

    def plan(self, now: float) -> None:
        """Let it be asked at once; a clock that was set back must not silence it."""
        self.due = now
        self.sent_at = min(self.sent_at, now)

    def is_due(self, now: float) -> bool:
        try:
            due, again = super().is_due()  # switches one-off and expired rows off
        except DatabaseError as error:
            log.warning("row %r not judged: %s", self.name, error)
            due, again = False, CATCH_UP_SECONDS
        if not due:
            # Asked again soon whatever the estimate says: clocks are set, days have 23 hours.
            self.due = now + min(max(again, SOON_SECONDS), CATCH_UP_SECONDS)
        return bool(due)

    def sent(self, now: float) -> None:
        self.sent_at, self.due = now, now + SOON_SECONDS
        self.model.total_run_count += 1


Row: TypeAlias = BotRow | OtherRow
