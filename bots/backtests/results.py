"""What is kept of a backtest: figures as JSON in its row, orders and curves packed beside it."""

import json
import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, localcontext
from itertools import accumulate
from typing import Any

from bots.models import BacktestData, BacktestRun
from bots.models.fields import plain
from trading.backtest import Order, Plan, Report, Result
from trading.backtest.prices import price
from trading.backtest.report import booking
from trading.equity import by_day
from trading.fills import buy_price
from trading.history import History
from trading.market import EXACT, TIMEFRAMES, Candles, Side, quantize
from trading.risk import Gate
from trading.trades import HUNDRED, ZERO, Folded, fold, ratio

#: Candles that are kept for the chart, drawn longer where there are more; and points of the curves.
MOST_BARS = 2_500
#: Gaps that are kept one by one; their number and the candles they lack are told of all.
MOST_GAPS = 200
MS = timedelta(milliseconds=1)
#: Places that the points of a curve have.
SHORT = Decimal("0.00000001")


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What the account and one that only holds were worth at `at` (Unix ms), quote currency."""

    at: int
    value: Decimal
    hold: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A result as it was kept: `bars` are rows (opening ms, open, high, low, close, volume) of
    `bar_ms` each, `fall` the instants (ms) of the deepest fall's peak and trough, None without one.
    """

    bar_ms: int
    bars: tuple[tuple[float, ...], ...]
    points: tuple[Point, ...]
    fall: tuple[int, int] | None
    orders: tuple[Order, ...]
    gaps: tuple[tuple[int, int], ...]

    def folded(self) -> Folded:
        """Return the orders as trades."""
        return _folded(self.orders)


def summary_of(plan: Plan, result: Result, report: Report, past: History) -> dict[str, Any]:
    """Return the figures of a result as JSON: money, percentages and ratios as text."""
    done, worst = report.summary, _fall(plan, result)
    folded = _folded(result.orders)
    with localcontext(EXACT):
        net = report.value - plan.funds
    return {
        "quote": plan.rules.quote,
        "base": plan.rules.base,
        "candles": len(plan.candles),
        "window": plan.strategy.window(plan.values),
        "first": result.first,
        "end": result.end,
        "missing": past.missing,
        "gaps": len(past.gaps),
        "orders": len(result.orders),
        "ended": result.ended.value if result.ended else None,
        "trades": done.trades,
        "wins": done.wins,
        "losses": done.losses,
        "even": done.even,
        "held_seconds": int(done.average_held.total_seconds()) if done.average_held else None,
        "days": len(by_day(folded.parts, ())),
        **{
            name: _text(value)
            for name, value in {
                "funds": plan.funds,
                "value": report.value,
                "net": net,
                "percent": report.percent,
                "hold_percent": report.hold,
                "realised": report.pnl,
                "open_pnl": report.open_pnl,
                "fees": report.fees,
                "win_rate": done.win_rate,
                "profit_factor": done.profit_factor,
                "expectancy": done.expectancy,
                "average_win": done.average_win,
                "average_loss": done.average_loss,
                "best": done.best.pnl if done.best else None,
                "worst": done.worst.pnl if done.worst else None,
                "drawdown": worst.amount,
                "drawdown_percent": worst.percent,
                "exposure": _exposure(result, folded),
            }.items()
        },
    }


def _folded(orders: Sequence[Order]) -> Folded:
    return fold(booking(number, one) for number, one in enumerate(orders, 1))


def _text(value: Decimal | None) -> str | None:
    return None if value is None else plain(quantize(value))


def _short(value: Decimal) -> str:
    return plain(value.quantize(SHORT, context=EXACT))


