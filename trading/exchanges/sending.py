"""From our orders to the calls of ccxt that send them."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from trading.exchange import Fault, Rejected
from trading.market import OrderRequest, OrderType, Side

#: Orders that rest until a price triggers them.
TRIGGERED = frozenset({OrderType.STOP, OrderType.TARGET})
#: What ccxt wants to be told of each type besides side, amount and price.
EXTRA: Mapping[OrderType, Callable[[OrderRequest], dict[str, Any]]] = {
    OrderType.MARKET: lambda request: {},
    OrderType.LIMIT: lambda request: {},
    OrderType.POST_ONLY: lambda request: {"postOnly": True},
    OrderType.STOP: lambda request: {"stopLossPrice": plain(request.trigger)},
    OrderType.TARGET: lambda request: {"takeProfitPrice": plain(request.trigger)},
}


def plain(value: Decimal | None) -> str | None:
    """Return a number as text without an exponent."""
    return None if value is None else format(value, "f")


def create_args(request: OrderRequest, signing: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the arguments of ccxt's create_order. `signing`: timestamp and receive window."""
    params: dict[str, Any] = {
        "clientOrderId": request.client_order_id,
        **EXTRA[request.type](request),
        **({"reduceOnly": True} if request.reduce_only else {}),
        **signing,
    }
    kind = "market" if request.price is None else "limit"
    amount = plain(request.amount)
    return (request.symbol, kind, request.side.value, amount, plain(request.price), params)


def pair_params(stop: OrderRequest, target: OrderRequest, market_id: str) -> dict[str, Any]:
    """Return the parameters of Binance's POST orderList/oco: one leg lies above the price.

    A sale's target lies above and its stop below, a purchase's the other way round. Raises
    Rejected for two orders that are no such pair.
    """
    same = ("symbol", "side", "amount")
    is_pair = all(getattr(stop, name) == getattr(target, name) for name in same)
    if not is_pair or (stop.type, target.type) != (OrderType.STOP, OrderType.TARGET):
        raise Rejected(Fault.ORDER_REJECTED, "the two orders are no pair of stop and target")
    above, below = (target, stop) if stop.side is Side.SELL else (stop, target)
    if above.trigger is None or below.trigger is None or above.trigger <= below.trigger:
        text = f"{stop.symbol}: the stop or the target lies on the wrong side"
        raise Rejected(Fault.ORDER_REJECTED, text)
    return {
        "symbol": market_id,
        "side": stop.side.value.upper(),
        "quantity": plain(stop.amount),
        # Two ids are those of the orders; the list of the two wants one of its own.
        "listClientOrderId": f"{stop.client_order_id}-pair",
        "newOrderRespType": "FULL",
        **_leg("above", above),
        **_leg("below", below),
    }


def _leg(where: str, request: OrderRequest) -> dict[str, Any]:
    name = "STOP_LOSS" if request.type is OrderType.STOP else "TAKE_PROFIT"
    params: dict[str, Any] = {
        f"{where}ClientOrderId": request.client_order_id,
        f"{where}StopPrice": plain(request.trigger),
    }
    if request.price is None:
        return {f"{where}Type": name, **params}
    return {
        f"{where}Type": f"{name}_LIMIT",
        f"{where}Price": plain(request.price),
        f"{where}TimeInForce": "GTC",
        **params,
    }
