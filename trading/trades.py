"""Round trips folded from fills.

A trade is a round trip: from the fill that opens a position to the one that leaves it flat, folded
by `trading.position.apply` in booking order. Its profit is what its fills realised, fees included;
funding is no trade's, it counts beside them. Nothing here looks at an open position's price.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal, localcontext
from typing import Literal

from trading.market import EXACT, quantize
from trading.position import BookedFill, Position, apply

ZERO = Decimal(0)
HUNDRED = Decimal(100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """One fill of the ledger: `number` is its row, `day` its trading day, `reason` its order's."""

    number: int
    at: datetime
    day: date
    reason: str
    fill: BookedFill


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one fill did to one trade, in quote currency. One that turns a position has two."""

    number: int
    at: datetime
    day: date
    realized: Decimal
    fees: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """One funding payment (quote currency, positive when received)."""

    number: int
    at: datetime
    day: date
    amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """One round trip. `number` is that of its first fill, `reason` that of the order that ended it.

    `amount` is base units entered, `entry_quote` their value, `exit_amount` and `exit_quote` what
    was left again; `pnl` and `fees` are sums over its parts; `day` is the trading day it ended on.
    """

    bot_id: int
    side: Literal["long", "short", ""]
    reason: str
    opened_at: datetime
    closed_at: datetime
    day: date
    amount: Decimal
    entry_quote: Decimal
    exit_amount: Decimal
    exit_quote: Decimal
    pnl: Decimal
    fees: Decimal
    parts: tuple[Part, ...]

    @property
    def number(self) -> int:
        return self.parts[0].number

    @property
    def held(self) -> timedelta:
        return self.closed_at - self.opened_at

    @property
    def outcome(self) -> Literal["won", "lost", "even"]:
        """Won or lost by the sign of its profit after fees; exactly 0 is neither."""
        return "won" if self.pnl > 0 else "lost" if self.pnl < 0 else "even"

    @property
    def entry_price(self) -> Decimal:
        """Average price of the entry fills, fees left out."""
        return ratio(self.entry_quote, self.amount)

    @property
    def exit_price(self) -> Decimal:
        """Average price of the exit fills, fees left out."""
        return ratio(self.exit_quote, self.exit_amount)

    @property
    def percent(self) -> Decimal:
        """Profit after fees in percent of the entry's value (leverage left out)."""
        return ratio(EXACT.multiply(self.pnl, HUNDRED), self.entry_quote)


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """A bot's fills as trades, oldest first; `rest` are the parts that no closed trade has.

    The profits of all trades and what `rest` realised add up to what all fills realised.
    """

    trades: tuple[Trade, ...] = ()
    rest: tuple[Part, ...] = ()

    @property
    def parts(self) -> Iterable[Part]:
        """Every part, trade by trade."""
        for trade in self.trades:
            yield from trade.parts
        yield from self.rest


def fold(bookings: Iterable[Booking], bot_id: int = 0) -> Folded:
    """Fold one bot's fills, given in booking order, into trades."""
    folding = Folding(bot_id)
    for booking in bookings:
        folding.add(booking)
    return folding.folded


class Folding:
    """The fold between two fills, for who reads many ledgers at once: add each fill in its turn.

    A crumb that opened no position belongs to the next trade, as its cost does. A sale after the
    position counts as closed (the last part of an exit whose rest was dust) belongs to the trade
    that just ended.
    """

    def __init__(self, bot_id: int) -> None:
        self.bot_id = bot_id
        self.position = Position()
        self.trades: list[Trade] = []
        self.parts: list[Part] = []
        self.opened_at: datetime | None = None
        self.exit_amount = self.exit_quote = self.pnl = self.fees = ZERO

    @property
    def folded(self) -> Folded:
        """What the fills so far come to."""
        return Folded(trades=tuple(self.trades), rest=tuple(self.parts))

    def add(self, booking: Booking) -> None:
        """Fold one fill in."""
        with localcontext(EXACT):
            self._add(booking)

    def _add(self, booking: Booking) -> None:
        before, fill = self.position, booking.fill
        self.position, realized = apply(before, fill)
        after, fees = self.position, fill.fee_quote
        is_exit = before.is_open and fill.side is before.exit_side
        is_turned = is_exit and after.is_open and after.is_short != before.is_short
        amount, quote = fill.amount, fill.quote
        if is_turned:
            # As the position's fold shares it out: the first part ends the trade.
            amount = before.amount
            quote = quantize(quote * amount / fill.amount)
            fees = quantize(fees * amount / fill.amount)
        part = _part(booking, realized, fees)
        if not before.is_open and not after.is_open and self._is_late(before, fill):
            self.trades[-1] = _extended(self.trades[-1], part, fill)
            return
        self.parts.append(part)
        self.pnl += realized
        self.fees += fees
        if is_exit:
            self.exit_amount += amount
            self.exit_quote += quote
        if is_turned or (before.is_open and not after.is_open):
            self._close(booking, before)
        if is_turned:
            self.parts.append(_part(booking, ZERO, fill.fee_quote - fees))
            self.fees += fill.fee_quote - fees
        if after.is_open and self.opened_at is None:
            self.opened_at = booking.at

    def _is_late(self, before: Position, fill: BookedFill) -> bool:
        return bool(self.trades) and not self.parts and fill.side is before.exit_side

    def _close(self, booking: Booking, before: Position) -> None:
        self.trades.append(
            Trade(
                bot_id=self.bot_id,
                side=before.side,
                reason=booking.reason,
                opened_at=self.opened_at or booking.at,
                closed_at=booking.at,
                day=booking.day,
                amount=before.entry_amount,
                entry_quote=before.entry_quote,
                exit_amount=self.exit_amount,
                exit_quote=self.exit_quote,
                pnl=self.pnl,
                fees=self.fees,
                parts=tuple(self.parts),
            )
        )
        self.parts, self.opened_at = [], None
        self.exit_amount = self.exit_quote = self.pnl = self.fees = ZERO


def _part(booking: Booking, realized: Decimal, fees: Decimal) -> Part:
    return Part(number=booking.number, at=booking.at, day=booking.day, realized=realized, fees=fees)


def _extended(trade: Trade, part: Part, fill: BookedFill) -> Trade:
    return replace(
        trade,
        closed_at=part.at,
        day=part.day,
        exit_amount=trade.exit_amount + fill.amount,
        exit_quote=trade.exit_quote + fill.quote,
        pnl=trade.pnl + part.realized,
        fees=trade.fees + part.fees,
        parts=(*trade.parts, part),
    )


def ratio(value: Decimal, by: Decimal) -> Decimal:
    """Divide, to the 18 decimals of stored amounts; 0 where there is nothing to divide by."""
    return quantize(EXACT.divide(value, by)) if by else ZERO
