"""What happened to a user's bots, orders, funds and keys: one time line, newest first.

Nothing is written for it: each line is a row that exists anyway. Every kind is read by its own
index for as many rows as a page needs, so a page costs the same however long the history is.
"""

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import F, Q, QuerySet, TextChoices
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _

from bots.models import ApiKey, Order, StateEvent, Transfer, User
from bots.models.ledger import BAD_ORDERS
from bots.models.state import BAD_EVENTS

#: Who has fewer rows than this is served by sorting them: by time one would read past the others'.
FEW = 2000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


class Kind(TextChoices):
    """What a reader can ask for."""

    STATE = "state", _("Bots")
    ORDER = "order", _("Orders")
    TRANSFER = "transfer", _("Transfers")
    KEY = "key", _("Keys")


@dataclass(frozen=True, kw_only=True)
class Source:
    """One kind of rows: `name` in a cursor, the column of its time, and which rows are errors."""

    name: str
    kind: Kind
    at: str
    rows: Callable[[User], QuerySet[Any]]
    bad: Q
    is_of_bots: bool = True


@dataclass(frozen=True, kw_only=True)
class Item:
    """One line: a StateEvent, an Order, a Transfer or an ApiKey, and when it happened.

    `name` is the source's; "check" is what the exchange said of a key.
    """

    name: str
    at: datetime
    row: Any

    @property
    def cursor(self) -> str:
        """Where a page that ends with this line goes on; a text for an address."""
        return f"{(self.at - EPOCH) // MICROSECOND}.{self.name}.{self.row.pk}"


@dataclass(frozen=True, kw_only=True)
class Facts:
    """A line as it is stored, for machines: words are for pages. Absent is None.

    `what` is the move, the purpose, the direction, "added" or "checked"; `result` the status that
    it led to, `reason` why; `price` the average, else the limit, else the trigger.
    """

    what: str
    result: str | None = None
    reason: str | None = None
    details: str | None = None
    by: str | None = None
    via: str | None = None
    order: str | None = None
    side: str | None = None
    amount: Decimal | None = None
    price: Decimal | None = None


