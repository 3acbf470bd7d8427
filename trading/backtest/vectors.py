"""What the strategies of ours say of every window at once.

Equal to `strategy.signal` window by window, at a hundredth of its time: averages that a window
seeds anew are weighted sums of its closes, so all windows are one product of matrices. Where two
numbers lie so close that the last bits of a float could decide, the strategy itself is asked.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from trading.market import Candles
from trading.strategies import Strategy, Values
from trading.strategies.bollinger import Bollinger
from trading.strategies.breakout import Breakout
from trading.strategies.dca import Dca
from trading.strategies.ema_rsi import EmaRsi
from trading.strategies.grid import Grid
from trading.strategies.macd import Macd

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
#: Buy, sell, and where the strategy is to be asked; one for each window, oldest first.
Judged = tuple[Flags, Flags, Flags]
#: What a Memory keeps: a name and numbers -> what was computed.
Key = tuple[str, int, int, int]
#: Far more than the rounding of any order of summing, far less than any price moves.
NEAR = 1e-9
CHUNK = 1 << 14


class Memory:
    """Indicators that several parameter sets share; the oldest go when there are many."""

    def __init__(self, most: int = 48) -> None:
        self.most, self.kept = most, dict[Key, Any]()

    def get(self, key: Key, make: Callable[[], Any]) -> Any:
        """Return what is kept under a key, made anew where it is not."""
        if key not in self.kept:
            while len(self.kept) >= self.most:
                del self.kept[next(iter(self.kept))]
            self.kept[key] = make()
        return self.kept[key]


class Window:
    """The candles of one stretch without a gap, and the indicators of each of its windows."""

    def __init__(self, candles: Candles, size: int, memory: Memory) -> None:
        self.candles, self.size, self.memory = candles, size, memory

    def _kept(self, name: str, period: int, make: Callable[[], Any]) -> Any:
        # A stretch is known by where it begins.
        return self.memory.get((name, period, self.size, self.candles.times[0]), make)

    @property
    def close(self) -> Floats:
        """Every close."""
        key = ("close", 0, 0, self.candles.times[0])
        found: Floats = self.memory.get(key, lambda: np.array(self.candles.close))
        return found

    @property
    def last(self) -> Floats:
        """The newest close of each window."""
        return self.close[self.size - 1 :]

    def ema(self, period: int) -> Floats:
        """Return `indicators.ema` of each window."""
        weights = ema_weights(period, self.size)
        found: Floats = self._kept("ema", period, lambda: weighted(self.close, weights))
        return found

    def rsi(self, period: int) -> tuple[Floats, Flags]:
        """Return `indicators.rsi` of each window, and where prices move too little to tell."""
        found: tuple[Floats, Flags] = self._kept(
            "rsi", period, lambda: _rsi(self.close, period, self.size)
        )
        return found


def weighted(values: Floats, weights: Floats) -> Floats:
    """Return for each window of len(weights) values their sum, weighted oldest first.

    In blocks as long as the window or longer, so that each sum is of one block and the one before.
    """
    size, count = len(weights), len(values)
    block = 1 << max(size - 1, 63).bit_length()
    blocks = -(-count // block) + 1
    padded = np.zeros((blocks, block))
    padded.ravel()[block : block + count] = values
    # lag[a, b]: how far value a of a block lies before sum b of the same block.
    lag = np.arange(block)[None, :] - np.arange(block)[:, None]
    newest_first = np.concatenate([weights[::-1], np.zeros(2 * block - size)])
    own = np.where(lag >= 0, newest_first[np.abs(lag)], 0.0)
    before = newest_first[lag + block]
    sums = padded[1:] @ own + padded[:-1] @ before
    found: Floats = sums.ravel()[size - 1 : count]
    return found


def ema_weights(period: int, window: int) -> Floats:
    """Return the weights of `indicators.ema` of a window: the oldest closes are its seed."""
    factor, later = 2.0 / (period + 1), window - period
    decay = (1.0 - factor) ** np.arange(later, -1, -1)
    seed = np.full(period, decay[0] / period)
    return np.concatenate([seed, factor * decay[1:]])


def wilder_weights(period: int, window: int) -> Floats:
    """Return the weights of the changes in `indicators.rsi`, of `period` times its averages."""
    later = window - 1 - period
    decay = ((period - 1) / period) ** np.arange(later, -1, -1)
    return np.concatenate([np.full(period, decay[0]), decay[1:]])


def macd_weights(fast: int, slow: int, signal: int, window: int) -> tuple[Floats, Floats]:
    """Return the weights of `indicators.macd`: its line's and its signal line's."""
    one = np.eye(window)
    quick = one[slow - fast : slow].sum(axis=0) / fast
    calm = one[:slow].sum(axis=0) / slow
    lines = [quick - calm]
    for close in one[slow:]:
        quick = quick + (close - quick) * (2.0 / (fast + 1))
        calm = calm + (close - calm) * (2.0 / (slow + 1))
        lines.append(quick - calm)
    average = np.mean(lines[:signal], axis=0)
    for line in lines[signal:]:
        average = average + (line - average) * (2.0 / (signal + 1))
    return lines[-1], average


def rolling(values: Floats, size: int, fold: Callable[..., Any]) -> Floats:
    """Return `fold` of each window of `size` values, some windows at a time."""
    windows = sliding_window_view(values, size)
    parts = [
        fold(windows[begin : begin + CHUNK], axis=1) for begin in range(0, len(windows), CHUNK)
    ]
    return np.concatenate(parts)


def _near(one: Floats, other: Floats | float, scale: Floats | float) -> Flags:
    found: Flags = np.abs(one - other) <= NEAR * scale
    return found


def _rsi(close: Floats, period: int, window: int) -> tuple[Floats, Flags]:
    """Return the RSI of each window, and where its prices move too little to tell."""
    change, weights = np.diff(close), wilder_weights(period, window)
    gain = weighted(np.maximum(change, 0.0), weights)
    total = gain + weighted(np.maximum(-change, 0.0), weights)
    is_still: Flags = total <= NEAR * close[window - 1 :]
    return 100.0 * gain / np.where(is_still, 1.0, total), is_still


def _ema_rsi(window: Window, values: Values) -> Judged:
    fast, slow = window.ema(int(values["ema_fast"])), window.ema(int(values["ema_slow"]))
    rsi, is_still = window.rsi(int(values["rsi_period"]))
    low, high = float(values["rsi_oversold"]), float(values["rsi_overbought"])
    unsure = is_still | _near(fast, slow, slow) | _near(rsi, low, 100) | _near(rsi, high, 100)
    return (fast > slow) & (rsi < high), (fast < slow) & (rsi > low), unsure


def _macd(window: Window, values: Values) -> Judged:
    fast, slow, signal = (int(values[name]) for name in ("fast", "slow", "signal"))
    both = macd_weights(fast, slow, signal, window.size)
    line, average = (weighted(window.close, weights) for weights in both)
    return line > average, line < average, _near(line, average, window.last)


def _bollinger(window: Window, values: Values) -> Judged:
    close, size = window.close, window.size
    middle, spread = rolling(close, size, np.mean), rolling(close, size, np.std)
    last, distance = window.last, float(values["deviations"]) * spread
    lower, upper = middle - distance, middle + distance
    sells = last > upper
    unsure = _near(last, lower, last) | _near(last, upper, last) | (spread <= 1e-6 * last)
    if values["sell_at"] == "middle":
        sells = last >= middle
        unsure |= _near(last, middle, last)
    buys = last < lower
    return buys, sells & ~buys, unsure


def _breakout(window: Window, values: Values) -> Judged:
    candles, size = window.candles, window.size
    up, down = int(values["entry_period"]), int(values["exit_period"])
    highest = rolling(np.array(candles.high), up, np.max)
    lowest = rolling(np.array(candles.low), down, np.min)
    last = window.last
    # The candle that is judged is not among those that it is judged by.
    highest = highest[size - 1 - up : len(highest) - 1]
    lowest = lowest[size - 1 - down : len(lowest) - 1]
    return last > highest, last < lowest, np.zeros(len(last), dtype=np.bool_)


def _dca(window: Window, values: Values) -> Judged:
    never = np.zeros(len(window.last), dtype=np.bool_)
    if values["begin"] == "now":
        return ~never, never, never
    rsi, is_still = window.rsi(int(values["rsi_period"]))
    limit = float(values["rsi_limit"])
    return rsi <= limit, never, is_still | _near(rsi, limit, 100)


def _grid(window: Window, values: Values) -> Judged:
    never = np.zeros(len(window.last), dtype=np.bool_)
    sells = window.last < float(values["lowest"])
    return never, sells if values["below"] == "sell" else never, never


JUDGES: Mapping[type, Callable[[Window, Values], Judged]] = {
    EmaRsi: _ema_rsi,
    Macd: _macd,
    Bollinger: _bollinger,
    Breakout: _breakout,
    Dca: _dca,
    Grid: _grid,
}


def judge(
    candles: Candles, strategy: Strategy, values: Values, window: int, memory: Memory
) -> Judged | None:
    """Return what `strategy` says of each window of candles without a gap; None: it is not ours."""
    judges = JUDGES.get(type(strategy))
    if judges is None or len(candles) < window:
        return None
    return judges(Window(candles, window, memory), values)
