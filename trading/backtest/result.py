"""What came out of a backtest, order by order."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TypedDict

from trading.backtest.plan import Plan
from trading.backtest.prices import price
from trading.backtest.quick import Done, Quick
from trading.backtest.whole import decimal
from trading.market import TIMEFRAMES, Side
from trading.position import Position
from trading.risk import Day, Gate

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One order and its one fill, as the ledger of a bot would have it.

    `at` is Unix ms; inside a candle only the sequence is true: stops are a quarter after its
    opening, targets a half, trailing stops that its fall from the high reached three quarters.
    `amount` is base currency, the rest quote currency. `reason`: the gate that sent it. `pnl`: what
    it realised, fees of both sides included. `day`: the trading day that it counts on. `dust`: the
    base amount below which what it leaves cannot be sold. `futures`: it traded contracts.
    """

    at: int
    day: date
    side: Side
    is_entry: bool
    reason: Gate
    amount: Decimal
    price: Decimal
    value: Decimal
    fee: Decimal
    pnl: Decimal
    dust: Decimal = Decimal(0)
    futures: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Paid:
    """A funding payment (quote currency, negative when paid) on its trading day; `at` is Unix ms.

    `rate`: the fraction that longs paid to shorts; `is_assumed`: nobody told it.
    """

    at: int
    day: date
    amount: Decimal
    rate: Decimal
    is_assumed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """Entries that were sent as limit orders: how many, and how many of them were filled."""

    sent: int
    filled: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Every order, oldest first, and what is left at the last candle's close.

    `days`: profit and positions opened on each trading day that had an order. `quote` and `base`
    are the account's at the end, `position` the bot's; `last` is the last close. `ended`: the
    drawdown that switched the bot off before the end. `first`, `end`: the candles' span, Unix ms.
    `gaps`: stretches without candles, as (first missing, first that is there again), Unix ms.
    `funding`: what a perpetual paid and received; its `base` is negative when short, and `quote`
    is what is left without its value: together they are worth what the account is.
    `waits`: what became of limit orders to enter; None where entries are made at market.
    """

    orders: tuple[Order, ...]
    days: Mapping[date, Day]
    quote: Decimal
    base: Decimal
    position: Position
    last: Decimal
    ended: Gate | None
    first: int
    end: int
    gaps: tuple[tuple[int, int], ...]
    funding: tuple[Paid, ...] = ()
    waits: Waits | None = None


class Span(TypedDict):
    """The part of a result that its candles say alone."""

    last: Decimal
    first: int
    end: int


def span(plan: Plan) -> Span:
    """Return the last close of a plan's candles, and when they begin and end (Unix ms)."""
    candles = plan.candles
    if not len(candles):
        return Span(last=ZERO, first=0, end=0)
    end = candles.times[-1] + TIMEFRAMES[candles.timeframe]
    return Span(last=price(candles.close[-1]), first=candles.times[0], end=end)


def quickly(plan: Plan, walk: Quick, gaps: tuple[tuple[int, int], ...]) -> Result:
    """Return what a walk in whole numbers came to."""
    position = Position()
    if walk.amount:
        position = Position(
            amount=decimal(walk.amount),
            cost=decimal(walk.cost),
            is_open=True,
            entry_amount=decimal(walk.amount),
            entry_quote=decimal(walk.value),
        )
    days = {
        day: Day(pnl=decimal(pnl), trades=trades) for day, (pnl, trades) in walk.limits.days.items()
    }
    return Result(
        orders=tuple(_order(one) for one in walk.orders),
        days=days,
        quote=decimal(walk.free),
        base=position.amount,
        position=position,
        ended=walk.ended,
        gaps=gaps,
        **span(plan),
    )


def _order(one: Done) -> Order:
    return Order(
        at=one.at,
        day=one.day,
        side=Side.BUY if one.is_entry else Side.SELL,
        is_entry=one.is_entry,
        reason=one.reason,
        amount=decimal(one.amount),
        price=decimal(one.price),
        value=decimal(one.value),
        fee=decimal(one.fee),
        pnl=decimal(one.pnl),
    )
