"""The exchange of a schedule: it may refuse, lose or kill, and it notes what must never happen."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal
from typing import ClassVar

from bots.models import BotState, Order
from tests.engine.exchange import ScriptedExchange
from tests.engine.market import Market
from trading.exchange import Can, ExchangeError, Fault, Rejected, Unreachable
from trading.market import OrderReport, OrderRequest, Side

#: As Binance does it: an order that was signed longer ago is not accepted.
RECV_WINDOW_MS = 5_000
#: What a rest may be worth at most that cannot be sold (USDT); every entry is worth far more.
REST = Decimal(50)


class Killed(BaseException):
    """Stands for SIGKILL: no handler of the product may see it."""


class Venue(ScriptedExchange):
    """A scripted account that several bots share.

    `kill` is "before" or "after": the caller dies as the next order is taken. `delay`: the next
    order is under way for so many seconds, and its sender hears nothing. `spared`: so many orders
    meet no trouble before that. `wrong` collects what an exchange must never see. `hand` is what
    the owner moved of the base coin by hand.
    """

    CAN: ClassVar[frozenset[Can]] = frozenset({Can.STOP, Can.PAIR})

    def __init__(self, market: Market) -> None:
        super().__init__(market, usdt="1000000", can=self.CAN)
        self.kill = ""
        self.spared = 0
        self.delay: float | None = None
        self.under_way: list[tuple[OrderRequest, int]] = []
        self.wrong: list[str] = []
        self.hand = Decimal(0)

    def place(self, request: OrderRequest) -> OrderReport:
        self._inspect(request)
        if self._is_late(request):
            self.requests.append(request)
            raise Unreachable(Fault.CLOCK, "outside of recvWindow", sent=False)
        if self.spared:
            with self._sparing():
                return super().place(request)
        if self.delay is not None:
            self.requests.append(request)
            self.under_way.append((request, self.now() + round(self.delay * 1000)))
            self.delay = None
            if self._dies("before") or self._dies("after"):
                raise Killed
            raise Unreachable(Fault.NETWORK, "read timed out", sent=True)
        if self._dies("before"):
            self.requests.append(request)
            raise Killed
        try:
            report = super().place(request)
        except ExchangeError:
            if self._dies("after"):
                raise Killed from None
            raise
        if self._dies("after"):
            raise Killed
        return report

    def place_pair(
        self, stop: OrderRequest, target: OrderRequest
    ) -> tuple[OrderReport, OrderReport]:
        for request in (stop, target):
            self._inspect(request)
        if self._is_late(stop):
            self.requests += [stop, target]
            raise Unreachable(Fault.CLOCK, "outside of recvWindow", sent=False)
        if self.spared:
            with self._sparing():
                return super().place_pair(stop, target)
        if self._dies("before"):
            self.requests += [stop, target]
            raise Killed
        reports = super().place_pair(stop, target)
        if self._dies("after"):
            raise Killed
        return reports

    def arrive(self) -> None:
        """Take the orders that were under way, unless they were signed too long ago."""
        arrived = [one for one in self.under_way if one[1] <= self.now()]
        self.under_way = [one for one in self.under_way if one[1] > self.now()]
        for request, at in arrived:
            if at <= request.signed_at + RECV_WINDOW_MS:
                with suppress(Rejected):
                    self._take(request)

    def meet(self) -> None:
        """Execute what rests where the price is now."""
        self._judge()

    def holds(self, bot_id: int) -> Decimal:
        """Return the base units that a bot's orders really left here, fees in it taken off."""
        rows = Order.objects.filter(bot_id=bot_id).values_list("client_order_id", flat=True)
        total = Decimal(0)
        for name in rows:
            report = self.taken.get(name)
            for fill in report.fills if report else ():
                total += fill.amount if report.side is Side.BUY else -fill.amount
                total -= fill.fee if fill.fee_currency == "BTC" else 0
        return total

    def move_by_hand(self, amount: Decimal) -> None:
        """Let the owner deposit or withdraw base coin."""
        self.hand += amount
        self._add("BTC", amount)

    def calm(self) -> None:
        """End every fault, and bring back what was moved by hand."""
        self.kill, self.spared = "", 0
        self.refuse = self.lose_answer = self.find_error = None
        self.refuse_pair = self.cancel_error = self.list_error = None
        self.market.error = self.market.candle_error = None
        self.market.quote_error = self.market.rules_error = None
        self.visible, self.lags = None, 0
        self.move_by_hand(-self.hand)

    @contextmanager
    def _sparing(self) -> Iterator[None]:
        """Let one order meet no trouble."""
        self.spared -= 1
        troubles = self.refuse, self.refuse_pair, self.lose_answer
        self.refuse = self.refuse_pair = self.lose_answer = None
        try:
            yield
        finally:
            self.refuse, self.refuse_pair, self.lose_answer = troubles

    def _dies(self, when: str) -> bool:
        if self.kill != when:
            return False
        self.kill = ""
        return True

    def _offered(self, bot_id: int) -> Iterator[Decimal]:
        """Yield what is left of each sale of a bot that rests here."""
        rows = Order.objects.filter(bot_id=bot_id, side=Side.SELL)
        for name in rows.values_list("client_order_id", flat=True):
            if name in self.resting:
                report = self.taken[name]
                yield report.amount - report.filled

    def _is_late(self, request: OrderRequest) -> bool:
        return self.now() > request.signed_at + RECV_WINDOW_MS

    def _inspect(self, request: OrderRequest) -> None:
        """Note a request without its row (I6), a second one, and one on a wrong ledger."""
        name = request.client_order_id
        row = Order.objects.filter(client_order_id=name).first()
        if row is None:
            self.wrong.append(f"{name} was sent without a row")
            return
        if row.request != request:
            self.wrong.append(f"{name}: sent {request}, written {row.request}")
        if any(sent.client_order_id == name for sent in self.requests):
            self.wrong.append(f"{name} was sent twice")
        if self._is_late(request):
            return
        self._look_at(row, request, BotState.objects.get(pk=row.bot_id))

    def _look_at(self, row: Order, request: OrderRequest, state: BotState) -> None:
        """Note what an order must not do to what its bot really holds."""
        name, holds = request.client_order_id, self.holds(row.bot_id)
        if row.purpose == Order.Purpose.RUNG:
            # Rungs are filled beside each other, and the next tick hears of it.
            sold = request.amount if request.side is Side.SELL else Decimal(0)
            sold += sum(self._offered(row.bot_id), Decimal(0))
            if request.side is Side.SELL and sold > holds:
                self.wrong.append(f"{name} offers {sold} of {holds} in all")
            return
        if holds != state.current_position_size:
            self.wrong.append(f"{name} is sent while {holds} is {state.current_position_size}")
        if request.side is Side.BUY and holds * self.market.price > REST:
            self.wrong.append(f"{name} buys on top of {holds}")
        if request.side is Side.SELL and request.amount > holds:
            self.wrong.append(f"{name} sells {request.amount} of {holds}")
