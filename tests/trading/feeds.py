"""Feeds and books for tests: real candles behind a counter, and a book in a dict."""

from collections import Counter
from collections.abc import Mapping
from decimal import Decimal

from tests.trading.candles import btcusdt_1m
from trading.exchange import ExchangeError, Fault, Rejected
from trading.exchanges.book import Resting
from trading.exchanges.recorded import RecordedFeed, ReplayClock
from trading.market import Candles, Holding, OrderReport, Quote, Rules

SYMBOL = "BTC/USDT"
RULES = Rules(
    symbol=SYMBOL,
    base="BTC",
    quote="USDT",
    amount_step=Decimal("0.00001"),
    price_tick=Decimal("0.01"),
    min_amount=Decimal("0.00001"),
    max_amount=Decimal(9000),
    min_notional=Decimal(10),
)
MINUTE = 60_000


def rows(count: int = 30_240) -> list[tuple[float, ...]]:
    """Return the first `count` rows of BTC/USDT 1m."""
    c = btcusdt_1m()
    columns = (c.times, c.open, c.high, c.low, c.close, c.volume)
    return list(zip(*(column[:count] for column in columns), strict=True))


class CountedFeed:
    """A recorded feed that counts what it is asked and fails as long as `error` is set."""

    name = "counted"

    def __init__(self, count: int = 1000, *, at: int | None = None) -> None:
        self.rows = rows(count)
        self.clock = ReplayClock(int(self.rows[0][0]) + 500 * MINUTE if at is None else at)
        self.inner = RecordedFeed(self.rows, SYMBOL, RULES, self.clock)
        self.key = self.inner.key
        self.asked: Counter[str] = Counter()
        self.error: ExchangeError | None = None
        self.override: Candles | Quote | Rules | None = None

    def now(self) -> int:
        return self.clock()

    def symbols(self) -> Mapping[str, Rules]:
        return self.inner.symbols()

    def rules(self, symbol: str) -> Rules:
        self._count("rules")
        return self.override if isinstance(self.override, Rules) else self.inner.rules(symbol)

    def candles(self, symbol: str, timeframe: str, count: int) -> Candles:
        self._count("candles")
        if isinstance(self.override, Candles):
            return self.override
        return self.inner.candles(symbol, timeframe, count)

    def quote(self, symbol: str) -> Quote:
        self._count("quote")
        return self.override if isinstance(self.override, Quote) else self.inner.quote(symbol)

    def _count(self, what: str) -> None:
        self.asked[what] += 1
        if self.error is not None:
            raise self.error


class DictBook:
    """A paper account in memory, with the contract of trading.exchanges.book.Book."""

    def __init__(self, **balances: str) -> None:
        self.holdings = {currency: Decimal(free) for currency, free in balances.items()}
        self.reports: dict[str, OrderReport] = {}
        self.open: dict[str, Resting] = {}

    def find(self, client_order_id: str) -> OrderReport | None:
        return self.reports.get(client_order_id)

    def conclude(self, client_order_id: str) -> OrderReport | None:
        return self.reports.get(client_order_id)

    def record(self, report: OrderReport, deltas: Mapping[str, Decimal]) -> OrderReport:
        if report.client_order_id in self.reports:
            return self.reports[report.client_order_id]
        self._change(deltas)
        self.reports[report.client_order_id] = report
        return report

    def rest(self, order: Resting) -> OrderReport:
        name = order.report.client_order_id
        if name not in self.reports:
            if self._free(order.currency) < order.held:
                raise Rejected(Fault.INSUFFICIENT_FUNDS, order.currency)
            self.open[name], self.reports[name] = order, order.report
        return self.reports[name]

    def close(self, report: OrderReport, deltas: Mapping[str, Decimal]) -> OrderReport:
        if self.open.pop(report.client_order_id, None) is not None:
            self._change(deltas)
            self.reports[report.client_order_id] = report
        return self.reports[report.client_order_id]

    def resting(self) -> list[Resting]:
        return list(self.open.values())

    def since(self, at: int) -> list[OrderReport]:
        return [report for report in self.reports.values() if report.at >= at]

    def balance(self) -> Mapping[str, Holding]:
        return {
            name: Holding(free=self._free(name), used=units - self._free(name))
            for name, units in self.holdings.items()
            if units
        }

    def _free(self, currency: str) -> Decimal:
        held = [order.held for order in self.open.values() if order.currency == currency]
        return self.holdings.get(currency, Decimal(0)) - sum(held)

    def _change(self, deltas: Mapping[str, Decimal]) -> None:
        before = dict(self.holdings)
        for currency, delta in deltas.items():
            self.holdings[currency] = self.holdings.get(currency, Decimal(0)) + delta
            if self._free(currency) < 0:
                self.holdings = before
                raise Rejected(Fault.INSUFFICIENT_FUNDS, currency)
