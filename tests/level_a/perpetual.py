"""The futures exchange of a schedule: one position a market, which others may change as well."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from bots.models import BotState, Order
from tests.engine.market import Market
from tests.level_a.venue import Venue
from trading.exchange import Can, Fault, Rejected
from trading.market import (
    FundingReport,
    OrderReport,
    OrderRequest,
    OrderStatus,
    OrderType,
    PositionReport,
    Side,
)

SYMBOL = "BTC/USDT:USDT"
LEVERAGE = 3
#: How much later than its fill a liquidation is charged.
CHARGED_AFTER_MS = 30_000


class Perpetual(Venue):
    """A scripted futures account of one bot, which behaves as Binance's in one-way mode does.

    Its owner trades there by hand (`hand`, base units), and the exchange forces orders on it.
    `refuse_pair` refuses stops and targets. `due` is what the bot's positions paid and received,
    by the payment's id; `mine` are the forced orders that closed something of the bot's.
    """

    CAN = frozenset({Can.STOP, Can.FUTURES})

    def __init__(self, market: Market) -> None:
        super().__init__(market)
        self.due: dict[str, Decimal] = {}
        self.mine: list[str] = []

    def place(self, request: OrderRequest) -> OrderReport:
        refused, is_market = self.refuse_pair, request.type is OrderType.MARKET
        if is_market or refused is None or self.spared:
            return super().place(request)
        self.refuse, before = refused, self.refuse
        try:
            return super().place(request)
        finally:
            self.refuse = before

    def prepare(self, symbol: str, leverage: int) -> None:
        self._fail()
        super().prepare(symbol, leverage)

    def position(self, symbol: str) -> PositionReport:
        self._fail()
        return super().position(symbol)

    def funding(self, symbol: str, since: int) -> Sequence[FundingReport]:
        if self.list_error is not None:
            raise self.list_error
        return [paid for paid in super().funding(symbol, since) if paid.at <= self.now()]

    def holds(self, bot_id: int) -> Decimal:
        """Return the bot's own position, negative when short."""
        return super()._units(SYMBOL)

    def move_by_hand(self, amount: Decimal) -> None:
        """Let the owner trade this much, unless the bot does not know yet what was forced on it."""
        units = self.market.market.floor_amount(amount)
        if units and not self.unheard:
            self.hand += units
            self._note_foreign("web", units)

    def pay(self, amount: Decimal) -> None:
        """Let the position pay or receive funding."""
        self._judge()
        if self._units(SYMBOL):
            self._charge(amount, self.now(), is_mine=self.holds(0) != 0)

    def force(self, share: str, price: str) -> None:
        """Close a share of the whole position: 1 is a liquidation, less is deleveraging.

        Nothing happens where the owner's units are mixed with the bot's: whose were closed then,
        nobody could tell.
        """
        self._judge()
        units = self._units(SYMBOL)
        amount = self.market.market.floor_amount(abs(units) * Decimal(share))
        if not amount or (self.hand and self.holds(0)):
            return
        self.market.price = Decimal(price)
        is_mine, number = self.holds(0) != 0, len(self.mine) + len(self.foreign)
        name = f"autoclose-{number}" if share == "1" else f"adl_autoclose-{number}"
        if not is_mine:
            self.hand -= amount if units > 0 else -amount
            self._note_foreign(name, -amount if units > 0 else amount)
            return  # what it cost the owner comes too close to what the bot does next
        self._close(name, amount, Side.SELL if units > 0 else Side.BUY)
        if share == "1":
            self._charge(Decimal(-2), self.now() + CHARGED_AFTER_MS, is_mine=True, penalty=True)

    @property
    def unheard(self) -> Mapping[str, OrderReport]:
        """The forced orders of the bot that its ledger has not booked yet."""
        rows = Order.objects.filter(client_order_id__in=self.mine, is_settled=True)
        heard = set(rows.values_list("client_order_id", flat=True)) if self.mine else set()
        return {name: self.taken[name] for name in self.mine if name not in heard}

    def _close(self, name: str, amount: Decimal, side: Side) -> None:
        """Take the exchange's own order: whole, at once, whatever the script says of ours."""
        script = self.parts, self.end, self.fee_currency
        self.parts, self.end, self.fee_currency = ("1",), OrderStatus.FILLED, "USDT"
        self._take(
            OrderRequest(
                client_order_id=name,
                symbol=SYMBOL,
                side=side,
                type=OrderType.MARKET,
                amount=amount,
                signed_at=self.now(),
            )
        )
        self.parts, self.end, self.fee_currency = script
        self.mine.append(name)

    def _note_foreign(self, name: str, units: Decimal) -> None:
        """List a filled order that is not the bot's."""
        number = len(self.foreign) + 1
        report = OrderReport(
            client_order_id=f"{name}-{number}",
            exchange_order_id=f"foreign-{number}",
            symbol=SYMBOL,
            side=Side.BUY if units > 0 else Side.SELL,
            status=OrderStatus.FILLED,
            amount=abs(units),
            filled=abs(units),
            average=self.market.price,
            at=self.now(),
            type=OrderType.MARKET,
        )
        self.foreign.append(report)

    def _charge(self, amount: Decimal, at: int, *, is_mine: bool, penalty: bool = False) -> None:
        name = f"income-{len(self.payments) + 1}"
        self.payments.append(
            FundingReport(
                funding_id=name,
                symbol=SYMBOL,
                amount=amount,
                currency="USDT",
                at=at,
                is_penalty=penalty,
            )
        )
        if is_mine:
            self.due[name] = amount

    def _fail(self) -> None:
        if self.find_error is not None:
            raise self.find_error

    def _units(self, symbol: str) -> Decimal:
        return super()._units(symbol) + self.hand

    def _take(self, request: OrderRequest) -> None:
        if request.type is not OrderType.MARKET and self._is_met(request):
            raise Rejected(Fault.ORDER_REJECTED, "-2021 Order would immediately trigger.")
        super()._take(request)

    def _look_at(self, row: Order, request: OrderRequest, state: BotState) -> None:
        name, holds = request.client_order_id, self.holds(row.bot_id)
        forced = self.unheard.values()
        known = holds - sum(one.filled * (1 if one.side is Side.BUY else -1) for one in forced)
        ours = state.position.signed_amount
        if known != ours:
            self.wrong.append(f"{name} is sent while {known} is {ours}")
        if row.purpose == Order.Purpose.ENTRY:
            self._look_at_entry(name, request, state)
            return
        closes = Side.SELL if ours > 0 else Side.BUY
        if not request.reduce_only or request.side is not closes or request.amount > abs(ours):
            self.wrong.append(f"{name} does not reduce {ours}: {request}")

    def _look_at_entry(self, name: str, request: OrderRequest, state: BotState) -> None:
        there = self._units(SYMBOL)
        if there or state.in_position or request.reduce_only:
            self.wrong.append(f"{name} enters on top of {there}")
        if self.prepared[-1:] != [(SYMBOL, LEVERAGE)]:
            self.wrong.append(f"{name} enters with whatever margin there is")
        if self.resting:
            self.wrong.append(f"{name} enters while {', '.join(self.resting)} rests")
