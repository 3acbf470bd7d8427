"""Mean reversion on Bollinger bands: what left the band is expected to come back."""

from collections.abc import Mapping

from trading.indicators import bollinger
from trading.market import Candles
from trading.rounding import readable
from trading.strategies.base import Action, Answer, Param, Signal, Values, gettext_noop
from trading.strategies.declare import is_flat, number, too_few, whole

REASONS: Mapping[str, str] = {
    "bollinger.buy": gettext_noop("The close is below the lower band."),
    "bollinger.sell": gettext_noop("The close is above the upper band."),
    "bollinger.sell_middle": gettext_noop("The close is back at the middle of the bands."),
    "bollinger.inside": gettext_noop("The close is inside the bands."),
    "bollinger.inside_lower": gettext_noop("The close is between the lower band and the middle."),
    "bollinger.not_below": gettext_noop("The close is not below the lower band."),
    "bollinger.not_above": gettext_noop("The close is not above the upper band."),
    "bollinger.below_middle": gettext_noop("The close is below the middle of the bands."),
    "bollinger.flat": gettext_noop("The prices do not move: there are no bands."),
    "bollinger.too_few_candles": gettext_noop("The market has too few candles for a signal."),
}


class Bollinger:
    """Buy below the lower band; sell above the upper band, or from the middle on."""

    name = "bollinger"
    label = gettext_noop("Bollinger bands")
    help = gettext_noop(
        "Mean reversion: buys while the close is below the lower band, and sells above the upper "
        "band or from the middle on."
    )
    reasons = REASONS
    params: tuple[Param, ...] = (
        whole(
            "period",
            20,
            2,
            400,
            gettext_noop("Period"),
            gettext_noop("Candles in the moving average and in its standard deviation."),
        ),
        number(
            "deviations",
            "2",
            "0.1",
            "10",
            gettext_noop("Standard deviations"),
            gettext_noop("Distance of each band from the middle."),
        ),
        Param(
            name="sell_at",
            type="choice",
            default="upper",
            choices=(
                ("upper", gettext_noop("above the upper band")),
                ("middle", gettext_noop("at the middle")),
            ),
            label=gettext_noop("Sell"),
            help=gettext_noop(
                "At the middle gains are smaller and more often. A bot that may sell short would "
                "open there, too: it wants the upper band."
            ),
        ),
    )

    def check(self, values: Values) -> None:
        """Nothing here contradicts anything else."""

    def window(self, values: Values) -> int:
        """Return the period: a simple average knows no other candles."""
        return int(values["period"])

    def signal(self, candles: Candles, values: Values) -> Signal:
        """Judge the newest window of closed candles."""
        need = self.window(values)
        closes = candles.close[-need:]
        if len(closes) < need:
            return too_few("bollinger.too_few_candles", need, len(closes))
        close = closes[-1]
        if is_flat(closes):
            numbers = {"close": readable(close)}
            return Signal(action=Action.NONE, why="bollinger.flat", numbers=numbers)
        upper, middle, lower = bollinger(closes, need, float(values["deviations"]))
        numbers = {
            "close": readable(close),
            "lower": readable(lower),
            "middle": readable(middle),
            "upper": readable(upper),
        }
        at_middle = values["sell_at"] == "middle"
        buy = Answer(why="bollinger.not_below", numbers=numbers)
        lacks = "bollinger.below_middle" if at_middle else "bollinger.not_above"
        sell = Answer(why=lacks, numbers=numbers)
        if close < lower:
            return Signal(action=Action.BUY, why="bollinger.buy", numbers=numbers, sell=sell)
        if close > upper:
            return Signal(action=Action.SELL, why="bollinger.sell", numbers=numbers, buy=buy)
        if at_middle and close >= middle:
            why = "bollinger.sell_middle"
            return Signal(action=Action.SELL, why=why, numbers=numbers, buy=buy)
        why = "bollinger.inside_lower" if at_middle else "bollinger.inside"
        return Signal(action=Action.NONE, why=why, numbers=numbers, buy=buy, sell=sell)
