"""The ledger of a backtest: money, position and counters, folded by the engine's own functions."""

from datetime import date
from decimal import Decimal, localcontext

from trading import ladder, risk
from trading.backtest.plan import MINUTE_MS, Plan, instant
from trading.backtest.result import Order
from trading.day import day_end, local_day
from trading.execution import Decision, Record, fill_market
from trading.fills import cost_margin, fill_limit
from trading.ladder import BASE
from trading.market import EXACT, FillReport, OrderRequest, OrderType, Quote, Side, quantize
from trading.position import BookedFill, Position, apply
from trading.risk import STOPS, Day, Gate, Levels

ZERO = Decimal(0)


class Book:
    """What a bot's rows would say, and the conditions that its next decision is made under."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.quote, self.base = plan.funds, ZERO
        self.position = Position()
        #: The best price since the entry, by which a trailing stop is drawn.
        self.max_price: Decimal | None = None
        self.day = Day()
        self.days: dict[date, Day] = {}
        self.orders: list[Order] = []
        #: What the fills of each level of a ladder left.
        self.lots: ladder.Lots = {}
        self._day_ends_at = 0
        self._counter_day = date.min
        self._profit = self._profit_peak = ZERO
        self._since_opened = ZERO
        self._last_loss_at: int | None = None
        self._stop_exits: list[int] = []

    # -- what the next decision sees ----------------------------------------------------------
    def turn(self, at: int) -> None:
        """Begin a new trading day if the last one is over at `at` (Unix ms)."""
        if at < self._day_ends_at:
            return
        self._counter_day = local_day(self.plan.zone, instant(at))
        ends = day_end(self.plan.zone, self._counter_day)
        self._day_ends_at = round(ends.timestamp() * 1000)
        self.day = self.days.get(self._counter_day, Day())

    @property
    def day_ends_at(self) -> int:
        """When the current trading day is over (Unix ms)."""
        return self._day_ends_at

    def record(self, at: int) -> Record:
        """Return what the protections judge by at `at` (Unix ms)."""
        minutes = self.plan.settings.stop_guard_minutes or 0
        since = at - minutes * MINUTE_MS
        self._stop_exits = [stop for stop in self._stop_exits if stop > since]
        return Record(
            now=at,
            last_loss_at=self._last_loss_at,
            stop_exits=tuple(self._stop_exits),
            profit=self._profit,
            profit_peak=self._profit_peak,
        )

    def cost_margin(self, ask: Decimal) -> Decimal:
        """Return what fee and slippage add to a buy at `ask`, as a fraction."""
        plan = self.plan
        return cost_margin(ask, plan.costs.slippage, plan.fee_rate, plan.rules)

    # -- what an order does ---------------------------------------------------------------------
    def execute(self, decision: Decision, quote: Quote) -> None:
        """Fill the market order of a decision at this quote, and book it."""
        if decision.side is None or decision.amount is None or decision.price is None:
            raise ValueError(f"decision {decision.gate} has no order")
        plan = self.plan
        request = self.request(decision.side, OrderType.MARKET, decision.amount, None, quote.at)
        fill = fill_market(request, quote, plan.costs.slippage, plan.fee_rate, plan.rules, quote.at)
        is_entry = decision.action == "enter"
        self.take(
            decision.side,
            fill,
            decision.gate,
            decision.price,
            level=BASE if is_entry else None,
            is_entry=is_entry,
        )

    def request(
        self, side: Side, kind: OrderType, amount: Decimal, price: Decimal | None, at: int
    ) -> OrderRequest:
        """Return the next order as it is sent at `at` (Unix ms); `price`: its limit, if any."""
        return OrderRequest(
            client_order_id=str(len(self.orders) + 1),
            symbol=self.plan.rules.symbol,
            side=side,
            type=kind,
            amount=amount,
            price=price,
            signed_at=at,
        )

    def meet(
        self,
        request: OrderRequest,
        quote: Quote,
        gate: Gate,
        *,
        level: int | None,
        is_resting: bool,
        is_entry: bool | None = None,
    ) -> bool:
        """Fill a limit order whole if the market is at its price, and book it. Returns whether.

        `is_resting`: at its limit, as a maker; else as a taker. The rest as `take` has it.
        """
        plan = self.plan
        fill = fill_limit(
            request,
            quote,
            plan.costs.slippage,
            plan.fee_rate,
            plan.maker_rate,
            plan.rules,
            quote.at,
            is_resting=is_resting,
        )
        if fill is None or request.price is None:
            return False
        self.take(request.side, fill, gate, request.price, level=level, is_entry=is_entry)
        return True

    def take(
        self,
        side: Side,
        fill: FillReport,
        gate: Gate,
        expected: Decimal,
        *,
        level: int | None,
        is_entry: bool | None = None,
    ) -> None:
        """Pay and book a fill; `expected`: the price that its order reckoned with.

        `level`: its place on a ladder. `is_entry` None: a rung, one of the day's trades only where
        it opens the position.
        """
        with localcontext(EXACT):
            self._pay(side, fill)
            dust = quantize(self.plan.rules.dust_below(expected))
            self._book(side, gate, fill, dust, level=level, is_entry=is_entry)

    def _pay(self, side: Side, fill: FillReport) -> None:
        sign = 1 if side is Side.BUY else -1
        self.base += sign * fill.amount
        self.quote -= sign * fill.quote + fill.fee

    def _book(
        self,
        side: Side,
        gate: Gate,
        fill: FillReport,
        dust: Decimal,
        *,
        level: int | None,
        is_entry: bool | None,
    ) -> None:
        before = self.position
        booked = BookedFill(
            side=side,
            amount=fill.amount,
            quote=fill.quote,
            fee_quote=fill.fee,
            dust=dust,
            futures=self.plan.is_perpetual,
        )
        self.position, pnl = apply(before, booked)
        self.lots = ladder.book(self.lots, level, booked, before, self.position)
        opens = self.position.is_open and not before.is_open if is_entry is None else is_entry
        day = max(local_day(self.plan.zone, instant(fill.at)), self._counter_day)
        self._count(day, pnl, opens, gate)
        self._remember(before, pnl, fill.at, gate)
        self._note(before, booked, fill, day, gate, pnl)

    def _note(
        self,
        before: Position,
        booked: BookedFill,
        fill: FillReport,
        day: date,
        gate: Gate,
        pnl: Decimal,
    ) -> None:
        self.orders.append(
            Order(
                at=fill.at,
                day=day,
                side=booked.side,
                is_entry=not before.is_open if booked.futures else booked.side is Side.BUY,
                reason=gate,
                amount=fill.amount,
                price=fill.price,
                value=fill.quote,
                fee=fill.fee,
                pnl=pnl,
                dust=booked.dust,
                futures=booked.futures,
            )
        )

    def _count(self, day: date, pnl: Decimal, entered: bool, gate: Gate) -> None:
        had = self.days.get(day, Day())
        has = Day(
            pnl=had.pnl + pnl,
            trades=had.trades + int(entered),
            closed_at_loss=had.closed_at_loss or gate is Gate.MAX_DAILY_LOSS,
        )
        self.days[day] = has
        if day == self._counter_day:
            self.day = has
        self._profit += pnl
        self._profit_peak = max(self._profit_peak, self._profit)

    def _remember(self, before: Position, pnl: Decimal, at: int, gate: Gate) -> None:
        """Keep what protections ask for later, and the price that a trailing stop starts from."""
        if not before.is_open:
            entry = self.position.entry_price
            if entry is not None:
                self.max_price = risk.levels(self.plan.settings, entry).max_price
            self._since_opened = ZERO
            return
        self._since_opened += pnl
        if gate in STOPS:
            self._stop_exits.append(at)
        if not self.position.is_open:
            self.max_price = None
            if self._since_opened < 0:
                self._last_loss_at = at

    def taken(self, quote: Quote) -> Decimal:
        """Return the price that closing the position gets."""
        return quote.ask if self.position.is_short else quote.bid

    def seen(self, price: Decimal) -> None:
        """Remember the best price of an open position."""
        best = self.max_price
        if best is None or (price < best if self.position.is_short else price > best):
            self.max_price = price

    @property
    def levels(self) -> Levels:
        """Where the position is left: its stop, its target, its trailing stop."""
        entry, best = self.position.entry_price, self.max_price
        if entry is None or best is None:
            return Levels()
        is_short = self.position.is_short
        return risk.follow(
            self.plan.settings, entry, Levels(max_price=best), best, is_short=is_short
        )
