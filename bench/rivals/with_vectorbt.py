"""The same task with vectorbt (Apache 2.0 with Commons Clause)."""

import common
import vectorbt as vbt

data = common.candles()


def run() -> int:
    """Return how many orders there were."""
    close = data["Close"]
    fast = vbt.MA.run(close, common.FAST, ewm=True).ma
    slow = vbt.MA.run(close, common.SLOW, ewm=True).ma
    strength = vbt.RSI.run(close, common.RSI, ewm=True).rsi
    entries = ((fast > slow) & (strength < common.OVERBOUGHT)).vbt.fshift(1, fill_value=False)
    exits = ((fast < slow) & (strength > common.OVERSOLD)).vbt.fshift(1, fill_value=False)
    portfolio = vbt.Portfolio.from_signals(
        close,
        entries,
        exits,
        price=data["Open"],
        open=data["Open"],
        high=data["High"],
        low=data["Low"],
        size=common.VALUE,
        size_type="value",
        init_cash=common.CASH,
        fees=common.FEE,
        slippage=common.SLIPPAGE,
        sl_stop=common.STOP,
        tp_stop=common.TARGET,
        freq="1min",
    )
    return int(portfolio.orders.count())


common.tell(f"vectorbt {vbt.__version__}", run)
