"""Curves and bars as SVG: geometry in percent of the drawing, so that texts keep their size."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from django.utils import formats, timezone

from bots.templatetags.show import number, sign

#: Where the drawing lies between the top and the line of dates, percent of the height.
TOP, BOTTOM = 5.0, 85.0
TICKS = 4
#: Pixels of one character of a label, and of its margin.
CHARACTER, MARGIN = 6.6, 8
#: Part of a bar's place that it fills, and how wide one gets (percent of the width).
FILL, WIDEST = 0.72, 7.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A value beside the drawing, `y` percent from its top."""

    y: str
    label: str
    is_zero: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A date under the drawing, `x` percent from its left; `anchor` as SVG has it."""

    x: str
    label: str
    anchor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Scales and labels that curves and bars share."""

    ticks: tuple[Tick, ...]
    marks: tuple[Mark, ...]
    width: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A stepped line in a box of 100 x 100, and the stretch of the deepest fall (or None)."""

    frame: Frame
    points: str
    area: str
    fall: tuple[str, str] | None
    is_up: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    x: str
    y: str
    width: str
    height: str
    is_up: bool
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    frame: Frame
    bars: tuple[Bar, ...]


class Scale:
    """Values to percent of the height, on round ticks that reach around all of them and 0."""

    def __init__(self, values: Sequence[Decimal]) -> None:
        low, high = min([*values, Decimal(0)]), max([*values, Decimal(0)])
        step = _round_step((high - low) / TICKS if high > low else Decimal(1))
        first = (low / step).to_integral_value(rounding=ROUND_FLOOR)
        last = max((high / step).to_integral_value(rounding=ROUND_CEILING), first + 1)
        self.step, self.low, self.high = step, first * step, last * step
        self.values = [step * (first + index) for index in range(int(last - first) + 1)]

    def y(self, value: Decimal) -> float:
        share = float((self.high - value) / (self.high - self.low))
        return TOP + share * (BOTTOM - TOP)

    @property
    def ticks(self) -> tuple[Tick, ...]:
        exponent = self.step.normalize().as_tuple().exponent
        places = max(-exponent, 0) if isinstance(exponent, int) else 0
        return tuple(
            Tick(
                y=text(self.y(value)),
                label=f"{sign(value)}{number(abs(value), places)}",
                is_zero=not value,
            )
            for value in self.values
        )


def _round_step(rough: Decimal) -> Decimal:
    """Return 1, 2 or 5 times a power of ten, at least `rough`."""
    unit = Decimal(1).scaleb(rough.adjusted())
    return next(unit * times for times in (1, 2, 5, 10) if unit * times >= rough)


def text(value: float) -> str:
    """Write a number for SVG: a point and two decimals in every language."""
    return f"{value:.2f}"


def midnight(day: date) -> datetime:
    """Return when a day begins in the reader's zone."""
    return timezone.make_aware(datetime.combine(day, time()))


def frame(scale: Scale, first: date, last: date) -> Frame:
    """Return the labels of a scale, and those of the days at the ends and in the middle."""
    ticks = scale.ticks
    middle = first + (last - first) / 2
    days = [(first, "0", "start"), (middle, "50", "middle"), (last, "100", "end")]
    if last == first:
        days = days[:1]
    elif (last - first).days < 2:
        days = [days[0], days[2]]
    return Frame(
        ticks=ticks,
        marks=tuple(
            Mark(x=x, label=formats.date_format(day, "j M"), anchor=anchor)
            for day, x, anchor in days
        ),
        width=round(max(len(tick.label) for tick in ticks) * CHARACTER) + MARGIN,
    )


def curve(
    points: Sequence[tuple[datetime, Decimal]],
    days: tuple[date, date],
    fall: tuple[datetime | None, datetime] | None,
) -> Curve:
    """Draw equity that is 0 when the first day begins and steps to each value at its time.

    `days` are the first and the last day of the reader's zone; `fall` (peak or None for the
    start, trough) is shaded.
    """
    scale = Scale([value for _at, value in points])
    start, end = midnight(days[0]), midnight(days[1] + timedelta(days=1))
    length = max((end - start).total_seconds(), 1.0)

    def x(at: datetime) -> float:
        return min(max((at - start).total_seconds() / length * 100, 0.0), 100.0)

    zero = scale.y(Decimal(0))
    line, before = [(0.0, zero)], zero
    for at, value in points:
        y = scale.y(value)
        line += [(x(at), before), (x(at), y)]
        before = y
    line.append((100.0, before))
    drawn = " ".join(f"{text(left)},{text(top)}" for left, top in line)
    stretch = None
    if fall is not None:
        left, right = x(fall[0] or start), x(fall[1])
        stretch = text(left), text(max(right - left, 0.4))
    return Curve(
        frame=frame(scale, *days),
        points=drawn,
        area=f"0,{text(zero)} {drawn} 100,{text(zero)}",
        fall=stretch,
        is_up=not points or points[-1][1] >= 0,
    )


def bars(values: Sequence[tuple[date, Decimal, str]]) -> Bars:
    """Draw one bar for each (day, value, title), up from 0 or down from it."""
    scale = Scale([value for _day, value, _title in values])
    place = 100 / len(values)
    width = min(place * FILL, WIDEST)
    zero = scale.y(Decimal(0))
    drawn = []
    for index, (_day, value, title) in enumerate(values):
        y = scale.y(value)
        drawn.append(
            Bar(
                x=text(index * place + (place - width) / 2),
                y=text(min(y, zero)),
                width=text(width),
                height=text(max(abs(y - zero), 0.6 if value else 0.0)),
                is_up=value >= 0,
                title=title,
            )
        )
    return Bars(frame=frame(scale, values[0][0], values[-1][0]), bars=tuple(drawn))
