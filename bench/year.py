"""A year of one-minute candles for backtests: the real month, its copies set end to end."""

import sys
from array import array
from pathlib import Path

COUNT = 525_600
MINUTE = 60_000
COLUMNS = ("open", "high", "low", "close")


def year() -> dict[str, list[float]]:
    """Return columns times, open, high, low, close, volume; each copy opens where one closed."""
    from tests.trading.candles import btcusdt_1m

    month = btcusdt_1m()
    found: dict[str, list[float]] = {name: [] for name in (*COLUMNS, "volume")}
    scale = 1.0
    while len(found["open"]) < COUNT:
        for name in COLUMNS:
            found[name] += [round(price * scale, 2) for price in getattr(month, name)]
        found["volume"] += month.volume
        scale = found["close"][-1] / month.open[0]
        if not 0.3 < scale < 3:
            scale = 1.0  # the same market at its first price: a jump, as markets have them
    cut = {name: column[:COUNT] for name, column in found.items()}
    first = month.times[0]
    return {"times": list(range(first, first + COUNT * MINUTE, MINUTE)), **cut}


def write(folder: Path) -> None:
    """Write each column as native doubles, for programs that have nothing of ours."""
    for name, column in year().items():
        (folder / name).write_bytes(array("d", column).tobytes())


if __name__ == "__main__":
    write(Path(sys.argv[1]))
