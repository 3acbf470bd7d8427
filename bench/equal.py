"""Our trades of ema_rsi with stop and target against those of backtesting.py, one by one.

Both have the same signals, no costs, and stop and target measured from the entry. The one rule in
which they differ: a signal to sell is followed at the opening here, as a bot does; there a stop or
a target that the same candle reaches later comes first. Anything else ends in exit code 1.
"""

import json
import subprocess
import sys
import tempfile
from array import array
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from bench import scene
from bench.backtest import RIVALS
from botsite.platform.bootstrap import ROOT

PROGRAM = ROOT / "bench/rivals/trades_of_backtesting.py"
VALUE = 900
#: Smallest amount of each market, and stop and target in percent: as near as it takes them, so that
#: both are often met. It refuses an order whose levels do not lie around the last close.
MARKETS = {
    "BTCUSDT-1m-2023-03": ("0.00001", "0.4", "0.8"),
    "ETHBTC-5m-2018-01": ("0.001", "3", "4"),
    "XRPUSDT-perp-5m-2021-11": ("0.1", "0.8", "1.2"),
}
#: Prices go to the tick here; there is none there.
TICK = Decimal("1e-12")
#: Of a price: levels here have 18 decimals, floats have fewer.
NEAR = 1e-9
#: Entry and exit candle, both prices, base units.
Trade = tuple[int, int, float, float, float]


def plan_of(name: str) -> Any:
    """Return a bot's usual strategy on a real market, without any cost."""
    from tests.trading.candles import series
    from trading import strategies
    from trading.backtest import Costs, Plan
    from trading.market import Rules
    from trading.risk import Settings

    step, stop, target = (Decimal(text) for text in MARKETS[name])
    strategy = strategies.get("ema_rsi")
    return Plan(
        candles=series(name),
        rules=Rules(symbol="A/B", base="A", quote="B", price_tick=TICK, amount_step=step),
        settings=Settings(
            initial_capital=Decimal(10**9),
            position_size_fixed=Decimal(VALUE),
            stop_loss_perc=stop,
            take_profit_perc=target,
        ),
        strategy=strategy,
        values=strategies.clean(strategy, {}),
        zone=ZoneInfo("UTC"),
        funds=Decimal(10**9),
        costs=Costs(fee_rate=Decimal(0), slippage=Decimal(0)),
    )


def ours(plan: Any, actions: bytes) -> list[Trade]:
    """Return the trades of our backtest; one that is open at the end is left out."""
    from trading import backtest
    from trading.market import TIMEFRAMES

    length, first = TIMEFRAMES[plan.candles.timeframe], plan.candles.times[0]
    orders = backtest.run(plan, actions).orders
    return [
        (
            (entry.at - first) // length,
            (leave.at - first) // length,
            float(entry.price),
            float(leave.price),
            float(entry.amount),
        )
        for entry, leave in zip(orders[::2], orders[1::2], strict=False)
    ]


def theirs(plan: Any, name: str, actions: bytes) -> list[Trade]:
    """Return the trades that backtesting.py makes of the same signals."""
    with tempfile.TemporaryDirectory() as folder:
        for column in ("times", "open", "high", "low", "close"):
            values = array("d", getattr(plan.candles, column))
            (Path(folder) / column).write_bytes(values.tobytes())
        (Path(folder) / "actions").write_bytes(actions)
        told = {
            "value": VALUE,
            "stop": float(plan.settings.stop_loss_perc / 100),
            "target": float(plan.settings.take_profit_perc / 100),
            "step": float(MARKETS[name][0]),
        }
        (Path(folder) / "plan.json").write_text(json.dumps(told), encoding="utf-8")
        command = [RIVALS, PROGRAM, folder]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [tuple(row) for row in json.loads(done.stdout.splitlines()[-1])]


def is_same(one: Trade, other: Trade) -> bool:
    """Whether two trades are of the same candles, prices and amount."""
    near = (abs(a - b) <= NEAR * abs(a) for a, b in zip(one[2:], other[2:], strict=True))
    return one[:2] == other[:2] and all(near)


def is_documented(plan: Any, one: Trade, other: Trade, actions: bytes) -> bool:
    """Whether they differ by the rule alone: a sell signal here, its candle's level there."""
    from trading.backtest.signals import SELL

    place, opens = one[1], plan.candles.open[one[1]]
    stop = one[2] * (1 - float(plan.settings.stop_loss_perc) / 100)
    target = one[2] * (1 + float(plan.settings.take_profit_perc) / 100)
    at_level = min(abs(other[3] - level) for level in (stop, target)) <= NEAR * one[2]
    same_entry = is_same((one[0], place, one[2], 0.0, one[4]), (*other[:3], 0.0, other[4]))
    return same_entry and actions[place] == SELL and one[3] == opens and at_level


def main() -> int:
    if not RIVALS.exists():
        scene.tell("trades of backtesting.py", "not installed: `make bench` does")
        return 0
    from trading import backtest

    wrong = 0
    for name in MARKETS:
        plan = plan_of(name)
        actions = backtest.actions(plan.candles, plan.strategy, plan.values)
        own, other = ours(plan, actions), theirs(plan, name, actions)
        # What is open at the end they close there.
        pairs = list(zip(own, other, strict=False))
        same = sum(is_same(*pair) for pair in pairs)
        known = sum(not is_same(*p) and is_documented(plan, *p, actions) for p in pairs)
        odd = len(pairs) - same - known + max(len(own) - len(other), len(other) - len(own) - 1, 0)
        wrong += odd
        text = f"{same:,} the same, {known:,} differ as documented, {odd:,} otherwise"
        scene.tell(f"{len(own):,} trades on {name} beside backtesting.py's", text)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
