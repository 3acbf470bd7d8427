"""An account on the scripted market whose answers may come late, in parts, or never."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal, localcontext

from tests.engine.market import Market
from trading.exchange import Can, ExchangeError, Fault, Rejected
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
)
from trading.wallets import TransferReport, Wallet


class ScriptedExchange:
    """Implements trading.exchange.Exchange on a Market.

    `refuse` is raised before an order is taken, `lose_answer` after it was executed. `parts` are
    the shares in which an order fills, of which the first `visible` are told (None: all); `lags`
    fills are missing from an answer that counts them already.
    `rate` in `fee_currency` is the fee: of the value in quote, of the amount in base, else flat.

    Market orders fill at once. All others rest, unless `rests` is False, until the market's price
    meets them when somebody asks; `fill` fills a share of one, at any time, also after its cancel.
    `foreign` are orders of the account that are not ours. `on_place` and `on_cancel` are called
    once, before the order is taken or cancelled. With Can.FUTURES in `can` fills make a position
    instead of coins (parts in whole steps of the market), and what is reduce-only is cut to it, or
    rejected where there is none; `prepared` and `payments` are what was asked for and what funding
    came.
    `moved` are the transfers between wallets; `refuse` and `lose_answer` hold for them as well.
    """

    fence_ms: int | None = 20_000

    def __init__(
        self, market: Market, *, usdt: str = "10000", can: frozenset[Can] = frozenset()
    ) -> None:
        self.name = market.name
        self.market = market
        self.key = market.key
        self.can = can
        self.holdings = {"USDT": Decimal(usdt)}
        self.requests: list[OrderRequest] = []
        self.taken: dict[str, OrderReport] = {}
        self.resting: dict[str, OrderRequest] = {}
        self.partner: dict[str, str] = {}
        self.cancelled: list[str] = []
        self.foreign: list[OrderReport] = []
        self.refuse: ExchangeError | None = None
        self.refuse_pair: ExchangeError | None = None
        self.lose_answer: ExchangeError | None = None
        self.find_error: ExchangeError | None = None
        self.cancel_error: ExchangeError | None = None
        self.list_error: ExchangeError | None = None
        self.on_place: Callable[[], object] | None = None
        self.on_cancel: Callable[[], object] | None = None
        self.rests = True
        self.parts: tuple[str, ...] = ("1",)
        self.visible: int | None = None
        self.lags = 0
        self.end = OrderStatus.FILLED
        self.fee_currency = "USDT"
        self.rate = Decimal("0.001")
        self.times: tuple[int, ...] = ()
        self.prepared: list[tuple[str, int]] = []
        self.payments: list[FundingReport] = []
        self.positions: dict[str, PositionReport] = {}
        self.moved: list[tuple[Wallet, TransferReport]] = []
        self.transfer_calls = 0

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
        self._take(request)
        if self.lose_answer is not None:
            raise self.lose_answer
        return self.told(request.client_order_id)

    def place_pair(
        self, stop: OrderRequest, target: OrderRequest
    ) -> tuple[OrderReport, OrderReport]:
        self.requests += [stop, target]
        if self.refuse_pair is not None:
            raise self.refuse_pair
        for one, other in ((stop, target), (target, stop)):
            self.partner[one.client_order_id] = other.client_order_id
            self._take(one)
        if self.lose_answer is not None:
            raise self.lose_answer
        return self.told(stop.client_order_id), self.told(target.client_order_id)

    def find(self, request: OrderRequest, exchange_order_id: str = "") -> OrderReport | None:
        if self.find_error is not None:
            raise self.find_error
        self._judge()
        known = request.client_order_id in self.taken
        return self.told(request.client_order_id) if known else None

    def cancel(self, request: OrderRequest, exchange_order_id: str = "") -> None:
        if self.on_cancel is not None:
            hook, self.on_cancel = self.on_cancel, None
            hook()
        self._judge()
        name = request.client_order_id
        if name not in self.resting:
            raise Rejected(Fault.ORDER_REJECTED, "there is no open order to cancel")
        self._end(name, OrderStatus.CANCELED)
        self.cancelled.append(name)
        if name in self.partner and self.partner[name] in self.resting:
            self._end(self.partner[name], OrderStatus.CANCELED)
        if self.cancel_error is not None:
            raise self.cancel_error

    def open_orders(self, symbol: str) -> Sequence[OrderReport]:
        return [report for report in self.history(symbol, 0) if not report.status.is_final]

    def history(self, symbol: str, since: int) -> Sequence[OrderReport]:
        if self.list_error is not None:
            raise self.list_error
        self._judge()
        reports = [*self.taken.values(), *self.foreign]
        return [
            replace(report, fills=())
            for report in reports
            if report.symbol == symbol and report.at >= since
        ]

    def prepare(self, symbol: str, leverage: int) -> None:
        self.prepared.append((symbol, leverage))

    def position(self, symbol: str) -> PositionReport:
        self._judge()
        if symbol in self.positions:
            return self.positions[symbol]
        amount = self._units(symbol)
        return PositionReport(symbol=symbol, amount=amount, mark_price=self.market.price)

    def funding(self, symbol: str, since: int) -> Sequence[FundingReport]:
        return [paid for paid in self.payments if paid.symbol == symbol and paid.at >= since]

    def transfer(self, currency: str, amount: Decimal, source: Wallet, target: Wallet) -> str:
        self.transfer_calls += 1
        if self.on_place is not None:
            hook, self.on_place = self.on_place, None
            hook()
        if self.refuse is not None:
            raise self.refuse
        name = f"t{len(self.moved) + 1}"
        report = TransferReport(
            transfer_id=name, currency=currency, amount=amount, at=self.now(), is_done=True
        )
        self.moved.append((source, report))
        if self.lose_answer is not None:
            raise self.lose_answer
        return name

    def transfers(
        self, currency: str, source: Wallet, *, since: int, until: int
    ) -> Sequence[TransferReport]:
        if self.list_error is not None:
            raise self.list_error
        return [
            report
            for wallet, report in self.moved
            if wallet is source and report.currency == currency and since <= report.at <= until
        ]

    def balance(self) -> Mapping[str, Holding]:
        self._judge()
        held: dict[str, Decimal] = {}
        if Can.FUTURES not in self.can:
            held = self._held()
        return {
            name: Holding(free=units - held.get(name, 0), used=held.get(name, Decimal(0)))
            for name, units in self.holdings.items()
            if units
        }

    def fill(self, client_order_id: str, share: str = "1", *, price: str | None = None) -> None:
        """Fill this share of an order's amount, at its own price, its trigger or `price`."""
        report = self.taken[client_order_id]
        request = next(r for r in self.requests if r.client_order_id == client_order_id)
        at = Decimal(price) if price else request.price or request.trigger or self.market.price
        amount = min(report.amount * Decimal(share), report.amount - report.filled)
        with localcontext(EXACT):
            self._book(report, (self._fill(request, len(report.fills), at, amount),))
        partner = self.partner.get(client_order_id)
        if partner in self.resting:
            self._end(partner, OrderStatus.EXPIRED)

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

    def _take(self, request: OrderRequest) -> None:
        is_market = request.type is OrderType.MARKET
        amount = request.amount
        if is_market and request.reduce_only and not (amount := self._reducible(request)):
            raise Rejected(Fault.ORDER_REJECTED, "-2022 ReduceOnly Order is rejected.")
        report = OrderReport(
            client_order_id=request.client_order_id,
            exchange_order_id=f"x{len(self.taken) + 1}-{self.key}",
            symbol=request.symbol,
            side=request.side,
            status=OrderStatus.OPEN,
            amount=amount,
            filled=Decimal(0),
            average=None,
            at=self.now(),
            type=request.type,
            price=request.price,
            trigger=request.trigger,
        )
        self.taken[request.client_order_id] = report
        if not is_market and self.rests:
            self.resting[request.client_order_id] = request
            return
        self._execute(request, self.market.price)

    def _execute(self, request: OrderRequest, price: Decimal) -> None:
        """Fill what there is of an order, in parts, and end it."""
        report = self.taken[request.client_order_id]
        with localcontext(EXACT):
            fills = tuple(
                self._fill(request, index, price, share)
                for index, share in enumerate(self._shares(report), len(report.fills))
            )
        self._book(report, fills)
        self._end(request.client_order_id, self.end)

    def _shares(self, report: OrderReport) -> list[Decimal]:
        """Return the base amounts in which an order fills."""
        shares = [report.amount * Decimal(part) for part in self.parts]
        if Can.FUTURES not in self.can:
            return shares
        shares, wanted = [self.market.market.floor_amount(share) for share in shares], sum(shares)
        if shares and wanted == report.amount:
            shares[-1] += wanted - sum(shares)
        return [share for share in shares if share]

    def _judge(self) -> None:
        """Fill what the market's price meets."""
        price = self.market.price
        for name, request in list(self.resting.items()):
            if name not in self.resting or not self._is_met(request):
                continue
            if not request.reduce_only:
                self.fill(name, price=f"{price:f}" if request.price is None else None)
            elif amount := self._reducible(request):
                self.taken[name] = replace(self.taken[name], amount=amount)
                self._execute(request, price)
            else:
                self._end(name, OrderStatus.REJECTED)

    def _is_met(self, request: OrderRequest) -> bool:
        """Whether the market's price is where an order trades."""
        price = self.market.price
        level = request.trigger or request.price or price
        rises = (request.side is Side.SELL) != (request.type is OrderType.STOP)
        return price >= level if rises else price <= level

    def _units(self, symbol: str) -> Decimal:
        """Return the position that the fills made, negative when short."""
        amount = Decimal(0)
        for report in self.taken.values():
            if report.symbol == symbol:
                amount += report.filled if report.side is Side.BUY else -report.filled
        return amount

    def _reducible(self, request: OrderRequest) -> Decimal:
        """Return how much of a reduce-only order there is to reduce (base units)."""
        units = self._units(request.symbol)
        left = units if request.side is Side.SELL else -units
        return min(request.amount, max(left, Decimal(0)))

    def _book(self, report: OrderReport, fills: tuple[FillReport, ...]) -> None:
        """Add fills to an order, and what they bring and cost to the holdings."""
        all_fills = report.fills + fills
        filled = sum((fill.amount for fill in all_fills), Decimal(0))
        value = sum((fill.quote for fill in all_fills), Decimal(0))
        status = OrderStatus.FILLED if filled >= report.amount else OrderStatus.PARTIAL
        if report.status.is_final:
            status = report.status
        with localcontext(EXACT):
            average = value / filled if filled else None
        name = report.client_order_id
        self.taken[name] = replace(
            report, status=status, filled=filled, average=average, at=self.now(), fills=all_fills
        )
        if status is OrderStatus.FILLED:
            self.resting.pop(name, None)
        sign = 1 if report.side is Side.BUY else -1
        base = report.symbol.partition("/")[0]
        for fill in fills:
            if Can.FUTURES not in self.can:
                self._add(base, sign * fill.amount)
                self._add("USDT", -sign * fill.quote)
            if fill.fee_currency in (base, "USDT"):
                self._add(fill.fee_currency, -fill.fee)

    def _end(self, client_order_id: str, status: OrderStatus) -> None:
        self.resting.pop(client_order_id, None)
        report = self.taken[client_order_id]
        self.taken[client_order_id] = replace(report, status=status, at=self.now())

    def _held(self) -> dict[str, Decimal]:
        """What resting orders hold back; a pair holds its coins once."""
        held: dict[str, Decimal] = {}
        counted: set[str] = set()
        for name, request in self.resting.items():
            if self.partner.get(name) in counted:
                continue
            counted.add(name)
            left = request.amount - self.taken[name].filled
            price = request.price or request.trigger or Decimal(0)
            currency, amount = request.symbol.partition("/")[0], left
            if request.side is Side.BUY:
                currency, amount = "USDT", left * price
            held[currency] = held.get(currency, Decimal(0)) + amount
        return held

    def _fill(
        self, request: OrderRequest, index: int, price: Decimal, amount: Decimal
    ) -> FillReport:
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
