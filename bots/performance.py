"""The performance of one owner's bots: their fills and funding read once, folded, and cut to size.

Two queries whatever the number of bots, and rows as plain tuples: ten thousand fills are folded
anew each time somebody looks, so no figure can be older than the ledger.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from functools import cached_property
from typing import Any

from django.db.models import QuerySet, TextField
from django.db.models.functions import Cast

from bots.models import BotConfig, Fill, Funding
from trading.equity import Bucket, Drawdown, Point, Sums, Unit, buckets, by_day, curve, drawdown
from trading.market import EXACT, Side
from trading.performance import Summary, summarize
from trading.position import BookedFill
from trading.trades import Booking, Folded, Folding, Part, Payment, Trade

#: What trades a page may be asked for: all that ended, by outcome, or what no ended trade has.
ALL, OPEN = "all", "open"
KINDS = (ALL, "won", "lost", "even", OPEN)
SIDES = {side.value: side for side in Side}


@dataclass(frozen=True, kw_only=True)
class Span:
    """Trading days from `first` to `last`, both included; None is without an end."""

    first: date | None = None
    last: date | None = None

    def holds(self, day: date) -> bool:
        is_before = self.first is not None and day < self.first
        return not is_before and not (self.last is not None and day > self.last)

    def cut(self, first: date, last: date) -> "Span":
        """Return the part of a day, week or month that lies in this span."""
        return Span(
            first=max(first, self.first or first),
            last=min(last, self.last or last),
        )


@dataclass(frozen=True, kw_only=True)
class History:
    """One bot's fills as trades, and its funding payments."""

    bot_id: int
    folded: Folded = Folded()
    payments: tuple[Payment, ...] = ()


def histories(bots: QuerySet[BotConfig]) -> dict[int, History]:
    """Fold the ledger of each of these bots; a bot that traded nothing is left out."""
    folds: dict[int, Folding] = {}
    for row in _rows(bots):
        bot_id, booking = _booking(row)
        if bot_id not in folds:
            folds[bot_id] = Folding(bot_id)
        folds[bot_id].add(booking)
    payments: dict[int, list[Payment]] = {}
    paid = Funding.objects.filter(bot__in=bots).order_by("pk")
    for bot_id, pk, at, day, amount in paid.values_list(
        "bot_id", "pk", "at", "trading_day", "amount"
    ).iterator(2000):
        payment = Payment(number=pk, at=at, day=day, amount=amount)
        payments.setdefault(bot_id, []).append(payment)
    return {
        bot_id: History(
            bot_id=bot_id,
            folded=folds[bot_id].folded if bot_id in folds else Folded(),
            payments=tuple(payments.get(bot_id, ())),
        )
        for bot_id in folds.keys() | payments.keys()
    }


#: As text: their Decimals are made once, here, and not twice more by the field.
MONEY = ("amount", "quote", "fee_quote", "fee_base", "order__dust")


def _rows(bots: QuerySet[BotConfig]) -> Iterable[tuple[Any, ...]]:
    money = [Cast(name, TextField()) for name in MONEY]
    fields = ("bot_id", "pk", "at", "trading_day", "side", "symbol", "order__reason")
    return (
        Fill.objects.filter(bot__in=bots)
        .order_by("pk")
        .values_list(*fields, *money)
        .iterator(chunk_size=2000)
    )


def _booking(row: tuple[Any, ...]) -> tuple[int, Booking]:
    bot_id, pk, at, day, side, symbol, reason, amount, quote, fee_quote, fee_base, dust = row
    fill = BookedFill(
        side=SIDES[side],
        amount=Decimal(amount),
        quote=Decimal(quote),
        fee_quote=Decimal(fee_quote),
        fee_base=Decimal(fee_base),
        dust=Decimal(dust),
        futures=":" in symbol,
    )
    return bot_id, Booking(number=pk, at=at, day=day, reason=reason, fill=fill)


