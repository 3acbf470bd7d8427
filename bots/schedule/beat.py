"""Beat for thousands of bots: django-celery-beat's rows, sent in passes and read by change.

What its own DatabaseScheduler does, and why not here:

- It sends one task per loop and compares the whole schedule each time: 30 a second at 10,000 rows.
  Here a heap says what is due, and a pass sends all of that in one pipeline.
- It reads every row again when one changed. Here only rows whose `date_changed` is new are read.
- It counts an interval from the last run, so after a pause everything is due at once. Here every
  bot has its own moment within the interval, the same for ever.
- It hides crontab rows by the hour they name, and can lose midnight. Here no row is hidden.
- It writes whole rows back, and can switch a stopped bot's row on again. Here `last_run_at` and
  the count alone are written, to rows that are still there and still on.

Rows are hints (see bots.schedule): a message lost, doubled or late costs a tick, never an order.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cached_property
from heapq import heapify, heappop, heappush
from typing import Any

from django.db import Error as DatabaseError
from django.db import close_old_connections
from django.db.models import F, Max, Q
from django_celery_beat.schedulers import DatabaseScheduler
from kombu.exceptions import ChannelError, KombuError

from bots.schedule.entries import BOTS, COLUMNS, BotRow, OtherRow, Row

log = logging.getLogger(__name__)

RELOAD_SECONDS = 300.0  # how often all rows are read, whatever the changes say
OVERLAP = timedelta(seconds=60)  # a transaction may commit that long after it stamped its row
PASS_SECONDS = 0.2  # what falls due within this goes out together
PAUSE_SECONDS = 10.0  # a longer gap is a pause: what was missed is spread, not sent all at once
RETRY_SECONDS = 5.0  # after the broker refused
BATCH = 500


class BotScheduler(DatabaseScheduler):  # type: ignore[misc]
    """Named by CELERY_BEAT_SCHEDULER; looks for changes every `max_interval` seconds (5).

    `clock` returns Unix seconds: tests bring their own.
    """

    sync_every = 60  # seconds between two write-backs

    def __init__(self, *args: Any, clock: Callable[[], float] = time.time, **kwargs: Any) -> None:
        self.clock = clock
        self._rows: dict[int, Row] = {}
        self._due: list[tuple[float, int]] = []
        self._ran: dict[int, tuple[int, int]] = {}  # pk -> second of the last run, runs
        self._mark: datetime | None = None
        self._newest = datetime.fromtimestamp(0, UTC)
        self._check_at = self._reload_at = 0.0
        self._passed_at: float | None = None
        self._is_full = False
        super().__init__(*args, **kwargs)

    def setup_schedule(self) -> None:
        """Read nothing yet: a database that is away must not keep beat from coming up."""

    @property
    def schedule(self) -> dict[str, Row]:
        """The rows by name, as Celery knows a schedule."""
        return {row.name: row for row in self._rows.values()}

    def tick(self) -> float:
        """Send everything that is due. Returns the seconds until there may be more."""
        begun = self.clock()
        paused = self._passed_at is None or not 0 <= begun - self._passed_at <= PAUSE_SECONDS
        if paused:
            # Also when the clock was set: nothing that was planned by the old one holds.
            self._check_at = 0.0
        self._read_changes(begun)
        if paused:
            self._plan_all(begun)
        try:
            self._send(self._pop_due(begun), begun)
        except self._broker_errors as error:
            log.warning("broker did not take the due tasks, trying again: %s", error)
            self._hang_up()
            return RETRY_SECONDS
        self._passed_at = now = self.clock()
        until_due = self._due[0][0] - now if self._due else self.max_interval
        return float(min(max(until_due, PASS_SECONDS), self.max_interval))

    # -- Sending ---------------------------------------------------------------------------------

    def _pop_due(self, now: float) -> list[Row]:
        due: dict[int, Row] = {}  # a row that was planned anew may stand there twice
        while self._due and self._due[0][0] <= now:
            at, pk = heappop(self._due)
            row = self._rows.get(pk)
            if row is None or row.due != at:
                continue  # gone, or planned anew
            if row.is_due(now):
                due[pk] = row
            else:
                heappush(self._due, (row.due, pk))
        return list(due.values())

    def _send(self, rows: list[Row], now: float) -> None:
        """Send all or, when the broker fails, none as far as we know: they stay due then."""
        try:
            if rows and self._has_room():
                with self.producer.batch(BATCH):
                    for row in rows:
                        self._publish(row)
            for row in rows:
                row.sent(now)
                self._ran[row.pk] = (int(now), self._ran.get(row.pk, (0, 0))[1] + 1)
        finally:
            for row in rows:
                heappush(self._due, (row.due, row.pk))

    def _publish(self, row: Row) -> None:
        kwargs = row.kwargs if isinstance(row, OtherRow) else {}
        # By name, as nudges are: no task of ours has options of its own.
        self.app.send_task(
            row.task, row.args, kwargs, producer=self.producer, retry=False, **row.options
        )

    def _has_room(self) -> bool:
        """Whether more messages may wait. Without workers the queue would grow without end."""
        try:
            queue = self.app.conf.task_default_queue
            waiting = self.producer.channel.queue_declare(queue, passive=True).message_count
        except ChannelError:
            waiting = 0  # nobody has used the queue yet
        was_full, self._is_full = self._is_full, waiting >= 2 * max(len(self._rows), BATCH)
        if self._is_full and not was_full:
            log.warning("%d messages wait: no more are sent until a worker takes them", waiting)
        return not self._is_full

    @cached_property
    def producer(self) -> Any:
        """One connection for all messages. Stock waits here until the broker is there."""
        return self.Producer(self.connection, auto_declare=False)

    @property
    def _broker_errors(self) -> tuple[type[Exception], ...]:
        errors: tuple[type[Exception], ...] = self.connection.recoverable_connection_errors
        return (*errors, OSError, KombuError, ChannelError)

    def _hang_up(self) -> None:
        errors = self._broker_errors
        self.__dict__.pop("producer", None)
        with suppress(*errors):
            self.__dict__.pop("connection").release()

    # -- Reading rows ----------------------------------------------------------------------------

    def _read_changes(self, now: float) -> None:
        """Bring the rows up to date; without a database beat goes on with those it has."""
        if now < self._check_at:
            return
        self._check_at = now + self.max_interval
        try:
            close_old_connections()
            mark = self.Changes.last_change()
            if not self._rows or not 0 < self._reload_at - now <= RELOAD_SECONDS:
                self._read(Q(), now)
                self._reload_at = now + RELOAD_SECONDS
            elif mark != self._mark:
                self._read(Q(date_changed__gte=self._newest - OVERLAP), now)
            self._mark = mark
        except DatabaseError as error:
            log.warning("schedule not read, going on with %d rows: %s", len(self._rows), error)

    def _read(self, which: Q, now: float) -> None:
        newest = self.Model.objects.aggregate(newest=Max("date_changed"))["newest"]
        off = self.Model.objects.filter(which, enabled=False).values_list("pk", flat=True)
        for pk in off:
            self._rows.pop(pk, None)
        for row in self._enabled(which):
            self._take(row, now)
        if self.Model.objects.enabled().count() != len(self._rows):
            left = set(self.Model.objects.enabled().values_list("pk", flat=True))
            self._rows = {pk: row for pk, row in self._rows.items() if pk in left}
        self._newest = newest or self._newest

    def _enabled(self, which: Q) -> Iterator[Row]:
        enabled = self.Model.objects.enabled().filter(which)
        for values in enabled.filter(BOTS).values_list(*COLUMNS):
            try:
                yield BotRow(values)
            except ValueError:
                log.error("row %r cannot be read", values[1])
        for model in enabled.exclude(BOTS):
            try:
                yield OtherRow(model, self.app, self.clock)
            except (ValueError, AttributeError):
                log.error("row %r cannot be read", model.name)

    def _take(self, row: Row, now: float) -> None:
        old = self._rows.get(row.pk)
        if old is not None:
            if row.same_as(old):
                return
            row.sent_at = max(row.sent_at, old.sent_at)
        row.plan(now)
        self._rows[row.pk] = row
        heappush(self._due, (row.due, row.pk))

    def _plan_all(self, now: float) -> None:
        for row in self._rows.values():
            row.plan(now)
        self._due = [(row.due, row.pk) for row in self._rows.values()]
        heapify(self._due)

    # -- Writing back ----------------------------------------------------------------------------

    def sync(self) -> None:
        """Write when rows were last sent: two columns, one statement for those of one second."""
        groups: dict[tuple[int, int], list[int]] = defaultdict(list)
        for pk, ran in self._ran.items():
            groups[ran].append(pk)
        try:
            close_old_connections()
            for (second, runs), pks in groups.items():
                rows = self.Model.objects.filter(pk__in=pks, enabled=True)
                at = datetime.fromtimestamp(second, UTC)
                rows.update(last_run_at=at, total_run_count=F("total_run_count") + runs)
                for pk in pks:
                    del self._ran[pk]
        except DatabaseError as error:
            log.warning("last runs not written, trying again: %s", error)
