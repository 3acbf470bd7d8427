"""The paper exchange: real prices, simulated fills, a balance kept by the caller's book."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal, localcontext

from trading.exchange import Can, Fault, Feed, Refused, Rejected, Unreachable, Unusable
from trading.exchanges.book import Book, Resting
from trading.exchanges.checks import before_sending, check_order, need
from trading.execution import fill_market
from trading.fills import cost_margin
from trading.market import (
    EXACT,
    Candles,
    FillReport,
    FundingReport,
    Holding,
    KeyRights,
    OrderReport,
    OrderRequest,
    OrderStatus,
    OrderType,
    PositionReport,
    Quote,
    Rules,
    Side,
    quantize,
)
from trading.market_data import MarketData


class PaperExchange:
    """Implements trading.exchange.Exchange for one paper account.

    Market orders fill at once and whole, by execution.fill_market; the book commits the fill
    under its client order id, so a repeated order is the stored one, and "not found" is final.
    A limit order that the price does not meet rests: whether it has filled, whole and at its own
    price, is judged by the price at the moment somebody asks.
    `fee_rate` and `slippage` are fractions (0.001 is 0.1 %); fee_rate None: the market's own,
    for orders that rested its maker fee.
    """

    can: frozenset[Can] = frozenset()
    fence_ms: int | None = 0

    def __init__(
        self,
        feed: Feed,
        book: Book,
        data: MarketData,
        *,
        fee_rate: Decimal | None = None,
        slippage: Decimal = Decimal("0.0005"),
    ) -> None:
        self.name = feed.name
        self.key = feed.key
        self._feed = feed
        self._book = book
        self._data = data
        self._fee_rate = fee_rate
        self._slippage = slippage

    def now(self) -> int:
        """Return the feed's time, Unix ms."""
        return self._feed.now()

    def symbols(self) -> Mapping[str, Rules]:
        """Return the feed's markets."""
        return self._feed.symbols()

    def rules(self, symbol: str) -> Rules:
        """Return one of the feed's markets."""
        return self._feed.rules(symbol)

    def candles(self, symbol: str, timeframe: str, count: int) -> Candles:
        """Return the feed's candles."""
        return self._feed.candles(symbol, timeframe, count)

    def quote(self, symbol: str) -> Quote:
        """Return the feed's quote."""
        return self._feed.quote(symbol)

    def place(self, request: OrderRequest) -> OrderReport:
        """Fill an order at the price shared by all bots of the process, or let it rest.

        Rejected: MARKET_HALTED, MARKET_UNKNOWN, BELOW_MINIMUM, INSUFFICIENT_FUNDS (need and have
        in the text), ORDER_REJECTED. Without a price to be believed: Unreachable with sent False.
        """
        stored = self._book.find(request.client_order_id)
        if stored is not None:
            return stored
        if request.type in (OrderType.STOP, OrderType.TARGET):
            raise Rejected(Fault.ORDER_REJECTED, "paper accounts take no stop orders")
        try:
            rules = self._data.rules(self._feed, request.symbol)
            quote = self._data.quote(self._feed, request.symbol)
            at = self._feed.now()
        except (Unreachable, Unusable) as error:
            raise before_sending(error) from error
        touch = quote.ask if request.side is Side.BUY else quote.bid
        check_order(request, rules, request.price or touch)
        if request.price is None or _meets(request.side, request.price, quote):
            return self._take(request, quote, rules, at)
        return self._rest(request, request.price, rules, at)

    def _take(self, request: OrderRequest, quote: Quote, rules: Rules, at: int) -> OrderReport:
        if request.type is OrderType.POST_ONLY:
            raise Rejected(Fault.ORDER_REJECTED, f"{rules.symbol}: the order would trade at once")
        rate = self._rate(rules)
        fill = fill_market(request, quote, self._slippage, rate, rules, at)
        if request.price is not None and _is_worse(request.side, fill.price, request.price):
            fill = _fill(request.client_order_id, request.price, request.amount, rate, rules, at)
        deltas = _deltas(request.side, fill, rules)
        self._check_funds(deltas)
        return self._book.record(_filled(_open(request, at), fill), deltas)

    def _rest(self, request: OrderRequest, price: Decimal, rules: Rules, at: int) -> OrderReport:
        maker = rules.maker_fee if self._fee_rate is None else self._fee_rate
        with localcontext(EXACT):
            value = quantize(price * request.amount)
            fee = quantize(value * maker)
            is_buy = request.side is Side.BUY
            held = value + fee if is_buy else request.amount
        currency = rules.quote if is_buy else rules.base
        self._check_funds({currency: -held})
        report = _open(request, at)
        order = Resting(report=report, price=price, fee=fee, currency=currency, held=held)
        return self._book.rest(order)

    def place_pair(
        self, stop: OrderRequest, target: OrderRequest
    ) -> tuple[OrderReport, OrderReport]:
        """Raise Rejected: stops and targets of paper accounts are watched, not placed."""
        raise Rejected(Fault.ORDER_REJECTED, "paper accounts take no stop orders")

    def find(self, request: OrderRequest, exchange_order_id: str = "") -> OrderReport | None:
        """Return the order from the book; None is final: an order that comes later is refused.

        An open one is compared with the price now; without a price to be believed: Unreachable.
        """
        report = self._book.conclude(request.client_order_id)
        if report is None or report.status.is_final:
            return report
        try:
            return self._judge(report)
        except Unusable as error:
            raise Unreachable(error.fault, error.text, sent=False) from error

    def _judge(self, report: OrderReport) -> OrderReport:
        """Fill an open order if the price now is at its limit or beyond."""
        name = report.client_order_id
        order = next((o for o in self._book.resting() if o.report.client_order_id == name), None)
        if order is None:  # made final by somebody else just now
            return self._book.find(name) or report
        return self._judge_at(order, self._data.quote(self._feed, report.symbol))

    def _judge_at(self, order: Resting, quote: Quote) -> OrderReport:
        report = order.report
        if not _meets(report.side, order.price, quote):
            return report
        rules, name = self._data.rules(self._feed, report.symbol), report.client_order_id
        fill = _fill(name, order.price, report.amount, Decimal(0), rules, self._feed.now())
        filled = _filled(report, replace(fill, fee=order.fee))
        return self._book.close(filled, order.deltas(rules.base, rules.quote))

    def cancel(self, request: OrderRequest, exchange_order_id: str = "") -> None:
        """Cancel an open order; Rejected when there is none, or when the price just filled it."""
        report = self._book.find(request.client_order_id)
        if report is not None and not report.status.is_final:
            with suppress(Unreachable, Unusable):  # without a price it has not been filled
                report = self._judge(report)
            if not report.status.is_final:
                gone = replace(report, status=OrderStatus.CANCELED, at=self._feed.now())
                report = self._book.close(gone, {})
                if report.status is OrderStatus.CANCELED:
                    return
        raise Rejected(Fault.ORDER_REJECTED, "there is no open order to cancel")

    def open_orders(self, symbol: str) -> Sequence[OrderReport]:
        """Return the orders that rest at the price now; Unreachable without one to be believed."""
        mine = [order for order in self._book.resting() if order.report.symbol == symbol]
        if not mine:
            return []
        try:
            quote = self._data.quote(self._feed, symbol)
        except Unusable as error:
            raise Unreachable(error.fault, error.text, sent=False) from error
        told = [self._judge_at(order, quote) for order in mine]
        return [report for report in told if not report.status.is_final]

    def history(self, symbol: str, since: int) -> Sequence[OrderReport]:
        """Return the market's orders that changed since then."""
        return [report for report in self._book.since(since) if report.symbol == symbol]

    def balance(self) -> Mapping[str, Holding]:
        """Return the book's holdings."""
        return self._book.balance()

    def cost_margin(self, rules: Rules, ask: Decimal) -> Decimal:
        """Return what slippage, up to the next tick, and the fee add to a buy at `ask`."""
        return cost_margin(ask, self._slippage, self._rate(rules), rules)

    def rights(self) -> KeyRights:
        """Return what a paper account may: trade, and nothing that leaves it."""
        return KeyRights(may_trade=True, may_withdraw=False)

    def prepare(self, symbol: str, leverage: int) -> None:
        """Raise Refused: a paper account has neither margin nor leverage."""
        raise _no_futures()

    def position(self, symbol: str) -> PositionReport:
        """Raise Refused: a paper account holds coins, no positions."""
        raise _no_futures()

    def funding(self, symbol: str, since: int) -> Sequence[FundingReport]:
        """Raise Refused: a paper account pays no funding."""
        raise _no_futures()

    def _rate(self, rules: Rules) -> Decimal:
        return rules.taker_fee if self._fee_rate is None else self._fee_rate

    def _check_funds(self, deltas: Mapping[str, Decimal]) -> None:
        holdings = self._book.balance()
        for currency, delta in deltas.items():
            free = holdings.get(currency, Holding()).free
            if free + delta < 0 > delta:
                raise Rejected(Fault.INSUFFICIENT_FUNDS, need(-delta, free, currency))


