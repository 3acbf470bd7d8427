"""Position and profit as a fold over fills: average cost, fees included, in Decimal.

Buying adds the quote spent (and the fee, unless it was taken from the bought coin, in which case
fewer units carry the same cost). Selling realises proceeds - exit fee - average cost x amount.
What an exit leaves below the order's `dust` cannot be sold: the position counts as closed, and
the rest stays in `amount` with its cost, so that the sum over fills always holds. Sums are exact
whatever the caller's decimal context: Python's default of 28 digits is less than a column holds.
"""

from dataclasses import dataclass, replace
from decimal import Decimal, localcontext

from trading.market import EXACT, Side, quantize

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class BookedFill:
    """A fill with what was fixed when it was written down.

    `amount` is base currency, `quote` its value, `fee_quote` the fee in quote currency,
    `fee_base` the part of the fee taken in base currency (0 if in another), `dust` the base
    amount below which the rest cannot be sold.
    """

    side: Side
    amount: Decimal
    quote: Decimal
    fee_quote: Decimal
    fee_base: Decimal = ZERO
    dust: Decimal = ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Units held (dust included), what they cost, and the fills that opened the position.

    `entry_amount` and `entry_quote` sum the entry fills since the position opened: their ratio
    is the average entry price from which stop and target are measured (fees left out).
    """

    amount: Decimal = ZERO
    cost: Decimal = ZERO
    is_open: bool = False
    entry_amount: Decimal = ZERO
    entry_quote: Decimal = ZERO

    @property
    def entry_price(self) -> Decimal | None:
        """Average entry price in quote currency (18 decimals), or None when flat."""
        if not self.is_open or not self.entry_amount:
            return None
        return quantize(EXACT.divide(self.entry_quote, self.entry_amount))

    def unrealized(self, price: Decimal) -> Decimal:
        """Return the profit, before exit fees, if all units were sold at `price`."""
        return EXACT.subtract(EXACT.multiply(self.amount, price), self.cost)


def apply(position: Position, fill: BookedFill) -> tuple[Position, Decimal]:
    """Fold one fill in. Returns the new position and the profit it realised (quote currency)."""
    with localcontext(EXACT):
        if fill.side is Side.BUY:
            return _buy(position, fill), ZERO
        return _sell(position, fill)


def _buy(position: Position, fill: BookedFill) -> Position:
    if not position.is_open:
        position = replace(position, is_open=True, entry_amount=ZERO, entry_quote=ZERO)
    fee = ZERO if fill.fee_base else fill.fee_quote
    return replace(
        position,
        amount=position.amount + fill.amount - fill.fee_base,
        cost=position.cost + fill.quote + fee,
        entry_amount=position.entry_amount + fill.amount,
        entry_quote=position.entry_quote + fill.quote,
    )


def _sell(position: Position, fill: BookedFill) -> tuple[Position, Decimal]:
    gone = fill.amount + fill.fee_base
    if position.amount <= 0:
        cost = ZERO
    elif gone >= position.amount:
        cost = position.cost
    else:
        cost = quantize(position.cost * gone / position.amount)
    # A fee taken in base is already in `gone`; counting its quote value too would charge it twice.
    realized = fill.quote - (ZERO if fill.fee_base else fill.fee_quote) - cost
    left = position.amount - gone
    return replace(
        position,
        amount=left,
        cost=position.cost - cost,
        is_open=position.is_open and left > 0 and left >= fill.dust,
    ), realized
