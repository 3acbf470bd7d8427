"""Indicators over a window of prices, oldest first: the value on the last candle only.

Plain floats and one pass each: one worker computes the signals of thousands of bots, so a list
of all intermediate values would be built for nothing.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import hypot, sqrt


def ema(closes: Sequence[float], period: int) -> float:
    """Return the exponential moving average on the last close.

    Seeded by the simple average of the first `period` closes, smoothing factor 2 / (period + 1)
    (TA-Lib's EMA without an unstable period). ValueError for a period below 1 or too few closes.
    """
    if not 1 <= period <= len(closes):
        raise ValueError(f"EMA of {period} over {len(closes)} closes")
    factor = 2.0 / (period + 1)
    value = sum(closes[:period]) / period
    for close in closes[period:]:
        value += (close - value) * factor
    return value


def rsi(closes: Sequence[float], period: int) -> float:
    """Return Wilder's relative strength index on the last close, 0 to 100.

    100 x gain / (gain + loss). The first averages are the means of the first `period` gains and
    losses, each later one is (average x (period - 1) + change) / period (J. Welles Wilder, New
    Concepts in Technical Trading Systems, 1978). Prices that never moved give 0, as in TA-Lib.
    ValueError for a period below 1 or fewer than period + 1 closes.
    """
    if not 1 <= period < len(closes):
        raise ValueError(f"RSI of {period} over {len(closes)} closes")
    # `period` times the averages: the factor cancels, which saves a division per candle.
    gain = loss = 0.0
    for before, close in pairwise(closes[: period + 1]):
        if close < before:
            loss += before - close
        else:
            gain += close - before
    kept = (period - 1) / period
    before = closes[period]
    for close in closes[period + 1 :]:
        if close < before:
            gain *= kept
            loss = loss * kept + (before - close)
        else:
            gain = gain * kept + (close - before)
            loss *= kept
        before = close
    total = gain + loss
    return 100.0 * (gain / total) if total else 0.0


def macd(closes: Sequence[float], fast: int, slow: int, signal: int) -> tuple[float, float]:
    """Return the MACD line and its signal line on the last close.

    The line is EMA(fast) - EMA(slow), the signal line its EMA (Gerald Appel, Technical Analysis:
    Power Tools for Active Investors, 2005). Both averages begin on the candle where the slow one
    can: the fast one is seeded by the `fast` closes up to it, as in TA-Lib. ValueError unless
    1 <= fast <= slow and 1 <= signal, or for fewer than slow + signal - 1 closes.
    """
    if not 1 <= fast <= slow or signal < 1 or len(closes) < slow + signal - 1:
        raise ValueError(f"MACD of {fast}, {slow}, {signal} over {len(closes)} closes")
    fast_factor, slow_factor = 2.0 / (fast + 1), 2.0 / (slow + 1)
    quick = sum(closes[slow - fast : slow]) / fast
    calm = sum(closes[:slow]) / slow
    lines = [quick - calm]
    for close in closes[slow:]:
        quick += (close - quick) * fast_factor
        calm += (close - calm) * slow_factor
        lines.append(quick - calm)
    return lines[-1], ema(lines, signal)


def bollinger(
    closes: Sequence[float], period: int, deviations: float
) -> tuple[float, float, float]:
    """Return the upper band, the middle and the lower band on the last close.

    The middle is the mean of the last `period` closes, each band lies `deviations` of their
    standard deviations (of the population) away (John Bollinger, Bollinger on Bollinger Bands,
    2001). ValueError for a period below 1 or too few closes.
    """
    if not 1 <= period <= len(closes):
        raise ValueError(f"Bollinger bands of {period} over {len(closes)} closes")
    newest = closes[-period:]
    middle = sum(newest) / period
    # hypot() neither overflows nor loses small distances, as sums of squares do.
    distance = deviations * (hypot(*[close - middle for close in newest]) / sqrt(period))
    return middle + distance, middle, middle - distance


def donchian(
    highs: Sequence[float], lows: Sequence[float], up: int, down: int
) -> tuple[float, float]:
    """Return the highest of the last `up` highs and the lowest of the last `down` lows.

    Richard Donchian's channel; with two lengths it is the rule of Curtis Faith, Way of the Turtle,
    2007. The candle that is judged by it must not be among them. ValueError for a period below 1
    or too few candles.
    """
    if not (1 <= up <= len(highs) and 1 <= down <= len(lows)):
        raise ValueError(f"Donchian channel of {up}, {down} over {len(highs)} candles")
    return max(highs[-up:]), min(lows[-down:])
