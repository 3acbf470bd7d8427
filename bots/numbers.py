"""Numbers from outside: bounded before anybody reckons with them."""

from decimal import Decimal

#: The columns hold 20 digits before the point and 18 after it; nothing that is meant is longer.
LONGEST = 60
FARTHEST = 38
NAN = Decimal("NaN")


def bounded(text: str) -> Decimal:
    """Return a number's text as a Decimal, or NaN where it is none or beyond every column.

    Ten characters can stand for a number of a billion digits, and one sum with it takes minutes.
    """
    if len(text) > LONGEST:
        return NAN
    try:
        value = Decimal(text)
    except ArithmeticError:
        return NAN
    return value if value.is_finite() and abs(value.adjusted()) <= FARTHEST else NAN


def read_int(text: str) -> int | Decimal:
    """Return a JSON number without point or exponent: an int, or NaN where it is too long."""
    return int(text) if len(text) <= LONGEST else NAN


def finite(value: object) -> object:
    """Return what a money field was given, or raise ValueError where it cannot be an amount."""
    if value is None or isinstance(value, bool):
        return value
    if not isinstance(value, str | int | float | Decimal):
        raise ValueError("Enter a number.")
    number = bounded(str(value).strip())
    if number.is_nan():
        raise ValueError("Enter a number of at most 38 digits.")
    return number
