"""When a position is left, and with how much: stops, limits, commands, signals. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal, localcontext

from trading.market import EXACT, Rules, Side
from trading.risk import (
    Blocked,
    Gate,
    Levels,
    exit_reason,
    follow,
    limit_numbers,
    limit_reached,
)
from trading.rounding import readable
from trading.sizing import need_and_have
from trading.strategies.base import Action, Signal
from trading.view import Decision, View


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A position at this tick's price: its levels, why it is to be left (None: held), numbers."""

    gate: Gate | None
    levels: Levels
    numbers: Mapping[str, str]


def look(view: View, entry_price: Decimal) -> Seen:
    """Follow the levels of an open position and judge them at the price that a taker gets."""
    price, is_short = view.exit_price, view.position.is_short
    levels = follow(view.settings, entry_price, view.levels, price, is_short=is_short)
    gate = _gate(view, levels, price)
    numbers = _numbers(entry_price, levels, price)
    if gate is Gate.SIGNAL:
        numbers = {**numbers, **signal_numbers(view.signal, view.position.exit_side)}
    if gate is Gate.MAX_DAILY_LOSS:
        limit = limit_numbers(view.settings, view.day, gate, view.open_pnl)
        numbers = {**numbers, **limit}
    return Seen(gate=gate, levels=levels, numbers=numbers)


def in_position(view: View, entry_price: Decimal) -> Decision:
    """Hold the position, or close all of it that can be closed in one order."""
    seen = look(view, entry_price)
    if seen.gate is None:
        return _held(view, seen)
    amount = closable(view)
    if blocked := _blocked(view, seen.gate, amount):
        return Decision(
            action="blocked", gate=blocked.gate, numbers=blocked.numbers, levels=seen.levels
        )
    return Decision(
        action="exit",
        gate=seen.gate,
        numbers={**seen.numbers, "amount": readable(amount)},
        side=view.position.exit_side,
        amount=amount,
        price=view.exit_price,
        reduce_only=view.futures,
        levels=seen.levels,
    )


def _held(view: View, seen: Seen) -> Decision:
    if not is_watched(view):
        gate, numbers = Gate.DUTY_EXIT, seen.numbers
    else:
        lacks = signal_numbers(view.signal, view.position.exit_side)
        gate, numbers = Gate.IN_POSITION, {**lacks, **seen.numbers}
    return Decision(action="hold", gate=gate, numbers=numbers, levels=seen.levels)


def is_watched(view: View) -> bool:
    """Whether the bot may leave its position by itself.

    "Stop and leave the position" means it: the bot ticks on only until its last order is settled.
    """
    return view.duty == "trade" or (view.duty == "exit" and view.wind_down != "leave")


def _gate(view: View, levels: Levels, price: Decimal) -> Gate | None:
    watched = is_watched(view)
    if watched and (reached := exit_reason(levels, price, is_short=view.position.is_short)):
        return reached
    if watched and _loses_too_much(view):
        return Gate.MAX_DAILY_LOSS
    if view.command == "exit":
        return Gate.COMMAND
    if view.duty == "exit" and view.wind_down == "close":
        return Gate.CLOSING
    if watched and signal_side(view.signal) is view.position.exit_side:
        return Gate.SIGNAL
    return None


def _loses_too_much(view: View) -> bool:
    """Whether the day's loss, the open position's included, is at its limit."""
    if not view.settings.loss_includes_open:
        return False
    return limit_reached(view.settings, view.day, view.open_pnl) is Gate.MAX_DAILY_LOSS


def closable(view: View) -> Decimal:
    """Return the bot's own units that can be closed in one order, rounded down to the step."""
    free = None if view.futures else view.free_base
    bounds = (view.position.amount, free, view.rules.max_amount)
    with localcontext(EXACT, rounding=ROUND_DOWN):
        amount = view.rules.floor_amount(min(bound for bound in bounds if bound is not None))
    return max(amount, Decimal(0))


def least_closable(rules: Rules, price: Decimal, *, futures: bool) -> Decimal:
    """Return the least base amount that closes a position at `price`.

    Orders that only reduce a futures position have no least value.
    """
    if futures:
        return max(rules.amount_step, rules.min_amount)
    with localcontext(EXACT):
        return rules.dust_below(price)


def _blocked(view: View, gate: Gate, amount: Decimal) -> Blocked | None:
    if not view.rules.active:
        return Blocked(gate=Gate.MARKET_HALTED, numbers={"exit": gate})
    with localcontext(EXACT):
        least = least_closable(view.rules, view.exit_price, futures=view.futures)
        held, free = view.position.amount, view.free_base
        if not view.futures and free is not None and held - free >= least:
            # Not a fee's rest: coins are gone, and what became of them is for people to find out.
            numbers = {**need_and_have(held, free, view.rules.base), "exit": gate}
            return Blocked(gate=Gate.RECONCILE, numbers=numbers)
    if amount >= least:
        return None
    numbers = {**need_and_have(least, amount, view.rules.base), "exit": gate}
    return Blocked(gate=Gate.BELOW_MINIMUM, numbers=numbers)


def signal_side(signal: Signal) -> Side | None:
    """Return the side that the strategy asks for."""
    return {Action.BUY: Side.BUY, Action.SELL: Side.SELL, Action.NONE: None}[signal.action]


def signal_numbers(signal: Signal, side: Side | None) -> Mapping[str, str]:
    """Return what a signal answers a bot that waits for `side` (None: either): numbers, reason."""
    answer = signal.to(side)
    return {**answer.numbers, "why": answer.why}


def _numbers(entry_price: Decimal, levels: Levels, price: Decimal) -> Mapping[str, str]:
    prices = {
        "price": price,
        "entry_price": entry_price,
        "stop": levels.stop,
        "trailing": levels.trailing,
        "target": levels.target,
    }
    return {name: readable(price) for name, price in prices.items() if price is not None}
