"""When a position is opened, which way and how, and when a resting entry is given up. Pure."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal, localcontext

from trading import exits
from trading.exits import signal_numbers, signal_side
from trading.market import EXACT, OrderType, Quote, Rules, Side, floor_to
from trading.protections import passing, standing
from trading.risk import HUNDRED, Blocked, Gate, Levels, Settings
from trading.rounding import ceil_to, readable
from trading.sizing import Sized, liquidated_first, size, unsellable
from trading.view import Decision, Resting, View

#: The sides that open a position, by the owner's `direction`.
OPENS: Mapping[str, tuple[Side, ...]] = {
    "long": (Side.BUY,),
    "short": (Side.SELL,),
    "both": (Side.BUY, Side.SELL),
}


def flat(view: View, limit: Blocked | None) -> Decision:
    """Open a position if owner, limits, market and signal allow; `limit`: what forbids all."""
    if view.command == "exit":
        return Decision(action="hold", gate=Gate.FLAT)
    if view.duty != "trade":
        return Decision(action="hold", gate=Gate.DUTY_EXIT)
    if limit is not None:
        return _blocked(limit)
    if not view.rules.active:
        return Decision(action="blocked", gate=Gate.MARKET_HALTED)
    side = wish_of(view)
    if side is None and view.command == "enter":
        numbers = {"direction": view.settings.direction}
        return Decision(action="blocked", gate=Gate.DIRECTION, numbers=numbers)
    if side is None:
        lacks = signal_numbers(view.signal, awaited(view))
        return Decision(action="hold", gate=Gate.NO_SIGNAL, numbers=lacks)
    order_type = order_type_of(view)
    if blocked := passing(view.settings, view.record) or _spread(view, order_type):
        return _blocked(blocked)
    return _entry(view, side, order_type)


def _blocked(blocked: Blocked) -> Decision:
    return Decision(action="blocked", gate=blocked.gate, numbers=blocked.numbers)


def _opens(view: View) -> tuple[Side, ...]:
    """Return the sides that may open a position: spot sells nothing that it does not hold."""
    sides = OPENS[view.settings.direction]
    return sides if view.futures else tuple(side for side in sides if side is Side.BUY)


def awaited(view: View) -> Side | None:
    """Return the side that a flat bot is told about: its wish, or the only one it may go.

    None: it waits for either.
    """
    sides = _opens(view)
    return wish_of(view) or (sides[0] if len(sides) == 1 else None)


def wish_of(view: View) -> Side | None:
    """Return the side that command or signal asks for, where direction and market allow it."""
    allowed = _opens(view)
    if view.command == "enter":
        side = view.asked_side or next(iter(allowed), None)
        return side if side in allowed else None
    side = signal_side(view.signal)
    return side if side in allowed else None


def order_type_of(view: View) -> OrderType:
    """Return how to enter; at market when a resting entry came to nothing and that is wished."""
    if view.fallback_due and view.settings.entry_fallback == OrderType.MARKET:
        return OrderType.MARKET
    return OrderType(view.settings.entry_type)


def _spread(view: View, order_type: OrderType) -> Blocked | None:
    """Block a market order where the spread is wider than the owner pays."""
    most = view.settings.max_spread_perc
    if not most or order_type is not OrderType.MARKET:
        return None
    spread = spread_perc(view.quote)
    if spread <= most:
        return None
    numbers = {"have": readable(spread), "limit": readable(most)}
    return Blocked(gate=Gate.SPREAD, numbers=numbers)


def spread_perc(quote: Quote) -> Decimal:
    """Return ask - bid in percent of the price between them."""
    with localcontext(EXACT):
        return (quote.ask - quote.bid) * 2 * HUNDRED / (quote.ask + quote.bid)


def limit_price(settings: Settings, rules: Rules, quote: Quote, side: Side) -> Decimal:
    """Return where a resting entry is placed: `entry_offset_perc` off the market's own side.

    Below the bid to buy, above the ask to sell, rounded to the tick away from the market; one tick
    at least.
    """
    offset = settings.entry_offset_perc or Decimal(0)
    with localcontext(EXACT):
        if side is Side.SELL:
            return ceil_to(quote.ask * (HUNDRED + offset) / HUNDRED, rules.price_tick)
        price = floor_to(quote.bid * (HUNDRED - offset) / HUNDRED, rules.price_tick)
        return max(price, rules.price_tick)


def price_of(view: View, side: Side) -> tuple[Decimal, Decimal | None]:
    """Return the price that an entry reckons with, and its limit (None: at market)."""
    if order_type_of(view) is OrderType.MARKET:
        return (view.quote.bid if side is Side.SELL else view.quote.ask), None
    price = limit_price(view.settings, view.rules, view.quote, side)
    return price, price


def _entry(view: View, side: Side, order_type: OrderType) -> Decision:
    is_short = side is Side.SELL
    price, limit = price_of(view, side)
    sized = size(view.settings, view.rules, price, view.free_quote, view.cost_margin)
    if isinstance(sized, Sized) and view.futures:
        late = liquidated_first(view.settings, price, view.maintenance, is_short=is_short)
        sized = late or sized
    elif isinstance(sized, Sized):
        sized = unsellable(view.settings, view.rules, price, sized.amount) or sized
    if isinstance(sized, Blocked):
        return _blocked(sized)
    order = {"amount": readable(sized.amount), "notional": readable(sized.notional)}
    return Decision(
        action="enter",
        gate=Gate.COMMAND if view.command == "enter" else Gate.SIGNAL,
        numbers={**signal_numbers(view.signal, side), "price": readable(price), **order},
        side=side,
        amount=sized.amount,
        price=price,
        order_type=order_type,
        limit=limit,
    )


def resting(view: View, order: Resting) -> Decision:
    """Leave the resting entry order where it is, or give it up: an exit needs it out of the way.

    What was filled of it is a position already; its exit is decided by the tick after the cancel.
    """
    levels, gate = Levels(), None
    numbers: Mapping[str, str] = resting_numbers(order)
    entry_price = view.position.entry_price
    if view.position.is_open and entry_price is not None:
        seen = exits.look(view, entry_price)
        levels, gate = seen.levels, seen.gate
        numbers = {**seen.numbers, **numbers}
    gate = Gate.SIGNAL_GONE if gate is Gate.SIGNAL else gate
    if gate is None and (limit := _limit(view)):
        gate, numbers = limit.gate, {**numbers, **limit.numbers}
    if gate is None and (gate := _given_up(view, order)) is Gate.SIGNAL_GONE:
        numbers = {**numbers, **signal_numbers(view.signal, order.side)}
    if gate is None:
        return Decision(action="hold", gate=Gate.ENTRY_RESTING, numbers=numbers, levels=levels)
    return Decision(action="cancel", gate=gate, numbers=numbers, levels=levels)


def _limit(view: View) -> Blocked | None:
    """Return the limit that forbids the entry by now; the order itself is one of the day's."""
    if view.duty != "trade":
        return None
    return standing(view.settings, replace(view.day, trades=0), view.record, view.open_pnl)


def _given_up(view: View, order: Resting) -> Gate | None:
    if view.command == "exit":
        return Gate.COMMAND
    if view.duty != "trade":
        return Gate.CLOSING
    if not order.forced and signal_side(view.signal) is not order.side:
        return Gate.SIGNAL_GONE
    if order.age >= view.settings.entry_timeout_seconds:
        return Gate.ENTRY_TIMEOUT
    return None


def resting_numbers(order: Resting) -> Mapping[str, str]:
    """Return where a resting order lies, how much of it is filled, and its age in seconds."""
    return {
        "limit_price": readable(order.price),
        "filled": readable(order.filled),
        "age": str(int(order.age)),
    }
