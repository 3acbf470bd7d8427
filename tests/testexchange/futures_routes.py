"""Which USDT-M endpoints there are, what they weigh, and which are signed."""

from __future__ import annotations

from tests.testexchange import futures_account as account
from tests.testexchange import futures_public as public
from tests.testexchange import futures_signed as signed
from tests.testexchange import spot_public
from tests.testexchange.routes import SPOT, Handler, Route, by_symbol


def _read(handler: Handler, weight: int) -> Route:
    return Route(handler=handler, weight=weight, signed=True)


def _trade(handler: Handler, orders: int = 0) -> Route:
    return Route(handler=handler, signed=True, trades=True, orders=orders)


FUTURES: dict[tuple[str, str], Route] = {
    ("GET", "fapi/v1/ping"): Route(handler=spot_public.ping),
    ("GET", "fapi/v1/time"): Route(handler=spot_public.server_time),
    ("GET", "fapi/v1/exchangeInfo"): Route(handler=public.exchange_info),
    ("GET", "fapi/v1/klines"): Route(handler=public.candlesticks, weight=2),
    ("GET", "fapi/v1/ticker/24hr"): Route(handler=public.ticker_24hr, weight=by_symbol(1, 40)),
    ("GET", "fapi/v1/ticker/price"): Route(handler=public.ticker_price, weight=by_symbol(1, 2)),
    ("GET", "fapi/v2/ticker/price"): Route(handler=public.ticker_price, weight=by_symbol(1, 2)),
    ("GET", "fapi/v1/ticker/bookTicker"): Route(handler=public.book_ticker, weight=by_symbol(2, 5)),
    ("GET", "fapi/v1/premiumIndex"): Route(handler=public.premium_index, weight=by_symbol(1, 10)),
    ("GET", "fapi/v1/fundingInfo"): Route(handler=public.funding_info),
    ("GET", "fapi/v1/fundingRate"): Route(handler=public.funding_rates),
    ("POST", "fapi/v1/order"): _trade(signed.new_order, orders=1),
    ("GET", "fapi/v1/order"): _read(signed.query_order, 1),
    ("DELETE", "fapi/v1/order"): _trade(signed.cancel_order),
    ("GET", "fapi/v1/openOrder"): _read(signed.open_order, 1),
    ("GET", "fapi/v1/openOrders"): Route(
        handler=signed.open_orders, weight=by_symbol(1, 40), signed=True
    ),
    ("GET", "fapi/v1/allOrders"): _read(signed.all_orders, 5),
    ("DELETE", "fapi/v1/allOpenOrders"): _trade(signed.cancel_all),
    ("POST", "fapi/v1/algoOrder"): _trade(signed.new_algo, orders=1),
    ("GET", "fapi/v1/algoOrder"): _read(signed.query_algo, 1),
    ("DELETE", "fapi/v1/algoOrder"): _trade(signed.cancel_algo),
    ("GET", "fapi/v1/openAlgoOrders"): Route(
        handler=signed.open_algos, weight=by_symbol(1, 40), signed=True
    ),
    ("GET", "fapi/v1/allAlgoOrders"): _read(signed.all_algos, 5),
    ("DELETE", "fapi/v1/algoOpenOrders"): _trade(signed.cancel_algos),
    ("GET", "fapi/v1/userTrades"): _read(signed.user_trades, 5),
    ("GET", "fapi/v1/forceOrders"): Route(
        handler=signed.force_orders, weight=by_symbol(20, 50), signed=True
    ),
    ("GET", "fapi/v2/account"): _read(account.account, 5),
    ("GET", "fapi/v3/account"): _read(account.account, 5),
    ("GET", "fapi/v2/balance"): _read(account.balances, 5),
    ("GET", "fapi/v3/balance"): _read(account.balances, 5),
    ("GET", "fapi/v2/positionRisk"): _read(account.position_risk_v2, 5),
    ("GET", "fapi/v3/positionRisk"): _read(account.position_risk, 5),
    ("GET", "fapi/v1/symbolConfig"): _read(account.symbol_config, 5),
    ("GET", "fapi/v1/leverageBracket"): _read(account.leverage_brackets, 1),
    ("POST", "fapi/v1/leverage"): _trade(account.set_leverage),
    ("POST", "fapi/v1/marginType"): _trade(account.set_margin_type),
    ("POST", "fapi/v1/positionSide/dual"): _trade(account.set_dual_side),
    ("GET", "fapi/v1/positionSide/dual"): _read(account.dual_side, 30),
    ("GET", "fapi/v1/commissionRate"): _read(account.commission_rate, 20),
    ("GET", "fapi/v1/income"): _read(account.income, 30),
    ("POST", "sapi/v1/asset/transfer"): _trade(account.transfer),
    ("GET", "sapi/v1/asset/transfer"): _read(account.transfers, 1),
}
ROUTES = SPOT | FUTURES
