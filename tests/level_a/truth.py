"""The ledger against what the exchange of a schedule really did."""

from decimal import Decimal

from bots import invariants
from bots.models import BotConfig, BotState, Order
from tests.level_a.stage import Stage
from trading.market import OrderReport, OrderStatus

NEVER_TAKEN = (OrderStatus.ABANDONED, OrderStatus.REJECTED)


def problems(stage: Stage) -> list[str]:
    """Return what must hold after each step, whatever is under way, and does not."""
    found = [str(violation) for violation in invariants.check(stage.clock())]
    found += stage.venue.wrong
    taken = stage.venue.taken
    rows = {
        row.client_order_id: row
        for row in Order.objects.filter(bot__in=stage.cast.bots).prefetch_related("fills")
    }
    found += [f"{name} lies there without a row" for name in taken.keys() - rows.keys()]
    for name, row in rows.items():
        if name in taken:
            found += _differs(row, taken[name])
        elif row.fills.all() or row.exchange_order_id:
            found.append(f"{name} was never taken, but the ledger has an answer to it")
    return found


def _differs(row: Order, there: OrderReport) -> list[str]:
    """Compare an order with the exchange's: what is written may lag behind, but not be wrong."""
    name, found = row.client_order_id, []
    if row.status in NEVER_TAKEN:
        found.append(f"{name} is {row.status}, but the exchange took it")
    if (row.symbol, row.side, row.amount) != (there.symbol, there.side, there.amount):
        found.append(f"{name} is another order there")
    true = {
        fill.trade_id: (fill.price, fill.amount, fill.quote, fill.fee, fill.fee_currency)
        for fill in there.fills
    }
    mine = {
        fill.trade_id: (fill.price, fill.amount, fill.quote, fill.fee, fill.fee_currency)
        for fill in row.fills.all()
    }
    found += [
        f"{name}: fill {key} is not the exchange's" for key in mine if mine[key] != true.get(key)
    ]
    if row.is_settled and mine.keys() != true.keys():
        found.append(f"{name} is settled without all fills")
    return found


def rest(stage: Stage) -> list[str]:
    """Return what must hold when the faults are over and all has settled, and does not."""
    found = problems(stage)
    for order in Order.objects.filter(bot__in=stage.cast.bots, is_settled=False):
        there = stage.venue.taken.get(order.client_order_id)
        # Stop and target rest as long as there is a position.
        rests = there is not None and not there.status.is_final
        if not (rests and BotState.objects.get(pk=order.bot_id).in_position):
            found.append(f"{order.client_order_id} is still {order.status}")
    for row in Order.objects.filter(bot__in=stage.cast.bots):
        there = stage.venue.taken.get(row.client_order_id)
        status, filled = (there.status, there.filled) if there else (row.status, Decimal(0))
        if (row.status, row.filled, row.booked) != (status, filled, filled):
            found.append(
                f"{row.client_order_id}: {row.status} {row.filled}, there {status} {filled}"
            )
        if there is None and row.status not in NEVER_TAKEN:
            found.append(f"{row.client_order_id} is {row.status}, but was never taken")
    for bot in stage.cast.bots:
        found += _position(stage, bot)
    return found


def _position(stage: Stage, bot: BotConfig) -> list[str]:
    state = stage.state(bot)
    if state is None:
        return []
    holds = stage.venue.holds(bot.pk)
    if state.current_position_size != holds:
        return [f"bot {bot.pk}: position {state.current_position_size}, there {holds}"]
    return []
