"""Indicators over a window of closes, oldest first: the value on the last candle only.

Plain floats and one pass each: one worker computes the signals of thousands of bots, so a list
of all intermediate values would be built for nothing.
"""

from collections.abc import Sequence
from itertools import pairwise


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
