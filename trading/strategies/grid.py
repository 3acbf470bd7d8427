"""A grid: buys at the lines below the price, and sells what each line bought one line higher."""

from collections.abc import Iterator, Mapping
from decimal import Decimal, localcontext

from trading.ladder import BASE, Drawn, Ground, Lot, Lots, Rung
from trading.market import EXACT, Candles, Side, floor_to
from trading.position import Position
from trading.rounding import readable
from trading.sizing import wanted_value
from trading.strategies.base import (
    Action,
    Answer,
    Message,
    Param,
    ParamErrors,
    Signal,
    Values,
    gettext_noop,
)
from trading.strategies.declare import decimal, too_few, whole

ZERO = Decimal(0)
REASONS: Mapping[str, str] = {
    "grid.inside": gettext_noop("The close is inside the grid: only orders at its lines trade."),
    "grid.above": gettext_noop("The close is above the grid: only orders at its lines trade."),
    "grid.below": gettext_noop("The close is below the grid: the bot waits for it to come back."),
    "grid.left": gettext_noop("The close is below the grid: the position is sold."),
    "grid.too_few_candles": gettext_noop("The market has too few candles for a signal."),
}


def price(name: str, default: str, label: str, text: str) -> Param:
    """Declare a price of any size."""
    return Param(
        name=name,
        type="decimal",
        default=default,
        minimum=Decimal("0.00000001"),
        maximum=Decimal(1_000_000_000),
        label=label,
        help=text,
    )


class Grid:
    """Rest buys at the lines below the price; sell what one bought at the line above it."""

    name = "grid"
    label = gettext_noop("Grid")
    help = gettext_noop(
        "Lines between two prices: buys the position size at each line that the price falls to, "
        "and sells it one line higher. Earns from prices that go up and down in a range."
    )
    reasons = REASONS
    sells = True
    params: tuple[Param, ...] = (
        price(
            "lowest",
            "50000",
            gettext_noop("Lowest price"),
            gettext_noop("The lowest line; below it nothing is bought."),
        ),
        price(
            "highest",
            "70000",
            gettext_noop("Highest price"),
            gettext_noop("The highest line: the last units are sold there."),
        ),
        whole(
            "lines",
            11,
            2,
            101,
            gettext_noop("Lines"),
            gettext_noop("How many prices the grid has, both ends among them."),
        ),
        Param(
            name="spacing",
            type="choice",
            default="even",
            choices=(
                ("even", gettext_noop("the same distance")),
                ("percent", gettext_noop("the same percentage")),
            ),
            label=gettext_noop("Between two lines"),
            help=gettext_noop("Equal percentages earn the same share at each line."),
        ),
        whole(
            "resting",
            5,
            1,
            20,
            gettext_noop("Resting on each side"),
            gettext_noop("How many buys, and how many sells, wait at the exchange at once."),
        ),
        Param(
            name="below",
            type="choice",
            default="wait",
            choices=(
                ("wait", gettext_noop("wait for the price to come back")),
                ("sell", gettext_noop("sell everything")),
            ),
            label=gettext_noop("Below the grid"),
            help=gettext_noop("What happens when a candle closes below the lowest line."),
        ),
    )

    def check(self, values: Values) -> None:
        """Raise ParamErrors where the grid has no height."""
        if decimal(values, "highest") <= decimal(values, "lowest"):
            text = gettext_noop("Must be above the lowest price.")
            raise ParamErrors({"highest": Message(text)})

    def window(self, values: Values) -> int:
        """Return 1: the newest close says where the price is."""
        return 1

    def signal(self, candles: Candles, values: Values) -> Signal:
        """Say where the newest close lies; the only signal is to leave below the grid."""
        if not len(candles):
            return too_few("grid.too_few_candles", 1, 0)
        close, why = candles.close[-1], "grid.inside"
        if close > float(values["highest"]):
            why = "grid.above"
        elif close < float(values["lowest"]):
            why = "grid.below"
        numbers = {
            "close": readable(close),
            "bottom": readable(decimal(values, "lowest")),
            "top": readable(decimal(values, "highest")),
        }
        if why == "grid.below" and values["below"] == "sell":
            buy = Answer(why=why, numbers=numbers)
            return Signal(action=Action.SELL, why="grid.left", numbers=numbers, buy=buy)
        return Signal(action=Action.NONE, why=why, numbers=numbers)

    def most(self, values: Values) -> Decimal:
        """Return the lines that buy, each of them one position size."""
        return Decimal(int(values["lines"]) - 1)

    def rungs(self, ground: Ground, values: Values) -> Drawn:
        """Return the sells above, nearest first, then the buys below, nearest first."""
        most, ask = int(values["resting"]), ground.quote.ask
        with localcontext(EXACT):
            lines = lines_of(values, ground.rules.price_tick)
            sells = list(_sells(ground, lines))[:most]
            buys = list(_buys(ground, lines))[:most]
        under = [line for line in lines if line < ask]
        over = [line for line in lines if line >= ask]
        return Drawn(
            rungs=(*sells, *buys),
            low=max(under, default=None),
            high=min(over, default=None),
        )


