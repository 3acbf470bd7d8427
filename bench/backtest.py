"""A year of one-minute candles with ema_rsi, stop and target: ours, and others in their own venv.

All of them have the same candles, fee, slippage, size, stop (2 %) and target (4 %), and EMA 8 over
21 with RSI 7. They differ in what they assume within a candle and where a signal trades, so their
numbers of orders differ a little.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from bench import scene
from bench.year import COUNT, year
from botsite.platform.bootstrap import ROOT

RIVALS = ROOT / ".venv/rivals/bin/python"
RUNS = 3


def plan() -> Any:
    """Return the year with a bot's usual strategy, a stop and a target."""
    from trading import strategies
    from trading.backtest import Costs, Plan
    from trading.market import Candles, Rules
    from trading.risk import Settings

    columns = {name: tuple(column) for name, column in year().items()}
    strategy = strategies.get("ema_rsi")
    return Plan(
        candles=Candles(symbol="BTC/USDT", timeframe="1m", **columns),
        rules=Rules(
            symbol="BTC/USDT",
            base="BTC",
            quote="USDT",
            price_tick=Decimal("0.01"),
            amount_step=Decimal("0.00001"),
            min_notional=Decimal(10),
        ),
        settings=Settings(
            initial_capital=Decimal(1_000_000),
            position_size_fixed=Decimal(900),
            stop_loss_perc=Decimal(2),
            take_profit_perc=Decimal(4),
        ),
        strategy=strategy,
        values=strategies.clean(strategy, {}),
        zone=ZoneInfo("UTC"),
        funds=Decimal(1_000_000),
        costs=Costs(fee_rate=Decimal("0.001"), slippage=Decimal("0.0005")),
    )


def ours() -> None:
    """Time our own, in this process: from candles to orders, and to the report."""
    from trading import backtest
    from trading.backtest import vectors as _loaded  # noqa: F401  imports are not timed

    tried, times = plan(), []
    for _ in range(RUNS):
        begun = time.perf_counter()
        result = backtest.run(tried)
        times.append(time.perf_counter() - begun)
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    text = (
        f"{times[0]:.2f} s, again {min(times[1:]):.2f} s ({len(result.orders):,} orders;"
        f" {megabytes:.0f} MB at most)"
    )
    scene.tell(f"backtest of {COUNT:,} candles, Botsite", text, seconds=times[0])
    begun = time.perf_counter()
    backtest.report(tried, result)
    scene.tell("- its report", f"{time.perf_counter() - begun:.2f} s")


def many() -> None:
    """Time a sweep: 1,000 sets, from signals to figures, on two cores."""
    from trading.backtest.sets import combined
    from trading.backtest.sweep import sweep

    tried = plan()
    varied = {"ema_fast": range(5, 15), "ema_slow": range(20, 40, 2), "rsi_period": range(5, 15)}
    chosen = combined(tried, {name: list(values) for name, values in varied.items()})
    begun = time.perf_counter()
    found = list(sweep(tried, chosen, processes=2))
    seconds = time.perf_counter() - begun
    trades = sum(one.trades for one in found)
    text = f"{seconds:.1f} s on 2 cores ({trades:,} trades)"
    scene.tell(f"sweep of {len(found):,} sets over {COUNT:,} candles", text, seconds=seconds)


def rivals() -> None:
    """Time the others, each in a process of its own."""
    if not RIVALS.exists():
        scene.tell("other programs", "not installed: `make bench` does")
        return
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "bench.year", folder]
        subprocess.run(command, cwd=ROOT, check=True)
        for name in ("vectorbt", "backtesting"):
            program = Path(__file__).parent / "rivals" / f"with_{name}.py"
            done = subprocess.run(
                [RIVALS, program, folder], check=True, capture_output=True, text=True
            )
            row = json.loads(done.stdout.splitlines()[-1])
            text = (
                f"{row['first']:.2f} s, again {row['again']:.2f} s ({row['orders']:,} orders;"
                f" {row['megabytes']:.0f} MB at most)"
            )
            scene.tell(f"backtest of {COUNT:,} candles, {row['name']}", text)


if __name__ == "__main__":
    ours()
    many()
    rivals()
