"""What both programs share: the candles, the indicators' parameters, and how a result is told."""

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

FAST, SLOW, RSI, OVERSOLD, OVERBOUGHT = 8, 21, 7, 35, 65
FEE, SLIPPAGE, STOP, TARGET = 0.001, 0.0005, 0.02, 0.04
CASH, VALUE = 1_000_000, 900


def candles() -> pd.DataFrame:
    """Return the year that bench/year.py wrote into the folder named first."""
    folder = Path(sys.argv[1])
    names = {"Open": "open", "High": "high", "Low": "low", "Close": "close", "Volume": "volume"}
    columns = {name: np.fromfile(folder / file) for name, file in names.items()}
    times = pd.to_datetime(np.fromfile(folder / "times"), unit="ms")
    return pd.DataFrame(columns, index=times)


def tell(name: str, run: Callable[[], int]) -> None:
    """Run twice and print what each took, with the number of orders and the most memory."""
    times = []
    for _ in range(2):
        begun = time.perf_counter()
        orders = run()
        times.append(time.perf_counter() - begun)
    row = {
        "name": name,
        "first": times[0],
        "again": times[1],
        "orders": orders,
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(row))
