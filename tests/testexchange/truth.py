"""What really happened at the exchange, whatever its answers said."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tests.testexchange.app import App
from tests.testexchange.exchange import Exchange
from tests.testexchange.futures_orders import AlgoOrder, FuturesOrder
from tests.testexchange.limits import FUTURES, SPOT
from tests.testexchange.money import ZERO, number
from tests.testexchange.positions import FuturesAccount


def orders(exchange: Exchange, account: str | None = None) -> list[dict[str, Any]]:
    """Spot orders in the order of their ids, all accounts' without one."""
    return [
        order.body() | {"account": order.account.name, "api_key": order.api_key}
        for order in exchange.engine.orders.values()
        if account in (None, order.account.name)
    ]


def trades(exchange: Exchange, account: str | None = None) -> list[dict[str, Any]]:
    """Spot trades in the order of their ids."""
    return [
        trade.body() | {"account": trade.order.account.name, "clientOrderId": trade.order.client_id}
        for trade in exchange.engine.trades
        if account in (None, trade.order.account.name)
    ]


def futures(exchange: Exchange, account: str | None = None) -> dict[str, Any]:
    """The USDT-M side: orders, algo orders, trades, positions, wallets, income, transfers."""
    engine, now_ms = exchange.futures.engine, exchange.clock.now()
    owners = {name: o for name, o in engine.accounts.items() if account in (None, name)}

    def mine(entries: Iterable[FuturesOrder | AlgoOrder]) -> list[dict[str, Any]]:
        return [
            entry.body() | {"account": entry.owner.account.name, "api_key": entry.api_key}
            for entry in entries
            if entry.owner.account.name in owners
        ]

    return {
        "orders": mine(engine.orders.values()),
        "algo_orders": mine(engine.algos.values()),
        "trades": [
            trade.body() | {"account": name, "clientOrderId": trade.order.client_id}
            for trade in engine.trades
            if (name := trade.order.owner.account.name) in owners
        ],
        "positions": {name: _positions(owner, now_ms) for name, owner in owners.items()},
        "wallets": {
            name: {asset: number(amount) for asset, amount in sorted(owner.wallet.items())}
            for name, owner in owners.items()
        },
        "income": {name: list(owner.income) for name, owner in owners.items()},
        "transfers": [t for t in exchange.futures.transfers if t["account"] in owners],
    }


def _positions(owner: FuturesAccount, now_ms: int) -> list[dict[str, Any]]:
    """The positions of an account that are not flat."""
    return [
        {
            "symbol": symbol,
            "amount": number(position.amount),
            "entry": number(position.entry),
            "margin": number(position.margin),
            "leverage": position.leverage,
            "isolated": position.isolated,
            "unrealized": number(position.unrealized(position.market.mark(now_ms))),
            "liquidation": number(position.liquidation_price(owner.collateral(position))),
        }
        for symbol, position in sorted(owner.positions.items())
        if position.amount
    ]


def _open(exchange: Exchange) -> dict[str, list[dict[str, Any]]]:
    """What still waits for the price, by side."""
    engine = exchange.futures.engine
    return {
        "spot": [order.body() for order in exchange.engine.open.values()],
        "futures": [order.body() for order in engine.open.values()],
        "algo": [algo.body() for algo in engine.waiting.values()],
    }


def dump(app: App) -> dict[str, Any]:
    """Everything at once."""
    exchange = app.exchange
    accounts = exchange.accounts.by_name
    house = {asset: number(v) for asset, v in sorted(exchange.engine.house.items())}
    return {
        "now_ms": exchange.clock.now(),
        "orders": orders(exchange),
        "lists": [entry.body() | {"account": entry.account.name} for entry in exchange.lists],
        "trades": trades(exchange),
        "open_orders": _open(exchange),
        "balances": {name: account.dump() for name, account in accounts.items()},
        "deposits": {
            name: {asset: number(v) for asset, v in sorted(account.deposits.items()) if v != ZERO}
            for name, account in accounts.items()
        },
        "house": house,
        "futures": futures(exchange) | {"weights": app.limits.dump(FUTURES)},
        "weights": app.limits.dump(SPOT),
        "order_posts": app.ledger.posts,
        "requests": list(app.ledger.log),
    }
