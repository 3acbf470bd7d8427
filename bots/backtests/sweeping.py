"""A worker's side of a sweep: its sets tried one after the other on the time asked for.

A set trades from that time on and not before: as many candles as its own strategy looks at feed
it, as in a backtest of that set alone. So sets are tried in groups of equal need.
"""

import json
import zlib
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from math import prod
from typing import Any

from bots.backtests import bounds, trials
from bots.backtests.axes import axes_of, varied
from bots.backtests.figures import candles_of, hold_perc, text_of
from bots.models import BacktestData, BacktestRun
from bots.models.fields import plain
from trading.backtest import Plan
from trading.backtest.sets import Chosen, combined, values_of
from trading.backtest.sweep import Trial, sweep
from trading.history import History
from trading.market import TIMEFRAMES, Candles

#: Digits of money that are kept: a float has 15 to 17, and the last differ from a backtest's.
DIGITS = 12


@dataclass(frozen=True, kw_only=True)
class Sets:
    """A run's sets with the candles that each needs before the first that it may trade on."""

    plan: Plan
    chosen: Sequence[Chosen]
    windows: Sequence[int]

    @classmethod
    def of(cls, run: BacktestRun, plan: Plan) -> "Sets":
        """Return what a run is to try. ParamErrors: the strategy takes no combination."""
        chosen = combined(plan, varied(axes_of(run)))
        windows = [plan.strategy.window(values_of(plan, one)) for one in chosen]
        return cls(plan=plan, chosen=chosen, windows=windows)

    @property
    def window(self) -> int:
        """The most candles that any set needs."""
        return max(self.windows)


def tried(
    sets: Sets, plan: Plan, since: int, tell: Callable[[float], None], beat: Callable[[], None]
) -> list[Trial]:
    """Return what the sets come to on the candles of `plan` from `since` (Unix ms) on.

    `tell` hears after each set which share is done, `beat` is called while one is tried (and may
    not use the candles); both may raise to end it. Sets are in their order.
    """
    found: dict[int, Trial] = {}
    for window in sorted(set(sets.windows)):
        group = [place for place, one in enumerate(sets.windows) if one == window]
        part = replace(plan, candles=_from(plan, since, window))
        trying = sweep(part, [sets.chosen[place] for place in group], processes=1)
        for place in group:
            tell(len(found) / len(sets.chosen))
            with bounds.every(1.0, beat):
                found[place] = next(trying)
    tell(1.0)
    return [found[place] for place in range(len(sets.chosen))]


def _from(plan: Plan, since: int, window: int) -> Candles:
    length = TIMEFRAMES[plan.candles.timeframe]
    first = (-(-since // length) - window) * length
    return plan.candles.cut(bisect_left(plan.candles.times, first), len(plan.candles))


def keep(run: BacktestRun, found: Sequence[Trial]) -> None:
    """Store what each set came to; what is there already is replaced."""
    names = [one["name"] for one in run.vary]
    rows = [
        [
            *(str(trial.chosen[name]) for name in names),
            *(trial.trades, trial.wins),
            *(_short(value) for value in (trial.pnl, trial.fees, trial.drawdown, trial.value)),
        ]
        for trial in found
    ]
    packed = zlib.compress(json.dumps(rows, separators=(",", ":")).encode(), 6)
    BacktestData.objects.update_or_create(run=run, defaults={"packed": packed})


def _short(value: float) -> str:
    """Write a float without the digits that only its last bits make."""
    return plain(Decimal(f"{value:.{DIGITS}g}"))


def summary_of(
    run: BacktestRun, sets: Sets, plan: Plan, history: History, since: int
) -> dict[str, Any]:
    """Return the figures of a sweep that was kept: its best set's, and what it was tried on."""
    found = trials.load(run) or []
    best = trials.best_first(found)[0]
    times = plan.candles.times
    first, end = bisect_left(times, since), times[-1] + TIMEFRAMES[plan.candles.timeframe]
    candles = plan.candles.cut(first, len(times))
    numbers = {
        "capital": plan.capital,
        "value": best.value,
        "net": best.net,
        "percent": best.percent,
        "hold_percent": hold_perc(plan, candles),
        "realised": best.pnl,
        "fees": best.fees,
        "drawdown": best.drawdown,
        "drawdown_percent": best.drawdown_percent,
        "win_rate": best.win_rate,
    }
    return {
        **candles_of(plan, candles, history, warmed=first, window=sets.window, end=end),
        "sets": len(found),
        "refused": prod(axis.count for axis in axes_of(run)) - len(found),
        "gained": trials.gained(found),
        **(_funding_times(plan, times[first], end) if plan.is_perpetual else {}),
        "chosen": dict(best.chosen),
        "trades": best.trades,
        "wins": best.wins,
        **{name: text_of(value) for name, value in numbers.items()},
    }


def _funding_times(plan: Plan, since: int, until: int) -> dict[str, int]:
    """Return how many funding times there were, and of how many nobody told the rate."""
    dues = list(plan.terms.dues(since, until))
    return {"payments": len(dues), "payments_assumed": sum(due.is_assumed for due in dues)}
