"""Short forms for what strategies declare and answer alike."""

from decimal import Decimal

from trading.strategies.base import Action, Param, Signal, Values

#: Averages that remember their first price get at least so many candles.
SHORTEST_WINDOW = 200
#: The seed of an EMA weighs under 1 % after four periods.
PERIODS_IN_WINDOW = 4


def seeded_window(longest: int) -> int:
    """Return the candles for indicators of `longest` periods that depend on where they start."""
    return max(SHORTEST_WINDOW, PERIODS_IN_WINDOW * longest)


def whole(name: str, default: int, low: int, high: int, label: str, text: str) -> Param:
    """Declare a whole number from `low` to `high`; `label` and `text` (the help) are msgids."""
    return Param(
        name=name,
        type="int",
        default=default,
        minimum=Decimal(low),
        maximum=Decimal(high),
        step=Decimal(1),
        label=label,
        help=text,
    )


def number(name: str, default: str, low: str, high: str, label: str, text: str) -> Param:
    """Declare a number from `low` to `high` with two decimal places."""
    return Param(
        name=name,
        type="decimal",
        default=default,
        minimum=Decimal(low),
        maximum=Decimal(high),
        step=Decimal("0.01"),
        label=label,
        help=text,
    )


def decimal(values: Values, name: str) -> Decimal:
    """Return a cleaned parameter that was declared as a number."""
    return Decimal(str(values[name]))


def too_few(why: str, need: int, have: int) -> Signal:
    """Return the signal of a window that is too short; `why` is the strategy's reason for it."""
    return Signal(action=Action.NONE, why=why, numbers={"need": str(need), "have": str(have)})


def is_flat(prices: tuple[float, ...]) -> bool:
    """Whether all prices are one price: then only a float's last bit could tell averages apart."""
    return prices.count(prices[-1]) == len(prices)
