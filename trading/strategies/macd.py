"""The MACD line against its signal line: momentum that gains or loses on its own average."""

from collections.abc import Mapping

from trading.indicators import macd
from trading.market import Candles
from trading.rounding import readable
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
from trading.strategies.declare import seeded_window, too_few, whole

#: Part of the price under which a difference is what rounding leaves of averages that are equal.
NOISE = 1e-12

REASONS: Mapping[str, str] = {
    "macd.buy": gettext_noop("The MACD line is above its signal line."),
    "macd.sell": gettext_noop("The MACD line is below its signal line."),
    "macd.not_above": gettext_noop("The MACD line is not above its signal line."),
    "macd.not_below": gettext_noop("The MACD line is not below its signal line."),
    "macd.no_trend": gettext_noop("The MACD line is on its signal line: there is no trend."),
    "macd.too_few_candles": gettext_noop("The market has too few candles for a signal."),
}


class Macd:
    """Buy while the MACD line is above its signal line, sell while it is below.

    As with `ema_rsi` the level counts, not the candle of the crossing: a tick that comes late, or
    a bot that is started in the middle of a trend, finds the same answer.
    """

    name = "macd"
    label = gettext_noop("MACD")
    help = gettext_noop(
        "Buys while the MACD line is above its signal line and sells while it is below, not only "
        "on the candle of the crossing."
    )
    reasons = REASONS
    params: tuple[Param, ...] = (
        whole(
            "fast",
            12,
            2,
            200,
            gettext_noop("Fast EMA"),
            gettext_noop("Candles in the fast exponential moving average."),
        ),
        whole(
            "slow",
            26,
            3,
            250,
            gettext_noop("Slow EMA"),
            gettext_noop("Candles in the slow exponential moving average."),
        ),
        whole(
            "signal",
            9,
            2,
            100,
            gettext_noop("Signal line"),
            gettext_noop("Candles in the exponential moving average of the MACD line."),
        ),
    )

    def check(self, values: Values) -> None:
        """Raise ParamErrors unless fast < slow."""
        if int(values["fast"]) >= int(values["slow"]):
            raise ParamErrors({"fast": Message(gettext_noop("Must be less than the slow EMA."))})

    def window(self, values: Values) -> int:
        """Return 200 candles, or four times slow EMA and signal line together if that is more."""
        return seeded_window(int(values["slow"]) + int(values["signal"]))

    def signal(self, candles: Candles, values: Values) -> Signal:
        """Judge the newest window of closed candles."""
        need = self.window(values)
        closes = candles.close[-need:]
        if len(closes) < need:
            return too_few("macd.too_few_candles", need, len(closes))
        periods = (int(values[name]) for name in ("fast", "slow", "signal"))
        noise = NOISE * closes[-1]
        line, average = (value if abs(value) > noise else 0.0 for value in macd(closes, *periods))
        numbers = {"macd": readable(line), "macd_signal": readable(average)}
        if line - average > noise:
            sell = Answer(why="macd.not_below", numbers=numbers)
            return Signal(action=Action.BUY, why="macd.buy", numbers=numbers, sell=sell)
        if average - line > noise:
            buy = Answer(why="macd.not_above", numbers=numbers)
            return Signal(action=Action.SELL, why="macd.sell", numbers=numbers, buy=buy)
        return Signal(action=Action.NONE, why="macd.no_trend", numbers=numbers)
