"""The signed spot endpoints: account, orders, trades, rights of the key."""

from __future__ import annotations

from tests.testexchange.errors import ApiError
from tests.testexchange.exchange import Exchange
from tests.testexchange.messages import Request, Response, in_time, page, page_of_trades
from tests.testexchange.money import ZERO, number
from tests.testexchange.orders import Order


def account(exchange: Exchange, request: Request) -> Response:
    exchange.settle()
    key = request.signer
    fee, wallet = exchange.fee, key.account.dump()
    if request.params.get("omitZeroBalances") == "true":
        zero = {"free": number(ZERO), "locked": number(ZERO)}
        wallet = {asset: balance for asset, balance in wallet.items() if balance != zero}
    return Response.json(
        {
            "makerCommission": int(fee.maker * 10000),
            "takerCommission": int(fee.taker * 10000),
            "buyerCommission": 0,
            "sellerCommission": 0,
            "commissionRates": {
                "maker": number(fee.maker),
                "taker": number(fee.taker),
                "buyer": number(ZERO),
                "seller": number(ZERO),
            },
            "canTrade": key.permissions["canTrade"],
            "canWithdraw": key.permissions["enableWithdrawals"],
            "canDeposit": True,
            "brokered": False,
            "requireSelfTradePrevention": False,
            "preventSor": False,
            "updateTime": key.account.last_change_ms,
            "accountType": "SPOT",
            "balances": [{"asset": asset, **balance} for asset, balance in wallet.items()],
            "permissions": ["SPOT"],
            "uid": key.account.uid,
        }
    )


def api_restrictions(exchange: Exchange, request: Request) -> Response:
    key = request.signer
    return Response.json(
        {
            "ipRestrict": key.permissions["ipRestrict"],
            "createTime": key.created_ms,
            "enableReading": key.permissions["enableReading"],
            "enableSpotAndMarginTrading": key.permissions["canTrade"],
            "enableWithdrawals": key.permissions["enableWithdrawals"],
            "enableInternalTransfer": False,
            "enableMargin": False,
            "enableFutures": key.permissions["enableFutures"],
            "permitsUniversalTransfer": key.permissions["permitsUniversalTransfer"],
            "enableVanillaOptions": False,
            "enableFixApiTrade": False,
            "enableFixReadOnly": False,
            "enablePortfolioMarginTrading": False,
        }
    )


def new_order(exchange: Exchange, request: Request) -> Response:
    order, trades = exchange.place(request, request.signer)
    # Binance's default for conditional orders and for post-only ones.
    default = "FULL" if order.type in ("MARKET", "LIMIT") else "ACK"
    kind = request.text("newOrderRespType", default)
    if kind == "ACK":
        return Response.json(order.acknowledgement())
    return Response.json(order.result(trades if kind == "FULL" else None))


def _named(request: Request) -> tuple[str, int | None, str]:
    """Symbol, order id and client id of a query or a cancel."""
    symbol, order_id = request.text("symbol"), request.integer("orderId")
    client_id = request.text("origClientOrderId", "")
    if order_id is None and not client_id:
        raise ApiError(
            -1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!"
        )
    return symbol, order_id, client_id


def query_order(exchange: Exchange, request: Request) -> Response:
    symbol, order_id, client_id = _named(request)
    exchange.settle()
    exchange.market(symbol)
    order = exchange.engine.find(request.signer.account, symbol, order_id, client_id)
    if order is None:
        raise ApiError(-2013)
    return Response.json(order.body())


def cancel_order(exchange: Exchange, request: Request) -> Response:
    symbol, order_id, client_id = _named(request)
    order = exchange.cancel(request.signer.account, symbol, order_id, client_id)
    cancel_id = request.text("newClientOrderId", f"cancel_{order.order_id}")
    return Response.json(order.cancellation(cancel_id, order.updated_ms))


def _own_orders(exchange: Exchange, request: Request) -> list[Order]:
    exchange.settle()
    symbol = request.params.get("symbol")
    if symbol:
        exchange.market(symbol)
    return [
        order
        for order in exchange.engine.orders_of(request.signer.account)
        if symbol in (None, "", order.market.spec.symbol)
    ]


def open_orders(exchange: Exchange, request: Request) -> Response:
    return Response.json([o.body() for o in _own_orders(exchange, request) if o.is_open])


def all_orders(exchange: Exchange, request: Request) -> Response:
    request.text("symbol")
    first = request.integer("orderId")
    found = [
        order
        for order in _own_orders(exchange, request)
        if in_time(request, order.created_ms) and (first is None or order.order_id >= first)
    ]
    return Response.json([o.body() for o in page(request, found, ahead=first is not None)])


def my_trades(exchange: Exchange, request: Request) -> Response:
    market = exchange.market(request.text("symbol"))
    exchange.settle()
    own = exchange.engine.trades_of(request.signer.account)
    return Response.json([t.body() for t in page_of_trades(request, own, market)])
