"""Position and profit as a fold over fills: average cost, fees included, in Decimal.

A long position costs what its buys paid; a short one what its sales brought in. Entering adds the
value of the fill, made worse by the fee (unless that was taken from the bought coin, in which case
fewer units carry the same cost). Leaving realises the difference to the average cost, less the fee.

Spot knows long positions only. What an exit leaves there below the order's `dust` cannot be sold:
the position counts as closed, and the rest stays in `amount` with its cost, so that the sum over
fills always holds. So does what an entry bought before it was cancelled, while all of it is less
than its order's `dust`: such a crumb opens no position, and joins the next. Futures go both ways,
have no dust, and a fill that is larger than the position closes it and opens the other one. Sums
are exact whatever the caller's decimal context: Python's default of 28 digits is less than a
column holds.
"""

from dataclasses import dataclass, replace
from decimal import Decimal, localcontext
from typing import Literal

from trading.market import EXACT, Side, quantize

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class BookedFill:
    """A fill with what was fixed when it was written down.

    `amount` is base currency, `quote` its value, `fee_quote` the fee in quote currency,
    `fee_base` the part of the fee taken in base currency (0 if in another), `dust` the base
    amount below which what is left, or what was bought, cannot be sold. `futures`: units are
    contracts, so no fee is taken from them (`fee_base` changes nothing, its value in `fee_quote`
    counts) and none are dust.
    """

    side: Side
    amount: Decimal
    quote: Decimal
    fee_quote: Decimal
    fee_base: Decimal = ZERO
    dust: Decimal = ZERO
    futures: bool = False

    @property
    def fee_units(self) -> Decimal:
        """Base units that the fee took out of the holding."""
        return ZERO if self.futures else self.fee_base

    @property
    def fee_value(self) -> Decimal:
        """The fee in quote currency, 0 where it was taken in units: that is charged once."""
        return ZERO if self.fee_units else self.fee_quote


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Units held (dust included) or sold short, their cost, and the fills that opened it.

    `amount` counts units in both directions. `cost` is what they cost, fees added; of a short
    position what their sale brought in, fees taken off. `entry_amount` and `entry_quote` sum the
    entry fills since the last position closed: their ratio is the average entry price from which
    stop and target are measured (fees left out).
    """

    amount: Decimal = ZERO
    cost: Decimal = ZERO
    is_open: bool = False
    is_short: bool = False
    entry_amount: Decimal = ZERO
    entry_quote: Decimal = ZERO

    @property
    def side(self) -> Literal["long", "short", ""]:
        """The direction in a word, empty when flat."""
        if not self.is_open:
            return ""
        return "short" if self.is_short else "long"

    @property
    def exit_side(self) -> Side:
        """The side of an order that closes it."""
        return Side.BUY if self.is_short else Side.SELL

    @property
    def signed_amount(self) -> Decimal:
        """Base units, negative when short: as exchanges tell positions."""
        return EXACT.minus(self.amount) if self.is_short else self.amount

    @property
    def entry_price(self) -> Decimal | None:
        """Average entry price in quote currency (18 decimals), or None when flat."""
        if not self.is_open or not self.entry_amount:
            return None
        return quantize(EXACT.divide(self.entry_quote, self.entry_amount))

    def unrealized(self, price: Decimal) -> Decimal:
        """Return the profit, before exit fees, if all units were closed at `price`."""
        value = EXACT.multiply(self.amount, price)
        if self.is_short:
            return EXACT.subtract(self.cost, value)
        return EXACT.subtract(value, self.cost)


def apply(position: Position, fill: BookedFill) -> tuple[Position, Decimal]:
    """Fold one fill in. Returns the new position and the profit it realised (quote currency)."""
    with localcontext(EXACT):
        if fill.futures and (not position.amount or fill.side is not position.exit_side):
            return _enter(position, fill, is_short=fill.side is Side.SELL), ZERO
        if fill.futures and fill.amount > position.amount:
            return _flip(position, fill)
        if fill.side is position.exit_side:
            return _leave(position, fill)
        return _enter(position, fill, is_short=False), ZERO


def fund(position: Position, amount: Decimal) -> tuple[Position, Decimal]:
    """Fold one funding payment in (quote currency, positive when received).

    It realises its amount at once and leaves the position and its cost as they are.
    """
    return position, amount


def _enter(position: Position, fill: BookedFill, *, is_short: bool) -> Position:
    fee = -fill.fee_value if is_short else fill.fee_value
    bought = position.entry_amount + fill.amount
    return replace(
        position,
        amount=position.amount + fill.amount - fill.fee_units,
        cost=position.cost + fill.quote + fee,
        # Before fees: an order that filled whole opens its position, however small it was.
        is_open=position.is_open or fill.futures or bought >= fill.dust,
        is_short=is_short,
        entry_amount=bought,
        entry_quote=position.entry_quote + fill.quote,
    )


def _leave(position: Position, fill: BookedFill) -> tuple[Position, Decimal]:
    gone = fill.amount + fill.fee_units
    if position.amount <= 0:
        cost = ZERO
    elif gone >= position.amount:
        cost = position.cost
    else:
        cost = quantize(position.cost * gone / position.amount)
    earned = cost - fill.quote if position.is_short else fill.quote - cost
    left = position.amount - gone
    is_open = position.is_open and left > 0 and (fill.futures or left >= fill.dust)
    return replace(
        position,
        amount=left,
        cost=position.cost - cost,
        is_open=is_open,
        is_short=position.is_short and is_open,
        entry_amount=position.entry_amount if is_open else ZERO,
        entry_quote=position.entry_quote if is_open else ZERO,
    ), earned - fill.fee_value


def _flip(position: Position, fill: BookedFill) -> tuple[Position, Decimal]:
    """Close the position with its part of the fill, and open the other with the rest."""
    closing, opening = cut(fill, position.amount)
    closed, realized = _leave(position, closing)
    return _enter(closed, opening, is_short=fill.side is Side.SELL), realized


def cut(fill: BookedFill, amount: Decimal) -> tuple[BookedFill, BookedFill]:
    """Return the part of a fill that is `amount` units, and the rest. Call it in EXACT."""
    part = replace(
        fill,
        amount=amount,
        quote=quantize(fill.quote * amount / fill.amount),
        fee_quote=quantize(fill.fee_quote * amount / fill.amount),
    )
    return part, replace(
        fill,
        amount=fill.amount - part.amount,
        quote=fill.quote - part.quote,
        fee_quote=fill.fee_quote - part.fee_quote,
    )