def _deltas(side: Side, fill: FillReport, rules: Rules) -> Mapping[str, Decimal]:
    with localcontext(EXACT):
        if side is Side.BUY:
            return {rules.quote: -(fill.quote + fill.fee), rules.base: fill.amount}
        return {rules.base: -fill.amount, rules.quote: fill.quote - fill.fee}


def _meets(side: Side, price: Decimal, quote: Quote) -> bool:
    """Whether an order with this limit would trade at once."""
    return quote.ask <= price if side is Side.BUY else quote.bid >= price


def _is_worse(side: Side, price: Decimal, limit: Decimal) -> bool:
    return price > limit if side is Side.BUY else price < limit


def _fill(
    name: str, price: Decimal, amount: Decimal, rate: Decimal, rules: Rules, at: int
) -> FillReport:
    with localcontext(EXACT):
        value = quantize(price * amount)
        return FillReport(
            trade_id=f"{name}-1",
            price=price,
            amount=amount,
            quote=value,
            fee=quantize(value * rate),
            fee_currency=rules.quote,
            at=at,
        )


def _open(request: OrderRequest, at: int) -> OrderReport:
    return OrderReport(
        client_order_id=request.client_order_id,
        exchange_order_id=f"paper-{request.client_order_id}",
        symbol=request.symbol,
        side=request.side,
        status=OrderStatus.OPEN,
        amount=request.amount,
        filled=Decimal(0),
        average=None,
        at=at,
    )


def _filled(report: OrderReport, fill: FillReport) -> OrderReport:
    return replace(
        report,
        status=OrderStatus.FILLED,
        filled=fill.amount,
        average=fill.price,
        at=fill.at,
        fills=(fill,),
    )


def _no_futures() -> Refused:
    return Refused(Fault.CLIENT, "paper accounts trade spot only")
