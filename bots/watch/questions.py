"""Which rows need an operator's look: each question once, for tiles, lists and the status page.

A question is a condition in SQL, made so that an index narrows it first. What BotState says of a
single row (`is_late`, `is_unwatched`) is said here of all of them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import DateTimeField, F, FloatField, Func, Model, Q, QuerySet, Value
from django.db.models.expressions import Combinable
from django.db.models.lookups import GreaterThan, GreaterThanOrEqual
from django.utils.translation import gettext_lazy as _

from bots.lifecycle import Duty, Mode, Status
from bots.models import (
    ApiKey,
    BotState,
    Comparison,
    Gauge,
    Inspection,
    Order,
    Silence,
    Transfer,
)
from bots.models.state import Protection
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


@dataclass(frozen=True, kw_only=True)
class Question:
    """`where` narrows `model` to the rows in question, at an instant.

    `title` stands on tiles and filters, `text` says what counts. `is_grave`: money may be at risk.
    """

    name: str
    model: type[Model]
    title: Any
    text: Any
    where: Callable[[datetime], Q]
    is_grave: bool = True

    def rows(self, now: datetime) -> QuerySet[Any]:
        """Return the rows that need a look now."""
        return self.model._default_manager.filter(self.where(now))


INTERVAL = F("bot__check_interval_seconds")
WITH_DUTY = ~Q(duty=Duty.NONE)


def _late(now: datetime) -> Q:
    """Bots with duty that missed three of their intervals (BotState.is_late)."""
    before = now - timedelta(seconds=settings.SWEEP_SECONDS)
    ticked = Q(last_run_at__lt=before) & Q(GreaterThan(Seconds(now, "last_run_at"), INTERVAL * 3))
    fresh = Q(last_run_at=None, last_updated_at__lt=before)
    never = fresh & Q(GreaterThan(Seconds(now, "last_updated_at"), INTERVAL * 3))
    return WITH_DUTY & (ticked | never)


def _behind(now: datetime) -> Q:
    """Bots whose tick is overdue, and that are not late yet."""
    least = 1.5 * settings.MIN_CHECK_INTERVAL_SECONDS + GRACE_SECONDS
    old = Q(last_run_at__lt=now - timedelta(seconds=least))
    limit = INTERVAL * 1.5 + GRACE_SECONDS
    return WITH_DUTY & old & Q(GreaterThan(Seconds(now, "last_run_at"), limit)) & ~_late(now)


def _stuck(now: datetime) -> Q:
    """Ticks that began longer ago than any may last and were never closed."""
    before = now - timedelta(seconds=settings.LEASE_SECONDS)
    return WITH_DUTY & Q(last_run_at__lt=before, tick_started_at__lt=before)


def _unwatched(_now: datetime) -> Q:
    """Positions that nobody watches (BotState.is_unwatched)."""
    known = Q(last_price_at__isnull=False, last_run_at__isnull=False)
    blind = GreaterThanOrEqual(Seconds(F("last_run_at"), "last_price_at"), INTERVAL * 2)
    return Q(in_position=True) & (Q(duty=Duty.NONE) | (known & Q(blind)))


def _uncompared(now: datetime) -> Q:
    """Real positions that no comparison confirmed for three of its turns."""
    before = now - timedelta(seconds=3 * settings.RECONCILE_SECONDS)
    old = Q(reconciled_at__lt=before)
    old &= Q(GreaterThan(Seconds(now, "reconciled_at"), INTERVAL * 3))
    never = Q(reconciled_at=None, position_opened_at__lt=before)
    return Q(in_position=True) & ~Q(bot__mode=Mode.PAPER) & (old | never)


def _unsettled(now: datetime) -> Q:
    """Orders that ended, or had to end at once, and are not whole in the ledger."""
    asked = Q(status__in=[OrderStatus.SENT, OrderStatus.UNKNOWN])
    resting = Q(type__in=RESTING, status__in=[OrderStatus.OPEN, OrderStatus.PARTIAL])
    old = Q(is_settled=False, created_at__lt=now - UNSETTLED_AFTER)
    return old & ~asked & ~resting


def _unknown(now: datetime) -> Q:
    return Q(
        is_settled=False,
        status__in=[OrderStatus.SENT, OrderStatus.UNKNOWN],
        created_at__lt=now - UNKNOWN_AFTER,
    )


def _keys(now: datetime) -> Q:
    old = now - timedelta(hours=2 * settings.KEY_CHECK_HOURS)
    unchecked = Q(checked_at__lt=old) | Q(checked_at=None, created_at__lt=old)
    return Q(is_valid=False) | ~Q(check_fault="") | unchecked


def _budgets(now: datetime) -> Q:
    return Q(kind=Gauge.Kind.BUDGET, ends_at__gt=now, value__gte=F("most") * NEARLY)


def _clocks(now: datetime) -> Q:
    apart = Q(value__gt=CLOCK_MS) | Q(value__lt=-CLOCK_MS)
    return Q(kind=Gauge.Kind.CLOCK, at__gt=now - timedelta(days=1)) & apart


QUESTIONS: tuple[Question, ...] = (
    Question(
        name="stuck",
        model=BotState,
        title=_("Stuck ticks"),
        text=_("A tick began longer ago than its lease lasts, and nobody closed it."),
        where=_stuck,
    ),
    Question(
        name="late",
        model=BotState,
        title=_("Late bots"),
        text=_("No tick for three intervals."),
        where=_late,
    ),
    Question(
        name="behind",
        model=BotState,
        title=_("Late ticks"),
        text=_("A tick is overdue by half an interval: the workers are behind."),
        where=_behind,
        is_grave=False,
    ),
    Question(
        name="unwatched",
        model=BotState,
        title=_("Unwatched positions"),
        text=_("No tick acts on the stop, or none saw a price for two intervals."),
        where=_unwatched,
    ),
    Question(
        name="unprotected",
        model=BotState,
        title=_("Failed protections"),
        text=_("The stop could not be placed at the exchange; ticks watch it meanwhile."),
        where=lambda _now: Q(in_position=True, protection=Protection.FAILED),
    ),
    Question(
        name="unknown",
        model=Order,
        title=_("Unknown orders"),
        text=_("Sent over a minute ago, and the exchange has not said what became of it."),
        where=_unknown,
    ),
    Question(
        name="unsettled",
        model=Order,
        title=_("Unsettled orders"),
        text=_("Ended over ten minutes ago, and not every fill is booked."),
        where=_unsettled,
    ),
    Question(
        name="drift",
        model=Comparison,
        title=_("Drift"),
        text=_("The newest comparison found that exchange and ledger differ."),
        where=lambda _now: Q(ok=False),
    ),
    Question(
        name="uncompared",
        model=BotState,
        title=_("Positions not compared"),
        text=_("No comparison has confirmed a real position for three of its turns."),
        where=_uncompared,
        is_grave=False,
    ),
    Question(
        name="keys",
        model=ApiKey,
        title=_("Failing keys"),
        text=_("Refused by the exchange or by us, or not checked for too long."),
        where=_keys,
    ),
    Question(
        name="silences",
        model=Silence,
        title=_("Silences"),
        text=_("An exchange asked for silence, or a limit is nearly used up."),
        where=lambda now: Q(until__gt=now),
        is_grave=False,
    ),
    Question(
        name="budgets",
        model=Gauge,
        title=_("Rate budgets nearly used up"),
        text=_("Over four fifths of what an exchange allows an address or an account is used."),
        where=_budgets,
        is_grave=False,
    ),
    Question(
        name="clocks",
        model=Gauge,
        title=_("Clocks apart"),
        text=_("An exchange's clock and ours are more than a second apart."),
        where=_clocks,
    ),
    Question(
        name="violations",
        model=Inspection,
        title=_("Violated invariants"),
        text=_("Passes of the last day that found something which must never be."),
        where=lambda now: Q(begun_at__gt=now - timedelta(days=1), violations__gt=0),
    ),
    Question(
        name="errors",
        model=BotState,
        title=_("Bots in error"),
        text=_("Switched off by a fatal error, or held up for three ticks or since the start."),
        where=lambda _now: Q(status=Status.ERROR),
        is_grave=False,
    ),
    Question(
        name="overdue",
        model=BotState,
        title=_("Days overdue"),
        text=_("The trading day ended over two minutes ago and was not rolled over."),
        where=lambda now: Q(day_ends_at__lt=now - OVERDUE_AFTER),
    ),
    Question(
        name="transfers",
        model=Transfer,
        title=_("Unknown transfers"),
        text=_("Funds were moved between wallets and the answer was lost."),
        where=lambda _now: Q(status=Transfer.Status.UNKNOWN),
        is_grave=False,
    ),
)


def of_model(model: type[Model]) -> list[Question]:
    """Return the questions about rows of a model."""
    return [question for question in QUESTIONS if question.model is model]


def find(name: str) -> Question:
    """Return the question of that name; KeyError if there is none."""
    return {question.name: question for question in QUESTIONS}[name]
