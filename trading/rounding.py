"""Numbers as people read them, and rounding up to a step."""

from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Context, Decimal

#: Significant digits in the numbers that go with a decision.
DIGITS = 8


def readable(value: Decimal | float, rounding: str = ROUND_HALF_EVEN) -> str:
    """Return `value` with at most 8 significant digits, whole units kept, no exponent.

    >>> readable(Decimal("0.000000123456789")), readable(Decimal("5.00")), readable(123456789.6)
    ('0.00000012345679', '5', '123456790')
    """
    if isinstance(value, float):
        value = Decimal(repr(value))
    if not value.is_finite():
        return str(value)
    digits = max(DIGITS, value.adjusted() + 1)
    short = value.normalize(Context(prec=digits, rounding=rounding))
    return format(short, "f") if short else "0"


def ceil_to(value: Decimal, step: Decimal) -> Decimal:
    """Round `value` up to a multiple of `step` (> 0)."""
    return (value / step).to_integral_value(rounding=ROUND_CEILING) * step