def _exposure(result: Result, folded: Folded) -> Decimal:
    """Return the share of the time in which there was a position, in percent."""
    inside = sum((trade.held for trade in folded.trades), timedelta())
    if result.position.is_open and folded.rest:
        inside += instant(result.end) - min(part.at for part in folded.rest)
    whole = result.end - result.first
    return ratio(Decimal(inside // MS) * 100, Decimal(whole)) if whole else ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class Fall:
    """The deepest fall of the account's worth from a peak, open position included."""

    amount: Decimal = ZERO
    percent: Decimal = ZERO
    peak: int = 0
    trough: int = 0


def _fall(plan: Plan, result: Result) -> Fall:
    """Return the maximum drawdown at the closes of all candles (Magdon-Ismail and Atiya, 2004).

    Reckoned in floats: good to a part in 10^9, far below the last digit that is shown.
    """
    import numpy as np

    candles = plan.candles
    if not len(candles) or not result.orders:
        return Fall()
    ends = np.array(candles.times, dtype=np.int64) + TIMEFRAMES[candles.timeframe]
    states = _states(plan, result)
    place = np.searchsorted(np.array([at for at, _cash, _base in states]), ends, side="right") - 1
    cash = np.array([float(cash) for _at, cash, _base in states])[place]
    base = np.array([float(base) for _at, _cash, base in states])[place]
    worth = cash + base * np.array(candles.close)
    peaks = np.maximum.accumulate(np.maximum(worth, float(plan.funds)))
    falls = peaks - worth
    trough = int(np.argmax(falls))
    if falls[trough] <= 0:
        return Fall()
    peak = int(np.argmax(worth[: trough + 1]))
    is_start = float(peaks[trough]) > float(worth[peak])
    amount, most = Decimal(repr(float(falls[trough]))), Decimal(repr(float(peaks[trough])))
    return Fall(
        amount=quantize(amount),
        percent=ratio(amount * HUNDRED, most),
        peak=result.first if is_start else int(ends[peak]),
        trough=int(ends[trough]),
    )


def _states(plan: Plan, result: Result) -> list[tuple[int, Decimal, Decimal]]:
    """Return (from when on, quote currency, base currency) of the account, first its beginning."""

    def after(state: tuple[int, Decimal, Decimal], order: Order) -> tuple[int, Decimal, Decimal]:
        _at, cash, base = state
        sign = 1 if order.side is Side.BUY else -1
        return order.at, cash - sign * order.value - order.fee, base + sign * order.amount

    start = (result.first - 1, plan.funds, ZERO)
    with localcontext(EXACT):
        return list(accumulate(result.orders, after, initial=start))


# -- The chart's candles, and the curves at their closes ------------------------------------------
def bars_of(candles: Candles) -> tuple[int, list[tuple[float, ...]]]:
    """Return how long the chart's candles are (ms), and the candles, as rows; MOST_BARS at most."""
    shortest = TIMEFRAMES[candles.timeframe]
    span = candles.times[-1] + shortest - candles.times[0] if len(candles) else 0
    lengths = [length for length in TIMEFRAMES.values() if length >= shortest]
    days = lengths[-1]
    lengths += [days * count for count in range(2, span // days // MOST_BARS + 3)]
    length = next(one for one in lengths if span <= one * MOST_BARS)
    return length, list(_grouped(candles, length))


def _grouped(candles: Candles, length: int) -> Iterator[tuple[float, ...]]:
    times, begin = candles.times, 0
    while begin < len(times):
        opens = times[begin] // length * length
        end = bisect_left(times, opens + length, begin)
        yield (
            opens,
            candles.open[begin],
            max(candles.high[begin:end]),
            min(candles.low[begin:end]),
            candles.close[end - 1],
            sum(candles.volume[begin:end]),
        )
        begin = end


def _points(plan: Plan, result: Result, bars: Sequence[tuple[float, ...]], length: int) -> Any:
    if not bars:
        return []
    states = _states(plan, result)
    times = [at for at, _cash, _base in states]
    opens = price(plan.candles.open[0])
    paid = buy_price(opens, plan.costs.slippage, plan.rules) * (1 + plan.fee_rate)
    rows = []
    with localcontext(EXACT):
        for row in bars:
            end, close = min(int(row[0]) + length, result.end), price(row[4])
            _at, cash, base = states[bisect_right(times, end) - 1]
            rows.append([end, _short(cash + base * close), _short(ratio(plan.funds * close, paid))])
    return rows


# -- In and out -----------------------------------------------------------------------------------
def keep(run: BacktestRun, plan: Plan, result: Result, past: History) -> None:
    """Store a result's orders and curves beside its run; one that is there is replaced."""
    length, bars = bars_of(plan.candles)
    fall = _fall(plan, result)
    content = {
        "bar_ms": length,
        "bars": bars,
        "points": _points(plan, result, bars, length),
        "fall": [fall.peak, fall.trough] if fall.amount else None,
        "orders": [_written(order) for order in result.orders],
        "gaps": past.gaps[:MOST_GAPS],
    }
    packed = zlib.compress(json.dumps(content, separators=(",", ":")).encode(), 6)
    BacktestData.objects.update_or_create(run=run, defaults={"packed": packed})


def _written(order: Order) -> list[object]:
    numbers = (order.amount, order.price, order.value, order.fee, order.pnl, order.dust)
    return [
        order.at,
        order.day.isoformat(),
        order.side.value,
        order.is_entry,
        order.reason.value,
        *map(plain, numbers),
    ]


def _read(row: list[Any]) -> Order:
    at, day, side, is_entry, reason, *texts = row
    amount, paid, value, fee, pnl, dust = map(Decimal, texts)
    return Order(
        at=at,
        day=date.fromisoformat(day),
        side=Side(side),
        is_entry=is_entry,
        reason=Gate(reason),
        amount=amount,
        price=paid,
        value=value,
        fee=fee,
        pnl=pnl,
        dust=dust,
    )


def load(run: BacktestRun) -> Kept | None:
    """Return what is kept of a run's result; None where there is none."""
    row = BacktestData.objects.filter(run=run).first()
    if row is None:
        return None
    content = json.loads(zlib.decompress(bytes(row.packed)))
    return Kept(
        bar_ms=content["bar_ms"],
        bars=tuple(map(tuple, content["bars"])),
        points=tuple(
            Point(at=at, value=Decimal(value), hold=Decimal(hold))
            for at, value, hold in content["points"]
        ),
        fall=tuple(content["fall"]) if content["fall"] else None,
        orders=tuple(map(_read, content["orders"])),
        gaps=tuple((begin, end) for begin, end in content["gaps"]),
    )


def instant(at: int) -> datetime:
    """Return Unix ms as an aware datetime."""
    return datetime.fromtimestamp(at / 1000, UTC)
