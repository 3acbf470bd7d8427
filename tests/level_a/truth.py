"""The ledger against what the exchange of a schedule really did."""

from decimal import Decimal

from bots import invariants
from bots.lifecycle import Duty
from bots.models import BotConfig, Funding, Order
from tests.level_a.stage import Stage
from trading.market import OrderReport, OrderStatus

NEVER_TAKEN = (OrderStatus.ABANDONED, OrderStatus.REJECTED)


def problems(stage: Stage) -> list[str]:
    """Return what must hold after each step, whatever is under way, and does not."""
    found = [str(violation) for violation in invariants.check(stage.clock())]
    found += [wrong for venue in stage.venues for wrong in venue.wrong]
    taken = taken_by(stage)
    rows = {
        row.client_order_id: row
        for row in Order.objects.filter(bot__in=stage.cast.bots).prefetch_related("fills")
    }
    # Of what the exchange forced the ledger hears by the next comparison.
    strange = taken.keys() - rows.keys() - set(stage.perpetual.mine)
    found += [f"{name} lies there without a row" for name in strange]
    for name, row in rows.items():
        if name in taken:
            found += _differs(row, taken[name])
        elif row.fills.all() or row.exchange_order_id:
            found.append(f"{name} was never taken, but the ledger has an answer to it")
    return found + [f"{name}: {amount} was booked" for name, amount in _booked(stage) - _due(stage)]


def taken_by(stage: Stage) -> dict[str, OrderReport]:
    """Return all orders of ours that any account took, by client order id."""
    return {name: report for venue in stage.venues for name, report in venue.taken.items()}


def _booked(stage: Stage) -> set[tuple[str, Decimal]]:
    rows = Funding.objects.filter(bot__in=stage.cast.bots)
    return set(rows.values_list("funding_id", "amount"))


def _due(stage: Stage) -> set[tuple[str, Decimal]]:
    return set(stage.perpetual.due.items())


def _differs(row: Order, there: OrderReport) -> list[str]:
    """Compare an order with the exchange's: what is written may lag behind, but not be wrong."""
    name, found = row.client_order_id, []
    if row.status in NEVER_TAKEN and row.status != there.status:
        found.append(f"{name} is {row.status}, but the exchange took it")
    # What only reduces is cut to what there is.
    is_whole = row.amount == there.amount or (row.reduce_only and row.amount > there.amount)
    if (row.symbol, row.side) != (there.symbol, there.side) or not is_whole:
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
    found, taken = problems(stage), taken_by(stage)
    for order in Order.objects.filter(bot__in=stage.cast.bots, is_settled=False):
        there = taken.get(order.client_order_id)
        # Stop and target rest as long as there is a position, rungs as long as the bot trades.
        rests, state = there is not None and not there.status.is_final, order.bot.state
        is_rung = order.purpose == Order.Purpose.RUNG
        if not (rests and (state.duty == Duty.TRADE if is_rung else state.in_position)):
            found.append(f"{order.client_order_id} is still {order.status}")
    for row in Order.objects.filter(bot__in=stage.cast.bots):
        there = taken.get(row.client_order_id)
        status, filled = (there.status, there.filled) if there else (row.status, Decimal(0))
        if (row.status, row.filled, row.booked) != (status, filled, filled):
            found.append(
                f"{row.client_order_id}: {row.status} {row.filled}, there {status} {filled}"
            )
        if there is None and row.status not in NEVER_TAKEN:
            found.append(f"{row.client_order_id} is {row.status}, but was never taken")
    for bot in stage.cast.bots:
        found += _position(stage, bot)
    found += [f"{name} was not heard of" for name in stage.perpetual.unheard]
    found += [f"{name}: {amount} was not booked" for name, amount in _due(stage) - _booked(stage)]
    return found


def _position(stage: Stage, bot: BotConfig) -> list[str]:
    state = stage.state(bot)
    if state is None:
        return []
    venue = stage.venue_of(bot)
    holds, ours = venue.holds(bot.pk), state.position.signed_amount
    found = [] if ours == holds else [f"bot {bot.pk}: position {ours}, there {holds}"]
    if bot in stage.cast.perpetuals and not state.in_position:
        found += [f"{name} rests without a position" for name in venue.resting]
    return found
