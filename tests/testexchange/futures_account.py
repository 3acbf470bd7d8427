"""The signed USDT-M endpoints of wallets, positions and their settings, and transfers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.testexchange.errors import ApiError
from tests.testexchange.exchange import Exchange
from tests.testexchange.futures_forms import flag
from tests.testexchange.futures_signed import owner_of
from tests.testexchange.messages import Request, Response, in_time, page
from tests.testexchange.money import ZERO, down, number
from tests.testexchange.positions import ASSET, FuturesAccount, Position

SUCCESS = {"code": 200, "msg": "success"}


def _position_body(exchange: Exchange, owner: FuturesAccount, position: Position) -> dict[str, Any]:
    engine, now_ms = exchange.futures.engine, exchange.clock.now()
    market, mark = position.market, position.market.mark(now_ms)
    notional, pnl = down(position.amount * mark), position.unrealized(mark)
    margin = engine.position_margin(position, now_ms)
    tier = market.tier(abs(notional))
    reserved = engine.order_margin(owner, position)
    liquidation = position.liquidation_price(owner.collateral(position))
    return {
        "symbol": market.spec.symbol,
        "positionSide": "BOTH",
        "positionAmt": number(position.amount),
        "entryPrice": number(position.entry),
        "breakEvenPrice": number(position.entry),
        "markPrice": number(mark),
        "unRealizedProfit": number(pnl),
        "liquidationPrice": number(liquidation),
        "isolatedMargin": number(position.margin + pnl if position.margin else ZERO),
        "notional": number(notional),
        "marginAsset": market.spec.quote,
        "isolatedWallet": number(position.margin),
        "initialMargin": number(margin + reserved),
        "maintMargin": number(max(ZERO, down(abs(notional) * tier.rate - tier.cum))),
        "positionInitialMargin": number(margin),
        "openOrderInitialMargin": number(reserved),
        "adl": 2 if position.amount else 0,
        "bidNotional": "0",
        "askNotional": "0",
        "updateTime": position.updated_ms,
    }


def _shown(exchange: Exchange, request: Request, *, all_: bool) -> list[dict[str, Any]]:
    """Positions of the signer: those that are not flat or have orders, or one of each market."""
    owner, futures = owner_of(exchange, request), exchange.futures
    symbol = request.params.get("symbol")
    markets = [futures.market(symbol)] if symbol else list(futures.markets.values())
    return [
        _position_body(exchange, owner, owner.position(market))
        for market in markets
        if all_ or owner.position(market).amount or futures.has_orders(owner, market)
    ]


def position_risk(exchange: Exchange, request: Request) -> Response:
    return Response.json(_shown(exchange, request, all_=False))


def position_risk_v2(exchange: Exchange, request: Request) -> Response:
    """Version 2 shows every market, with the settings of its position."""
    owner, shown = owner_of(exchange, request), _shown(exchange, request, all_=True)
    for body in shown:
        position = owner.positions[body["symbol"]]
        body |= {
            "leverage": str(position.leverage),
            "maxNotionalValue": number(position.market.tiers[-1].cap),
            "marginType": "isolated" if position.isolated else "cross",
            "isAutoAddMargin": "false",
            "isolated": position.isolated,
        }
    return Response.json(shown)


def _asset_body(exchange: Exchange, owner: FuturesAccount, asset: str) -> dict[str, Any]:
    engine, now_ms = exchange.futures.engine, exchange.clock.now()
    wallet = owner.wallet.get(asset, ZERO)
    held = owner.positions.values() if asset == ASSET else ()
    pnl = sum((p.unrealized(p.market.mark(now_ms)) for p in held), ZERO)
    margin = sum((engine.position_margin(p, now_ms) for p in held), ZERO)
    reserved = sum((engine.order_margin(owner, p) for p in held), ZERO)
    available = engine.available(owner, now_ms) if asset == ASSET else wallet
    crossed = owner.crossed_wallet() if asset == ASSET else wallet
    return {
        "asset": asset,
        "walletBalance": number(wallet),
        "unrealizedProfit": number(pnl),
        "marginBalance": number(wallet + pnl),
        "maintMargin": number(ZERO),
        "initialMargin": number(margin + reserved),
        "positionInitialMargin": number(margin),
        "openOrderInitialMargin": number(reserved),
        "crossWalletBalance": number(crossed),
        "crossUnPnl": number(ZERO),
        "availableBalance": number(available),
        "maxWithdrawAmount": number(available),
        "updateTime": owner.updated_ms,
    }


def account(exchange: Exchange, request: Request) -> Response:
    owner = owner_of(exchange, request)
    assets = [_asset_body(exchange, owner, asset) for asset in sorted({ASSET, *owner.wallet})]
    usdt = next(body for body in assets if body["asset"] == ASSET)
    totals = {
        "totalInitialMargin": "initialMargin",
        "totalMaintMargin": "maintMargin",
        "totalWalletBalance": "walletBalance",
        "totalUnrealizedProfit": "unrealizedProfit",
        "totalMarginBalance": "marginBalance",
        "totalPositionInitialMargin": "positionInitialMargin",
        "totalOpenOrderInitialMargin": "openOrderInitialMargin",
        "totalCrossWalletBalance": "crossWalletBalance",
        "availableBalance": "availableBalance",
        "maxWithdrawAmount": "maxWithdrawAmount",
    }
    return Response.json(
        {total: usdt[name] for total, name in totals.items()}
        | {"assets": assets, "positions": _shown(exchange, request, all_=False)}
    )


def balances(exchange: Exchange, request: Request) -> Response:
    owner = owner_of(exchange, request)
    bodies = [_asset_body(exchange, owner, asset) for asset in sorted({ASSET, *owner.wallet})]
    return Response.json(
        [body | {"accountAlias": "test", "balance": body["walletBalance"]} for body in bodies]
    )


def symbol_config(exchange: Exchange, request: Request) -> Response:
    owner, symbol = owner_of(exchange, request), request.params.get("symbol")
    markets = exchange.futures.markets
    chosen = [exchange.futures.market(symbol)] if symbol else list(markets.values())
    return Response.json(
        [
            {
                "symbol": market.spec.symbol,
                "marginType": "ISOLATED" if owner.position(market).isolated else "CROSSED",
                "isAutoAddMargin": False,
                "leverage": owner.position(market).leverage,
                "maxNotionalValue": number(market.tiers[-1].cap),
            }
            for market in chosen
        ]
    )


def leverage_brackets(exchange: Exchange, request: Request) -> Response:
    symbol, futures = request.params.get("symbol"), exchange.futures
    chosen = [futures.market(symbol)] if symbol else list(futures.markets.values())
    return Response.json(
        [
            {
                "symbol": market.spec.symbol,
                "notionalCoef": 1.0,
                "brackets": [
                    {
                        "bracket": place,
                        "initialLeverage": tier.max_leverage,
                        "notionalCap": int(tier.cap),
                        "notionalFloor": int(tier.floor),
                        "maintMarginRatio": float(tier.rate),
                        "cum": float(tier.cum),
                    }
                    for place, tier in enumerate(market.tiers, 1)
                ],
            }
            for market in chosen
        ]
    )


def set_leverage(exchange: Exchange, request: Request) -> Response:
    owner, futures = owner_of(exchange, request), exchange.futures
    position = owner.position(futures.market(request.text("symbol")))
    request.text("leverage")
    leverage = request.integer("leverage") or 0
    futures.set_leverage(position, leverage, exchange.clock.now())
    caps = [tier.cap for tier in position.market.tiers if tier.max_leverage >= leverage]
    symbol = position.market.spec.symbol
    return Response.json(
        {"symbol": symbol, "leverage": leverage, "maxNotionalValue": str(caps[-1])}
    )


def set_margin_type(exchange: Exchange, request: Request) -> Response:
    owner, futures = owner_of(exchange, request), exchange.futures
    position = owner.position(futures.market(request.text("symbol")))
    kind = request.text("marginType")
    if kind not in ("ISOLATED", "CROSSED"):
        raise ApiError(-1102, "Mandatory parameter 'marginType' was malformed.")
    futures.set_margin_type(owner, position, kind == "ISOLATED")
    return Response.json(SUCCESS)


def set_dual_side(exchange: Exchange, request: Request) -> Response:
    request.text("dualSidePosition")
    owner = owner_of(exchange, request)
    exchange.futures.set_dual_side(owner, flag(request, "dualSidePosition"))
    return Response.json(SUCCESS)


def dual_side(exchange: Exchange, request: Request) -> Response:
    return Response.json({"dualSidePosition": owner_of(exchange, request).dual_side})


def commission_rate(exchange: Exchange, request: Request) -> Response:
    fee, market = exchange.futures.engine.fee, exchange.futures.market(request.text("symbol"))
    rates = {"makerCommissionRate": number(fee.maker), "takerCommissionRate": number(fee.taker)}
    return Response.json({"symbol": market.spec.symbol, **rates})


def income(exchange: Exchange, request: Request) -> Response:
    symbol, kind = request.params.get("symbol"), request.params.get("incomeType")
    found = [
        entry
        for entry in owner_of(exchange, request).income
        if symbol in (None, "", entry["symbol"])
        and kind in (None, "", entry["incomeType"])
        and in_time(request, entry["time"])
    ]
    return Response.json(page(request, found, ahead=False))


def transfer(exchange: Exchange, request: Request) -> Response:
    """Between spot (MAIN) and USDT-M futures (UMFUTURE)."""
    now_ms, key = exchange.settle(), request.signer
    if not key.permissions["permitsUniversalTransfer"]:
        raise ApiError(-1002)
    kind, asset = request.text("type"), request.text("asset")
    request.text("amount")
    amount = request.decimal("amount") or Decimal(0)
    if kind not in ("MAIN_UMFUTURE", "UMFUTURE_MAIN") or amount <= 0:
        raise ApiError(-1102, "Mandatory parameter 'type' or 'amount' was malformed.")
    done = exchange.futures.transfer(key.account, kind, asset, amount, now_ms)
    return Response.json({"tranId": done})


def transfers(exchange: Exchange, request: Request) -> Response:
    kind, name = request.text("type"), request.signer.account.name
    rows = [
        {field: value for field, value in row.items() if field != "account"}
        for row in exchange.futures.transfers
        if row["type"] == kind and row["account"] == name and in_time(request, row["timestamp"])
    ]
    return Response.json({"total": len(rows), "rows": rows[-request.limit() :]})
