"""What is tried: a bot's settings and strategy on one market's candles, and what trading costs."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from trading.backtest.perpetual import Terms
from trading.market import Candles, OrderType, Rules
from trading.risk import Settings
from trading.strategies import HasLadder, Strategy, Values
from trading.strategies.outside import Outside

MINUTE_MS = 60_000
#: Is told the share of a walk that is done, 0 to 1.
Tell = Callable[[float], None]
#: So many candles are looked at between two such words.
PACE = 256


def instant(at: int) -> datetime:
    """Return Unix ms as an aware datetime."""
    return datetime.fromtimestamp(at / 1000, UTC)


class Unsupported(ValueError):
    """A setting that a backtest does not know yet; its text says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Fractions (0.001 is 0.1 %): fee of a taker (None: the market's), slippage, and bid to ask."""

    fee_rate: Decimal | None = None
    slippage: Decimal = Decimal("0.0005")
    spread: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that a backtest is made of; equal plans have equal results.

    `candles` may have gaps: nothing happens in one, and no signal looks across it. The first
    `window` candles of each stretch only feed the strategy. `funds` is the quote currency that the
    account has free at the start, `zone` the one whose midnights end the trading days, `terms`
    those on which a perpetual is held.
    """

    candles: Candles
    rules: Rules
    settings: Settings
    strategy: Strategy
    values: Values
    zone: ZoneInfo
    funds: Decimal
    costs: Costs = Costs()
    terms: Terms = Terms()

    @property
    def is_perpetual(self) -> bool:
        """Whether the market is a perpetual, as BTC/USDT:USDT is."""
        return ":" in self.rules.symbol

    @property
    def maker_rate(self) -> Decimal:
        """The fee of an order that rested, as a fraction."""
        rate = self.costs.fee_rate
        return self.rules.maker_fee if rate is None else rate

    @property
    def fee_rate(self) -> Decimal:
        """The fee of a taker, as a fraction."""
        rate = self.costs.fee_rate
        return self.rules.taker_fee if rate is None else rate

    def check(self) -> None:
        """Raise Unsupported for what cannot be tried: it is said, never left out in silence."""
        if self.is_perpetual:
            self._check_perpetual()
        if isinstance(self.strategy, Outside):
            raise Unsupported("signals from outside: the past has none of them")
        if OrderType(self.settings.entry_type) is not OrderType.MARKET:
            raise Unsupported("entries as limit orders: backtests enter at market only")

    def _check_perpetual(self) -> None:
        strategy: object = self.strategy
        if isinstance(strategy, HasLadder):
            raise Unsupported("a ladder on a perpetual: it trades spot markets only")
        if problem := self.terms.problem(self.settings):
            raise Unsupported(problem)
