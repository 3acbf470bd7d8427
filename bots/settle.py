"""Orders whose end is not known yet: asked for again until the exchange itself decides."""

from collections.abc import Sequence

from bots import ledger, orders
from bots.lease import Held
from bots.models import Order
from trading.exchange import Exchange
from trading.market import OrderStatus, Rules


def settle(held: Held, exchange: Exchange, rules: Rules) -> list[Order]:
    """Ask the exchange about every order of the bot that is not final. Returns those that now are.

    Nothing is ever sent again. When the position is gone, what protected it is taken back. Raises
    ExchangeError when the exchange cannot be asked.
    """
    state = held.state
    if not state.has_open_orders:
        return []
    open_ones = list(Order.objects.filter(bot=held.bot, is_settled=False).order_by("pk"))
    at_rest = _at_rest(held, open_ones, exchange)
    for order in open_ones:
        if order.client_order_id not in at_rest:
            _settle_one(held, order, exchange, rules)
    if held.state.has_protection and not held.state.in_position:
        orders.cancel_protection(held, "position_closed", rules, exchange)
    return [order for order in open_ones if order.is_settled]


def _at_rest(held: Held, open_ones: Sequence[Order], exchange: Exchange) -> set[str]:
    """Return the rungs that the exchange still lists as we know them, by client order id.

    One question for all of them: a ladder has many, and of most nothing is new.
    """
    filled = {
        order.client_order_id: order.filled
        for order in open_ones
        if order.purpose == Order.Purpose.RUNG and order.rests_as_wished
    }
    if len(filled) < 2:
        return set()
    there = exchange.open_orders(held.bot.symbol)
    return {r.client_order_id for r in there if filled.get(r.client_order_id) == r.filled}


def _settle_one(held: Held, order: Order, exchange: Exchange, rules: Rules) -> None:
    report = exchange.find(order.request, order.exchange_order_id or "")
    if report is not None:
        ledger.apply(held, order, report, rules, exchange)
        return
    if order.exchange_order_id:
        # It was there once, so absence now proves nothing.
        return
    if order.status == OrderStatus.SENT:
        ledger.mark_unknown(held, order, "the tick that sent it never heard an answer")
    if is_past_fence(order, exchange):
        needed = 2 if exchange.fence_ms else 1
        if ledger.count_not_found(held, order) >= needed:
            text = "the exchange never took it"
            ledger.close(held, order, OrderStatus.ABANDONED, text)


def is_past_fence(order: Order, exchange: Exchange) -> bool:
    """Whether the exchange can no longer accept the order as it was signed."""
    if exchange.fence_ms is None:
        return False
    return exchange.now() > order.request.signed_at + exchange.fence_ms