def facts(item: Item) -> Facts:
    """Return a line as it is stored."""
    row = item.row
    if isinstance(row, StateEvent):
        return Facts(
            what=row.move,
            result=row.new_status,
            reason=row.new_reason,
            details=row.why,
            by=row.by.get_username() if row.by else None,
            via=row.via,
        )
    if isinstance(row, Order):
        return Facts(
            what=row.purpose,
            result=row.status,
            reason=row.reason,
            details=row.message,
            order=row.client_order_id,
            side=row.side,
            amount=row.filled or row.amount,
            price=row.average or row.price or row.trigger,
        )
    if isinstance(row, Transfer):
        return Facts(
            what=row.direction,
            result=row.status,
            reason=row.currency,
            details=row.message,
            by=row.by.get_username() if row.by else None,
            via=row.via,
            amount=row.amount,
        )
    if item.name == "key":
        return Facts(what="added", details=row.last4)
    return Facts(
        what="checked", result="refused", reason=row.check_fault, details=row.check_message
    )


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is asked for: a bot, a kind, errors only, and instants (`first` included, `end` not)."""

    bot: int | None = None
    kind: Kind | None = None
    errors: bool = False
    first: datetime | None = None
    end: datetime | None = None


def _events(user: User) -> QuerySet[Any]:
    return StateEvent.objects.filter(bot__owner=user).select_related("by")


def _orders(user: User) -> QuerySet[Any]:
    return Order.objects.filter(bot__owner=user)


def _transfers(user: User) -> QuerySet[Any]:
    rows = Transfer.objects.filter(account__owner=user).select_related("account", "by")
    return rows.annotate(moment=Coalesce("ended_at", "created_at"))


def _keys(user: User) -> QuerySet[Any]:
    return ApiKey.objects.filter(account__owner=user).select_related("account")


def _checks(user: User) -> QuerySet[Any]:
    return _keys(user).exclude(checked_at=None).exclude(check_fault="")


#: In the order in which rows of one instant are told.
SOURCES: tuple[Source, ...] = (
    Source(
        name="state",
        kind=Kind.STATE,
        at="at",
        rows=_events,
        bad=BAD_EVENTS,
    ),
    Source(
        name="order",
        kind=Kind.ORDER,
        # The newest change of its status: of an order that is over, when it ended.
        at="updated_at",
        rows=_orders,
        bad=BAD_ORDERS,
    ),
    Source(
        name="transfer",
        kind=Kind.TRANSFER,
        at="moment",
        rows=_transfers,
        bad=Q(status__in=[Transfer.Status.UNKNOWN, Transfer.Status.FAILED]),
        is_of_bots=False,
    ),
    Source(
        name="key", kind=Kind.KEY, at="created_at", rows=_keys, bad=Q(pk=None), is_of_bots=False
    ),
    Source(
        name="check",
        kind=Kind.KEY,
        at="checked_at",
        rows=_checks,
        bad=Q(pk__isnull=False),
        is_of_bots=False,
    ),
)
RANKS = {source.name: rank for rank, source in enumerate(SOURCES)}


def newest(user: User, wanted: Wanted, count: int, before: str = "") -> list[Item]:
    """Return the newest `count` lines; `before`: those older than the line of that cursor.

    A text that is no cursor is no bound.
    """
    bound = _read(before)
    found: list[Item] = []
    for source in _sources(wanted):
        rows = _rows(source, user, wanted, bound)
        found += [_item(source, row) for row in _newest_first(source, rows)[:count]]
    found.sort(key=_place)
    return found[:count]


def every(user: User, wanted: Wanted) -> Iterator[Item]:
    """Yield all lines, newest first, without keeping them."""
    return heapq.merge(*(_all(source, user, wanted) for source in _sources(wanted)), key=_place)


def _all(source: Source, user: User, wanted: Wanted) -> Iterator[Item]:
    rows = _rows(source, user, wanted, None).order_by(F(source.at).desc(), "-pk")
    return (_item(source, row) for row in rows.iterator(chunk_size=2000))


def _sources(wanted: Wanted) -> list[Source]:
    return [
        source
        for source in SOURCES
        if wanted.kind in (None, source.kind) and (wanted.bot is None or source.is_of_bots)
    ]


def _rows(
    source: Source, user: User, wanted: Wanted, bound: tuple[datetime, int, int] | None
) -> QuerySet[Any]:
    rows = source.rows(user)
    if wanted.bot is not None:
        rows = rows.filter(bot=wanted.bot)
    if wanted.errors:
        rows = rows.filter(source.bad)
    if wanted.first is not None:
        rows = rows.filter(**{f"{source.at}__gte": wanted.first})
    if wanted.end is not None:
        rows = rows.filter(**{f"{source.at}__lt": wanted.end})
    if bound is not None:
        rows = rows.filter(_older(source, *bound))
    return rows


def _newest_first(source: Source, rows: QuerySet[Any]) -> QuerySet[Any]:
    """Sort rows; PostgreSQL would read a few of them by the index of time, past everybody else's.

    A sum is in no index, so these are found by their bots.
    """
    if not source.is_of_bots or len(rows.order_by().values_list("pk")[:FEW]) == FEW:
        return rows.order_by(F(source.at).desc(), "-pk")
    return rows.order_by((F(source.at) + timedelta(0)).desc(), "-pk")


def _older(source: Source, at: datetime, rank: int, pk: int) -> Q:
    """Rows of this source that stand below a line: later sources follow at the same instant."""
    mine = RANKS[source.name]
    if mine < rank:
        return Q(**{f"{source.at}__lt": at})
    if mine > rank:
        return Q(**{f"{source.at}__lte": at})
    # The first condition is the one that an index can start from.
    return Q(**{f"{source.at}__lte": at}) & (Q(**{f"{source.at}__lt": at}) | Q(pk__lt=pk))


def _item(source: Source, row: Any) -> Item:
    return Item(name=source.name, at=getattr(row, source.at), row=row)


def _place(item: Item) -> tuple[timedelta, int, int]:
    """Return what lines are sorted by: newest first."""
    return EPOCH - item.at, RANKS[item.name], -item.row.pk


def _read(cursor: str) -> tuple[datetime, int, int] | None:
    parts = cursor.split(".")
    if len(parts) != 3 or parts[1] not in RANKS:
        return None
    numbers = [part for part in (parts[0], parts[2]) if part.isascii() and part.isdigit()]
    if len(numbers) != 2 or max(map(len, numbers)) > 18:
        return None
    try:
        at = EPOCH + int(parts[0]) * MICROSECOND
    except OverflowError:
        return None
    return at, RANKS[parts[1]], int(parts[2])
