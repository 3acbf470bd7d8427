"""From ccxt's structures to our values; what does not fit the question is no answer.

ccxt turns an HTML page, `[]` or `null` into an "order" without id, and an answer to somebody
else's question into one with a foreign id. Numbers arrive as text (ccxt's `number` is str), so no
digit is lost.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from trading.exchange import Fault, Unreachable
from trading.market import (
    EXACT,
    FillReport,
    Holding,
    OrderReport,
    OrderRequest,
    OrderStatus,
    OrderType,
    Quote,
    Side,
    quantize,
)

ZERO = Decimal(0)
#: ccxt's order statuses, and Binance's own where ccxt passes them on.
STATUSES: Mapping[str, OrderStatus] = {
    "open": OrderStatus.OPEN,
    "canceling": OrderStatus.OPEN,
    "PENDING_NEW": OrderStatus.OPEN,
    "closed": OrderStatus.FILLED,
    "canceled": OrderStatus.CANCELED,
    "expired": OrderStatus.EXPIRED,
    "rejected": OrderStatus.REJECTED,
}


def bad(text: str) -> Unreachable:
    """Return the error for an answer that cannot be believed; an order's outcome is unknown."""
    return Unreachable(Fault.BAD_ANSWER, text, sent=True)


def number(value: object, what: str) -> Decimal:
    """Return a finite, non-negative number from an answer, or raise BAD_ANSWER naming `what`."""
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        raise bad(f"{what} is missing or no number") from None
    if not found.is_finite() or found < 0:
        raise bad(f"{what} is {found}")
    return found


def order_report(
    order: Mapping[str, Any], request: OrderRequest, fills: tuple[FillReport, ...] | None = None
) -> OrderReport:
    """Return the report of `request` from ccxt's order; BAD_ANSWER if it is not that order.

    `fills`: those fetched separately; None takes what came with the order.
    """
    if not order.get("id") or order.get("clientOrderId") != request.client_order_id:
        raise bad("the answer is not about this order")
    if order.get("symbol") != request.symbol or order.get("side") != request.side:
        raise bad("the answer is about another market or side")
    amount = number(order.get("amount"), "the order's amount")
    filled = number(order.get("filled"), "the order's filled amount")
    if amount != request.amount or filled > amount:
        raise bad(f"the order has amount {amount}, filled {filled}; sent {request.amount}")
    status = STATUSES.get(str(order.get("status")))
    if status is None:
        raise bad(f"unknown order status {str(order.get('status'))[:40]!r}")
    at = order.get("lastUpdateTimestamp") or order.get("timestamp")
    if not isinstance(at, int):
        raise bad("the order has no time")
    if fills is None:
        fills = fill_reports(order.get("trades") or (), at=at)
    if sum((fill.amount for fill in fills), ZERO) > filled:
        raise bad("the order's fills are more than what was filled")
    return OrderReport(
        client_order_id=request.client_order_id,
        exchange_order_id=str(order["id"]),
        symbol=request.symbol,
        side=request.side,
        status=_status(status, amount, filled),
        amount=amount,
        filled=filled,
        average=_average(order, filled),
        at=at,
        fills=fills,
    )


def is_about(answer: object, client_order_id: str) -> bool:
    """Whether the answer to a cancellation names this order, alone or as a leg of its pair."""
    info = answer.get("info") if isinstance(answer, Mapping) else None
    if not isinstance(info, Mapping):
        return False
    # A cancellation has an id of its own; that of the order is then the "original" one.
    names = ("origClientOrderId", "clientOrderId", "clientAlgoId")
    legs = info.get("orderReports")
    parts = [info, *(legs if isinstance(legs, list) else ())]
    return any(
        isinstance(part, Mapping) and client_order_id in [part.get(name) for name in names]
        for part in parts
    )


def listed_report(order: Mapping[str, Any], symbol: str) -> OrderReport:
    """Return the report of an order that a list of the market's orders names, ours or not.

    What is odd about somebody else's order must not keep us from ours: a status that nobody
    knows is UNKNOWN, a missing amount is what was filled. Without an id, or of another market: bad.
    """
    if not order.get("id") or order.get("symbol") != symbol:
        raise bad("the list names no order of this market")
    if order.get("side") not in tuple(Side):
        raise bad("the list names an order that neither buys nor sells")
    filled = number(order.get("filled") or 0, "an order's filled amount")
    amount = max(number(order.get("amount") or 0, "an order's amount"), filled)
    status = STATUSES.get(str(order.get("status")), OrderStatus.UNKNOWN)
    if status is OrderStatus.OPEN and filled:
        status = OrderStatus.PARTIAL
    at = order.get("lastUpdateTimestamp") or order.get("timestamp")
    if not isinstance(at, int):
        raise bad("the list names an order without a time")
    return OrderReport(
        client_order_id=str(order.get("clientOrderId") or ""),
        exchange_order_id=str(order["id"]),
        symbol=symbol,
        side=Side(str(order["side"])),
        status=status,
        amount=amount,
        filled=filled,
        average=_average(order, filled) if order.get("cost") is not None else None,
        at=at,
        type=_type(order),
        price=_positive(order.get("price")),
        trigger=_positive(order.get("triggerPrice")),
    )


