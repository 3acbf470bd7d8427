"""A futures account: USDT-margined perpetuals of Binance, one-way and isolated.

Stops and targets are orders of another service ("algo orders"), with ids of their own. Once one is
triggered it has become an ordinary order, which then tells what was filled.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from trading.exchange import (
    Can,
    ExchangeError,
    Fault,
    Refused,
    Rejected,
    Unreachable,
    Unusable,
)
from trading.exchanges.account import FENCE_S, PAGE, CcxtExchange, listed, named
from trading.exchanges.answers import bad, is_about, listed_report, number, order_report
from trading.exchanges.checks import before_sending
from trading.exchanges.credentials import Credentials
from trading.exchanges.errors import Call
from trading.exchanges.moving import listed_transfers, transfer_args, transfer_id
from trading.exchanges.rights import futures_rights
from trading.exchanges.sending import TRIGGERED
from trading.market import (
    FundingReport,
    KeyRights,
    OrderReport,
    OrderRequest,
    OrderStatus,
    OrderType,
    PositionReport,
)
from trading.wallets import TransferReport, Wallet

if TYPE_CHECKING:
    from trading.exchanges.ccxt_exchange import CcxtFeed

#: Before the number of an algo order: numbers of ordinary orders are counted by another service.
ALGO = "algo-"
#: What Binance takes for its insurance fund when it liquidates.
PENALTY = "INSURANCE_CLEAR"
#: Kinds of income that come with a position and with none of its fills -> before their numbers.
INCOME = {"FUNDING_FEE": "", PENALTY: "insurance-"}


class CcxtFutures(CcxtExchange):
    """One futures account (trading.exchange.Exchange); Refused(CLIENT) on other exchanges."""

    CAN = frozenset({Can.STOP, Can.FUTURES})
    WALLETS = "assets"

    def __init__(
        self,
        feed: "CcxtFeed",
        credentials: Credentials,
        *,
        recv_window_ms: int = 5000,
        fence_s: float = FENCE_S,
    ) -> None:
        super().__init__(feed, credentials, recv_window_ms=recv_window_ms, fence_s=fence_s)
        if not self._fenced:
            raise Refused(Fault.CLIENT, f"futures of {self.name} are not supported")

    def place(self, request: OrderRequest) -> OrderReport:
        """Send one order, once; what it filled at once is read after it, if that can be read."""
        report = super().place(request)
        if request.type in TRIGGERED:
            return replace(report, exchange_order_id=ALGO + report.exchange_order_id)
        if report.filled > sum((fill.amount for fill in report.fills), Decimal(0)):
            # The order stands, whatever becomes of this question.
            with suppress(ExchangeError):
                fills = self._fills(request.symbol, report.exchange_order_id, report.at)
                if sum((fill.amount for fill in fills), Decimal(0)) <= report.filled:
                    return replace(report, fills=fills)
        return report

    def find(self, request: OrderRequest, exchange_order_id: str = "") -> OrderReport | None:
        """Look the order up by its client order id, with its fills; None: there is none."""
        if request.type not in TRIGGERED:
            return super().find(request, exchange_order_id)
        algo = self._algo(request)
        if algo is None:
            return None
        actual = _actual_id(algo)
        if not actual:
            return order_report({**algo, "id": f"{ALGO}{algo.get('id')}"}, request, ())
        order = self._read(Call.VITAL, "fetch_order", actual, request.symbol)
        if not isinstance(order, Mapping) or order.get("id") != actual:
            raise bad("the answer is about another order")
        names = {"id": f"{ALGO}{algo.get('id')}", "clientOrderId": request.client_order_id}
        return self._with_fills({**order, **names}, request, actual)

    def _algo(self, request: OrderRequest) -> Mapping[str, Any] | None:
        self._feed.markets.known(request.symbol)
        args = (None, request.symbol, named(request) | {"trigger": True})
        algo: Mapping[str, Any] | None = self._read(Call.FIND, "fetch_order", *args)
        is_named = algo is None or (
            algo.get("id") and algo.get("clientOrderId") == request.client_order_id
        )
        if not is_named:
            raise bad("the answer is not about this order")
        return algo

    def cancel(self, request: OrderRequest, exchange_order_id: str = "") -> None:
        """Ask for cancellation, once; Rejected when there is nothing (left) to cancel."""
        if request.type not in TRIGGERED:
            return super().cancel(request, exchange_order_id)
        self._feed.markets.known(request.symbol)
        self._sign()
        args = (None, request.symbol, named(request) | {"trigger": True})
        try:
            answer = self._client.call(Call.CANCEL, "cancel_order", *args)
        except Rejected:
            if request.type is not OrderType.TARGET or request.price is None:
                raise
            # Triggered, and perhaps resting at its limit.
            return self._cancel_actual(request)
        if not is_about(answer, request.client_order_id):
            raise bad("the answer is not about this order")
        return None

    def _cancel_actual(self, request: OrderRequest) -> None:
        algo = self._algo(request)
        actual = _actual_id(algo) if algo is not None else ""
        if not actual:
            raise Rejected(Fault.ORDER_REJECTED, "there is no open order to cancel")
        self._sign()
        answer = self._client.call(Call.CANCEL, "cancel_order", actual, request.symbol)
        if not isinstance(answer, Mapping) or answer.get("id") != actual:
            raise bad("the answer is not about this order")

    def open_orders(self, symbol: str) -> Sequence[OrderReport]:
        """Return every order that rests or waits in the market, ours or not; without fills."""
        waiting = self._orders("fetch_open_orders", symbol, None, None, {"trigger": True})
        return [*super().open_orders(symbol), *(_listed_algo(o, symbol, {}) for o in waiting)]

    def history(self, symbol: str, since: int) -> Sequence[OrderReport]:
        """Return every order made since then (Unix ms), ours or not, oldest first; no fills."""
        self._feed.markets.known(symbol)
        algos = self._all_orders(symbol, since, key="algoId", trigger=True)
        plain = {
            report.exchange_order_id: report
            for report in listed(self._all_orders(symbol, since), symbol)
        }
        found = [_listed_algo(order, symbol, plain) for order in algos]
        triggered = {_actual_id(order) for order in algos}
        found += [report for key, report in plain.items() if key not in triggered]
        return sorted(found, key=lambda report: report.at)

    def rights(self) -> KeyRights:
        """Return what the key may do on futures."""
        return futures_rights(self._read)

    def prepare(self, symbol: str, leverage: int) -> None:
        """Set one-way mode, isolated margin and this leverage; what is so already is fine.

        Rejected where open orders or positions, or the account's limits, stand against it.
        """
        self._feed.markets.known(symbol)
        self._read(Call.SET, "set_position_mode", False, symbol)
        self._read(Call.SET, "set_margin_mode", "isolated", symbol)
        answer = self._read(Call.SET, "set_leverage", leverage, symbol)
        if not isinstance(answer, Mapping) or str(answer.get("leverage")) != str(leverage):
            raise bad("the answer does not say that the leverage was set")

    def position(self, symbol: str) -> PositionReport:
        """Return the account's position in the market; amount 0 when flat."""
        self._feed.markets.known(symbol)
        self._sign()  # the markets first: they know the exchange's name of this one
        market = self._client.raw.market_id(symbol)
        method = "fapiprivatev2_get_positionrisk"
        rows = self._read(Call.READ, method, {"symbol": market})
        if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
            raise bad("the answer is no list of positions")
        mine = [row for row in rows if row.get("symbol") == market]
        one_way = [row for row in mine if row.get("positionSide") == "BOTH"]
        hedged = [row for row in mine if row not in one_way and _signed(row, "positionAmt")]
        if len(one_way) != 1 or hedged:
            raise bad("the answer is not one position in one-way mode")
        return _position(one_way[0], symbol)

    def funding(self, symbol: str, since: int) -> Sequence[FundingReport]:
        """Return funding and liquidation charges since then (Unix ms), oldest first."""
        self._feed.markets.known(symbol)
        found = [paid for kind in INCOME for paid in self._income(symbol, since, kind)]
        return sorted(found, key=lambda paid: paid.at)

    def _income(self, symbol: str, since: int, kind: str) -> list[FundingReport]:
        found: dict[str, FundingReport] = {}
        start = since
        while True:
            what = {"incomeType": kind}
            page = self._orders("fetch_funding_history", symbol, start, PAGE, what)
            reports = [_payment(paid, symbol, kind) for paid in page]
            found.update({report.funding_id: report for report in reports})
            if len(page) < PAGE:
                return list(found.values())
            newest = max(paid.at for paid in found.values())
            if newest <= start:
                raise bad("more payments at one moment than a page holds")
            start = newest

    def transfer(self, currency: str, amount: Decimal, source: Wallet, target: Wallet) -> str:
        """Move funds between two wallets, once; returns the exchange's id of the transfer."""
        try:
            self._sign()  # the markets first: they know the currencies
        except (Unreachable, Unusable) as error:
            raise before_sending(error) from None
        args = transfer_args(self._client.raw, currency, amount, source, target)
        return transfer_id(self._client.call(Call.TRANSFER, "transfer", *args))

    def transfers(
        self, currency: str, source: Wallet, *, since: int, until: int
    ) -> Sequence[TransferReport]:
        """Return the transfers of a currency out of a wallet between two moments (Unix ms)."""
        return listed_transfers(self._read, currency, source, since=since, until=until)


