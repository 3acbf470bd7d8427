"""The signed USDT-M endpoints of orders, algo orders and trades."""

from __future__ import annotations

from typing import Any

from tests.testexchange.errors import ApiError, missing
from tests.testexchange.exchange import Exchange
from tests.testexchange.futures_orders import AlgoOrder, FuturesOrder
from tests.testexchange.messages import Request, Response, in_time, page, page_of_trades
from tests.testexchange.positions import FuturesAccount

DONE = {"code": 200, "msg": "The operation of cancel all open order is done."}


def owner_of(exchange: Exchange, request: Request) -> FuturesAccount:
    """The futures account of the signer, up to date."""
    exchange.settle()
    return exchange.futures.engine.account(request.signer.account)


def new_order(exchange: Exchange, request: Request) -> Response:
    now_ms = exchange.settle()
    return Response.json(exchange.futures.place(request, request.signer, now_ms).body())


def _named(exchange: Exchange, request: Request, code: int) -> FuturesOrder:
    owner, symbol = owner_of(exchange, request), request.text("symbol")
    order_id, client_id = request.integer("orderId"), request.text("origClientOrderId", "")
    if order_id is None and not client_id:
        raise missing("origClientOrderId")
    exchange.futures.market(symbol)
    found = exchange.futures.find(owner, symbol, order_id, client_id)
    if found is None:
        raise ApiError(code)
    return found


def query_order(exchange: Exchange, request: Request) -> Response:
    return Response.json(_named(exchange, request, -2013).body())


def open_order(exchange: Exchange, request: Request) -> Response:
    order = _named(exchange, request, -2013)
    if not order.is_open:
        raise ApiError(-2013)
    return Response.json(order.body())


def cancel_order(exchange: Exchange, request: Request) -> Response:
    order = _named(exchange, request, -2011)
    if not order.is_open:
        raise ApiError(-2011)
    exchange.futures.engine.close(order, "CANCELED", exchange.clock.now())
    return Response.json(order.body())


def _own(exchange: Exchange, request: Request, entries: Any) -> list[Any]:
    """Of `entries` the signer's, of one symbol if that is given, and in time."""
    owner, symbol = owner_of(exchange, request), request.params.get("symbol")
    if symbol:
        exchange.futures.market(symbol)
    return [
        entry
        for entry in list(entries)
        if entry.owner is owner and symbol in (None, "", entry.market.spec.symbol)
    ]


def open_orders(exchange: Exchange, request: Request) -> Response:
    exchange.settle()
    own = _own(exchange, request, exchange.futures.engine.open.values())
    return Response.json([order.body() for order in own])


def all_orders(exchange: Exchange, request: Request) -> Response:
    first = request.integer("orderId")
    found = [
        order.body()
        for order in _own(exchange, request, exchange.futures.engine.orders.values())
        if in_time(request, order.created_ms) and (first is None or order.order_id >= first)
    ]
    return Response.json(page(request, found, ahead=first is not None))


def cancel_all(exchange: Exchange, request: Request) -> Response:
    request.text("symbol")
    now_ms = exchange.settle()
    for order in _own(exchange, request, exchange.futures.engine.open.values()):
        exchange.futures.engine.close(order, "CANCELED", now_ms)
    return Response.json(DONE)


# Algo orders


def new_algo(exchange: Exchange, request: Request) -> Response:
    now_ms = exchange.settle()
    return Response.json(exchange.futures.place_algo(request, request.signer, now_ms).body())


def _named_algo(exchange: Exchange, request: Request, code: int) -> AlgoOrder:
    owner = owner_of(exchange, request)
    algo_id, client_id = request.integer("algoId"), request.text("clientAlgoId", "")
    if algo_id is None and not client_id:
        raise missing("clientAlgoId")
    found = exchange.futures.find_algo(owner, algo_id, client_id)
    if found is None:
        raise ApiError(code)
    return found


def query_algo(exchange: Exchange, request: Request) -> Response:
    return Response.json(_named_algo(exchange, request, -2013).body())


def cancel_algo(exchange: Exchange, request: Request) -> Response:
    algo = _named_algo(exchange, request, -2011)
    if not algo.is_open:
        raise ApiError(-2011)
    exchange.futures.engine.end_algo(algo, "CANCELED", exchange.clock.now())
    named = {"algoId": algo.algo_id, "clientAlgoId": algo.client_id}
    return Response.json(named | {"code": "200", "msg": "success"})


def open_algos(exchange: Exchange, request: Request) -> Response:
    exchange.settle()
    own = _own(exchange, request, exchange.futures.engine.waiting.values())
    return Response.json([algo.body() for algo in own])


def all_algos(exchange: Exchange, request: Request) -> Response:
    request.text("symbol")
    first = request.integer("algoId")
    found = [
        algo.body()
        for algo in _own(exchange, request, exchange.futures.engine.algos.values())
        if in_time(request, algo.created_ms) and (first is None or algo.algo_id >= first)
    ]
    return Response.json(page(request, found, ahead=first is not None))


def cancel_algos(exchange: Exchange, request: Request) -> Response:
    request.text("symbol")
    now_ms = exchange.settle()
    for algo in _own(exchange, request, exchange.futures.engine.waiting.values()):
        exchange.futures.engine.end_algo(algo, "CANCELED", now_ms)
    return Response.json(DONE)


# Trades


def user_trades(exchange: Exchange, request: Request) -> Response:
    owner, market = owner_of(exchange, request), exchange.futures.market(request.text("symbol"))
    own = [trade for trade in exchange.futures.engine.trades if trade.order.owner is owner]
    return Response.json([t.body() for t in page_of_trades(request, own, market)])


def force_orders(exchange: Exchange, request: Request) -> Response:
    """The forced orders of liquidations."""
    found = [
        order.body()
        for order in _own(exchange, request, exchange.futures.engine.orders.values())
        if order.client_id.startswith("autoclose-") and in_time(request, order.created_ms)
    ]
    return Response.json(page(request, found, ahead=False))
