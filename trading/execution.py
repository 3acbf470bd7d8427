"""What a tick does with what it sees: one pure function, used by live, paper and backtest."""

from dataclasses import replace

from trading import entries, exits, ladder
from trading.fills import buy_price, crosses, fill_limit, fill_market
from trading.ladder import Rung
from trading.market import Side
from trading.protections import Record, passing, standing
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
    The rungs of a ladder rest beside all of that, and make way for an entry or an exit.
    """
    limit = standing(view.settings, view.day, view.record, view.open_pnl)
    return _with_rungs(view, _with_limit(view, _decide(view, limit), limit), limit)


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


def _with_rungs(view: View, decision: Decision, limit: Blocked | None) -> Decision:
    """Add the limit orders that are to rest: buys only where an entry would be allowed, too."""
    if view.ladder is None or decision.action in ("enter", "exit", "cancel"):
        return decision
    may = ladder.allowed(
        view.ladder,
        view.settings,
        view.rules,
        view.free_quote,
        view.cost_margin,
        holds=view.position.amount,
        buys=decision.action == "hold" and _may_buy(view, limit),
        sells=view.rules.active and view.position.is_open and exits.is_watched(view),
    )
    if not may.rungs and may.short is not None and not view.position.is_open:
        return replace(decision, action="blocked", gate=may.short.gate, numbers=may.short.numbers)
    if not may.rungs:
        return decision
    numbers = {**decision.numbers, "rungs": str(len(may.rungs))}
    if may.cut:
        numbers["rungs_wanted"] = str(len(may.rungs) + may.cut)
    gate = decision.gate if view.position.is_open else Gate.LADDER
    return replace(decision, gate=gate, numbers=numbers, rungs=may.rungs)


def _may_buy(view: View, limit: Blocked | None) -> bool:
    if limit is not None and limit.gate is Gate.MAX_DAILY_TRADES and view.position.is_open:
        # The position that is open is one of the day's already.
        limit = standing(view.settings, replace(view.day, trades=0), view.record, view.open_pnl)
    if view.duty != "trade" or limit is not None or not view.rules.active or view.futures:
        return False
    # In position it is no new one: what keeps entries back for a while does not count.
    return view.position.is_open or passing(view.settings, view.record) is None


def rests_unseen(view: View, decision: Decision) -> tuple[Rung, ...]:
    """Return what rests on without candles: nothing that is new, and no buy beyond a limit."""
    resting = view.ladder.resting if view.ladder else ()
    is_limited = decision.pause is not None or decision.switch_off is not None
    may_buy = not is_limited or bool(decision.buys)
    return tuple(rung for rung in resting if may_buy or rung.side is Side.SELL)


def asks_for_money(view: View, decision: Decision) -> bool:
    """Whether what was decided needs the balance: an order, or a rung that does not rest yet."""
    if decision.action in ("enter", "exit"):
        return True
    resting = view.ladder.resting if view.ladder else ()
    return any(rung.side is Side.BUY for rung in ladder.missing(decision.rungs, resting))
