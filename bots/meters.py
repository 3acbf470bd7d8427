"""What a worker measures by the way, kept in memory and written to rows every few seconds.

Nothing is written while an exchange is being asked: an order's answer must not wait for a database.
What a process had not written yet when it died is lost; it is for people to look at.
"""

import logging
import os
import socket
import threading
import time
from bisect import bisect_left
from copy import copy
from datetime import datetime, timedelta
from functools import cache

from django.db import DatabaseError
from django.utils import timezone

from bots.models import Gauge, TickTimes

log = logging.getLogger(__name__)
#: How often a process writes, in seconds.
WRITE_EVERY = 10.0
#: How long rows are kept.
KEPT = timedelta(hours=1)
#: Upper ends of the buckets, in seconds: 5 ms to about a minute, each a quarter above the last.
BOUNDS = tuple(round(0.005 * 1.25**step, 4) for step in range(43))
UNIQUE = ["kind", "scope", "what", "key"]
CHANGING = ["value", "most", "at", "ends_at", "account"]


class Meters:
    """Implements trading.exchanges.meter.Meter, and times ticks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._gauges: dict[tuple[str, str, str, str], Gauge] = {}
        self._accounts: dict[str, int] = {}
        self._minutes: dict[datetime, TickTimes] = {}
        self._written_at = time.monotonic()
        self._process = f"{socket.gethostname()}:{os.getpid()}"[:80]

    def used(
        self, scope: str, account: str, what: str, *, used: int, most: int, seconds: float
    ) -> None:
        """Note how much of a limit is used up."""
        now = timezone.now()
        self._note(
            Gauge(
                kind=Gauge.Kind.BUDGET,
                scope=scope[:200],
                what=what[:20],
                key=account,
                value=used,
                most=most,
                at=now,
                ends_at=now + timedelta(seconds=seconds),
            )
        )

    def ahead(self, scope: str, milliseconds: float) -> None:
        """Note by how much an exchange's clock is ahead of ours."""
        now, value = timezone.now(), round(milliseconds)
        self._note(Gauge(kind=Gauge.Kind.CLOCK, scope=scope[:200], value=value, at=now))

    def _note(self, gauge: Gauge) -> None:
        with self._lock:
            self._gauges[gauge.kind, gauge.scope, gauge.what, gauge.key] = gauge

    def belongs(self, account: str, account_id: int) -> None:
        """Remember whose key a fingerprint stands for."""
        self._accounts[account] = account_id

    def ticked(self, seconds: float) -> None:
        """Count a tick that took so long."""
        minute = timezone.now().replace(second=0, microsecond=0)
        with self._lock:
            times = self._minutes.get(minute)
            if times is None:
                counts = [0] * (len(BOUNDS) + 1)
                times = TickTimes(minute=minute, process=self._process, counts=counts, slowest=0)
                self._minutes[minute] = times
            times.counts[bisect_left(BOUNDS, seconds)] += 1
            times.slowest = max(times.slowest, seconds)

    def write(self, *, at_once: bool = False) -> None:
        """Write what is new, every WRITE_EVERY seconds at most. Call it outside of transactions."""
        if not at_once and time.monotonic() - self._written_at < WRITE_EVERY:
            return
        self._written_at = time.monotonic()
        with self._lock:
            gauges, self._gauges = list(self._gauges.values()), {}
            minutes = list(self._minutes.values())
            # The running minute goes on being counted; what is over is written this last time.
            newest = max(self._minutes, default=None)
            self._minutes = {m: t for m, t in self._minutes.items() if m == newest}
        try:
            self._write(gauges, minutes)
        except DatabaseError:
            log.warning("measurements could not be written", exc_info=True)

    def _write(self, gauges: list[Gauge], minutes: list[TickTimes]) -> None:
        for gauge in gauges:
            gauge.account_id = self._accounts.get(gauge.key) if gauge.key else None
        if gauges:
            Gauge.objects.bulk_create(
                gauges, update_conflicts=True, unique_fields=UNIQUE, update_fields=CHANGING
            )
        if minutes:
            TickTimes.objects.bulk_create(
                [copy(times) for times in minutes],
                update_conflicts=True,
                unique_fields=["minute", "process"],
                update_fields=["counts", "slowest"],
            )
            TickTimes.objects.filter(minute__lt=timezone.now() - KEPT).delete()


@cache
def shared_meters() -> Meters:
    """Return this process's meters."""
    return Meters()


# A child counts for itself, under its own name.
os.register_at_fork(after_in_child=shared_meters.cache_clear)