def _actual_id(algo: Mapping[str, Any]) -> str:
    """Return the id of the ordinary order that an algo order has become, "" before that."""
    info = algo.get("info")
    found = str(info.get("actualOrderId") or "") if isinstance(info, Mapping) else ""
    return "" if found == "0" else found


def _listed_algo(
    order: Mapping[str, Any], symbol: str, plain: Mapping[str, OrderReport]
) -> OrderReport:
    report = listed_report(order, symbol)
    report = replace(report, exchange_order_id=ALGO + report.exchange_order_id)
    actual = _actual_id(order)
    became = plain.get(actual)
    if became is not None:
        return replace(
            report,
            status=became.status,
            filled=became.filled,
            average=became.average,
            at=became.at,
        )
    # What it has become is not in the list: only looking it up tells what was filled.
    return replace(report, status=OrderStatus.UNKNOWN) if actual else report


def _signed(row: Mapping[str, Any], name: str) -> Decimal:
    try:
        found = Decimal(str(row.get(name)))
    except InvalidOperation:
        raise bad(f"{name} is missing or no number") from None
    if not found.is_finite():
        raise bad(f"{name} is {found}")
    return found


def _position(row: Mapping[str, Any], symbol: str) -> PositionReport:
    leverage = str(row.get("leverage", ""))
    kind = row.get("marginType")
    return PositionReport(
        symbol=symbol,
        amount=_signed(row, "positionAmt"),
        entry_price=number(row.get("entryPrice"), "the entry price") or None,
        mark_price=number(row.get("markPrice"), "the mark price") or None,
        # Zero: none, or none above zero.
        liquidation_price=max(_signed(row, "liquidationPrice"), Decimal(0)) or None,
        leverage=int(leverage) if leverage.isdecimal() else None,
        is_isolated=kind == "isolated" if kind in ("isolated", "cross") else None,
    )


def _payment(paid: Mapping[str, Any], symbol: str, kind: str) -> FundingReport:
    at = paid.get("timestamp")
    if not paid.get("id") or not paid.get("code") or not isinstance(at, int):
        raise bad("a funding payment without id, currency or time")
    return FundingReport(
        # Binance counts each kind of income by itself.
        funding_id=f"{INCOME[kind]}{paid['id']}",
        symbol=symbol,
        amount=_signed(paid, "amount"),
        currency=str(paid["code"]),
        at=at,
        is_penalty=kind == PENALTY,
    )
