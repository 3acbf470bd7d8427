"""The paper exchange: real prices, simulated fills, a balance kept by the caller's book."""

from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal, localcontext
from typing import Protocol

from trading.exchange import Fault, Feed, Rejected, Unreachable, Unusable
from trading.exchanges.checks import before_sending, check_order, need
from trading.execution import buy_price, fill_market
from trading.market import (
    EXACT,
    QUANTUM,
    Candles,
    FillReport,
    Holding,
    KeyRights,
    OrderReport,
    OrderRequest,
    OrderStatus,
    OrderType,
    Quote,
    Rules,
    Side,
)
from trading.market_data import MarketData


class Book(Protocol):
    """Where a paper account lives. `record` is one transaction: answer, fill and balance."""

    def find(self, client_order_id: str) -> OrderReport | None:
        """Return the order stored under this client order id, with its fills."""
        ...

    def conclude(self, client_order_id: str) -> OrderReport | None:
        """As `find`; where there is none, `record` refuses that client order id from now on."""
        ...

    def record(self, report: OrderReport, deltas: Mapping[str, Decimal]) -> OrderReport:
        """Store the order and add `deltas` (currency -> change) to the balance.

        Returns the stored order when that client order id is there already (nothing is added
        again). Raises Rejected: INSUFFICIENT_FUNDS when a balance would fall below zero,
        ORDER_REJECTED for one that was concluded before it came.
        """
        ...

    def balance(self) -> Mapping[str, Holding]:
        """Return the holdings that are not zero, keyed by currency."""
        ...


class PaperExchange:
    """Implements trading.exchange.Exchange for one paper account.

    Market orders fill at once and whole, by execution.fill_market; the book commits the fill
    under its client order id, so a repeated order is the stored one, and "not found" is final.
    `fee_rate` and `slippage` are fractions (0.001 is 0.1 %); fee_rate None: the market's own.
    """

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
        """Fill a market order at the price shared by all bots of the process.

        Rejected: MARKET_HALTED, MARKET_UNKNOWN, BELOW_MINIMUM, INSUFFICIENT_FUNDS (need and have
        in the text), ORDER_REJECTED. Without a price to be believed: Unreachable with sent False.
        """
        stored = self._book.find(request.client_order_id)
        if stored is not None:
            return stored
        if request.type is not OrderType.MARKET:
            raise Rejected(Fault.ORDER_REJECTED, "paper accounts take market orders only")
        try:
            rules = self._data.rules(self._feed, request.symbol)
            quote = self._data.quote(self._feed, request.symbol)
            at = self._feed.now()
        except (Unreachable, Unusable) as error:
            raise before_sending(error) from error
        check_order(request, rules, quote.ask if request.side is Side.BUY else quote.bid)
        fill = fill_market(request, quote, self._slippage, self._rate(rules), rules, at)
        deltas = _deltas(request.side, fill, rules)
        self._check_funds(deltas)
        return self._book.record(_report(request, fill), deltas)

    def find(self, request: OrderRequest, exchange_order_id: str = "") -> OrderReport | None:
        """Return the order from the book; None is final: an order that comes later is refused."""
        return self._book.conclude(request.client_order_id)

    def cancel(self, request: OrderRequest, exchange_order_id: str = "") -> None:
        """Raise Rejected: a paper order is filled the moment it is there."""
        raise Rejected(Fault.ORDER_REJECTED, "there is no open order to cancel")

    def balance(self) -> Mapping[str, Holding]:
        """Return the book's holdings."""
        return self._book.balance()

    def cost_margin(self, rules: Rules, ask: Decimal) -> Decimal:
        """Return what slippage, up to the next tick, and the fee add to a buy at `ask`."""
        with localcontext(EXACT):
            paid = buy_price(ask, self._slippage, rules) * (1 + self._rate(rules))
            return (paid / ask - 1).quantize(QUANTUM, ROUND_CEILING)

    def rights(self) -> KeyRights:
        """Return what a paper account may: trade, and nothing that leaves it."""
        return KeyRights(may_trade=True, may_withdraw=False)

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


def _report(request: OrderRequest, fill: FillReport) -> OrderReport:
    return OrderReport(
        client_order_id=request.client_order_id,
        exchange_order_id=f"paper-{request.client_order_id}",
        symbol=request.symbol,
        side=request.side,
        status=OrderStatus.FILLED,
        amount=request.amount,
        filled=fill.amount,
        average=fill.price,
        at=fill.at,
        fills=(fill,),
    )
