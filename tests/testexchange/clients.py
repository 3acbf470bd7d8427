"""Real ccxt clients of a test exchange, and plain requests past ccxt, for its own tests."""

from __future__ import annotations

import hashlib
import hmac
import urllib.error
import urllib.request
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import ccxt
import pytest

from tests.testexchange.client import ExchangeControl
from tests.testexchange.process import TestExchange

NOON = 1_678_363_200_000  # 2023-03-09 12:00 UTC
SYMBOL = "BTC/USDT"
PERP = "BTC/USDT:USDT"


def client_of(server: TestExchange, api_key: str, secret: str, **more: Any) -> ccxt.binance:
    """A ccxt binance that talks to `server` and takes its time from there."""
    client = ccxt.binance(
        {
            "apiKey": api_key,
            "secret": secret,
            "enableRateLimit": False,
            "timeout": 5000,
            "options": {
                "fetchMarkets": {"types": ["spot"]},
                "fetchCurrencies": False,
                "fetchMargins": False,
            },
            **more,
        }
    )
    server.install(client)
    client.nonce = server.control.now
    return client


def _refusal(post: Callable[[dict[str, str]], Any], params: dict[str, str]) -> str:
    form = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
    with pytest.raises(ccxt.BaseError) as error:
        post(form | params)
    return str(error.value)


class Trader:
    """An account of its own with 10000 USDT, and what its tests do with it."""

    def __init__(self, server: TestExchange, name: str) -> None:
        self.name = name
        self.key = hashlib.sha256(name.encode()).hexdigest()
        self.server = server
        server.control.add_account(
            name, api_key=self.key, secret="secret", balances={"USDT": "10000"}
        )
        self.ccxt = client_of(server, self.key, "secret")
        self.ccxt.load_markets()

    def buy(self, amount: float, client_id: str, **params: Any) -> Any:
        given = {"newClientOrderId": client_id, **params}
        return self.ccxt.create_order(SYMBOL, "market", "buy", amount, None, given)

    def sell(self, amount: float, client_id: str) -> Any:
        given = {"newClientOrderId": client_id}
        return self.ccxt.create_order(SYMBOL, "market", "sell", amount, None, given)

    def limit(self, side: str, amount: float, price: float, client_id: str, **params: Any) -> Any:
        given = {"newClientOrderId": client_id, **params}
        return self.ccxt.create_order(SYMBOL, "limit", side, amount, price, given)

    def order(self, client_id: str) -> Any:
        return self.ccxt.fetch_order(None, SYMBOL, {"clientOrderId": client_id})

    def refusal(self, **params: str) -> str:
        """What is said to a limit buy of BTC with these parameters, which must be refused."""
        return _refusal(self.ccxt.private_post_order, params)

    def wallet(self) -> dict[str, Any]:
        return self.server.control.balances(self.name)

    def true_orders(self) -> list[dict[str, Any]]:
        return self.server.control.orders(self.name)

    def true_trades(self) -> list[dict[str, Any]]:
        return self.server.control.trades(self.name)


class FuturesTrader:
    """An account of its own with USDT in both wallets, trading perpetuals."""

    def __init__(self, server: TestExchange, name: str, *, isolated: bool = True) -> None:
        self.name = name
        self.key = hashlib.sha256(name.encode()).hexdigest()
        self.control = server.control
        self.control.add_account(
            name,
            api_key=self.key,
            secret="secret",
            balances={"USDT": "10000"},
            futures_balances={"USDT": "10000"},
            permissions={"enableFutures": True, "permitsUniversalTransfer": True},
        )
        options = {
            "defaultType": "swap",
            "fetchMarkets": {"types": ["linear"]},
            "fetchCurrencies": False,
            "fetchMargins": False,
        }
        self.ccxt = client_of(server, self.key, "secret", options=options)
        self.ccxt.load_markets()
        if isolated:
            self.ccxt.set_margin_mode("isolated", PERP)
            self.ccxt.set_leverage(10, PERP)

    def order(
        self,
        side: str,
        amount: float,
        client_id: str,
        price: float | None = None,
        **params: Any,
    ) -> Any:
        """A market order, or a limit order at `price`."""
        kind = "market" if price is None else "limit"
        given = {"newClientOrderId": client_id, **params}
        return self.ccxt.create_order(PERP, kind, side, amount, price, given)

    def stop(self, side: str, amount: float, client_id: str, **params: Any) -> Any:
        """A conditional order at the market, reduce-only."""
        given = {"clientAlgoId": client_id, "reduceOnly": True, **params}
        return self.ccxt.create_order(PERP, "market", side, amount, None, given)

    def fetch(self, client_id: str, *, trigger: bool = False) -> Any:
        params = {"clientOrderId": client_id} | ({"trigger": True} if trigger else {})
        return self.ccxt.fetch_order(None, PERP, params)

    def refusal(self, **params: str) -> str:
        """What is said to a limit buy of BTC with these parameters, which must be refused."""
        return _refusal(self.ccxt.fapiprivate_post_order, params)

    def position(self) -> Any:
        """The only position, None when there is none."""
        found = self.ccxt.fetch_positions([PERP])
        return found[0] if found else None

    def truth(self) -> dict[str, Any]:
        return self.control.futures(self.name)

    def wallet(self) -> Decimal:
        return Decimal(self.truth()["wallets"][self.name]["USDT"])

    def income(self, kind: str) -> list[Decimal]:
        records = self.truth()["income"][self.name]
        return [Decimal(r["income"]) for r in records if r["incomeType"] == kind]


def calm(control: ExchangeControl) -> None:
    """A known state: noon, BTC at 20000, plain fees, no spread, no fault."""
    control.set_time(NOON, auth="exchange")
    control.set_skew(0)
    control.set_spread(0)
    control.set_fee(maker="0.001", taker="0.001", mode="default", bnb_price="300")
    control.refuse(False)
    control.clear_faults()
    control.set_fee(futures=True, maker="0.0002", taker="0.0005", mode="quote", bnb_price="300")
    control.set_limits()
    control.set_mark("BTCUSDT", None)
    control.clear_price("BTCUSDT", futures=True)
    control.set_price("BTCUSDT", "20000")


def get(
    server: TestExchange, path: str, params: str = "", *, key: str = "", signature: str = ""
) -> tuple[int, dict[str, str], bytes]:
    """One plain GET; with a key it is signed with "secret", or carries the given signature."""
    if key:
        signed = hmac.new(b"secret", params.encode(), hashlib.sha256).hexdigest()
        params += f"&signature={signature or signed}"
    request = urllib.request.Request(f"{server.url}/{path}?{params}", headers={"X-MBX-APIKEY": key})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers), error.read()
