"""What was realised when: sums by trading day, week and month, the equity curve, its drawdown.

Each fill and each funding payment counts on its own trading day, so that a day's sum is that of
the ledger's day. The curve starts at 0 and holds realised results only. Its maximum drawdown is
that of Magdon-Ismail and Atiya, "Maximum Drawdown" (Risk, 2004).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal, localcontext
from enum import StrEnum

from trading.market import EXACT, quantize
from trading.performance import Summary, summarize
from trading.trades import HUNDRED, ZERO, Part, Payment, Trade


class Unit(StrEnum):
    """A length of time to sum by. Weeks are those of ISO 8601: they start on Monday."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"

    def start_of(self, day: date) -> date:
        """Return the first day of the unit that `day` lies in."""
        if self is Unit.WEEK:
            return day - timedelta(days=day.weekday())
        return day.replace(day=1) if self is Unit.MONTH else day

    def end_of(self, day: date) -> date:
        """Return the last day of the unit that `day` lies in."""
        start = self.start_of(day)
        if self is Unit.MONTH:
            return (start + timedelta(days=31)).replace(day=1) - timedelta(days=1)
        return start + timedelta(days=6) if self is Unit.WEEK else start


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """What fills realised (fees included), what funding came to, and the fees; quote currency."""

    realized: Decimal = ZERO
    funding: Decimal = ZERO
    fees: Decimal = ZERO

    @property
    def total(self) -> Decimal:
        """The result: realised and funding."""
        return EXACT.add(self.realized, self.funding)

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(
            realized=EXACT.add(self.realized, other.realized),
            funding=EXACT.add(self.funding, other.funding),
            fees=EXACT.add(self.fees, other.fees),
        )


def by_day(parts: Iterable[Part], payments: Iterable[Payment]) -> dict[date, Sums]:
    """Return the sums of each trading day that has a fill or a payment, oldest first."""
    sums: dict[date, list[Decimal]] = {}
    with localcontext(EXACT):
        for part in parts:
            row = sums.setdefault(part.day, [ZERO, ZERO, ZERO])
            row[0] += part.realized
            row[2] += part.fees
        for payment in payments:
            row = sums.setdefault(payment.day, [ZERO, ZERO, ZERO])
            row[1] += payment.amount
    return {
        day: Sums(realized=row[0], funding=row[1], fees=row[2]) for day, row in sorted(sums.items())
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """One day, week or month: its sums by fill, and the trades that ended in it."""

    first: date
    last: date
    sums: Sums
    summary: Summary


def buckets(unit: Unit, days: Mapping[date, Sums], trades: Iterable[Trade]) -> list[Bucket]:
    """Sum `days` and the trades that ended on them by `unit`, newest first."""
    sums: dict[date, Sums] = {}
    for day, one in days.items():
        start = unit.start_of(day)
        sums[start] = sums[start] + one if start in sums else one
    ended: dict[date, list[Trade]] = {}
    for trade in trades:
        ended.setdefault(unit.start_of(trade.day), []).append(trade)
    return [
        Bucket(
            first=start,
            last=unit.end_of(start),
            sums=sums[start],
            summary=summarize(ended.get(start, ())),
        )
        for start in sorted(sums, reverse=True)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Realised equity right after `at`, and what changed it then."""

    at: datetime
    change: Decimal
    value: Decimal


def curve(parts: Iterable[Part], payments: Iterable[Payment]) -> list[Point]:
    """Return the realised equity after each instant with a fill or payment that changed it.

    What happens at one instant is one step: the fills of one order have no order of their own.
    """
    changes: dict[datetime, Decimal] = {}
    with localcontext(EXACT):
        for part in parts:
            if part.realized:
                changes[part.at] = changes.get(part.at, ZERO) + part.realized
        for payment in payments:
            changes[payment.at] = changes.get(payment.at, ZERO) + payment.amount
        points, value = [], ZERO
        for at, change in sorted(changes.items()):
            value += change
            points.append(Point(at=at, change=change, value=value))
    return points


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawdown:
    """The deepest fall of a curve below its highest so far (0 at the start), quote currency.

    `peak_at` is None where the fall began at the start; `trough_at` where there was none.
    """

    amount: Decimal = ZERO
    peak_at: datetime | None = None
    trough_at: datetime | None = None

    def percent_of(self, capital: Decimal) -> Decimal | None:
        """Return the fall in percent of `capital`; None without any."""
        if capital <= 0:
            return None
        return quantize(EXACT.divide(EXACT.multiply(self.amount, HUNDRED), capital))


def drawdown(points: Sequence[Point]) -> Drawdown:
    """Return the maximum drawdown of a curve."""
    peak, peak_at, deepest = ZERO, None, Drawdown()
    for point in points:
        if point.value > peak:
            peak, peak_at = point.value, point.at
        elif (fall := EXACT.subtract(peak, point.value)) > deepest.amount:
            deepest = Drawdown(amount=fall, peak_at=peak_at, trough_at=point.at)
    return deepest
