"""The stop and target that should rest at the exchange for a position. Pure.

A stop on the exchange works while nobody ticks. What it is asked for is never looser than the
level the tick watches, so the exchange closes the position no later than the tick would.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal, localcontext

from trading.exits import least_closable
from trading.market import EXACT, OrderType, Rules, Side, floor_to
from trading.position import Position
from trading.risk import Blocked, Gate, Levels
from trading.rounding import ceil_to
from trading.sizing import nearest_stop, need_and_have, too_large

#: How far a trailing stop has to move, as a fraction of its trigger, to be worth a new order:
#: between cancel and placement the position has no stop at the exchange.
REPLACE_STEP = Decimal("0.001")


@dataclass(frozen=True, slots=True, kw_only=True)
class Protective:
    """One order that closes the position when the price comes to `trigger` (quote currency).

    `type` is STOP or TARGET, `amount` base currency; `gate` is the level it stands for, and the
    reason of its order.
    """

    type: OrderType
    gate: Gate
    side: Side
    amount: Decimal
    trigger: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The orders that should rest, and why some or all of the position goes without them."""

    orders: tuple[Protective, ...] = ()
    missing: Blocked | None = None


def wanted(
    rules: Rules, position: Position, levels: Levels, closable: Decimal, *, futures: bool = False
) -> Wanted:
    """Return the protective orders for a position at `levels`, none when it is flat.

    `closable` is the base amount that can be sold or closed (what the bot's own protective orders
    hold counts as free). All or nothing: where the market's minimum forbids one, a target alone
    would only keep the coins from the stop that ticks watch.
    """
    triggers = _triggers(rules, position, levels)
    if not position.is_open or not triggers:
        return Wanted()
    with localcontext(EXACT, rounding=ROUND_DOWN):
        amount = rules.floor_amount(max(min(position.amount, closable), Decimal(0)))
    missing = None
    if rules.max_amount is not None and amount > rules.max_amount:
        missing = too_large(rules, amount)
        amount = rules.floor_amount(rules.max_amount)
    least = max(least_closable(rules, trigger, futures=futures) for _, _, trigger in triggers)
    if amount < least:
        numbers = need_and_have(least, amount, rules.base)
        return Wanted(missing=Blocked(gate=Gate.BELOW_MINIMUM, numbers=numbers))
    orders = tuple(
        Protective(type=kind, gate=gate, side=position.exit_side, amount=amount, trigger=trigger)
        for kind, gate, trigger in triggers
    )
    return Wanted(orders=orders, missing=missing)


def _triggers(
    rules: Rules, position: Position, levels: Levels
) -> list[tuple[OrderType, Gate, Decimal]]:
    """Return what is to be placed where: rounded to the tick, towards the position's entry."""
    is_short = position.is_short
    found = []
    if (stop := nearest_stop(levels, is_short=is_short)) is not None:
        gate = Gate.STOP_LOSS if stop == levels.stop else Gate.TRAILING_STOP
        found.append((OrderType.STOP, gate, _to_tick(rules, stop, up=not is_short)))
    if levels.target is not None:
        trigger = _to_tick(rules, levels.target, up=is_short)
        found.append((OrderType.TARGET, Gate.TAKE_PROFIT, trigger))
    # A target of a short position may lie below zero, where no price ever comes.
    return [one for one in found if one[2] > 0]


def _to_tick(rules: Rules, price: Decimal, *, up: bool) -> Decimal:
    with localcontext(EXACT):
        return ceil_to(price, rules.price_tick) if up else floor_to(price, rules.price_tick)


def differs(existing: Sequence[Protective], wanted: Sequence[Protective], rules: Rules) -> bool:
    """Whether the orders that rest have to be replaced by the wanted ones.

    A trailing stop only when it moved by REPLACE_STEP (and a tick at least); everything else at any
    difference of side, amount or trigger. `existing` carries what is left of each order.
    """
    resting = {order.type: order for order in existing}
    if len(resting) != len(existing) or set(resting) != {order.type for order in wanted}:
        return True
    return any(_is_other(resting[order.type], order, rules) for order in wanted)


def _is_other(existing: Protective, wanted: Protective, rules: Rules) -> bool:
    if (existing.side, existing.amount) != (wanted.side, wanted.amount):
        return True
    with localcontext(EXACT):
        moved = abs(wanted.trigger - existing.trigger)
        if wanted.gate is not Gate.TRAILING_STOP:
            return moved > 0
        return moved >= max(existing.trigger * REPLACE_STEP, rules.price_tick)
