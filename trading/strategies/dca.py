"""Averaging down: a base order, safety orders below it, one target above the average price."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal, localcontext

from trading.indicators import rsi
from trading.ladder import BASE, Drawn, Ground, Lot, Rung
from trading.market import EXACT, Candles, Side, floor_to
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
from trading.strategies.declare import decimal, number, seeded_window, too_few, whole

HUNDRED = Decimal(100)
REASONS: Mapping[str, str] = {
    "dca.now": gettext_noop("A round begins as soon as the one before it is over."),
    "dca.low": gettext_noop("The RSI is at or below its limit: a round may begin."),
    "dca.high": gettext_noop("The RSI is above its limit: no round begins."),
    "dca.holds": gettext_noop("No signal ends a round: only its target or a stop does."),
    "dca.too_few_candles": gettext_noop("The market has too few candles for a signal."),
}
#: What a bot in a round is told, whatever the candles say.
HOLDS = Answer(why="dca.holds")


class Dca:
    """Buy a base order, and more of it as the price falls; take profit leaves all of it."""

    name = "dca"
    label = gettext_noop("Averaging down (DCA)")
    help = gettext_noop(
        "Buys the position size, then more of it at fixed distances below while the price falls. "
        "Stop and target are measured from the average price: set a target, it ends the round."
    )
    reasons = REASONS
    sells = False
    params: tuple[Param, ...] = (
        Param(
            name="begin",
            type="choice",
            default="now",
            choices=(
                ("now", gettext_noop("at once")),
                ("rsi", gettext_noop("while the RSI is low")),
            ),
            label=gettext_noop("Begin a round"),
            help=gettext_noop("When the first order of a round is sent."),
        ),
        whole(
            "rsi_period",
            14,
            2,
            100,
            gettext_noop("RSI period"),
            gettext_noop("Counts only where rounds begin while the RSI is low."),
        ),
        number(
            "rsi_limit",
            "30",
            "1",
            "99",
            gettext_noop("RSI at most"),
            gettext_noop("A round begins at or below this RSI."),
        ),
        whole(
            "orders",
            5,
            1,
            20,
            gettext_noop("Safety orders"),
            gettext_noop("How many buys may follow the first one, each at a lower price."),
        ),
        whole(
            "resting",
            3,
            1,
            20,
            gettext_noop("Resting at once"),
            gettext_noop("How many of them wait at the exchange at the same time."),
        ),
        number(
            "size",
            "100",
            "1",
            "1000",
            gettext_noop("First safety order in %"),
            gettext_noop("Its value in percent of the position size."),
        ),
        number(
            "volume_scale",
            "1",
            "0.1",
            "5",
            gettext_noop("Volume scale"),
            gettext_noop("Each further safety order is so many times the one before it."),
        ),
        number(
            "step",
            "1.5",
            "0.05",
            "50",
            gettext_noop("First step in %"),
            gettext_noop("How far below the first price the first safety order waits."),
        ),
        number(
            "step_scale",
            "1.2",
            "0.1",
            "5",
            gettext_noop("Step scale"),
            gettext_noop("Each further step is so many times the one before it."),
        ),
    )

    def check(self, values: Values) -> None:
        """Raise ParamErrors where the last safety order would have no price left."""
        *_, last = steps(values)
        if last >= HUNDRED:
            text = gettext_noop("The last safety order would be %(away)s %% below the first price.")
            raise ParamErrors({"step": Message(text, away=readable(last))})

    def window(self, values: Values) -> int:
        """Return the candles of the RSI, or one: a round that begins at once looks at none."""
        return seeded_window(int(values["rsi_period"])) if values["begin"] == "rsi" else 1

    def signal(self, candles: Candles, values: Values) -> Signal:
        """Say whether a round may begin; it is ended by its target or its stop alone."""
        need = self.window(values)
        closes = candles.close[-need:]
        if len(closes) < need:
            return replace(too_few("dca.too_few_candles", need, len(closes)), sell=HOLDS)
        if values["begin"] == "now":
            return Signal(action=Action.BUY, why="dca.now", sell=HOLDS)
        value = rsi(closes, int(values["rsi_period"]))
        is_low = value <= float(values["rsi_limit"])
        numbers = {"rsi": readable(value), "rsi_limit": str(values["rsi_limit"])}
        action, why = (Action.BUY, "dca.low") if is_low else (Action.NONE, "dca.high")
        return Signal(action=action, why=why, numbers=numbers, sell=HOLDS)

    def most(self, values: Values) -> Decimal:
        """Return the base order and every safety order, in position sizes."""
        size, scale = decimal(values, "size") / HUNDRED, decimal(values, "volume_scale")
        with localcontext(EXACT):
            orders = range(int(values["orders"]))
            return 1 + sum((size * scale**number for number in orders), Decimal(0))

    def rungs(self, ground: Ground, values: Values) -> Drawn:
        """Return the next safety orders of an open round, the highest price first."""
        with localcontext(EXACT):
            left = [rung for rung in _safety_orders(ground, values) if rung.amount]
        return Drawn(rungs=tuple(left[: int(values["resting"])]))


def steps(values: Values) -> Iterator[Decimal]:
    """Yield how far below the first price each safety order lies, in percent of that price."""
    step, scale, away = decimal(values, "step"), decimal(values, "step_scale"), Decimal(0)
    for _ in range(int(values["orders"])):
        away += step
        step *= scale
        yield away


def _safety_orders(ground: Ground, values: Values) -> Iterator[Rung]:
    """Yield each safety order of the round with what is left to be bought of it."""
    base, position, rules = ground.lots.get(BASE), ground.position, ground.rules
    if not position.is_open or position.entry_price is None:
        return
    # Without a base order (its fills were adopted, say) the ladder hangs from the average.
    first = base.value / base.bought if base and base.bought else position.entry_price
    value = wanted_value(ground.settings) * decimal(values, "size") / HUNDRED
    for level, away in enumerate(steps(values), 1):
        price = floor_to(first * (HUNDRED - away) / HUNDRED, rules.price_tick)
        if price > 0:
            full = rules.floor_amount(value / price)
            bought = ground.lots.get(level, Lot()).bought
            amount = max(full - bought, Decimal(0))
            yield Rung(level=level, side=Side.BUY, price=price, amount=amount)
        value *= decimal(values, "volume_scale")
