"""The ledger of a backtest on a perpetual: wallet, margin, funding, liquidation."""

from decimal import Decimal, localcontext

from trading.backtest.book import ZERO, Book
from trading.backtest.perpetual import Due, liquidated_at, payment
from trading.backtest.plan import Plan, instant
from trading.backtest.result import Paid
from trading.day import local_day
from trading.market import EXACT, FillReport, Side, quantize
from trading.risk import Gate


class Margin(Book):
    """A book whose position is held on margin.

    `base` is negative when short, and `quote` what is there when its value has been taken off: both
    together are worth what the account is.
    """

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        #: What is set aside for the position, isolated from all else (quote currency).
        self.margin = ZERO
        #: Where the exchange closes the position.
        self.limit: Decimal | None = None
        self.paid: list[Paid] = []

    @property
    def wallet(self) -> Decimal:
        """The funds with all that was realised, paid and received: the open position left out."""
        entered = self.position.entry_quote
        with localcontext(EXACT):
            return self.quote - entered if self.position.is_short else self.quote + entered

    @property
    def free(self) -> Decimal:
        """The wallet without the margin."""
        return EXACT.subtract(self.wallet, self.margin)

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
        """Pay and book a fill, and set margin aside for what it opens."""
        super().take(side, fill, gate, expected, level=level, is_entry=is_entry)
        position, leverage = self.position, self.plan.settings.leverage
        self.margin = quantize(EXACT.divide(position.entry_quote, Decimal(leverage)))
        self._set_limit()

    def _set_limit(self) -> None:
        position, rate = self.position, self.plan.terms.maintenance
        self.limit = None
        if position.is_open:
            self.limit = liquidated_at(
                position.entry_quote,
                position.amount,
                self.margin,
                rate,
                is_short=position.is_short,
            )

    def fund(self, due: Due, price: Decimal) -> None:
        """Book what the position pays or receives; what the wallet lacks is taken from its margin.

        `price`: of the contract at that time.
        """
        position = self.position
        amount = payment(position.amount, price, due.rate, self.wallet, is_short=position.is_short)
        lacks = EXACT.minus(EXACT.add(self.free, amount))
        self.quote = EXACT.add(self.quote, amount)
        if lacks > ZERO:
            self.margin = max(EXACT.subtract(self.margin, lacks), ZERO)
            self._set_limit()
        day = max(local_day(self.plan.zone, instant(due.at)), self._counter_day)
        with localcontext(EXACT):
            self._count(day, amount, False, Gate.IN_POSITION)
        self.paid.append(
            Paid(at=due.at, day=day, amount=amount, rate=due.rate, is_assumed=due.is_assumed)
        )

    def liquidate(self, at: int) -> None:
        """Close the position as the exchange does: its whole margin is lost, and nothing more."""
        position = self.position
        with localcontext(EXACT):
            sign = 1 if position.is_short else -1
            left = position.entry_quote + sign * self.margin
            price = quantize(left / position.amount)
        fill = FillReport(
            trade_id=f"{len(self.orders) + 1}-1",
            price=price,
            amount=position.amount,
            quote=left,
            fee=ZERO,
            fee_currency=self.plan.rules.quote,
            at=at,
        )
        self.take(position.exit_side, fill, Gate.LIQUIDATION, price, level=None, is_entry=False)
