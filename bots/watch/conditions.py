"""Which rows need an operator's look: conditions in SQL, each made so that an index narrows it.

What BotState says of a single row (`is_late`, `is_unwatched`) is said here of all of them.
"""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import DateTimeField, F, FloatField, Func, Q, Value
from django.db.models.expressions import Combinable
from django.db.models.lookups import GreaterThan, GreaterThanOrEqual

from bots.lifecycle import Duty, Mode
from bots.models import Gauge
from trading.market import OrderStatus, OrderType

#: How long an order's outcome may be unknown, and its fills may be missing, before it is a matter.
UNKNOWN_AFTER = timedelta(minutes=1)
UNSETTLED_AFTER = timedelta(minutes=10)
#: How long a trading day may be over before its rollover is overdue: the sweep runs each minute.
OVERDUE_AFTER = timedelta(minutes=2)
#: A tick is behind when it is this many seconds later than one and a half of its intervals.
GRACE_SECONDS = 10
#: From this share of a limit on it is nearly used up.
NEARLY = 0.8
#: How far an exchange's clock may be from ours, in milliseconds.
CLOCK_MS = 1000
#: Kinds of order that may rest at the exchange for long.
RESTING = (OrderType.LIMIT, OrderType.POST_ONLY, OrderType.STOP, OrderType.TARGET)


class Seconds(Func):
    """The seconds from an instant to a later one, on either database."""

    arity = 2
    arg_joiner = " - "
    template = "EXTRACT(EPOCH FROM (%(expressions)s))"
    output_field = FloatField()

    def __init__(self, later: Combinable | datetime | str, earlier: str) -> None:
        if isinstance(later, datetime):
            later = Value(later, output_field=DateTimeField())
        super().__init__(later, earlier)

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        """Write it for SQLite, which keeps instants as text."""
        return super().as_sql(
            compiler,
            connection,
            # Its julian days are exact to a millisecond or two.
            template="ROUND((julianday(%(expressions)s)) * 86400.0, 2)",
            arg_joiner=") - julianday(",
            **context,
        )


INTERVAL = F("bot__check_interval_seconds")
WITH_DUTY = ~Q(duty=Duty.NONE)


def late(now: datetime) -> Q:
    """Bots with duty that missed three of their intervals (BotState.is_late)."""
    before = now - timedelta(seconds=settings.SWEEP_SECONDS)
    ticked = Q(last_run_at__lt=before) & Q(GreaterThan(Seconds(now, "last_run_at"), INTERVAL * 3))
    fresh = Q(last_run_at=None, last_updated_at__lt=before)
    never = fresh & Q(GreaterThan(Seconds(now, "last_updated_at"), INTERVAL * 3))
    return WITH_DUTY & (ticked | never)


def behind(now: datetime) -> Q:
    """Bots whose tick is overdue, and that are not late yet."""
    least = 1.5 * settings.MIN_CHECK_INTERVAL_SECONDS + GRACE_SECONDS
    old = Q(last_run_at__lt=now - timedelta(seconds=least))
    limit = INTERVAL * 1.5 + GRACE_SECONDS
    return WITH_DUTY & old & Q(GreaterThan(Seconds(now, "last_run_at"), limit)) & ~late(now)


def stuck(now: datetime) -> Q:
    """Ticks that began longer ago than any may last and were never closed."""
    before = now - timedelta(seconds=settings.LEASE_SECONDS)
    return WITH_DUTY & Q(last_run_at__lt=before, tick_started_at__lt=before)


def unwatched(_now: datetime) -> Q:
    """Positions that nobody watches (BotState.is_unwatched)."""
    known = Q(last_price_at__isnull=False, last_run_at__isnull=False)
    blind = GreaterThanOrEqual(Seconds(F("last_run_at"), "last_price_at"), INTERVAL * 2)
    return Q(in_position=True) & (Q(duty=Duty.NONE) | (known & Q(blind)))


def uncompared(now: datetime) -> Q:
    """Real positions that no comparison confirmed for three of its turns."""
    before = now - timedelta(seconds=3 * settings.RECONCILE_SECONDS)
    old = Q(reconciled_at__lt=before)
    old &= Q(GreaterThan(Seconds(now, "reconciled_at"), INTERVAL * 3))
    never = Q(reconciled_at=None, position_opened_at__lt=before)
    return Q(in_position=True) & ~Q(bot__mode=Mode.PAPER) & (old | never)


def unsettled(now: datetime) -> Q:
    """Orders that ended, or had to end at once, and are not whole in the ledger."""
    asked = Q(status__in=[OrderStatus.SENT, OrderStatus.UNKNOWN])
    resting = Q(type__in=RESTING, status__in=[OrderStatus.OPEN, OrderStatus.PARTIAL])
    old = Q(is_settled=False, created_at__lt=now - UNSETTLED_AFTER)
    return old & ~asked & ~resting


def unknown(now: datetime) -> Q:
    return Q(
        is_settled=False,
        status__in=[OrderStatus.SENT, OrderStatus.UNKNOWN],
        created_at__lt=now - UNKNOWN_AFTER,
    )


def keys(now: datetime) -> Q:
    old = now - timedelta(hours=2 * settings.KEY_CHECK_HOURS)
    unchecked = Q(checked_at__lt=old) | Q(checked_at=None, created_at__lt=old)
    return Q(is_valid=False) | ~Q(check_fault="") | unchecked


def budgets(now: datetime) -> Q:
    return Q(kind=Gauge.Kind.BUDGET, ends_at__gt=now, value__gte=F("most") * NEARLY)


def clocks(now: datetime) -> Q:
    apart = Q(value__gt=CLOCK_MS) | Q(value__lt=-CLOCK_MS)
    return Q(kind=Gauge.Kind.CLOCK, at__gt=now - timedelta(days=1)) & apart


def overdue(now: datetime) -> Q:
    """Trading days that ended and were not rolled over."""
    return Q(day_ends_at__lt=now - OVERDUE_AFTER)
