"""The answer to `klines` as JSON text: closed candles are rendered once, the open one each time."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from tests.testexchange.chart import INTERVALS, Block, Chart, merge
from tests.testexchange.series import DAY, MINUTE, Candle, text


def row(candle: Candle, interval_ms: int) -> str:
    """One row: open time, OHLC, volume, close time, quote volume, trades, taker's share, unused."""
    numbers = [text(value) for value in candle[1:6]]
    half, half_quote = text(candle.volume // 2), text(candle.quote // 2)
    return (
        f'[{candle.at},"{numbers[0]}","{numbers[1]}","{numbers[2]}","{numbers[3]}","{numbers[4]}",'
        f'{candle.at + interval_ms - 1},"{text(candle.quote)}",{candle.trades},"{half}",'
        f'"{half_quote}","0"]'
    )


def with_price(candle: Candle, price: int | None) -> Candle:
    """An open candle in whose last moment an explicit price was set."""
    if price is None:
        return candle
    return candle._replace(close=price, high=max(candle.high, price), low=min(candle.low, price))


def _rows_of_day(
    chart: Chart, interval_ms: int, places: range, block: Block, now_ms: int, price: int | None
) -> list[str]:
    """Rendered rows of the candles at `places` in one day's block; `price` as in `with_price`."""
    candles, times, rendered = block
    found: list[str] = []
    for index in places:
        if times[index] + interval_ms > now_ms:
            partial = chart.partial(times[index], interval_ms, now_ms)
            found.append(row(with_price(partial, price), interval_ms))
            continue
        line = rendered[index]
        if line is None:
            line = rendered[index] = row(candles[index], interval_ms)
        found.append(line)
    return found


def klines(
    chart: Chart,
    interval: str,
    *,
    now_ms: int,
    start_ms: int | None,
    end_ms: int | None,
    limit: int,
    price: int | None = None,
) -> str:
    """The JSON list: from `start_ms` on if given, else the last `limit` candles up to `end_ms`."""
    interval_ms = INTERVALS[interval]
    last = min(now_ms, now_ms if end_ms is None else end_ms)
    if chart.series.last_ms is not None:
        last = min(last, chart.series.last_ms)
    first = max(chart.series.first_ms // interval_ms * interval_ms, start_ms or 0)
    days = range(first // DAY, last // DAY + 1)
    forward = start_ms is not None
    rows: list[str] = []
    for day in days if forward else reversed(days):
        block = chart.block(day, interval_ms)
        low, high = bisect_left(block[1], first), bisect_right(block[1], last)
        missing = limit - len(rows)
        places = (
            range(low, min(high, low + missing))
            if forward
            else range(max(low, high - missing), high)
        )
        found = _rows_of_day(chart, interval_ms, places, block, now_ms, price)
        rows = rows + found if forward else found + rows
        if len(rows) >= limit:
            break
    return f"[{','.join(rows)}]"


def last_day(chart: Chart, now_ms: int) -> Candle:
    """The candle of the 24 hours up to `now_ms`, whole minutes, built from minutes and hours."""
    hour = INTERVALS["1h"]
    at = (now_ms - DAY) // MINUTE * MINUTE + MINUTE
    pieces: list[Candle] = []
    while at <= now_ms:
        step = hour if at % hour == 0 and at + hour <= now_ms else chart.series.step_ms
        at = at // step * step
        candles, times, _ = chart.block(at // DAY, step)
        index = bisect_left(times, at)
        if index < len(times) and times[index] == at:
            candle = candles[index]
            pieces.append(candle if at + step <= now_ms else chart.partial(at, step, now_ms))
        at += step
    if not pieces:  # in a long gap, or after the end: nothing traded
        price = chart.price(now_ms)
        return Candle(now_ms - DAY, price, price, price, price, 0, 0, 0)
    return merge(pieces, pieces[0].at)
