"""What a bot would have done on candles of the past: the same decisions, fills and folds as live.

`plan.py` says what is tried, `signals.py` (for our strategies with `vectors.py`) what the strategy
said at each candle. `engine.py` walks the candles by the shared functions, with `book.py` for a
ledger; `quick.py` does so in the whole numbers of `whole.py` where nothing is in doubt; `scan.py`
tells both where to look. `carry.py` walks with a perpetual on margin (`margin.py`, by the formulas
of `perpetual.py`), `waiting.py` with entries that rest, `climb.py` with a ladder of resting orders,
which `rack.py` holds; `run.py` chooses the way. `result.py` is what came out, `report.py` makes
figures of it.
"""

from trading.backtest.perpetual import Rates, Terms
from trading.backtest.plan import Costs, Plan, Unsupported
from trading.backtest.report import Report, report
from trading.backtest.result import Order, Result
from trading.backtest.run import run
from trading.backtest.signals import actions

__all__ = [
    "Costs",
    "Order",
    "Plan",
    "Rates",
    "Report",
    "Result",
    "Terms",
    "Unsupported",
    "actions",
    "report",
    "run",
]
