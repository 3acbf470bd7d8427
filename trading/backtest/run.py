"""A plan is walked by the quickest way that is beyond doubt."""

from trading.backtest import signals
from trading.backtest.carry import Carry
from trading.backtest.climb import Climb
from trading.backtest.engine import Walk
from trading.backtest.plan import Plan, Tell
from trading.backtest.quick import Quick
from trading.backtest.result import Result, quickly
from trading.backtest.waiting import Wait
from trading.backtest.whole import Doubt
from trading.history import gaps
from trading.strategies import HasLadder


def run(plan: Plan, actions: bytes | None = None, tell: Tell | None = None) -> Result:
    """Trade a plan from its first candle to its last.

    `actions`: what `signals.actions` returns for it, where it is known already. `tell` is given the
    share of the candles that is done, often; what it raises ends the walk. Unsupported, and
    ValueError for candles that are out of order.
    """
    plan.check()
    found = gaps(plan.candles)
    if actions is None:
        actions = signals.actions(plan.candles, plan.strategy, plan.values)
    if plan.is_perpetual:
        return Carry(plan, actions).run(found, tell)
    strategy: object = plan.strategy
    if isinstance(strategy, HasLadder):
        return Climb(plan, actions, strategy).run(found, tell)
    if plan.entries_rest:
        return Wait(plan, actions).run(found, tell)
    try:
        walk = Quick(plan, actions)
        walk.run(tell)
    except Doubt:
        return Walk(plan, actions).run(found, tell)
    return quickly(plan, walk, found)
