"""Candles for tests: real ones where they are to be had, else from a seeded generator."""

import csv
import gzip
import os
import random
from functools import cache
from pathlib import Path

from trading.market import Candles

ROOT = Path(__file__).resolve().parents[2]
MARKET_DATA_DIR = ROOT / os.environ.get("MARKET_DATA_DIR", "../shared/data")
MINUTE = 60_000
START = 1_677_628_800_000  # 2023-03-01T00:00Z


@cache
def btcusdt_1m() -> Candles:
    """Return BTC/USDT 1m of March 2023 (30,240 candles), or 30,240 generated ones."""
    path = MARKET_DATA_DIR / "BTCUSDT-1m-2023-03.csv.gz"
    if not path.exists():
        return from_closes(random_walk(30_240, seed=20230301, start=23_140.0))
    with gzip.open(path, "rt", newline="") as file:
        rows = [[float(cell) for cell in row] for row in list(csv.reader(file))[1:]]
    return Candles.from_rows("BTC/USDT", "1m", rows)


def random_walk(count: int, *, seed: int, start: float, step: float = 0.001) -> list[float]:
    """Return `count` closes; each differs from the last by a random share of about `step`."""
    rng = random.Random(seed)
    closes = [start]
    while len(closes) < count:
        # To the cent, as the real market's prices are.
        closes.append(round(closes[-1] * (1 + rng.gauss(0, step)), 2))
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
