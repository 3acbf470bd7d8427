"""The signed endpoints of order lists, and the cancel of all open orders of a symbol."""

from __future__ import annotations

from typing import Any

from tests.testexchange import oco
from tests.testexchange.errors import ApiError
from tests.testexchange.exchange import Exchange
from tests.testexchange.lists import OrderList
from tests.testexchange.messages import Request, Response, in_time
from tests.testexchange.orders import Order


def new_oco(exchange: Exchange, request: Request) -> Response:
    order_list = oco.place(exchange, request, request.signer)
    return Response.json(order_list.report(lambda order: order.result(None)))


def _named(exchange: Exchange, request: Request, name: str, code: int) -> OrderList:
    exchange.settle()
    list_id, client_id = request.integer("orderListId"), request.text(name, "")
    if list_id is None and not client_id:
        raise ApiError(-1102, f"Param '{name}' or 'orderListId' must be sent, but both were empty!")
    found = oco.find(exchange, request.signer.account, list_id, client_id)
    if found is None:
        raise ApiError(code)
    return found


def query_list(exchange: Exchange, request: Request) -> Response:
    return Response.json(_named(exchange, request, "origClientOrderId", -2018).body())


def _cancelled(order: Order) -> dict[str, Any]:
    return order.cancellation(f"cancel_{order.order_id}", order.updated_ms)


def cancel_list(exchange: Exchange, request: Request) -> Response:
    symbol = exchange.market(request.text("symbol")).spec.symbol
    order_list = _named(exchange, request, "listClientOrderId", -2011)
    if not order_list.is_open or order_list.orders[0].market.spec.symbol != symbol:
        raise ApiError(-2011)
    exchange.cancel(order_list.account, symbol, _open_leg(order_list).order_id, "")
    return Response.json(order_list.report(_cancelled))


def _open_leg(order_list: OrderList) -> Order:
    return next(order for order in order_list.orders if order.is_open)


def _own_lists(exchange: Exchange, request: Request) -> list[OrderList]:
    exchange.settle()
    return [entry for entry in exchange.lists if entry.account is request.signer.account]


def open_lists(exchange: Exchange, request: Request) -> Response:
    own = _own_lists(exchange, request)
    return Response.json([entry.body() for entry in own if entry.is_open])


def all_lists(exchange: Exchange, request: Request) -> Response:
    own = _own_lists(exchange, request)
    found = [entry.body() for entry in own if in_time(request, entry.created_ms)]
    return Response.json(found[-request.limit() :])


def cancel_open_orders(exchange: Exchange, request: Request) -> Response:
    """-2011 when nothing is open; lists are shown as lists."""
    symbol, account = request.text("symbol"), request.signer.account
    exchange.settle()
    market = exchange.market(symbol)
    own = [o for o in exchange.engine.open.values() if o.account is account and o.market is market]
    if not own:
        raise ApiError(-2011)
    shown: list[dict[str, Any]] = []
    for order in own:
        if order.is_open:
            exchange.cancel(account, symbol, order.order_id, "")
            listed = order.order_list
            shown.append(_cancelled(order) if listed is None else listed.report(_cancelled))
    return Response.json(shown)
