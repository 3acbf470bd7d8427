"""Candles for tests: real ones where they are to be had, else from a seeded generator."""

import csv
import gzip
import os
import random
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

from trading.market import Candles

ROOT = Path(__file__).resolve().parents[2]
MARKET_DATA_DIR = ROOT / os.environ.get("MARKET_DATA_DIR", "../shared/data")
MINUTE = 60_000
COLUMNS = ("times", "open", "high", "low", "close", "volume")
START = 1_677_628_800_000  # 2023-03-01T00:00Z


#: Series of real candles -> how many there are; where generated ones begin instead, how many
#: decimal places the prices have, by what share a close moves, and the seed of the moves.
SERIES = {
    "BTCUSDT-1m-2023-03": (30_240, 23_140.0, 2, 0.001, 20230301),
    "ETHBTC-5m-2018-01": (5_760, 0.0984, 6, 0.001, 20230301),
    "XRPUSDT-perp-5m-2021-11": (1_999, 1.1893, 4, 0.003, 20211115),
}


@cache
def series(name: str) -> Candles:
    """Return the candles of one of SERIES, or as many generated ones."""
    path = MARKET_DATA_DIR / f"{name}.csv.gz"
    if not path.exists():
        count, start, digits, step, seed = SERIES[name]
        return from_closes(random_walk(count, seed=seed, start=start, step=step, digits=digits))
    with gzip.open(path, "rt", newline="") as file:
        rows = [[float(cell) for cell in row] for row in list(csv.reader(file))[1:]]
    return Candles.from_rows(name, name.split("-")[-3], rows)


def btcusdt_1m() -> Candles:
    """Return BTC/USDT 1m of March 2023 (30,240 candles), or 30,240 generated ones."""
    return series("BTCUSDT-1m-2023-03")


def windows(candles: Candles, size: int) -> Iterator[Candles]:
    """Yield every window of `size` candles, oldest first."""
    for end in range(size, len(candles) + 1):
        at = slice(end - size, end)
        yield replace(
            candles,
            **{name: getattr(candles, name)[at] for name in COLUMNS},
        )


def random_walk(
    count: int, *, seed: int, start: float, step: float = 0.001, digits: int = 2
) -> list[float]:
    """Return `count` closes; each differs from the last by a random share of about `step`."""
    rng = random.Random(seed)
    closes = [start]
    while len(closes) < count:
        # To the tick, as the real market's prices are.
        closes.append(round(closes[-1] * (1 + rng.gauss(0, step)), digits))
    return closes


def from_closes(closes: list[float]) -> Candles:
    """Return 1m candles with these closes, each opening at the close before."""
    rows = []
    before = closes[0]
    for number, close in enumerate(closes):
        high, low = max(before, close), min(before, close)
        rows.append([START + number * MINUTE, before, high, low, close, 1.0])
        before = close
    return Candles.from_rows("BTC/USDT", "1m", rows)
