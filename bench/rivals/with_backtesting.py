"""The same task with backtesting.py (AGPL)."""

import warnings

import common
import numpy as np
import pandas as pd
from backtesting import Backtest, Strategy, __version__

warnings.simplefilter("ignore")
data = common.candles()


def ema(values: np.ndarray, period: int) -> np.ndarray:
    """Return the exponential moving average of prices."""
    return pd.Series(values).ewm(span=period, adjust=False).mean().to_numpy()


def rsi(values: np.ndarray, period: int) -> np.ndarray:
    """Return Wilder's relative strength index of prices."""
    change = pd.Series(values).diff()
    gain = change.clip(lower=0).ewm(alpha=1 / period, adjust=False).mean()
    loss = (-change).clip(lower=0).ewm(alpha=1 / period, adjust=False).mean()
    return (100 * gain / (gain + loss)).to_numpy()


class EmaRsi(Strategy):
    """Buys while the fast average is above the slow one, sells while it is below."""

    def init(self) -> None:
        close = self.data.Close
        self.fast = self.I(ema, close, common.FAST)
        self.slow = self.I(ema, close, common.SLOW)
        self.strength = self.I(rsi, close, common.RSI)

    def next(self) -> None:
        fast, slow, strength = self.fast[-1], self.slow[-1], self.strength[-1]
        if self.position:
            if fast < slow and strength > common.OVERSOLD:
                self.position.close()
        elif fast > slow and strength < common.OVERBOUGHT:
            price = self.data.Close[-1]
            self.buy(
                size=common.VALUE / common.CASH,
                sl=price * (1 - common.STOP),
                tp=price * (1 + common.TARGET),
            )


def run() -> int:
    """Return how many orders there were."""
    # It counts whole units only: a thousandth of the price makes units of a thousandth.
    scaled = data.assign(**{name: data[name] / 1000 for name in ("Open", "High", "Low", "Close")})
    test = Backtest(scaled, EmaRsi, cash=common.CASH, commission=common.FEE, spread=common.SLIPPAGE)
    return 2 * int(test.run()["# Trades"])


common.tell(f"backtesting.py {__version__}", run)