def lines_of(values: Values, tick: Decimal) -> list[Decimal]:
    """Return the prices of the grid on the market's tick, rising; equal ones only once."""
    low, high = decimal(values, "lowest"), decimal(values, "highest")
    count = int(values["lines"])
    with localcontext(EXACT):
        if values["spacing"] == "percent":
            ratio = (high / low).ln() / (count - 1)
            exact = [low * (ratio * number).exp() for number in range(count - 1)] + [high]
        else:
            exact = [low + (high - low) * number / (count - 1) for number in range(count)]
        # exp() and ln() are right to the last of 76 digits only: the tick must not hang on it.
        rounded = {floor_to(line.quantize(Decimal("1e-24")), tick) for line in exact}
    return sorted(line for line in rounded if line > 0)


def _buys(ground: Ground, lines: list[Decimal]) -> Iterator[Rung]:
    """Yield what each line below the price is still to buy, the nearest first."""
    value = wanted_value(ground.settings)
    for level in range(len(lines) - 1, 0, -1):
        line = lines[level - 1]
        bought = ground.lots.get(level, Lot()).bought
        amount = ground.rules.floor_amount(value / line) - bought
        if line < ground.quote.ask and amount > 0:
            yield Rung(level=level, side=Side.BUY, price=line, amount=amount)


def _sells(ground: Ground, lines: list[Decimal]) -> Iterator[Rung]:
    """Yield what each line bought, to be sold at the line above it, the nearest first.

    All of it comes to no more than the position: an exit of another kind may have sold a part.
    """
    left = ground.position.amount
    lots = {level: lot for level, lot in ground.lots.items() if level > BASE and lot.amount > 0}
    more = _left_over(ground.position, lots)
    aims = ((_aim(lines, level, lot), level) for level, lot in lots.items())
    for line, level in sorted((line, level) for line, level in aims if line is not None):
        amount = ground.rules.floor_amount(min(lots[level].amount + more, left))
        if amount > 0:
            more, left = ZERO, left - amount
            yield Rung(level=level, side=Side.SELL, price=line, amount=amount)


def _aim(lines: list[Decimal], level: int, lot: Lot) -> Decimal | None:
    """Return the line at which a lot is sold, None where the grid has none above its price.

    An edit may have moved the lines under what they bought, or taken them away.
    """
    above = lines[level:] or lines
    return next((line for line in above if line * lot.bought > lot.value), None)


def _left_over(position: Position, lots: Lots) -> Decimal:
    """Return the units of no line (rests of fees, an entry by hand): the next sale takes them."""
    of_lines = sum((lot.amount for lot in lots.values()), ZERO)
    return max(position.amount - of_lines, ZERO)
