"""The time line itself: which rows a page, a poll or a CSV needs, merged newest first."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import F, Q, QuerySet

from bots.activity.sources import RANKS, SOURCES, Kind, Source
from bots.models import Account, User

#: Who has fewer rows than this is served by sorting them: by time one would read past the others'.
FEW = 2000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, kw_only=True)
class Item:
    """One line: a row of a source, and when it happened.

    `name` is the source's; "check" is what the exchange said of a key.
    """

    name: str
    at: datetime
    row: Any

    @property
    def cursor(self) -> str:
        """Where a page that ends with this line goes on; a text for an address."""
        return f"{(self.at - EPOCH) // MICROSECOND}.{self.name}.{self.row.pk}"

    @property
    def is_of_bot(self) -> bool:
        """Whether the row is a bot's; the others are an account's or the user's own."""
        return SOURCES[RANKS[self.name]].is_of_bots

    @property
    def account(self) -> Account | None:
        """The account whose row it is, if it is one's."""
        if not SOURCES[RANKS[self.name]].is_of_accounts:
            return None
        account: Account = self.row.account
        return account


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is asked for: a bot, a kind, errors only, and instants (`first` included, `end` not)."""

    bot: int | None = None
    kind: Kind | None = None
    errors: bool = False
    first: datetime | None = None
    end: datetime | None = None


def newest(user: User, wanted: Wanted, count: int, before: str = "") -> list[Item]:
    """Return the newest `count` lines; `before`: those older than the line of that cursor.

    A text that is no cursor is no bound.
    """
    bound = _read(before)
    found: list[Item] = []
    for source in _sources(wanted):
        rows = _rows(source, wanted, bound)
        found += [_item(source, row) for row in _newest_first(source, user, rows)[:count]]
    found.sort(key=_place)
    return found[:count]


def every(user: User, wanted: Wanted) -> Iterator[Item]:
    """Yield all lines, newest first, without keeping them."""
    return heapq.merge(*(_all(source, user, wanted) for source in _sources(wanted)), key=_place)


def _all(source: Source, user: User, wanted: Wanted) -> Iterator[Item]:
    rows = _rows(source, wanted, None).filter(source.of(user))
    rows = rows.order_by(F(source.at).desc(), "-pk")
    return (_item(source, row) for row in rows.iterator(chunk_size=2000))


def _sources(wanted: Wanted) -> list[Source]:
    return [
        source
        for source in SOURCES
        if wanted.kind in (None, source.kind) and (wanted.bot is None or source.is_of_bots)
    ]


def _rows(source: Source, wanted: Wanted, bound: tuple[datetime, int, int] | None) -> QuerySet[Any]:
    """Return everybody's rows that the filters leave, below the line of a cursor."""
    rows = source.rows()
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


def _newest_first(source: Source, user: User, rows: QuerySet[Any]) -> QuerySet[Any]:
    """Sort the user's rows; few of them by a sum, which is in no index.

    By the index of time, PostgreSQL would look for these few past everybody else's rows.
    """
    mine = rows.filter(source.of(user))
    if source.is_indexed:
        known = len(mine.order_by().values_list("pk")[:FEW])
        if not known:
            return rows.none()
        if known == FEW:
            by_time = rows.filter(source.checked_of(user))
            return by_time.order_by(F(source.at).desc(), "-pk")
    return mine.order_by((F(source.at) + timedelta(0)).desc(), "-pk")


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
