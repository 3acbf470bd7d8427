"""Does the platform live: signs of life, tick times, limits in use, clocks; all from rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Max
from django.utils.translation import gettext_lazy as _

from bots import schedule
from bots.meters import BOUNDS
from bots.models import Gauge, Heartbeat, Inspection, TickTimes
from bots.watch.conditions import CLOCK_MS, NEARLY

#: Over which time tick times are summed.
RECENT = timedelta(minutes=15)
#: Beat writes when it last sent something once a minute.
BEAT_SECONDS = 180
#: Midnight comes once a day, and once in a year a day has 25 hours; the next one is on its way.
RESET_SECONDS = 25 * 3600 + 600
#: What nobody waits for, as the demo's history, is over when it was silent for so long.
JOB_SECONDS = 60
#: For so long nobody else takes the turn of a worker that was killed, and a little more.
LEASE_SECONDS = 180


@dataclass(frozen=True, kw_only=True)
class Sign:
    """A part of the platform: when it last gave a sign, and its note.

    `is_late` says that it should have given another one since, `is_over` that it was a job that
    has ended.
    """

    label: Any
    at: datetime | None
    note: str = ""
    is_late: bool = False
    is_over: bool = False


def signs(now: datetime) -> list[Sign]:
    """Return the signs of life of beat, worker, sweep, daily reset, and of whatever else beats."""
    beats = {beat.name: beat for beat in Heartbeat.objects.all()}
    rows = [_sign(_("beat"), schedule.beat_seen(), BEAT_SECONDS, "", now)]
    known: list[tuple[str, Any, float]] = [
        # Beat sends the canary that the worker answers: one sign of life for both.
        ("worker", _("worker"), 3 * settings.CANARY_SECONDS),
        ("sweep", _("sweep"), 3 * settings.SWEEP_SECONDS),
        ("reset", _("daily reset"), RESET_SECONDS),
        ("alerts", _("alerts"), max(9 * settings.ALERTS_SECONDS, LEASE_SECONDS)),
    ]
    for name, label, allowed in known:
        beat = beats.pop(name, None)
        at, note = (beat.at, beat.note) if beat else (None, "")
        if at is None and name == "reset":
            # No midnight has come since the platform was set up.
            rows.append(Sign(label=label, at=None))
        else:
            rows.append(_sign(label, at, allowed, note, now))
    for job in beats.values():
        is_over = (now - job.at).total_seconds() > JOB_SECONDS
        rows.append(Sign(label=job.name, at=job.at, note=job.note, is_over=is_over))
    return rows


def _sign(label: Any, at: datetime | None, allowed: float, note: str, now: datetime) -> Sign:
    is_late = at is None or (now - at).total_seconds() > allowed
    return Sign(label=label, at=at, note=note, is_late=is_late)


@dataclass(frozen=True, kw_only=True)
class Latency:
    """How long recent ticks took, in seconds; the percentiles are upper ends of buckets."""

    ticks: int
    median: float
    p95: float
    p99: float
    slowest: float


def latency(now: datetime) -> Latency | None:
    """Return how long the ticks of the last RECENT took in all workers; None without any."""
    rows = TickTimes.objects.filter(minute__gte=now - RECENT)
    counts = [0] * (len(BOUNDS) + 1)
    for row in rows.values_list("counts", flat=True):
        counts = [a + b for a, b in zip(counts, row, strict=False)]
    ticks = sum(counts)
    if not ticks:
        return None
    slowest = rows.aggregate(most=Max("slowest"))["most"]
    shares = [percentile(counts, share, slowest) for share in (0.5, 0.95, 0.99)]
    return Latency(
        ticks=ticks, median=shares[0], p95=shares[1], p99=shares[2], slowest=float(slowest)
    )


def percentile(counts: Sequence[int], share: float, slowest: float) -> float:
    """Return the upper end of the bucket up to which `share` of the ticks lie."""
    rank, seen = share * sum(counts), 0
    for bound, count in zip(BOUNDS, counts, strict=False):
        seen += count
        if seen >= rank:
            return min(bound, slowest)
    return slowest


@dataclass(frozen=True, kw_only=True)
class Budget:
    """A limit of an address or an account: what the newest answer said. `share`: percent of it."""

    gauge: Gauge
    is_over: bool
    share: int

    @property
    def is_near(self) -> bool:
        """Whether little of it is left in a window that still runs."""
        return not self.is_over and self.share >= NEARLY * 100


def budgets(now: datetime, most: int) -> list[Budget]:
    """Return the limits in use, those of running windows and the fullest first; `most` of them."""
    rows = Gauge.objects.filter(kind=Gauge.Kind.BUDGET, most__gt=0, at__gte=now - timedelta(days=1))
    found = [
        Budget(
            gauge=gauge,
            is_over=gauge.ends_at is None or gauge.ends_at <= now,
            share=round(100 * gauge.value / (gauge.most or 1)),
        )
        for gauge in rows.select_related("account__owner").order_by("-at")[: 20 * most]
    ]
    return sorted(found, key=lambda one: (one.is_over, -one.share))[:most]


@dataclass(frozen=True, kw_only=True)
class Clock:
    """An exchange's clock: by how many milliseconds it is ahead of ours."""

    gauge: Gauge
    is_off: bool


def clocks() -> list[Clock]:
    """Return each exchange's clock as a worker measured it last."""
    rows = Gauge.objects.filter(kind=Gauge.Kind.CLOCK).order_by("scope")
    return [Clock(gauge=gauge, is_off=abs(gauge.value) > CLOCK_MS) for gauge in rows]


def inspections() -> tuple[Inspection | None, Inspection | None]:
    """Return the newest pass of the invariants that ended, and the one under way."""
    newest = list(Inspection.objects.order_by("-pk")[:2])
    under_way = next((row for row in newest if row.ended_at is None), None)
    return next((row for row in newest if row.ended_at is not None), None), under_way
