"""The public USDT-M endpoints: parameters in, Binance's bodies out."""

from __future__ import annotations

from typing import Any

from tests.testexchange.exchange import Exchange
from tests.testexchange.messages import Request, Response
from tests.testexchange.money import number
from tests.testexchange.perpetuals import ORDER_TYPES, Perpetual
from tests.testexchange.spot_public import book, candles_of, info_head, ticker

INTEREST_RATE = "0.00010000"


def _places(step: Any) -> int:
    return max(0, -int(step.normalize().as_tuple().exponent))


def _chosen(exchange: Exchange, request: Request) -> tuple[list[Perpetual], bool]:
    """The contract that `symbol` names, all without; and whether it is a single one."""
    futures = exchange.futures
    if request.params.get("symbol"):
        return [futures.market(request.text("symbol"))], True
    return [market for market in futures.markets.values() if not market.delisted], False


def exchange_info(exchange: Exchange, request: Request) -> Response:
    limits = [
        ("REQUEST_WEIGHT", "MINUTE", 1, 2400),
        ("ORDERS", "MINUTE", 1, 1200),
        ("ORDERS", "SECOND", 10, 300),
    ]
    contracts = {
        "futuresType": "U_MARGINED",
        "assets": [{"asset": "USDT", "marginAvailable": True, "autoAssetExchange": "-10000"}],
        "symbols": [_contract_info(market) for market in _chosen(exchange, request)[0]],
    }
    return Response.json(info_head(exchange, limits) | contracts)


def _contract_info(market: Perpetual) -> dict[str, Any]:
    spec = market.spec
    return {
        "symbol": spec.symbol,
        "pair": spec.symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": 4133404800000,
        "onboardDate": 1569398400000,
        "status": market.status,
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": spec.base,
        "quoteAsset": spec.quote,
        "marginAsset": spec.quote,
        "pricePrecision": _places(spec.tick_size),
        "quantityPrecision": _places(spec.step_size),
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "triggerProtect": "0.0500",
        "liquidationFee": number(market.liquidation_fee),
        "marketTakeBound": "0.05",
        "filters": spec.filters(),
        "orderTypes": list(ORDER_TYPES),
        "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
    }


def candlesticks(exchange: Exchange, request: Request) -> Response:
    market = exchange.futures.market(request.text("symbol"))
    return candles_of(market, exchange.clock.now(), request)


def ticker_24hr(exchange: Exchange, request: Request) -> Response:
    markets, single = _chosen(exchange, request)
    left_out = ("prevClosePrice", "bidPrice", "bidQty", "askPrice", "askQty")
    shown = [ticker(exchange, market) for market in markets]
    for entry in shown:
        for name in left_out:  # the USDT-M ticker has no book in it
            del entry[name]
    return Response.json(shown[0] if single else shown)


def ticker_price(exchange: Exchange, request: Request) -> Response:
    markets, single = _chosen(exchange, request)
    now_ms = exchange.clock.now()
    shown = [
        {"symbol": m.spec.symbol, "price": number(m.price(now_ms)), "time": now_ms} for m in markets
    ]
    return Response.json(shown[0] if single else shown)


def book_ticker(exchange: Exchange, request: Request) -> Response:
    markets, single = _chosen(exchange, request)
    now_ms = exchange.clock.now()
    shown = [{"symbol": m.spec.symbol, **book(m, m.price(now_ms)), "time": now_ms} for m in markets]
    return Response.json(shown[0] if single else shown)


def premium_index(exchange: Exchange, request: Request) -> Response:
    markets, single = _chosen(exchange, request)
    now_ms, period = exchange.clock.now(), exchange.futures.matcher.funding_ms
    shown = [
        {
            "symbol": market.spec.symbol,
            "markPrice": number(market.mark(now_ms)),
            "indexPrice": number(market.underlying.price(now_ms)),
            "estimatedSettlePrice": number(market.mark(now_ms)),
            "lastFundingRate": number(market.funding_rate),
            "interestRate": INTEREST_RATE,
            "nextFundingTime": (now_ms // period + 1) * period,
            "time": now_ms,
        }
        for market in markets
    ]
    return Response.json(shown[0] if single else shown)


def funding_info(exchange: Exchange, request: Request) -> Response:
    hours = exchange.futures.matcher.funding_ms // 3_600_000
    return Response.json(
        [
            {
                "symbol": market.spec.symbol,
                "adjustedFundingRateCap": "0.02000000",
                "adjustedFundingRateFloor": "-0.02000000",
                "fundingIntervalHours": hours,
            }
            for market in _chosen(exchange, request)[0]
        ]
    )


def funding_rates(exchange: Exchange, request: Request) -> Response:
    """The rates of the past: that of now at each funding time, told some milliseconds late."""
    market = exchange.futures.market(request.text("symbol"))
    period, limit = exchange.futures.matcher.funding_ms, request.integer("limit") or 100
    start, end = request.integer("startTime"), request.integer("endTime") or exchange.clock.now()
    last = min(end, exchange.clock.now()) // period * period
    first = last - (limit - 1) * period if start is None else -(-start // period) * period
    times = range(first, last + 1, period)[: min(limit, 1000)]
    return Response.json(
        [
            {
                "symbol": market.spec.symbol,
                "fundingTime": at + 3,
                "fundingRate": f"{market.funding_rate:.8f}",
                "markPrice": number(market.mark(exchange.clock.now())),
            }
            for at in times
        ]
    )
