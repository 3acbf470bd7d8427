"""What a backtest comes to: its figures, and the curves at the closes of its chart's candles.

Candles before the time that was asked for only feed the strategy: they are in no figure.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext
from functools import cached_property
from itertools import accumulate
from typing import Any

from bots.models.fields import plain
from trading import backtest
from trading.backtest import Order, Plan, Report, Result
from trading.backtest.prices import price
from trading.backtest.report import booking
from trading.backtest.result import Paid
from trading.fills import buy_price
from trading.history import History
from trading.market import EXACT, TIMEFRAMES, Candles, Side, quantize
from trading.trades import HUNDRED, ZERO, Folded, fold, ratio

#: Candles that are kept for the chart, drawn longer where there are more; and points of the curves.
MOST_BARS = 2_500
MS = timedelta(milliseconds=1)
Bar = tuple[float, ...]
#: From when on (Unix ms), quote currency, base currency.
State = tuple[int, Decimal, Decimal]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fall:
    """How far the capital's worth fell below its highest before, open position included.

    `percent` is the largest part of a peak that was lost, from `peak` to `trough` (Unix ms);
    `amount` the most money, which may have been another fall, from a higher peak.
    """

    amount: Decimal = ZERO
    percent: Decimal = ZERO
    peak: int = 0
    trough: int = 0


@dataclass(frozen=True, kw_only=True)
class Tried:
    """A plan with what it came to, counted from `since` (Unix ms) on."""

    plan: Plan
    result: Result
    past: History
    since: int

    @cached_property
    def warmed(self) -> int:
        """How many candles before that time fed the strategy."""
        return bisect_left(self.plan.candles.times, self.since)

    @cached_property
    def candles(self) -> Candles:
        return self.plan.candles.cut(self.warmed, len(self.plan.candles))

    @property
    def first(self) -> int:
        return self.candles.times[0]

    @cached_property
    def folded(self) -> Folded:
        return folded(self.result.orders)

    @cached_property
    def paid(self) -> Decimal:
        """What a unit costs who buys at the first opening, fee and slippage counted."""
        return _paid(self.plan, self.candles)

    def hold(self, close: Decimal) -> Decimal:
        """Return what the capital is worth at this price to who bought at the first opening."""
        return ratio(EXACT.multiply(self.plan.capital, close), self.paid)

    @cached_property
    def states(self) -> list[State]:
        """What the capital had become from when on, first its beginning."""

        def after(state: State, one: Order | Paid) -> State:
            _at, cash, base = state
            if isinstance(one, Paid):
                return one.at, cash + one.amount, base
            sign = 1 if one.side is Side.BUY else -1
            return one.at, cash - sign * one.value - one.fee, base + sign * one.amount

        start = (min(self.first, self.result.first) - 1, self.plan.capital, ZERO)
        with localcontext(EXACT):
            return list(accumulate(self._changes(), after, initial=start))

    def _changes(self) -> Sequence[Order | Paid]:
        """What changed the account, oldest first; of one instant the funding comes first."""
        result = self.result
        if not result.funding:
            return result.orders
        return sorted((*result.funding, *result.orders), key=lambda one: one.at)

    @cached_property
    def fall(self) -> Fall:
        """The maximum drawdown at the closes of all candles (Magdon-Ismail and Atiya, 2004).

        Reckoned in floats: good to a part in 10^9, far below the last digit that is shown.
        """
        import numpy as np

        if not self.result.orders:
            return Fall()
        times = np.array(self.candles.times, dtype=np.int64)
        ends = times + TIMEFRAMES[self.candles.timeframe]
        changes = np.array([at for at, _cash, _base in self.states])
        place = np.searchsorted(changes, ends, side="left") - 1
        cash = np.array([float(cash) for _at, cash, _base in self.states])[place]
        base = np.array([float(base) for _at, _cash, base in self.states])[place]
        worth = cash + base * np.array(self.candles.close)
        start = float(self.plan.capital)
        peaks = np.maximum.accumulate(np.maximum(worth, start))
        falls = peaks - worth
        if falls.max() <= 0:
            return Fall()
        shares = falls / peaks
        trough = int(np.argmax(shares))
        peak = int(np.argmax(worth[: trough + 1]))
        is_start = start > worth[peak]
        return Fall(
            amount=quantize(Decimal(repr(float(falls.max())))),
            percent=quantize(Decimal(repr(float(shares[trough]))) * HUNDRED),
            peak=self.first if is_start else int(ends[peak]),
            trough=int(ends[trough]),
        )

    @property
    def exposure(self) -> Decimal:
        """The share of the time in which there was a position, in percent."""
        inside = sum((trade.held for trade in self.folded.trades), timedelta())
        if self.result.position.is_open and self.folded.rest:
            inside += instant(self.result.end) - min(part.at for part in self.folded.rest)
        return ratio(Decimal(inside // MS) * 100, Decimal(self.result.end - self.first))

    def bars(self) -> tuple[int, list[Bar]]:
        """Return how long the chart's candles are (ms), and the candles; MOST_BARS at most."""
        length = bar_length(self.candles)
        return length, list(_grouped(self.candles, length))

    def points(self, bars: Sequence[Bar], length: int) -> Iterator[tuple[int, Decimal, Decimal]]:
        """Yield (end in ms, what the capital became, and to one that only holds) of each bar."""
        times = [at for at, _cash, _base in self.states]
        with localcontext(EXACT):
            for row in bars:
                end, close = min(int(row[0]) + length, self.result.end), price(row[4])
                _at, cash, base = self.states[bisect_left(times, end) - 1]
                yield end, cash + base * close, self.hold(close)


