"""Prices of markets as the pages show them, from stored candles: with their age, never asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from django.utils import formats, timezone

from bots import candles
from bots.models import Market
from bots.templatetags.show import price
from bots.views.charts import BOTTOM, CHARACTER, MARGIN, TOP, Frame, Mark, Tick
from bots.views.exposure import HUNDRED
from trading.market import TIMEFRAMES, Candles

DAY = TIMEFRAMES["1d"]
HOUR = TIMEFRAMES["1h"]
#: The small line in the list, in pixels.
WIDTH, HEIGHT = 84, 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A close and when it was."""

    at: datetime
    price: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What is known of a market's price; `at` is when the newest candle closed.

    `change` (percent), `high` and `low` are of the 24 hours until then; None where fewer are known.
    """

    last: Decimal
    at: datetime
    change: Decimal | None
    high: Decimal
    low: Decimal
    line: tuple[Point, ...]

    @property
    def spark(self) -> str:
        """The line as points of a small drawing."""
        return _points(self, 2, WIDTH - 2, 2, HEIGHT - 2)

    @property
    def points(self) -> str:
        """The line as points of a drawing of 100 x 100, between its grid's first and last line."""
        return _points(self, 0, 100, TOP, BOTTOM)

    @property
    def hours(self) -> list[Point]:
        """The closes of whole hours, the newest first: the drawing as a table."""
        return [one for one in reversed(self.line) if not (one.at.minute or one.at.second)]


def prices_of(markets: Sequence[Market]) -> dict[int, Price]:
    """Return the prices of those markets (by id) that any candles are stored of. One query."""
    wanted = {
        market.pk: [_key(market, timeframe) for timeframe in TIMEFRAMES] for market in markets
    }
    stored = candles.latest_of(key for keys in wanted.values() for key in keys)
    found = {}
    for pk, keys in wanted.items():
        series = [stored[key] for key in keys if key in stored and stored[key].times]
        if series:
            found[pk] = _price(series)
    return found


def _key(market: Market, timeframe: str) -> candles.Key:
    return candles.key_of(market.exchange, market.mode, market.symbol, timeframe)


def _end(one: Candles) -> int:
    return one.times[-1] + TIMEFRAMES[one.timeframe]


def _price(series: Sequence[Candles]) -> Price:
    """The newest candle tells the price; the day is told by the finest series that reaches back."""
    newest = max(series, key=_end)
    end = _end(newest)
    whole = [one for one in series if one.times[0] <= end - DAY < _end(one)]
    day = (
        _since(min(whole, key=lambda one: TIMEFRAMES[one.timeframe]), end - DAY) if whole else None
    )
    shown = day or newest
    last, length = Decimal(str(newest.close[-1])), TIMEFRAMES[shown.timeframe]
    line = [
        Point(at=_instant(time + length), price=Decimal(str(close)))
        for time, close in zip(shown.times, shown.close, strict=True)
    ]
    if line[-1].at < _instant(end):
        line.append(Point(at=_instant(end), price=last))
    first = Decimal(str(day.open[0])) if day else None
    return Price(
        last=last,
        at=_instant(end),
        change=(last / first - 1) * HUNDRED if first else None,
        high=max(Decimal(str(max(shown.high))), last),
        low=min(Decimal(str(min(shown.low))), last),
        line=tuple(line),
    )


def _since(one: Candles, start: int) -> Candles | None:
    """Return the candles from `start` (ms) on; None where the first of them are missing."""
    count = sum(time >= start for time in one.times)
    part = one.last(count)
    length = TIMEFRAMES[one.timeframe]
    return part if count and part.times[0] < start + length else None


def _instant(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def _points(price: Price, left: float, right: float, top: float, bottom: float) -> str:
    """Write the line for SVG: time from left to right, the highest close at the top."""
    values = [one.price for one in price.line]
    low, span = min(values), max(values) - min(values)
    if not span:
        # A price that stood still is a line in the middle.
        low, span = low - 1, Decimal(2)
    begin, end = price.line[0].at, price.line[-1].at
    length = (end - begin).total_seconds() or 1.0
    return " ".join(
        f"{left + (one.at - begin).total_seconds() / length * (right - left):.2f},"
        f"{bottom - float((one.price - low) / span) * (bottom - top):.2f}"
        for one in price.line
    )


def frame_of(shown: Price, tick: Decimal) -> Frame:
    """Return the grid of a market's drawing: three prices to its tick, three times."""
    values = [one.price for one in shown.line]
    low, high = min(values), max(values)
    labels = [(TOP, high), ((TOP + BOTTOM) / 2, (low + high) / 2), (BOTTOM, low)]
    ticks = tuple(
        Tick(y=f"{y:.2f}", label=price(value, tick), is_zero=False) for y, value in labels
    )
    begin, end = shown.line[0].at, shown.line[-1].at
    times = [(begin, "0", "start"), (begin + (end - begin) / 2, "50", "middle")]
    marks = [*times, (end, "100", "end")]
    return Frame(
        ticks=ticks if high > low else ticks[1:2],
        marks=tuple(Mark(x=x, label=_time(at), anchor=anchor) for at, x, anchor in marks),
        width=round(max(len(one.label) for one in ticks) * CHARACTER) + MARGIN,
    )


def _time(at: datetime) -> str:
    return formats.date_format(timezone.localtime(at), "j M H:i")
