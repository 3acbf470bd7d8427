"""`POST orderList/oco`: a target and a stop on either side of the price."""

from __future__ import annotations

from tests.testexchange.accounts import Account, ApiKey
from tests.testexchange.errors import ApiError
from tests.testexchange.exchange import Exchange
from tests.testexchange.forms import (
    Form,
    client_id,
    positive,
    read_side,
    read_time_in_force,
    refuse,
)
from tests.testexchange.lists import OrderList
from tests.testexchange.messages import Request
from tests.testexchange.orders import CONDITIONAL, UNPRICED, Order

TARGETS = ("LIMIT_MAKER", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT")
STOPS = ("STOP_LOSS", "STOP_LOSS_LIMIT")
WRONG_SIDES = "The relationship of the prices for the orders is not correct."


def _leg(request: Request, where: str, side: str, kinds: tuple[str, ...]) -> Form:
    """The leg that the parameters with the prefix `where` (above, below) describe."""
    kind = request.text(f"{where}Type")
    if kind not in kinds:
        raise ApiError(-1116)
    if kind in UNPRICED:
        refuse(request, f"{where}Price", f"{where}TimeInForce")
    if kind not in CONDITIONAL:
        refuse(request, f"{where}StopPrice")
    return Form(
        side=side,
        type=kind,
        time_in_force=read_time_in_force(request, kind, f"{where}TimeInForce"),
        client_id=client_id(request, f"{where}ClientOrderId"),
        price=positive(request, f"{where}Price", needed=kind not in UNPRICED),
        stop_price=positive(request, f"{where}StopPrice", needed=kind in CONDITIONAL),
        quantity=positive(request, "quantity", needed=True),
    )


def place(exchange: Exchange, request: Request, key: ApiKey) -> OrderList:
    """A new list; -2010 where a leg is on the wrong side of the price or cannot be paid for."""
    now_ms = exchange.settle()
    market = exchange.market(request.text("symbol"))
    side = read_side(request)
    above, below = (TARGETS, STOPS) if side == "SELL" else (STOPS, TARGETS)
    forms = [_leg(request, "above", side, above), _leg(request, "below", side, below)]
    exchange.check_open(market, key)
    price = market.price(now_ms)
    levels = [form.stop_price or form.price for form in forms]
    if not levels[0] > price > levels[1]:
        raise ApiError(-2010, WRONG_SIDES)
    orders = [exchange.build(form, key, market, now_ms) for form in forms]
    orders[1].order_id += 1
    if not forms[1].client_id:
        orders[1].client_id = f"web_{orders[1].order_id:020d}"
    for order in orders:
        exchange.check_filters(order, price)
    if orders[0].client_id == orders[1].client_id:
        raise ApiError(-2010, "Duplicate order sent.")
    return _accept(exchange, request, key.account, orders, now_ms)


def _accept(
    exchange: Exchange, request: Request, account: Account, orders: list[Order], now_ms: int
) -> OrderList:
    """Both legs share the funds, so only the dearer one locks."""
    engine = exchange.engine
    needs = [engine.lock_for(order, order.quantity) for order in orders]
    dearer = 0 if needs[0][1] >= needs[1][1] else 1
    asset, amount = needs[dearer]
    if account.balance(asset).free < amount:
        raise ApiError(-2010)
    list_id = len(exchange.lists) + 1
    order_list = OrderList(
        list_id=list_id,
        account=account,
        client_id=client_id(request, "listClientOrderId") or f"list_{list_id}",
        created_ms=now_ms,
        orders=orders,
    )
    exchange.lists.append(order_list)
    for order in orders:
        order.order_list = order_list
        engine.accept(order)
    engine.lock(orders[dearer])
    return order_list


def find(exchange: Exchange, account: Account, list_id: int | None, name: str) -> OrderList | None:
    """By id, else the latest of that client id."""
    for order_list in reversed(exchange.lists):
        if order_list.account is not account:
            continue
        if order_list.list_id == list_id or (list_id is None and order_list.client_id == name):
            return order_list
    return None
