"""What a strategy said at each candle's opening, of the closed candles before it and no other."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from trading.market import TIMEFRAMES, Candles
from trading.strategies import Action, Strategy, Values

if TYPE_CHECKING:
    from trading.backtest.vectors import Memory

NONE, BUY, SELL = range(3)
CODES = {Action.NONE: NONE, Action.BUY: BUY, Action.SELL: SELL}
ACTIONS = {code: action for action, code in CODES.items()}


def actions(
    candles: Candles, strategy: Strategy, values: Values, memory: "Memory | None" = None
) -> bytes:
    """Return NONE, BUY or SELL for each candle: what a bot knew when the candle opened.

    It is the signal of the `window` closed candles before; where there are fewer without a gap
    among them, as in the first candles of all, a bot has no signal. `memory`: indicators of these
    candles that other values have needed before.
    """
    window = strategy.window(values)
    said = bytearray(len(candles))
    for begin, end in stretches(candles):
        # The newest candle of all is judged at the opening of one that is not there.
        if end - begin > window:
            found = _stretch(candles.cut(begin, end - 1), strategy, values, memory)
            said[begin + window : end] = found
    return bytes(said)


def stretches(candles: Candles) -> Iterator[tuple[int, int]]:
    """Yield the places (first, one after the last) between which no candle is missing."""
    times, length, begin = candles.times, TIMEFRAMES[candles.timeframe], 0
    while begin < len(times):
        end, limit = begin + 1, len(times)
        if times[-1] - times[begin] == (limit - 1 - begin) * length:
            end = limit
        while end < limit and times[end] == times[end - 1] + length:
            end += 1
        yield begin, end
        begin = end


def _stretch(
    candles: Candles, strategy: Strategy, values: Values, memory: "Memory | None"
) -> bytes:
    """Return the action of each window of candles without a gap among them."""
    from trading.backtest import vectors

    window = strategy.window(values)

    def ask(place: int) -> int:
        return CODES[strategy.signal(candles.cut(place, place + window), values).action]

    judged = vectors.judge(candles, strategy, values, window, memory or vectors.Memory())
    if judged is None:
        return bytes(ask(place) for place in range(len(candles) - window + 1))
    buys, sells, unsure = judged
    said = bytearray((buys * BUY + sells * SELL).astype("uint8").tobytes())
    for place in unsure.nonzero()[0].tolist():
        said[place] = ask(place)
    return bytes(said)
