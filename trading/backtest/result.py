"""What came out of a backtest, order by order."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from trading.market import Side
from trading.position import Position
from trading.risk import Day, Gate
from trading.trades import Folded


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One order and its one fill, as the ledger of a bot would have it.

    `at` is Unix ms; inside a candle only the sequence is true: stops are a quarter after its
    opening, targets a half, trailing stops that its fall from the high reached three quarters.
    `amount` is base currency, the rest quote currency. `reason`: the gate that sent it. `pnl`: what
    it realised, fees of both sides included. `day`: the trading day that it counts on.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Every order, oldest first, and what is left at the last candle's close.

    `days`: profit and positions opened on each trading day that had an order. `quote` and `base`
    are the account's at the end, `position` the bot's; `last` is the last close. `ended`: the
    drawdown that switched the bot off before the end. `first`, `end`: the candles' span, Unix ms.
    `gaps`: stretches without candles, as (first missing, first that is there again), Unix ms.
    """

    orders: tuple[Order, ...]
    folded: Folded
    days: Mapping[date, Day]
    quote: Decimal
    base: Decimal
    position: Position
    last: Decimal
    ended: Gate | None
    first: int
    end: int
    gaps: tuple[tuple[int, int], ...]
