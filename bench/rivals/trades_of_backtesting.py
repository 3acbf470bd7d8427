"""The trades that backtesting.py makes of the same signals: `trades_of_backtesting.py FOLDER`.

FOLDER holds columns of native doubles and `plan.json`; the trades are printed as JSON, oldest
first: place of entry and exit, both prices, and units.
"""

import json
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from backtesting import Backtest, Strategy

warnings.simplefilter("ignore")
FOLDER = Path(sys.argv[1])
PLAN = json.loads((FOLDER / "plan.json").read_text(encoding="utf-8"))
BUY, SELL = 1, 2
#: It counts whole units: prices are those of one step.
STEP = PLAN["step"]
ACTIONS = np.frombuffer((FOLDER / "actions").read_bytes(), dtype=np.uint8)
COLUMNS = {name: np.fromfile(FOLDER / name.lower()) for name in ("Open", "High", "Low", "Close")}


class Signals(Strategy):
    """Orders of the signals that a bot of ours had at the next opening."""

    def init(self) -> None:
        """There is nothing to compute."""

    def next(self) -> None:
        following = len(self.data)
        if following >= len(ACTIONS):
            return
        said, opens = ACTIONS[following], COLUMNS["Open"][following]
        if self.position:
            if said == SELL:
                self.position.close()
        elif said == BUY:
            # Our levels are measured from the entry itself, which is the next opening.
            paid = opens * STEP
            self.buy(
                size=int(PLAN["value"] / paid + 1e-9),
                sl=paid * (1 - PLAN["stop"]),
                tp=paid * (1 + PLAN["target"]),
            )


frame = pd.DataFrame(
    {name: column * STEP for name, column in COLUMNS.items()} | {"Volume": 1.0},
    index=pd.to_datetime(np.fromfile(FOLDER / "times"), unit="ms"),
)
trades = Backtest(frame, Signals, cash=1e12).run()["_trades"]
columns = ("EntryBar", "ExitBar", "EntryPrice", "ExitPrice", "Size")
rows = zip(*(trades[name].tolist() for name in columns), strict=True)
print(json.dumps([[a, b, p / STEP, q / STEP, size * STEP] for a, b, p, q, size in rows]))
