"""Many parameter sets over one market: which of them are worth a whole backtest.

A set is walked in floats, trade by trade: the first candle that may end a trade is found by the
strategy's next word and the extremes in between. Amounts and prices are rounded to the market's
steps as ever, so a set's figures are those of its backtest up to the last bits of a float; tests
hold both against each other. Sets with limits of the day, a trailing stop, entries that rest or
other rules that need each candle's clock are run as whole backtests.
"""

import math
import multiprocessing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from trading.backtest import signals
from trading.backtest.plan import Plan
from trading.backtest.report import report
from trading.backtest.run import run
from trading.backtest.sets import Chosen, applied
from trading.backtest.vectors import Memory
from trading.ladder import ZERO
from trading.sizing import wanted_value
from trading.strategies import HasLadder

#: Nearer to a step than this share of it a float is on it.
NEAR = 1e-7
#: What needs each candle's clock, or the shared functions.
CLOCKED = (
    "max_daily_trades",
    "max_daily_loss_perc",
    "daily_target_perc",
    "cooldown_minutes",
    "stop_guard_stops",
    "max_drawdown_perc",
    "loss_includes_open",
    "trailing_stop_active",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One set and what it came to; money is quote currency, fees and slippage are in it.

    `chosen` is what was varied. `pnl` is realised, `value` what the account is worth at the end,
    `drawdown` the deepest fall of the realised profit below its highest.
    """

    chosen: Chosen
    trades: int
    wins: int
    pnl: float
    fees: float
    drawdown: float
    value: float


def sweep(plan: Plan, chosen: Sequence[Chosen], *, processes: int = 1) -> Iterator[Trial]:
    """Yield what each set came to, in the order given, as they are done.

    More than one process are forks that share the candles. Unsupported as from a backtest.
    """
    plan.check()
    if processes == 1:
        trier = _Trier(plan)
        yield from map(trier.trial, chosen)
        return
    context = multiprocessing.get_context("fork")
    with context.Pool(processes, _begin, (plan,)) as pool:
        yield from pool.imap(_try, chosen, chunksize=max(1, min(16, len(chosen) // processes)))


_trier: "_Trier | None" = None


def _begin(plan: Plan) -> None:
    global _trier
    _trier = _Trier(plan)


def _try(chosen: Chosen) -> Trial:
    if _trier is None:
        raise RuntimeError("the process was not begun")
    return _trier.trial(chosen)


class _Trier:
    """Tries sets one after the other and remembers the indicators that they share."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.memory = plan, Memory()

    def trial(self, chosen: Chosen) -> Trial:
        plan = applied(self.plan, chosen)
        actions = signals.actions(plan.candles, plan.strategy, plan.values, self.memory)
        if _needs_all(plan):
            return _exact(plan, actions, chosen)
        return _Floats(plan).trial(actions, chosen)


def _needs_all(plan: Plan) -> bool:
    strategy: object = plan.strategy
    if isinstance(strategy, HasLadder) or plan.is_perpetual or plan.entries_rest:
        return True
    if plan.costs.spread or plan.settings.leverage != 1:
        return True
    return any(getattr(plan.settings, name) for name in CLOCKED)


def _exact(plan: Plan, actions: bytes, chosen: Chosen) -> Trial:
    result = run(plan, actions)
    told = report(plan, result)
    return Trial(
        chosen=chosen,
        trades=told.summary.trades,
        wins=told.summary.wins,
        pnl=float(told.pnl),
        fees=float(told.fees),
        drawdown=float(told.drawdown.amount),
        value=float(told.value),
    )


class _Floats:
    """Prices, amounts and money of one plan as floats."""

    def __init__(self, plan: Plan) -> None:
        rules, settings = plan.rules, plan.settings
        self.plan, self.candles = plan, plan.candles
        self.tick, self.step = float(rules.price_tick), float(rules.amount_step)
        self.slip, self.fee = float(plan.costs.slippage), float(plan.fee_rate)
        self.wanted = float(wanted_value(settings))
        self.stop = 1 - float(settings.stop_loss_perc or ZERO) / 100
        self.has_stop = bool(settings.stop_loss_perc)
        self.target = 1 + float(settings.take_profit_perc or ZERO) / 100
        self.has_target = bool(settings.take_profit_perc)
        self.least = max(float(rules.min_amount), self.step)
        self.least_value = float(rules.min_notional)
        self.most = math.inf if rules.max_amount is None else float(rules.max_amount)
        self.kept = 1 - float(rules.taker_fee)
        dearest = max(self.candles.open, default=0.0)
        #: With less than this no entry is ever paid, whatever the price rounds it to.
        self.needed = (self.wanted - self.step * dearest) * (1 + self.fee)

    def trial(self, actions: bytes, chosen: Chosen) -> Trial:
        """Return what a set comes to."""
        trades, wins, pnl, fees, fall, value = self._walk(actions)
        return Trial(
            chosen=chosen,
            trades=trades,
            wins=wins,
            pnl=pnl,
            fees=fees,
            drawdown=fall,
            value=value,
        )

    def _walk(self, actions: bytes) -> tuple[int, int, float, float, float, float]:
        """Enter at each buy, leave at the level or the sell that comes first.

        Returns trades, wins, profit, fees, drawdown and what the capital has become.
        """
        opens, count = self.candles.open, len(self.candles)
        buy, sell = bytes([signals.BUY]), bytes([signals.SELL])
        free, fees, pnl = float(self.plan.funds), 0.0, 0.0
        trades, wins, peak, fall, held = 0, 0, 0.0, 0.0, 0.0
        tick, step, wanted, fee = self.tick, self.step, self.wanted, self.fee
        dearer, cheaper = 1 + self.slip, 1 - self.slip
        at = actions.find(buy)
        while at >= 0 and free >= self.needed:
            ask = opens[at]
            amount = math.floor(wanted / ask / step + NEAR) * step
            paid = math.ceil(ask * dearer / tick - NEAR) * tick
            value = paid * amount
            if not self._fits(amount, ask, value, free):
                at = actions.find(buy, at + 1)
                continue
            out = actions.find(sell, at + 1)
            place, bid = self._leaves(at, count if out < 0 else out, paid)
            entered = value * (1 + fee)
            fees += value * fee
            free -= entered
            if place >= count:
                held = amount
                break
            got = max(math.floor(bid * cheaper / tick + NEAR), 1) * tick * amount
            free += got * (1 - fee)
            fees += got * fee
            earned = got * (1 - fee) - entered
            pnl += earned
            trades += 1
            wins += earned > 0
            peak = max(peak, pnl)
            fall = max(fall, peak - pnl)
            at = actions.find(buy, place + 1)
        worth = free - float(self.plan.beside) + held * (self.candles.close[-1] if count else 0.0)
        return trades, wins, pnl, fees, fall, worth

    def _fits(self, amount: float, ask: float, value: float, free: float) -> bool:
        """Whether the market takes the entry and its sale at the stop, and the money is there."""
        if amount > self.most or amount < max(self.least, self.least_value / ask):
            return False
        lowest = ask * self.stop if self.has_stop else ask
        kept = math.floor(amount * self.kept / self.step + NEAR) * self.step
        if kept < max(self.least, self.least_value / lowest):
            return False
        return value * (1 + self.fee) <= free

    def _leaves(self, at: int, out: int, paid: float) -> tuple[int, float]:
        """Return the candle in which a trade ends, and the bid there; `out`: the next sell.

        A place behind the last candle: it does not end.
        """
        candles = self.candles
        low, high, opens = candles.low, candles.high, candles.open
        stop = paid * self.stop if self.has_stop else -1.0
        target = paid * self.target if self.has_target else math.inf
        if min(low[at:out]) > stop and max(high[at:out]) < target:
            return (out, opens[out]) if out < len(opens) else (out, 0.0)
        for place in range(at, out):
            first = opens[place]
            if place > at and (first <= stop or first >= target):
                return place, first
            if low[place] <= stop:
                return place, min(stop, first)
            if high[place] >= target:
                return place, max(target, low[place])
        return (out, opens[out]) if out < len(opens) else (out, 0.0)
