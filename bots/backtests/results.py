"""What is kept of a backtest: figures as JSON in its row, orders and curves packed beside it."""

import json
import zlib
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from bots.backtests.figures import Bar, Tried, folded
from bots.models import BacktestData, BacktestRun
from bots.models.fields import plain
from trading.backtest import Order
from trading.backtest.report import payment
from trading.backtest.result import Paid
from trading.market import EXACT, Side
from trading.risk import Gate
from trading.trades import Folded, Payment

#: Gaps that are kept one by one; their number and the candles they lack are told of all.
MOST_GAPS = 200
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
    `bar_ms` each, `fall` the instants (ms) of the deepest fall's peak and trough, None without one,
    `funding` what a perpetual paid and received.
    """

    bar_ms: int
    bars: tuple[Bar, ...]
    points: tuple[Point, ...]
    fall: tuple[int, int] | None
    orders: tuple[Order, ...]
    gaps: tuple[tuple[int, int], ...]
    funding: tuple[Paid, ...] = ()

    def folded(self) -> Folded:
        """Return the orders as trades."""
        return folded(self.orders)

    def payments(self) -> tuple[Payment, ...]:
        """Return the funding as the ledger of a bot has it."""
        return tuple(payment(*one) for one in enumerate(self.funding, 1))


def keep(run: BacktestRun, tried: Tried) -> None:
    """Store a result's orders and curves beside its run; one that is there is replaced."""
    length, bars = tried.bars()
    points = tried.points(bars, length)
    content: dict[str, Any] = {
        "bar_ms": length,
        "bars": bars,
        "points": [[at, _short(value), _short(hold)] for at, value, hold in points],
        "fall": [tried.fall.peak, tried.fall.trough] if tried.fall.amount else None,
        "orders": [_written(order) for order in tried.result.orders],
        "gaps": tried.past.gaps[:MOST_GAPS],
    }
    if tried.plan.is_perpetual:
        content["funding"] = [_paid(one) for one in tried.result.funding]
    packed = zlib.compress(json.dumps(content, separators=(",", ":")).encode(), 6)
    BacktestData.objects.update_or_create(run=run, defaults={"packed": packed})


def _short(value: Decimal) -> str:
    return plain(value.quantize(SHORT, context=EXACT))


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


def _paid(one: Paid) -> list[object]:
    return [one.at, one.day.isoformat(), plain(one.amount), plain(one.rate), one.is_assumed]


def _read_paid(row: list[Any]) -> Paid:
    at, day, amount, rate, is_assumed = row
    return Paid(
        at=at,
        day=date.fromisoformat(day),
        amount=Decimal(amount),
        rate=Decimal(rate),
        is_assumed=is_assumed,
    )


def _read(row: list[Any], *, futures: bool) -> Order:
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
        futures=futures,
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
        orders=tuple(_read(row, futures="funding" in content) for row in content["orders"]),
        gaps=tuple((begin, end) for begin, end in content["gaps"]),
        funding=tuple(map(_read_paid, content.get("funding", ()))),
    )
