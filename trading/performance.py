"""How well it traded: round trips folded from fills, and the figures that traders judge them by.

A trade is a round trip: from the fill that opens a position to the one that leaves it flat, folded
by `trading.position.apply` in booking order. Its profit is what its fills realised, fees included;
funding is no trade's, it counts beside them. Nothing here looks at an open position's price.

Win rate, average win and loss, and expectancy are those of Van Tharp, "Trade Your Way to Financial
Freedom"; profit factor that of Pardo, "The Evaluation and Optimization of Trading Strategies";
maximum drawdown as in Magdon-Ismail and Atiya, "Maximum Drawdown" (Risk, 2004).
"""

from collections.abc import Iterable, Sequence
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
        return _ratio(self.entry_quote, self.amount)

    @property
    def exit_price(self) -> Decimal:
        """Average price of the exit fills, fees left out."""
        return _ratio(self.exit_quote, self.exit_amount)

    @property
    def percent(self) -> Decimal:
        """Profit after fees in percent of the entry's value (leverage left out)."""
        return _ratio(EXACT.multiply(self.pnl, HUNDRED), self.entry_quote)


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
    """Fold one bot's fills, given in booking order, into trades.

    A crumb that opened no position belongs to the next trade, as its cost does. A sale after the
    position counts as closed (the last part of an exit whose rest was dust) belongs to the trade
    that just ended.
    """
    fold = _Fold(bot_id)
    with localcontext(EXACT):
        for booking in bookings:
            fold.add(booking)
    return Folded(trades=tuple(fold.trades), rest=tuple(fold.parts))


class _Fold:
    """The fold's state between two fills: the position, and the parts since the last trade."""

    def __init__(self, bot_id: int) -> None:
        self.bot_id = bot_id
        self.position = Position()
        self.trades: list[Trade] = []
        self.parts: list[Part] = []
        self.opened_at: datetime | None = None
        self.exit_amount = self.exit_quote = ZERO

    def add(self, booking: Booking) -> None:
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
        if is_exit:
            self.exit_amount += amount
            self.exit_quote += quote
        if is_turned or (before.is_open and not after.is_open):
            self._close(booking, before)
        if is_turned:
            self.parts.append(_part(booking, ZERO, fill.fee_quote - fees))
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
                pnl=sum((part.realized for part in self.parts), ZERO),
                fees=sum((part.fees for part in self.parts), ZERO),
                parts=tuple(self.parts),
            )
        )
        self.parts, self.opened_at = [], None
        self.exit_amount = self.exit_quote = ZERO


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a set of trades comes to, quote currency. `gross_loss` is positive."""

    trades: int = 0
    wins: int = 0
    losses: int = 0
    gross_profit: Decimal = ZERO
    gross_loss: Decimal = ZERO
    fees: Decimal = ZERO
    held: timedelta = timedelta()
    best: Trade | None = None
    worst: Trade | None = None

    @property
    def even(self) -> int:
        """Trades that neither won nor lost."""
        return self.trades - self.wins - self.losses

    @property
    def pnl(self) -> Decimal:
        return EXACT.subtract(self.gross_profit, self.gross_loss)

    @property
    def win_rate(self) -> Decimal | None:
        """Percent of all trades that won; None without trades."""
        return _ratio(Decimal(100 * self.wins), Decimal(self.trades)) if self.trades else None

    @property
    def profit_factor(self) -> Decimal | None:
        """Gross profit / gross loss; None where nothing was lost."""
        return _ratio(self.gross_profit, self.gross_loss) if self.gross_loss else None

    @property
    def expectancy(self) -> Decimal | None:
        """Mean profit of a trade: win rate x average win - loss rate x average loss."""
        return _ratio(self.pnl, Decimal(self.trades)) if self.trades else None

    @property
    def average_win(self) -> Decimal | None:
        return _ratio(self.gross_profit, Decimal(self.wins)) if self.wins else None

    @property
    def average_loss(self) -> Decimal | None:
        """Mean result of the trades that lost: negative."""
        return _ratio(-self.gross_loss, Decimal(self.losses)) if self.losses else None

    @property
    def average_held(self) -> timedelta | None:
        return self.held / self.trades if self.trades else None


def summarize(trades: Sequence[Trade]) -> Summary:
    """Return the figures of these trades (of one quote currency)."""
    if not trades:
        return Summary()
    with localcontext(EXACT):
        return Summary(
            trades=len(trades),
            wins=sum(trade.pnl > 0 for trade in trades),
            losses=sum(trade.pnl < 0 for trade in trades),
            gross_profit=sum((t.pnl for t in trades if t.pnl > 0), ZERO),
            gross_loss=-sum((t.pnl for t in trades if t.pnl < 0), ZERO),
            fees=sum((trade.fees for trade in trades), ZERO),
            held=sum((trade.held for trade in trades), timedelta()),
            best=max(trades, key=lambda trade: trade.pnl),
            worst=min(trades, key=lambda trade: trade.pnl),
        )


def _ratio(value: Decimal, by: Decimal) -> Decimal:
    """Divide, to the 18 decimals of stored amounts; 0 where there is nothing to divide by."""
    return quantize(EXACT.divide(value, by)) if by else ZERO
