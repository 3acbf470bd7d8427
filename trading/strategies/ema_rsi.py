"""Two moving averages give the trend, the RSI keeps from buying high and selling low."""

from collections.abc import Mapping
from decimal import Decimal

from trading.indicators import ema, rsi
from trading.market import Candles
from trading.rounding import readable
from trading.strategies.base import (
    Action,
    Message,
    Param,
    ParamErrors,
    Signal,
    Values,
    gettext_noop,
)
from trading.strategies.declare import number, seeded_window, too_few, whole

REASONS: Mapping[str, str] = {
    "ema_rsi.buy": gettext_noop("The fast EMA is above the slow one and the RSI leaves room."),
    "ema_rsi.sell": gettext_noop("The fast EMA is below the slow one and the RSI leaves room."),
    "ema_rsi.rsi_too_high": gettext_noop("The trend is up, but the RSI says overbought."),
    "ema_rsi.rsi_too_low": gettext_noop("The trend is down, but the RSI says oversold."),
    "ema_rsi.no_trend": gettext_noop("The two EMAs are equal: there is no trend."),
    "ema_rsi.too_few_candles": gettext_noop("The market has too few candles for a signal."),
}


class EmaRsi:
    """Buy when fast > slow and RSI < overbought, sell when fast < slow and RSI > oversold."""

    name = "ema_rsi"
    label = gettext_noop("EMA crossover with RSI")
    help = gettext_noop(
        "Buys while the fast moving average is above the slow one and the RSI is not overbought; "
        "sells while it is below and the RSI is not oversold."
    )
    reasons = REASONS
    params: tuple[Param, ...] = (
        whole(
            "ema_fast",
            8,
            2,
            200,
            gettext_noop("Fast EMA"),
            gettext_noop("Candles in the fast exponential moving average."),
        ),
        whole(
            "ema_slow",
            21,
            3,
            400,
            gettext_noop("Slow EMA"),
            gettext_noop("Candles in the slow exponential moving average."),
        ),
        whole(
            "rsi_period",
            7,
            2,
            100,
            gettext_noop("RSI period"),
            gettext_noop("Candles in Wilder's relative strength index."),
        ),
        number(
            "rsi_oversold",
            "35",
            "1",
            "99",
            gettext_noop("RSI oversold"),
            gettext_noop("At or below this RSI nothing is sold on a signal."),
        ),
        number(
            "rsi_overbought",
            "65",
            "1",
            "99",
            gettext_noop("RSI overbought"),
            gettext_noop("At or above this RSI nothing is bought on a signal."),
        ),
    )

    def check(self, values: Values) -> None:
        """Raise ParamErrors unless ema_fast < ema_slow and rsi_oversold < rsi_overbought."""
        errors: dict[str, Message] = {}
        if int(values["ema_fast"]) >= int(values["ema_slow"]):
            errors["ema_fast"] = Message(gettext_noop("Must be less than the slow EMA."))
        if Decimal(values["rsi_oversold"]) >= Decimal(values["rsi_overbought"]):
            errors["rsi_oversold"] = Message(gettext_noop("Must be less than RSI overbought."))
        if errors:
            raise ParamErrors(errors)

    def window(self, values: Values) -> int:
        """Return 200 candles, or four times the longest period if that is more."""
        longest = max(int(values[name]) for name in ("ema_fast", "ema_slow", "rsi_period"))
        return seeded_window(longest)

    def signal(self, candles: Candles, values: Values) -> Signal:
        """Judge the newest window of closed candles."""
        need = self.window(values)
        closes = candles.close[-need:]
        if len(closes) < need:
            return too_few("ema_rsi.too_few_candles", need, len(closes))
        fast = ema(closes, int(values["ema_fast"]))
        slow = ema(closes, int(values["ema_slow"]))
        strength = rsi(closes, int(values["rsi_period"]))
        # Both averages of one price are that price; the last bit of a float must not buy.
        if strength == 0.0 and min(closes) == max(closes):
            fast = slow = closes[-1]
        action, why = _judge(fast, slow, strength, values)
        numbers = {
            "ema_fast": readable(fast),
            "ema_slow": readable(slow),
            "rsi": readable(strength),
        }
        return Signal(action=action, why=why, numbers=numbers)


def _judge(fast: float, slow: float, strength: float, values: Values) -> tuple[Action, str]:
    if fast > slow:
        if strength < float(values["rsi_overbought"]):
            return Action.BUY, "ema_rsi.buy"
        return Action.NONE, "ema_rsi.rsi_too_high"
    if fast < slow:
        if strength > float(values["rsi_oversold"]):
            return Action.SELL, "ema_rsi.sell"
        return Action.NONE, "ema_rsi.rsi_too_low"
    return Action.NONE, "ema_rsi.no_trend"