def _paid(plan: Plan, candles: Candles) -> Decimal:
    ask = buy_price(price(candles.open[0]), plan.costs.slippage, plan.rules)
    return EXACT.multiply(ask, 1 + plan.fee_rate)


def hold_perc(plan: Plan, candles: Candles) -> Decimal:
    """Return what buying with all of the capital at the first opening came to, in percent of it."""
    return (ratio(price(candles.close[-1]), _paid(plan, candles)) - 1) * HUNDRED


def folded(orders: Sequence[Order]) -> Folded:
    """Return orders as trades."""
    return fold(booking(number, one) for number, one in enumerate(orders, 1))


def instant(at: int) -> datetime:
    """Return Unix ms as an aware datetime."""
    return datetime.fromtimestamp(at / 1000, UTC)


def bar_length(candles: Candles) -> int:
    """Return how long (ms) candles are drawn, so that there are MOST_BARS at most."""
    shortest = TIMEFRAMES[candles.timeframe]
    span = candles.times[-1] + shortest - candles.times[0]
    lengths = [length for length in TIMEFRAMES.values() if length >= shortest]
    days = lengths[-1]
    lengths += [days * count for count in range(2, span // days // MOST_BARS + 3)]
    return next(one for one in lengths if span <= one * MOST_BARS)


def _grouped(candles: Candles, length: int) -> Iterator[Bar]:
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


def summary_of(tried: Tried) -> dict[str, Any]:
    """Return the figures of a result as JSON: money, percentages and ratios as text."""
    plan, result = tried.plan, tried.result
    report = backtest.report(plan, result)
    done, hold = report.summary, tried.hold(result.last)
    with localcontext(EXACT):
        net, gained = report.value - plan.capital, hold - plan.capital
    numbers = {
        "capital": plan.capital,
        "value": report.value,
        "net": net,
        "percent": report.percent,
        "hold_percent": ratio(gained * HUNDRED, plan.capital),
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
        "drawdown": tried.fall.amount,
        "drawdown_percent": tried.fall.percent,
        "exposure": tried.exposure,
    }
    return {
        **_counts(tried),
        "trades": done.trades,
        "wins": done.wins,
        "losses": done.losses,
        "even": done.even,
        "held_seconds": int(done.average_held.total_seconds()) if done.average_held else None,
        **{name: text_of(value) for name, value in numbers.items()},
        **(_perpetual(report) if plan.is_perpetual else {}),
    }


def _counts(tried: Tried) -> dict[str, Any]:
    plan, result = tried.plan, tried.result
    window = plan.strategy.window(plan.values)
    return {
        **candles_of(
            plan, tried.candles, tried.past, warmed=tried.warmed, window=window, end=result.end
        ),
        "orders": len(result.orders),
        **_waits(result),
        "ended": result.ended.value if result.ended else None,
    }


def _waits(result: Result) -> dict[str, int]:
    waits = result.waits
    return {} if waits is None else {"entries_sent": waits.sent, "entries_filled": waits.filled}


def candles_of(
    plan: Plan, candles: Candles, past: History, *, warmed: int, window: int, end: int
) -> dict[str, Any]:
    """Return what a plan was tried on: names, instants (Unix ms) and counts.

    `warmed` candles before these fed a strategy that looks at `window` of them.
    """
    return {
        "quote": plan.rules.quote,
        "base": plan.rules.base,
        "candles": len(candles),
        "warmed": warmed,
        "window": window,
        "first": candles.times[0],
        "end": end,
        "missing": past.missing,
        "gaps": len(past.gaps),
    }


def text_of(value: Decimal | None) -> str | None:
    """Return a figure as JSON keeps it."""
    return None if value is None else plain(quantize(value))


def _perpetual(report: Report) -> dict[str, Any]:
    """Return what a perpetual's result has besides: gross - fees + funding is its net profit."""
    return {
        "gross": text_of(report.gross),
        "funding": text_of(report.funding),
        "payments": report.payments,
        "payments_assumed": report.assumed,
        "liquidations": report.liquidations,
    }
