"""Rows of a ledger, made without an exchange."""

from decimal import Decimal

from bots.models import Fill, Order


def whole_fill(order: Order, price: Decimal) -> Fill:
    """Return the one fill of an order, unsaved: all of its amount at `price`, for a small fee."""
    fee = Decimal("0.0741")
    return Fill(
        order=order,
        bot=order.bot,
        account=order.account,
        symbol=order.symbol,
        trade_id=order.client_order_id,
        side=order.side,
        price=price,
        amount=order.amount,
        quote=order.amount * price,
        fee=fee,
        fee_currency="USDT",
        fee_quote=fee,
        at=order.signed_at,
        trading_day=order.signed_at.date(),
    )
