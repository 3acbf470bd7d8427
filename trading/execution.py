"""What a tick does with what it sees: one pure function, used by live, paper and backtest."""

from dataclasses import replace

from trading import entries, exits
from trading.fills import buy_price, crosses, fill_limit, fill_market
from trading.protections import Record, standing
from trading.risk import Blocked, Gate
from trading.view import Decision, Resting, View

__all__ = [
    "Decision",
    "Record",
    "Resting",
    "View",
    "buy_price",
    "crosses",
    "decide",
    "fill_limit",
    "fill_market",
]


def decide(view: View) -> Decision:
    """Decide one tick: a resting entry first, then exits, then (only when flat) entries.

    Stops, target and closing are judged at the price a taker gets: the bid of a long position, the
    ask of a short one. While an entry order rests nothing else is sent; it is given up or left.
    """
    limit = standing(view.settings, view.day, view.record, view.open_pnl)
    return _with_limit(view, _decide(view, limit), limit)


def _decide(view: View, limit: Blocked | None) -> Decision:
    if view.resting is not None:
        return entries.resting(view, view.resting)
    entry_price = view.position.entry_price
    if view.position.is_open and entry_price is not None:
        return exits.in_position(view, entry_price)
    return entries.flat(view, limit)


def _with_limit(view: View, decision: Decision, limit: Blocked | None) -> Decision:
    """Add what becomes of the bot itself once it is flat; a bot that stops has its end already.

    Limits of the day end with it; a drawdown does not end by itself.
    """
    if limit is None or view.duty != "trade":
        return decision
    if limit.gate is Gate.MAX_DRAWDOWN:
        return replace(decision, switch_off=limit.gate)
    return replace(decision, pause=limit.gate)