def _type(order: Mapping[str, Any]) -> OrderType | None:
    """Return what kind of order it is. ccxt calls a stop what it becomes, "market" or "limit"."""
    info = order.get("info")
    raw = info.get("type") or info.get("orderType") if isinstance(info, Mapping) else None
    said = str(raw or order.get("type") or "").lower()
    if "take_profit" in said:
        return OrderType.TARGET
    if "stop" in said:
        return OrderType.STOP
    return {"market": OrderType.MARKET, "limit": OrderType.LIMIT}.get(said)


def _positive(value: object) -> Decimal | None:
    """Return a price, None where none is told (or 0, which exchanges tell of market orders)."""
    if value is None:
        return None
    found = number(value, "an order's price")
    return found if found > 0 else None


def _status(status: OrderStatus, amount: Decimal, filled: Decimal) -> OrderStatus:
    if status is OrderStatus.OPEN and filled:
        return OrderStatus.PARTIAL
    if status is OrderStatus.FILLED and filled < amount:
        raise bad(f"the order is done, but only {filled} of {amount} filled")
    return status


def _average(order: Mapping[str, Any], filled: Decimal) -> Decimal | None:
    if not filled:
        return None
    return quantize(EXACT.divide(number(order.get("cost"), "the order's value"), filled))


def fill_reports(
    trades: Iterable[Mapping[str, Any]], *, at: int, order_id: str | None = None
) -> tuple[FillReport, ...]:
    """Return fills from ccxt's trades, each trade id once, oldest first.

    `at` (Unix ms) stands in where a trade has no time: the fills inside a create answer. With
    `order_id`, trades of another order are BAD_ANSWER.
    """
    found: dict[str, FillReport] = {}
    for trade in trades:
        if not trade.get("id"):
            raise bad("a fill without id")
        if order_id is not None and str(trade.get("order")) != order_id:
            raise bad("a fill of another order")
        fee = trade.get("fee") or {}
        price = number(trade.get("price"), "a fill's price")
        amount = number(trade.get("amount"), "a fill's amount")
        if not price or not amount:
            raise bad("a fill of nothing")
        cost = number(fee.get("cost"), "a fill's fee") if fee.get("cost") is not None else ZERO
        if cost and not fee.get("currency"):
            raise bad("a fee in no currency")
        found[str(trade["id"])] = FillReport(
            trade_id=str(trade["id"]),
            price=price,
            amount=amount,
            quote=number(trade.get("cost"), "a fill's value"),
            fee=cost,
            fee_currency=str(fee.get("currency") or ""),
            at=trade.get("timestamp") or at,
        )
    return tuple(found.values())


def holdings(balance: Mapping[str, Any]) -> Mapping[str, Holding]:
    """Return the holdings that are not zero from ccxt's balance, keyed by currency."""
    free, used = balance.get("free"), balance.get("used")
    if not isinstance(free, Mapping) or not isinstance(used, Mapping):
        raise bad("the answer is no balance")
    found = {}
    for currency in free:
        holding = Holding(
            free=number(free[currency], f"free {currency}"),
            used=number(used.get(currency) or 0, f"used {currency}"),
        )
        if holding.total:
            found[currency] = holding
    return found


def ticker_quote(ticker: Mapping[str, Any], symbol: str, now: int) -> Quote:
    """Return the quote from ccxt's ticker; `now` stands in for a missing time."""
    if ticker.get("symbol") != symbol:
        raise bad("the ticker is of another market")
    bid, ask, last = (number(ticker.get(name), f"the {name}") for name in ("bid", "ask", "last"))
    at = ticker.get("timestamp")
    return Quote(symbol=symbol, bid=bid, ask=ask, last=last, at=at if isinstance(at, int) else now)


def candle_rows(answer: object) -> list[tuple[float, ...]]:
    """Return candles as rows of numbers (time ms, open, high, low, close, volume).

    What they say is checked elsewhere; here only that they are candles at all.
    """
    if not isinstance(answer, list):
        raise bad("the answer is no list of candles")
    try:
        return [
            (int(row[0]), *(float(cell) for cell in row[1:6])) for row in answer if len(row) > 5
        ]
    except (TypeError, ValueError, KeyError):
        raise bad("the answer is no list of candles") from None


def rate_rows(answer: object) -> list[tuple[int, Decimal]]:
    """Return funding rates as (time ms, fraction that longs pay), oldest first."""
    if not isinstance(answer, list):
        raise bad("the answer is no list of funding rates")
    found = []
    for row in answer:
        try:
            at, value = row["timestamp"], Decimal(str(row["fundingRate"]))
        except (TypeError, KeyError):
            raise bad("the answer is no list of funding rates") from None
        except InvalidOperation:
            raise bad("a funding rate is missing or no number") from None
        if not isinstance(at, int) or not value.is_finite() or abs(value) >= 1:
            raise bad(f"a funding rate is {value} at {at}")
        found.append((at, value))
    return sorted(found)
