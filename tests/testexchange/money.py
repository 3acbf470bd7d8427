"""Exact amounts: Decimal, eight decimals as on Binance's wire."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_DOWN, Decimal

EIGHT = Decimal("0.00000001")
ZERO = Decimal(0)


def number(value: Decimal) -> str:
    """`value` with eight decimals, as Binance prints amounts and prices."""
    return f"{value.quantize(EIGHT):f}"


def down(value: Decimal) -> Decimal:
    """Eight decimals, the rest cut off: amounts of quote currency and commissions."""
    return value.quantize(EIGHT, ROUND_DOWN)


def up(value: Decimal) -> Decimal:
    """Eight decimals, rounded up: what must be locked to be able to pay."""
    return value.quantize(EIGHT, ROUND_CEILING)