@dataclass(frozen=True, kw_only=True)
class Report:
    """What some bots of one quote currency and mode came to in a span of trading days.

    Fills and funding count on their own days, a trade on the day it ended. `capital` is the bots'
    initial capital together.
    """

    span: Span
    capital: Decimal
    parts: Sequence[Part]
    payments: Sequence[Payment]
    trades: Sequence[Trade]

    @cached_property
    def days(self) -> dict[date, Sums]:
        return by_day(self.parts, self.payments)

    @cached_property
    def sums(self) -> Sums:
        return sum(self.days.values(), Sums())

    @cached_property
    def summary(self) -> Summary:
        return summarize(self.trades)

    @cached_property
    def points(self) -> list[Point]:
        return curve(self.parts, self.payments)

    @cached_property
    def drawdown(self) -> Drawdown:
        return drawdown(self.points)

    @property
    def drawdown_percent(self) -> Decimal | None:
        return self.drawdown.percent_of(self.capital)

    @cached_property
    def reasons(self) -> list[tuple[str, Summary]]:
        """The trades by what ended them, the most frequent first."""
        ended: dict[str, list[Trade]] = {}
        for trade in self.trades:
            ended.setdefault(trade.reason, []).append(trade)
        rows = [(reason, summarize(trades)) for reason, trades in ended.items()]
        return sorted(rows, key=lambda row: (-row[1].trades, row[0]))

    def by(self, unit: Unit) -> list[Bucket]:
        """Return the days, weeks or months in which something happened, newest first."""
        return buckets(unit, self.days, self.trades)


def report(found: Iterable[History], span: Span, capital: Decimal) -> Report:
    """Cut the histories of bots with one quote currency to a span; trades newest first."""
    every = list(found)
    holds = span.holds
    trades = [t for one in every for t in one.folded.trades if holds(t.day)]
    return Report(
        span=span,
        capital=capital,
        parts=[part for one in every for part in one.folded.parts if holds(part.day)],
        payments=[paid for one in every for paid in one.payments if holds(paid.day)],
        trades=sorted(trades, key=lambda trade: (trade.closed_at, trade.number), reverse=True),
    )


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which fills a page was asked for: of some trading days, or of some of the trades.

    `trades`: one of KINDS; empty means each fill and payment on its own day. With it the span is
    that of the days on which the trades ended. `reason`: what ended them; `trade`: one trade's
    number. `after` (left out) and `until` (included) are instants: a stretch of the equity curve.
    """

    span: Span = Span()
    after: datetime | None = None
    until: datetime | None = None
    trades: str = ""
    reason: str = ""
    trade: int | None = None

    @property
    def is_any(self) -> bool:
        """Whether nothing narrows it."""
        return self == Wanted()

    @property
    def is_of_trades(self) -> bool:
        return bool(self.trades or self.reason or self.trade is not None)

    def holds(self, one: Part | Payment) -> bool:
        """Whether a fill or payment lies in the days and between the instants asked for."""
        is_after = self.after is None or one.at > self.after
        return (
            is_after and (self.until is None or one.at <= self.until) and self.span.holds(one.day)
        )

    def takes(self, trade: Trade) -> bool:
        """Whether an ended trade is among those that are asked for."""
        if self.trade is not None:
            return trade.number == self.trade
        fits = self.trades in ("", ALL, trade.outcome) and self.reason in ("", trade.reason)
        return fits and self.span.holds(trade.day)


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The fills and payments behind a figure, and what they add up to."""

    parts: Mapping[int, Part]
    payments: Sequence[Payment]
    sums: Sums

    @property
    def numbers(self) -> list[int]:
        """The fills' rows, newest first."""
        return sorted(self.parts, reverse=True)


def select(found: Iterable[History], wanted: Wanted) -> Selection:
    """Return what a figure that was summed by `wanted` came from."""
    every = list(found)
    parts: dict[int, Part] = {}
    for one in every:
        for part in _parts(one.folded, wanted):
            parts[part.number] = _joined(parts.get(part.number), part)
    payments = [] if wanted.is_of_trades else [p for one in every for p in one.payments]
    payments = [payment for payment in payments if wanted.holds(payment)]
    sums = sum(by_day(parts.values(), payments).values(), Sums())
    payments.sort(key=lambda payment: (payment.at, payment.number), reverse=True)
    return Selection(parts=parts, payments=payments, sums=sums)


def _parts(folded: Folded, wanted: Wanted) -> Iterable[Part]:
    if not wanted.is_of_trades:
        yield from (part for part in folded.parts if wanted.holds(part))
    elif wanted.trades == OPEN:
        yield from folded.rest
    else:
        for trade in folded.trades:
            if wanted.takes(trade):
                yield from trade.parts


def _joined(known: Part | None, part: Part) -> Part:
    """Add up the two parts of a fill that turned a position round."""
    if known is None:
        return part
    return replace(
        part,
        realized=EXACT.add(known.realized, part.realized),
        fees=EXACT.add(known.fees, part.fees),
    )
