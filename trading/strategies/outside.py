"""No rule of its own: the bot acts on signals that somebody else sends."""

from collections.abc import Mapping

from trading.market import Candles
from trading.strategies.base import Action, Param, Signal, Values, gettext_noop
from trading.strategies.declare import too_few

REASONS: Mapping[str, str] = {
    "signal.waits": gettext_noop("The bot waits for a signal from outside."),
    "signal.too_few_candles": gettext_noop("The market has too few candles for a signal."),
}


class Outside:
    """Never a signal by itself; stops, target and limits work as for any bot."""

    name = "signal"
    label = gettext_noop("Signals from outside")
    help = gettext_noop(
        "Enters and leaves on incoming signals only, of TradingView for example. Its stop, target "
        "and limits work as ever."
    )
    reasons = REASONS
    params: tuple[Param, ...] = ()

    def check(self, values: Values) -> None:
        """There is nothing to contradict anything."""

    def window(self, values: Values) -> int:
        """Return 1: the candles are not looked at, but they must be fresh."""
        return 1

    def signal(self, candles: Candles, values: Values) -> Signal:
        """Say that it waits."""
        if not len(candles):
            return too_few("signal.too_few_candles", 1, 0)
        return Signal(action=Action.NONE, why="signal.waits")
