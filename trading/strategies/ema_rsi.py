"""Two moving averages give the trend, the RSI keeps from buying high and selling low."""

from collections.abc import Mapping
from decimal import Decimal

from trading.indicators import ema, rsi
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
from trading.strategies.declare import number, seeded_window, too_few, whole

REASONS: Mapping[str, str] = {
    "ema_rsi.buy": gettext_noop("The fast EMA is above the slow one and the RSI leaves room."),
    "ema_rsi.sell": gettext_noop("The fast EMA is below the slow one and the RSI leaves room."),
    "ema_rsi.rsi_too_high": gettext_noop("The trend is up, but the RSI says overbought."),
    "ema_rsi.rsi_too_low": gettext_noop("The trend is down, but the RSI says oversold."),
    "ema_rsi.not_above": gettext_noop("The fast EMA is not above the slow one."),
    "ema_rsi.not_above_too_high": gettext_noop(
        "The fast EMA is not above the slow one, and the RSI says overbought."
    ),
    "ema_rsi.not_below": gettext_noop("The fast EMA is not below the slow one."),
    "ema_rsi.not_below_too_low": gettext_noop(
        "The fast EMA is not below the slow one, and the RSI says oversold."
    ),
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
        return _judged(fast, slow, strength, values)


def _judged(fast: float, slow: float, strength: float, values: Values) -> Signal:
    """Follow the trend where the RSI leaves room; the other side is told what it lacks."""
    numbers = {"ema_fast": readable(fast), "ema_slow": readable(slow), "rsi": readable(strength)}
    if not (fast > slow or fast < slow):
        return Signal(action=Action.NONE, why="ema_rsi.no_trend", numbers=numbers)
    to_buyers = {**numbers, "rsi_limit": str(values["rsi_overbought"])}
    to_sellers = {**numbers, "rsi_limit": str(values["rsi_oversold"])}
    may_buy = strength < float(values["rsi_overbought"])
    may_sell = strength > float(values["rsi_oversold"])
    if fast > slow:
        action, why = (Action.BUY, "buy") if may_buy else (Action.NONE, "rsi_too_high")
        lacks = "not_below" if may_sell else "not_below_too_low"
        sell = Answer(why=f"ema_rsi.{lacks}", numbers=to_sellers)
        return Signal(action=action, why=f"ema_rsi.{why}", numbers=to_buyers, sell=sell)
    action, why = (Action.SELL, "sell") if may_sell else (Action.NONE, "rsi_too_low")
    lacks = "not_above" if may_buy else "not_above_too_high"
    buy = Answer(why=f"ema_rsi.{lacks}", numbers=to_buyers)
    return Signal(action=action, why=f"ema_rsi.{why}", numbers=to_sellers, buy=buy)
