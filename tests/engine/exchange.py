"""An account on the scripted market whose answers may come late, in parts, or never."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal, localcontext

from tests.engine.market import Market
from trading.exchange import ExchangeError, Fault, Rejected
from trading.market import (
    EXACT,
    Candles,
    FillReport,
    Holding,
    KeyRights,
    OrderReport,
    OrderRequest,
    OrderStatus,
    Quote,
    Rules,
    Side,
)


class ScriptedExchange:
    """Implements trading.exchange.Exchange on a Market.

    `refuse` is raised before an order is taken, `lose_answer` after it was executed. `parts` are
    the shares in which an order fills, of which the first `visible` are told (None: all); `lags`
    fills are missing from an answer that counts them already.
    `rate` in `fee_currency` is the fee: of the value in quote, of the amount in base, else flat.
    """

    fence_ms: int | None = 20_000

    def __init__(self, market: Market, *, usdt: str = "10000") -> None:
        self.name = market.name
        self.market = market
        self.key = market.key
        self.holdings = {"USDT": Decimal(usdt)}
        self.requests: list[OrderRequest] = []
        self.taken: dict[str, OrderReport] = {}
        self.refuse: ExchangeError | None = None
        self.lose_answer: ExchangeError | None = None
        self.find_error: ExchangeError | None = None
        self.on_place: Callable[[], object] | None = None
        self.parts: tuple[str, ...] = ("1",)
        self.visible: int | None = None
        self.lags = 0
        self.end = OrderStatus.FILLED
        self.fee_currency = "USDT"
        self.rate = Decimal("0.001")
        self.times: tuple[int, ...] = ()

    def now(self) -> int:
        return self.market.now()

    def symbols(self) -> Mapping[str, Rules]:
        return self.market.symbols()

    def rules(self, symbol: str) -> Rules:
        return self.market.rules(symbol)

    def candles(self, symbol: str, timeframe: str, count: int) -> Candles:
        return self.market.candles(symbol, timeframe, count)

    def quote(self, symbol: str) -> Quote:
        return self.market.quote(symbol)

    def place(self, request: OrderRequest) -> OrderReport:
        self.requests.append(request)
        if self.on_place is not None:
            hook, self.on_place = self.on_place, None
            hook()
        if self.refuse is not None:
            raise self.refuse
        self._execute(request)
        if self.lose_answer is not None:
            raise self.lose_answer
        return self.told(request.client_order_id)

    def find(self, request: OrderRequest, exchange_order_id: str = "") -> OrderReport | None:
        if self.find_error is not None:
            raise self.find_error
        known = request.client_order_id in self.taken
        return self.told(request.client_order_id) if known else None

    def cancel(self, request: OrderRequest, exchange_order_id: str = "") -> None:
        raise Rejected(Fault.ORDER_REJECTED, "there is no open order to cancel")

    def balance(self) -> Mapping[str, Holding]:
        return {name: Holding(free=free) for name, free in self.holdings.items() if free}

    def cost_margin(self, rules: Rules, ask: Decimal) -> Decimal:
        return rules.taker_fee

    def rights(self) -> KeyRights:
        return KeyRights(may_trade=True, may_withdraw=False)

    def told(self, client_order_id: str) -> OrderReport:
        """Return the order as far as this exchange tells now."""
        report = self.taken[client_order_id]
        if self.visible is None:
            return replace(report, fills=report.fills[: len(report.fills) - self.lags])
        fills = report.fills[: self.visible]
        status = OrderStatus.PARTIAL if fills else OrderStatus.OPEN
        filled = sum((fill.amount for fill in fills), Decimal(0))
        return replace(report, status=status, filled=filled, fills=fills)

    def _execute(self, request: OrderRequest) -> None:
        price = self.market.price
        with localcontext(EXACT):
            fills = tuple(self._fill(request, index, price) for index in range(len(self.parts)))
        filled = sum((fill.amount for fill in fills), Decimal(0))
        self.taken[request.client_order_id] = OrderReport(
            client_order_id=request.client_order_id,
            exchange_order_id=f"x{len(self.taken) + 1}-{self.key}",
            symbol=request.symbol,
            side=request.side,
            status=self.end,
            amount=request.amount,
            filled=filled,
            average=price,
            at=self.now(),
            fills=fills,
        )
        sign = 1 if request.side is Side.BUY else -1
        for fill in fills:
            base = request.symbol.partition("/")[0]
            self._add(base, sign * fill.amount)
            self._add("USDT", -sign * fill.quote)
            if fill.fee_currency in (base, "USDT"):
                self._add(fill.fee_currency, -fill.fee)

    def _fill(self, request: OrderRequest, index: int, price: Decimal) -> FillReport:
        amount = request.amount * Decimal(self.parts[index])
        base = request.symbol.partition("/")[0]
        fee = self.rate
        if self.fee_currency == "USDT":
            fee = amount * price * self.rate
        elif self.fee_currency == base:
            fee = amount * self.rate
        return FillReport(
            trade_id=f"{request.client_order_id}-{index + 1}",
            price=price,
            amount=amount,
            quote=amount * price,
            fee=fee,
            fee_currency=self.fee_currency,
            at=self.times[index] if self.times else self.now(),
        )

    def _add(self, currency: str, delta: Decimal) -> None:
        self.holdings[currency] = self.holdings.get(currency, Decimal(0)) + delta
