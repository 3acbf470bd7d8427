"""Which spot endpoints there are, what they weigh, and which are signed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.testexchange import spot_lists, spot_public, spot_signed
from tests.testexchange.exchange import Exchange
from tests.testexchange.messages import Request, Response

Handler = Callable[[Exchange, Request], Response]


@dataclass(frozen=True, kw_only=True)
class Route:
    """An endpoint: its handler, its weight (some depend on the request), whether it is signed."""

    handler: Handler
    weight: int | Callable[[Request], int] = 1
    signed: bool = False
    trades: bool = False  # the timestamp is checked once more before matching
    orders: int = 0  # how many orders a request counts for

    def cost(self, request: Request) -> int:
        return self.weight if isinstance(self.weight, int) else self.weight(request)


def by_symbol(one: int, all_: int) -> Callable[[Request], int]:
    """A weight that depends on whether a symbol is given."""
    return lambda request: one if request.params.get("symbol") else all_


SPOT: dict[tuple[str, str], Route] = {
    ("GET", "api/v3/ping"): Route(handler=spot_public.ping),
    ("GET", "api/v3/time"): Route(handler=spot_public.server_time),
    ("GET", "api/v3/exchangeInfo"): Route(handler=spot_public.exchange_info, weight=20),
    ("GET", "api/v3/klines"): Route(handler=spot_public.candlesticks, weight=2),
    ("GET", "api/v3/ticker/24hr"): Route(handler=spot_public.ticker_24hr, weight=by_symbol(2, 80)),
    ("GET", "api/v3/ticker/price"): Route(handler=spot_public.ticker_price, weight=by_symbol(2, 4)),
    ("GET", "api/v3/ticker/bookTicker"): Route(
        handler=spot_public.book_ticker, weight=by_symbol(2, 4)
    ),
    ("GET", "api/v3/account"): Route(handler=spot_signed.account, weight=20, signed=True),
    ("POST", "api/v3/order"): Route(
        handler=spot_signed.new_order, signed=True, trades=True, orders=1
    ),
    ("GET", "api/v3/order"): Route(handler=spot_signed.query_order, weight=4, signed=True),
    ("DELETE", "api/v3/order"): Route(handler=spot_signed.cancel_order, signed=True, trades=True),
    ("GET", "api/v3/openOrders"): Route(
        handler=spot_signed.open_orders, weight=by_symbol(6, 80), signed=True
    ),
    ("GET", "api/v3/allOrders"): Route(handler=spot_signed.all_orders, weight=20, signed=True),
    ("GET", "api/v3/myTrades"): Route(handler=spot_signed.my_trades, weight=20, signed=True),
    ("POST", "api/v3/orderList/oco"): Route(
        handler=spot_lists.new_oco, signed=True, trades=True, orders=2
    ),
    ("GET", "api/v3/orderList"): Route(handler=spot_lists.query_list, weight=4, signed=True),
    ("DELETE", "api/v3/orderList"): Route(handler=spot_lists.cancel_list, signed=True, trades=True),
    ("GET", "api/v3/openOrderList"): Route(handler=spot_lists.open_lists, weight=6, signed=True),
    ("GET", "api/v3/allOrderList"): Route(handler=spot_lists.all_lists, weight=20, signed=True),
    ("DELETE", "api/v3/openOrders"): Route(
        handler=spot_lists.cancel_open_orders, signed=True, trades=True
    ),
    ("GET", "sapi/v1/account/apiRestrictions"): Route(
        handler=spot_signed.api_restrictions, signed=True
    ),
    ("GET", "sapi/v1/system/status"): Route(handler=spot_public.system_status),
}
