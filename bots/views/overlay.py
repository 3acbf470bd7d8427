"""Several curves in one drawing, in percent of what each began with."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from django.utils import timezone

from bots.backtests.results import Kept, Point
from bots.views import charts
from trading.trades import HUNDRED, ratio

#: Points of a line: more than that a screen does not show.
MOST = 400
Values = Sequence[tuple[int, Decimal]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One curve in a box of 100 x 100; `kind` is its class in the style sheet."""

    kind: str
    label: str
    points: str
    last: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """The lines with their common scale; `fall` is the stretch (left, width) of a deepest fall."""

    frame: charts.Frame
    lines: tuple[Line, ...]
    fall: tuple[str, str] | None = None


def of_value(kept: Kept, funds: Decimal) -> Values:
    """Return the account's profit at each instant, in percent of the funds."""
    return [(point.at, percent(point.value, funds)) for point in kept.points]


def of_hold(kept: Kept, funds: Decimal) -> Values:
    """Return the same of buying at the beginning and never selling."""
    return [(point.at, percent(point.hold, funds)) for point in kept.points]


def of_fall(points: Sequence[Point], funds: Decimal) -> Values:
    """Return how far the account was below its highest worth so far: percent, 0 or less."""
    highest, found = funds, []
    for point in points:
        highest = max(highest, point.value)
        found.append((point.at, percent(point.value, highest)))
    return found


def percent(value: Decimal, base: Decimal) -> Decimal:
    """Return how far `value` is from `base`, in percent of it."""
    return ratio((value - base) * HUNDRED, base)


def draw(
    named: Sequence[tuple[str, str, Values]], fall: tuple[int, int] | None = None
) -> Drawing | None:
    """Draw lines of (kind, label, values); None where there is nothing to draw."""
    kept = [(kind, label, thinned(values)) for kind, label, values in named if values]
    if not kept:
        return None
    scale = charts.Scale([value for _k, _l, values in kept for _at, value in values])
    first = min(values[0][0] for _k, _l, values in kept)
    last = max(values[-1][0] for _k, _l, values in kept)
    length = max(last - first, 1)

    def x(at: int) -> float:
        return min(max((at - first) / length * 100, 0.0), 100.0)

    lines = tuple(
        Line(
            kind=kind,
            label=label,
            points=" ".join(
                f"{charts.text(x(at))},{charts.text(scale.y(value))}" for at, value in values
            ),
            last=values[-1][1],
        )
        for kind, label, values in kept
    )
    stretch = None
    if fall is not None:
        left = x(fall[0])
        stretch = charts.text(left), charts.text(max(x(fall[1]) - left, 0.4))
    days = [timezone.localdate(_instant(at)) for at in (first, last)]
    return Drawing(frame=charts.frame(scale, days[0], days[1]), lines=lines, fall=stretch)


def thinned(values: Values) -> Values:
    """Return at most MOST of the values, the lowest and highest of each stretch among them."""
    if len(values) <= MOST:
        return values
    size = -(-len(values) * 2 // MOST)
    found = [values[0]]
    for begin in range(0, len(values), size):
        part = values[begin : begin + size]
        ends = {min(part, key=lambda one: one[1]), max(part, key=lambda one: one[1])}
        found += sorted(ends)
    return [*found, values[-1]]


def _instant(at: int) -> datetime:
    return datetime.fromtimestamp(at / 1000, UTC)
