"""Futures accounts on the test exchange for tests of the real ccxt."""

from dataclasses import dataclass
from decimal import Decimal as D
from typing import Any

from tests.testexchange import TestExchange
from tests.trading.accounts import order_id
from trading.exchanges.ccxt_exchange import CcxtExchange
from trading.market import OrderReport, OrderRequest, OrderType, Side

SYMBOL = "BTC/USDT:USDT"


@dataclass
class FuturesTrader:
    """A futures account with 10,000 USDT."""

    server: TestExchange
    name: str
    key: str
    exchange: CcxtExchange

    def request(
        self,
        side: Side = Side.BUY,
        kind: OrderType = OrderType.MARKET,
        *,
        amount: str = "0.1",
        price: str | None = None,
        trigger: str | None = None,
        reduce_only: bool = False,
    ) -> OrderRequest:
        return OrderRequest(
            client_order_id=order_id(),
            symbol=SYMBOL,
            side=side,
            type=kind,
            amount=D(amount),
            price=None if price is None else D(price),
            trigger=None if trigger is None else D(trigger),
            reduce_only=reduce_only,
            signed_at=self.exchange.now(),
        )

    def stop(self, trigger: str = "19000", **more: Any) -> OrderRequest:
        """Return a stop under a long position."""
        given = {"side": Side.SELL, "kind": OrderType.STOP, "trigger": trigger, "reduce_only": True}
        return self.request(**{**given, **more})

    def target(self, trigger: str = "21000", **more: Any) -> OrderRequest:
        given = {"kind": OrderType.TARGET, "trigger": trigger}
        return self.stop(**{**given, **more})

    def found(self, request: OrderRequest) -> OrderReport:
        report = self.exchange.find(request)
        assert report is not None
        return report

    def position(self) -> D:
        return self.exchange.position(SYMBOL).amount

    def truth(self) -> dict[str, Any]:
        return self.server.control.futures(self.name)

    def posts(self) -> list[dict[str, Any]]:
        return [
            request
            for request in self.server.control.requests()
            if request["method"] == "POST" and request["api_key"] == self.key
        ]
