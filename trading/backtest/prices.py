"""From a candle's numbers to the quotes that decisions are made on."""

from decimal import Decimal

from trading.backtest.plan import Plan
from trading.market import Quote, floor_to
from trading.rounding import ceil_to


def price(value: float) -> Decimal:
    """Return a candle's price digit by digit as it was told."""
    return Decimal(repr(value))


def quote_of(plan: Plan, last: Decimal, at: int) -> Quote:
    """Return the market when a trade at `last` has just been made: half the spread either side."""
    half, tick = plan.costs.spread / 2, plan.rules.price_tick
    bid = ask = last
    if half:
        bid = max(floor_to(last * (1 - half), tick), tick)
        ask = ceil_to(last * (1 + half), tick)
    return Quote(symbol=plan.rules.symbol, bid=bid, ask=ask, last=last, at=at)


def bid_at(plan: Plan, level: Decimal, at: int) -> Quote:
    """Return the market at the moment when its bid is at `level`."""
    ask = level
    if plan.costs.spread:
        ask = ceil_to(level * (1 + plan.costs.spread), plan.rules.price_tick)
    return Quote(symbol=plan.rules.symbol, bid=level, ask=ask, last=level, at=at)


def ask_at(plan: Plan, level: Decimal, at: int) -> Quote:
    """Return the market at the moment when its ask is at `level`."""
    bid, tick = level, plan.rules.price_tick
    if plan.costs.spread:
        bid = max(floor_to(level * (1 - plan.costs.spread), tick), tick)
    return Quote(symbol=plan.rules.symbol, bid=bid, ask=level, last=level, at=at)


def met_by_ask(plan: Plan, level: Decimal, at: int) -> Quote:
    """Return the market when a falling price has brought its ask to `level`; `last` is its bid."""
    bid = level
    if plan.costs.spread:
        tick = plan.rules.price_tick
        bid = max(ceil_to(level / (1 + plan.costs.spread), tick) - tick, tick)
    return Quote(symbol=plan.rules.symbol, bid=bid, ask=level, last=bid, at=at)
