"""What is kept of a sweep: each set that was tried with its figures, packed beside its run."""

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from bots.backtests import plans
from bots.backtests.axes import Axis
from bots.models import BacktestData, BacktestRun
from trading.trades import HUNDRED, ZERO, ratio


@dataclass(frozen=True, slots=True, kw_only=True)
class Set:
    """One set of a sweep: what was chosen (texts by name) and what it came to, in quote currency.

    `number` counts from 0 in the order of the sweep; `drawdown` is the deepest fall of the
    realised profit, `value` what the capital has become at the end, the open position counted.
    """

    number: int
    chosen: Mapping[str, str]
    trades: int
    wins: int
    pnl: Decimal
    fees: Decimal
    drawdown: Decimal
    value: Decimal
    capital: Decimal

    @property
    def net(self) -> Decimal:
        """The profit, open position counted."""
        return self.value - self.capital

    @property
    def percent(self) -> Decimal:
        """The profit in percent of the starting capital."""
        return ratio(self.net * HUNDRED, self.capital)

    @property
    def drawdown_percent(self) -> Decimal:
        """The deepest fall in percent of the starting capital."""
        return ratio(self.drawdown * HUNDRED, self.capital)

    @property
    def win_rate(self) -> Decimal | None:
        """Trades won, in percent; None without trades."""
        return ratio(Decimal(self.wins) * HUNDRED, Decimal(self.trades)) if self.trades else None


def load(run: BacktestRun) -> list[Set] | None:
    """Return what is kept of a sweep, in the order of its sets; None where there is nothing."""
    row = BacktestData.objects.filter(run=run, run__kind=BacktestRun.Kind.SWEEP).first()
    if row is None:
        return None
    names, capital = [one["name"] for one in run.vary], plans.capital_of(run)
    found = []
    for number, (*chosen, trades, wins, pnl, fees, drawdown, value) in enumerate(
        json.loads(zlib.decompress(bytes(row.packed)))
    ):
        found.append(
            Set(
                number=number,
                chosen=dict(zip(names, chosen, strict=True)),
                trades=trades,
                wins=wins,
                pnl=Decimal(pnl),
                fees=Decimal(fees),
                drawdown=Decimal(drawdown),
                value=Decimal(value),
                capital=capital,
            )
        )
    return found


def best_first(found: Sequence[Set]) -> list[Set]:
    """Return sets by their profit, the highest first; of equal ones the shallower fall."""
    return sorted(found, key=lambda one: (-one.value, one.drawdown, one.number))


def axis_values(axis: Axis, found: Sequence[Set]) -> list[str]:
    """Return those values of an axis that any set has, in the order of the axis."""
    there = {one.chosen[axis.name] for one in found}
    return [value for value in axis.values() if value in there]


def gained(found: Sequence[Set]) -> int:
    """Return how many sets made a profit."""
    return sum(one.net > ZERO for one in found)
