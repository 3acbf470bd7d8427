"""Decimal arithmetic in whole numbers of 10^-18, the last place that amounts and prices have."""

from decimal import Decimal
from fractions import Fraction

from trading.market import EXACT

ONE = 10**18


class Doubt(Exception):
    """What comes next is not beyond doubt in whole numbers."""


def whole(value: Decimal) -> int:
    """Return a number in 10^-18; Doubt if that is not all of it."""
    scaled = Fraction(value) * ONE
    if scaled.denominator != 1:
        raise Doubt
    return scaled.numerator


def told(value: float) -> int:
    """Return a candle's price, digit by digit as it was told, in 10^-18."""
    return int(EXACT.scaleb(Decimal(repr(value)), 18))


def decimal(value: int) -> Decimal:
    """Return so many 10^-18 as a Decimal."""
    return EXACT.scaleb(Decimal(value), -18)


def rounded(numerator: int, denominator: int) -> int:
    """Divide and round half to even, as `market.quantize` does."""
    quotient, rest = divmod(numerator, denominator)
    if rest * 2 > denominator or (rest * 2 == denominator and quotient % 2):
        return quotient + 1
    return quotient


class Share:
    """A fraction of a price or value, rounded to 10^-18. Doubt unless it is above 0."""

    def __init__(self, value: Fraction) -> None:
        if value <= 0:
            raise Doubt
        self.top, self.bottom = value.numerator, value.denominator

    def of(self, value: int) -> int:
        """Return the share of so many 10^-18."""
        return rounded(value * self.top, self.bottom)

    def up(self, value: int, step: int) -> int:
        """Return the share, rounded up to a multiple of `step`."""
        return -(-value * self.top // (self.bottom * step)) * step

    def down(self, value: int, step: int) -> int:
        """Return the share, rounded down to a multiple of `step`."""
        return value * self.top // (self.bottom * step) * step


def moved(perc: Decimal | None, sign: int) -> Share | None:
    """Return the share of a price that lies `perc` percent away from it; None: it is off."""
    return Share(1 + sign * Fraction(perc) / 100) if perc else None
