"""The public spot endpoints: parameters in, Binance's bodies out."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from tests.testexchange.chart import INTERVALS
from tests.testexchange.errors import ApiError
from tests.testexchange.exchange import Exchange
from tests.testexchange.klines import klines, last_day
from tests.testexchange.markets import ORDER_TYPES, Market
from tests.testexchange.messages import Request, Response
from tests.testexchange.money import number
from tests.testexchange.series import DAY, text


def ping(exchange: Exchange, request: Request) -> Response:
    return Response()


def server_time(exchange: Exchange, request: Request) -> Response:
    return Response.json({"serverTime": exchange.clock.auth_now()})


def system_status(exchange: Exchange, request: Request) -> Response:
    return Response.json({"status": 0, "msg": "normal"})


def _chosen(exchange: Exchange, request: Request) -> tuple[list[Market], bool]:
    """The markets that `symbol` or `symbols` names, all without; and whether it is a single one."""
    if request.params.get("symbol"):
        return [exchange.market(request.text("symbol"))], True
    if request.params.get("symbols"):
        try:
            names = json.loads(request.text("symbols"))
        except ValueError:
            raise ApiError(-1100, "Illegal characters found in parameter 'symbols'.") from None
        return [exchange.market(str(name)) for name in names], False
    return [market for market in exchange.markets.values() if not market.delisted], False


def exchange_info(exchange: Exchange, request: Request) -> Response:
    limits = [
        ("REQUEST_WEIGHT", "MINUTE", 1, 6000),
        ("ORDERS", "SECOND", 10, 100),
        ("ORDERS", "DAY", 1, 200000),
        ("RAW_REQUESTS", "MINUTE", 5, 61000),
    ]
    symbols = [_symbol_info(market) for market in _chosen(exchange, request)[0]]
    return Response.json(info_head(exchange, limits) | {"symbols": symbols})


def info_head(exchange: Exchange, limits: list[tuple[str, str, int, int]]) -> dict[str, Any]:
    """What exchangeInfo says of the exchange itself."""
    names = ("rateLimitType", "interval", "intervalNum", "limit")
    return {
        "timezone": "UTC",
        "serverTime": exchange.clock.auth_now(),
        "rateLimits": [dict(zip(names, limit, strict=True)) for limit in limits],
        "exchangeFilters": [],
    }


def _symbol_info(market: Market) -> dict[str, Any]:
    spec = market.spec
    return {
        "symbol": spec.symbol,
        "status": market.status,
        "baseAsset": spec.base,
        "baseAssetPrecision": 8,
        "quoteAsset": spec.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": list(ORDER_TYPES),
        "icebergAllowed": False,
        "ocoAllowed": True,
        "otoAllowed": False,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": spec.filters(),
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": ["EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"],
    }


def candlesticks(exchange: Exchange, request: Request) -> Response:
    return candles_of(exchange.market(request.text("symbol")), exchange.clock.now(), request)


def candles_of(market: Market, now_ms: int, request: Request) -> Response:
    """The candles of a market, spot or contract; -1120."""
    interval = request.text("interval")
    if interval not in INTERVALS or not market.chart.supports(INTERVALS[interval]):
        raise ApiError(-1120)
    answer = klines(
        market.chart,
        interval,
        now_ms=now_ms,
        start_ms=request.integer("startTime"),
        end_ms=request.integer("endTime"),
        limit=request.limit(),
        price=market.explicit_units(),
    )
    return Response(body=answer.encode())


def ticker(exchange: Exchange, market: Market) -> dict[str, Any]:
    """The last 24 hours of a market, with its book."""
    now_ms = exchange.clock.now()
    day, price = last_day(market.chart, now_ms), market.price(now_ms)
    opened, change = Decimal(text(day.open)), price - Decimal(text(day.open))
    average = Decimal(day.quote) / day.volume if day.volume else price
    return {
        "symbol": market.spec.symbol,
        "priceChange": number(change),
        "priceChangePercent": f"{change * 100 / opened:.3f}",
        "weightedAvgPrice": number(average),
        "prevClosePrice": number(opened),
        "lastPrice": number(price),
        "lastQty": number(market.spec.min_qty),
        **book(market, price),
        "openPrice": number(opened),
        "highPrice": number(max(Decimal(text(day.high)), price)),
        "lowPrice": number(min(Decimal(text(day.low)), price)),
        "volume": text(day.volume),
        "quoteVolume": text(day.quote),
        "openTime": now_ms - DAY,
        "closeTime": now_ms,
        "firstId": 1,
        "lastId": day.trades,
        "count": day.trades,
    }


def book(market: Market, price: Decimal) -> dict[str, str]:
    """The best bid and ask at a price."""
    size = number(market.spec.max_qty)
    bid, ask = number(market.bid(price)), number(market.ask(price))
    return {"bidPrice": bid, "bidQty": size, "askPrice": ask, "askQty": size}


def ticker_24hr(exchange: Exchange, request: Request) -> Response:
    markets, single = _chosen(exchange, request)
    shown = [ticker(exchange, market) for market in markets]
    return Response.json(shown[0] if single else shown)


def ticker_price(exchange: Exchange, request: Request) -> Response:
    markets, single = _chosen(exchange, request)
    now_ms = exchange.clock.now()
    shown = [{"symbol": m.spec.symbol, "price": number(m.price(now_ms))} for m in markets]
    return Response.json(shown[0] if single else shown)


def book_ticker(exchange: Exchange, request: Request) -> Response:
    markets, single = _chosen(exchange, request)
    now_ms = exchange.clock.now()
    shown = [{"symbol": m.spec.symbol, **book(m, m.price(now_ms))} for m in markets]
    return Response.json(shown[0] if single else shown)
