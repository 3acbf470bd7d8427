"""An account on an exchange: orders that are sent once, and what became of them."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from trading.exchange import Can, Fault, Refused, Rejected, Unreachable, Unusable
from trading.exchanges.answers import (
    bad,
    fill_reports,
    holdings,
    is_about,
    listed_report,
    order_report,
)
from trading.exchanges.checks import before_sending, check_order, refusal
from trading.exchanges.credentials import Credentials
from trading.exchanges.errors import Call
from trading.exchanges.listing import order_pages
from trading.exchanges.rights import spot_rights
from trading.exchanges.sending import TRIGGERED, create_args, pair_params
from trading.market import (
    FillReport,
    FundingReport,
    Holding,
    KeyRights,
    OrderReport,
    OrderRequest,
    PositionReport,
    Rules,
)

if TYPE_CHECKING:
    from trading.exchanges.ccxt_exchange import CcxtFeed

#: Exchanges that refuse an order whose signed time is older than recvWindow: there "not found"
#: proves, after a while, that it was never accepted. Others sign a counter, which proves nothing.
FENCED = frozenset({"binance"})
#: From signed_at until "not found" is final: recvWindow, and the 10 s that Binance may work on it.
FENCE_S = 20.0
#: An order's fills are read in pages of this many, and no more pages than this.
PAGE, MAX_PAGES = 1000, 20


class CcxtExchange:
    """One spot account (trading.exchange.Exchange) on top of the feed of its exchange and mode."""

    #: What it offers on an exchange whose answers to such orders we know: on any other they could
    #: be placed, but not believed.
    CAN = frozenset({Can.STOP, Can.PAIR})
    #: Where Binance's answer about the account has its coins.
    WALLETS = "balances"

    def __init__(
        self,
        feed: "CcxtFeed",
        credentials: Credentials,
        *,
        recv_window_ms: int = 5000,
        fence_s: float = FENCE_S,
    ) -> None:
        self.name = feed.name
        self.key = feed.key
        self.now = feed.now
        self.symbols = feed.symbols
        self.rules = feed.rules
        self.candles = feed.candles
        self.quote = feed.quote
        self._feed = feed
        self._fenced = feed.name in FENCED
        self.can: frozenset[Can] = self.CAN if self._fenced else frozenset()
        self.fence_ms: int | None = round(fence_s * 1000) if self._fenced else None
        self._recv_window_ms = recv_window_ms
        self._client = feed.clients.client(
            credentials.api_key, credentials.secret, credentials.passphrase
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.key})"

    def place(self, request: OrderRequest) -> OrderReport:
        """Send one order, once, under our own client order id.

        Rejected or Refused: a clear no. Unreachable: `sent` False when the exchange surely did not
        accept it (nothing was written, 429, 418, a time it does not accept); else look it up.
        """
        rules = self._check(request)
        args = create_args(request, self._signing(request))
        return order_report(self._send(request, rules, "create_order", *args), request)

    def place_pair(
        self, stop: OrderRequest, target: OrderRequest
    ) -> tuple[OrderReport, OrderReport]:
        """Send a stop and a target of which one cancels the other, in one request, once.

        Fails as `place` does, as one: after an Unreachable with `sent` look both up by their ids.
        """
        if Can.PAIR not in self.can:
            raise Rejected(Fault.ORDER_REJECTED, f"{self.name} takes no pair of orders here")
        rules = self._check(stop)
        self._check(target)
        params = pair_params(stop, target, self._client.raw.market_id(stop.symbol))
        params |= self._signing(stop)
        answer = self._send(stop, rules, "private_post_orderlist_oco", params)
        legs = answer.get("orderReports") if isinstance(answer, Mapping) else None
        if not isinstance(legs, list) or not all(isinstance(leg, Mapping) for leg in legs):
            raise bad("the answer is about no pair of orders")
        found = {str(leg.get("clientOrderId")): leg for leg in legs}
        return self._leg(found, stop), self._leg(found, target)

    def _leg(self, legs: Mapping[str, Mapping[str, Any]], request: OrderRequest) -> OrderReport:
        raw = self._client.raw
        leg = legs.get(request.client_order_id)
        if leg is None:
            raise bad("the answer is about another pair of orders")
        return order_report(raw.parse_order(leg, raw.market(request.symbol)), request)

    def _signing(self, request: OrderRequest) -> dict[str, Any]:
        # The exchange itself refuses the order once signed_at + recvWindow is past.
        window = {"timestamp": request.signed_at, "recvWindow": self._recv_window_ms}
        return window if self._fenced else {}

    def _send(self, request: OrderRequest, rules: Rules, method: str, *args: Any) -> Any:
        try:
            return self._client.call(Call.ORDER, method, *args)
        except Rejected as error:
            raise Rejected(error.fault, refusal(error, request, rules)) from None
        except Unreachable as error:
            if error.fault is Fault.CLOCK:
                self._feed.clock.forget()
            raise

    def _check(self, request: OrderRequest) -> Rules:
        """Do what has to be done before an order is sent; what fails here was surely not sent."""
        try:
            # Of whatever age: the order is signed, and a load may take as long as that is valid.
            rules = self._feed.markets.known(request.symbol)
            self._lend()
        except (Unreachable, Unusable) as error:
            raise before_sending(error) from None
        if request.type in TRIGGERED and Can.STOP not in self.can:
            raise Rejected(Fault.ORDER_REJECTED, f"{self.name} takes no stop orders here")
        if request.reduce_only and Can.FUTURES not in self.can:
            raise Rejected(Fault.ORDER_REJECTED, "reduce_only is for futures")
        check_order(request, rules, request.price or request.trigger)
        return rules

    def find(self, request: OrderRequest, exchange_order_id: str = "") -> OrderReport | None:
        """Look the order up by its client order id, with its fills; None: there is none."""
        self._feed.markets.known(request.symbol)
        order = self._read(
            Call.FIND, "fetch_order", exchange_order_id or None, request.symbol, named(request)
        )
        if order is None:
            return None
        return self._with_fills(order, request, str(order.get("id")))

    def _with_fills(
        self, order: Mapping[str, Any], request: OrderRequest, order_id: str
    ) -> OrderReport:
        """Return the report of ccxt's order, with the fills that its exchange has under that id."""
        report = order_report(order, request, ())
        if not report.filled:
            return report
        return order_report(order, request, self._fills(request.symbol, order_id, report.at))

    def _fills(self, symbol: str, order_id: str, at: int) -> tuple[FillReport, ...]:
        """Read an order's fills, page by page; the newest may be missing for a moment."""
        found: dict[str, FillReport] = {}
        params: dict[str, Any] = {"orderId": order_id}
        for _ in range(MAX_PAGES):
            trades = self._read(Call.VITAL, "fetch_my_trades", symbol, None, PAGE, dict(params))
            page = fill_reports(trades, at=at, order_id=order_id)
            found.update({fill.trade_id: fill for fill in page})
            if len(page) < PAGE or not self._fenced:
                break
            params["fromId"] = str(max(int(fill.trade_id) for fill in page) + 1)
        return tuple(found.values())

    def cancel(self, request: OrderRequest, exchange_order_id: str = "") -> None:
        """Ask for cancellation, once; Rejected when there is nothing (left) to cancel."""
        self._feed.markets.known(request.symbol)
        self._sign()
        order = self._client.call(
            Call.CANCEL, "cancel_order", exchange_order_id or None, request.symbol, named(request)
        )
        if not is_about(order, request.client_order_id):
            raise bad("the answer is not about this order")

    def open_orders(self, symbol: str) -> Sequence[OrderReport]:
        """Return every order that rests in the market, ours or not; without fills."""
        self._feed.markets.known(symbol)
        return listed(self._orders("fetch_open_orders", symbol), symbol)

    def history(self, symbol: str, since: int) -> Sequence[OrderReport]:
        """Return every order made since then (Unix ms), ours or not, oldest first; no fills."""
        self._feed.markets.known(symbol)
        return listed(self._all_orders(symbol, since), symbol)

    def _all_orders(
        self, symbol: str, since: int, *, key: str = "orderId", **params: Any
    ) -> list[Mapping[str, Any]]:
        if not self._fenced:
            raise Refused(Fault.CLIENT, f"the order history of {self.name} cannot be read here")

        def page(since: int | None, **more: Any) -> Any:
            limits = dict(params) | more
            return self._orders("fetch_orders", symbol, since, PAGE, limits)

        return order_pages(page, since=since, now=self.now(), size=PAGE, key=key)

    def _orders(self, method: str, *args: Any) -> list[Mapping[str, Any]]:
        orders: object = self._read(Call.READ, method, *args)
        # Of an answer that is no list ccxt makes an account without orders.
        if not isinstance(orders, list) or not isinstance(
            self._client.raw.last_json_response, list
        ):
            raise bad("the answer is no list of orders")
        return orders

    def balance(self) -> Mapping[str, Holding]:
        """Return the account's holdings that are not zero."""
        balance = self._read(Call.READ, "fetch_balance", {"type": self._feed.market_type})
        info = balance.get("info")
        # Of an answer without balances ccxt makes an empty account.
        if self._fenced and not (
            isinstance(info, Mapping) and isinstance(info.get(self.WALLETS), list)
        ):
            raise bad("the answer is no balance")
        return holdings(balance)

    def cost_margin(self, rules: Rules, ask: Decimal) -> Decimal:
        """Return the taker fee: how far a price slips, only the exchange itself knows."""
        return rules.taker_fee

    def rights(self) -> KeyRights:
        """Return what the key may do, as far as the exchange tells."""
        if not self._fenced:
            self.balance()
            return KeyRights()
        return spot_rights(self._read, is_testnet="sapi" not in self._client.raw.urls["api"])

    def prepare(self, symbol: str, leverage: int) -> None:
        """Raise Refused: a spot account has neither margin nor leverage."""
        raise _no_futures()

    def position(self, symbol: str) -> PositionReport:
        """Raise Refused: a spot account holds coins, no positions."""
        raise _no_futures()

    def funding(self, symbol: str, since: int) -> Sequence[FundingReport]:
        """Raise Refused: a spot account pays no funding."""
        raise _no_futures()

    def _read(self, what: Call, method: str, *args: Any) -> Any:
        """Ask a signed question; if the exchange does not like our time, once more."""
        self._sign()
        try:
            return self._client.call(what, method, *args)
        except Unreachable as error:
            if error.fault is not Fault.CLOCK:
                raise
        self._feed.clock.forget()
        self._sign()
        return self._client.call(what, method, *args)

    def _sign(self) -> None:
        """Make the next signed call carry the exchange's time and the markets as they are now."""
        self._lend()
        raw = self._client.raw
        if "timeDifference" in raw.options:
            raw.options["timeDifference"] = raw.milliseconds() - self._feed.now()

    def _lend(self) -> None:
        """Give the client, which others with the same key share, this account's settings."""
        raw = self._client.raw
        self._feed.markets.share_with(raw)
        raw.options["recvWindow"] = self._recv_window_ms


def named(request: OrderRequest) -> dict[str, Any]:
    """Return ccxt's parameters that name an order by its client order id."""
    return {"clientOrderId": request.client_order_id}


def listed(orders: Sequence[Mapping[str, Any]], symbol: str) -> list[OrderReport]:
    """Return the reports of ccxt's orders of a market."""
    return [listed_report(order, symbol) for order in orders]


def _no_futures() -> Refused:
    return Refused(Fault.CLIENT, "this is a spot account: it has no futures")
