"""Donchian's channel: a close beyond the extremes of the candles before it is a breakout."""

from collections.abc import Mapping

from trading.indicators import donchian
from trading.market import Candles
from trading.rounding import readable
from trading.strategies.base import Action, Answer, Param, Signal, Values, gettext_noop
from trading.strategies.declare import too_few, whole

REASONS: Mapping[str, str] = {
    "breakout.buy": gettext_noop("The close is above the highest high before it."),
    "breakout.sell": gettext_noop("The close is below the lowest low before it."),
    "breakout.not_above": gettext_noop("The close is not above the highest high before it."),
    "breakout.not_below": gettext_noop("The close is not below the lowest low before it."),
    "breakout.inside": gettext_noop("The close is inside the channel of the candles before it."),
    "breakout.too_few_candles": gettext_noop("The market has too few candles for a signal."),
}


class Breakout:
    """Buy on a close above the highest high, sell on a close below the lowest low before it."""

    name = "breakout"
    label = gettext_noop("Breakout (Donchian)")
    help = gettext_noop(
        "Buys on a close above the highest high of the candles before it, sells on a close below "
        "their lowest low."
    )
    reasons = REASONS
    params: tuple[Param, ...] = (
        whole(
            "entry_period",
            20,
            1,
            400,
            gettext_noop("Highest high of"),
            gettext_noop("Candles before the newest one, whose highest high is to be broken."),
        ),
        whole(
            "exit_period",
            10,
            1,
            400,
            gettext_noop("Lowest low of"),
            gettext_noop("Candles before the newest one, whose lowest low is to be broken."),
        ),
    )

    def check(self, values: Values) -> None:
        """Nothing here contradicts anything else: a shorter exit is usual, not needed."""

    def window(self, values: Values) -> int:
        """Return the longer period and the candle that is judged."""
        return max(int(values["entry_period"]), int(values["exit_period"])) + 1

    def signal(self, candles: Candles, values: Values) -> Signal:
        """Judge the newest closed candle by those before it."""
        need = self.window(values)
        if len(candles) < need:
            return too_few("breakout.too_few_candles", need, len(candles))
        periods = int(values["entry_period"]), int(values["exit_period"])
        highest, lowest = donchian(candles.high[-need:-1], candles.low[-need:-1], *periods)
        close = candles.close[-1]
        numbers = {
            "close": readable(close),
            "highest": readable(highest),
            "lowest": readable(lowest),
        }
        buy = Answer(why="breakout.not_above", numbers=numbers)
        sell = Answer(why="breakout.not_below", numbers=numbers)
        if close > highest:
            return Signal(action=Action.BUY, why="breakout.buy", numbers=numbers, sell=sell)
        if close < lowest:
            return Signal(action=Action.SELL, why="breakout.sell", numbers=numbers, buy=buy)
        why = "breakout.inside"
        return Signal(action=Action.NONE, why=why, numbers=numbers, buy=buy, sell=sell)
