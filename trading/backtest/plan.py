"""What is tried: a bot's settings and strategy on one market's candles, and what trading costs."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from trading.backtest.perpetual import Terms
from trading.market import TIMEFRAMES, Candles, OrderType, Rules
from trading.risk import Settings
from trading.strategies import HasLadder, Message, Strategy, Values
from trading.strategies.base import gettext_noop
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
    """A setting that a backtest does not know yet; its text, which may be a Message, says which."""


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
    account has free at the start: what is beside the settings' capital is there to be spent, but
    belongs to no figure. `zone` the one whose midnights end the trading days, `terms`
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
    def capital(self) -> Decimal:
        """What sizes, limits and results are percentages of, in quote currency."""
        return self.settings.initial_capital

    @property
    def beside(self) -> Decimal:
        """What the account has besides."""
        return self.funds - self.capital

    @property
    def is_perpetual(self) -> bool:
        """Whether the market is a perpetual, as BTC/USDT:USDT is."""
        return ":" in self.rules.symbol

    @property
    def entries_rest(self) -> bool:
        """Whether entries are limit orders, which may wait for their price."""
        return OrderType(self.settings.entry_type) is not OrderType.MARKET

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
        if self.entries_rest:
            self._check_entries()

    def _check_perpetual(self) -> None:
        strategy: object = self.strategy
        if isinstance(strategy, HasLadder):
            raise Unsupported("a ladder on a perpetual: it trades spot markets only")
        if self.entries_rest:
            text = gettext_noop("Backtests enter at market on perpetuals, not by limit orders.")
            raise Unsupported(Message(text))
        if problem := self.terms.problem(self.settings):
            raise Unsupported(problem)

    def _check_entries(self) -> None:
        """A candle tells where the price went, not when: a quarter is as near as it can be told."""
        settings, timeframe = self.settings, self.candles.timeframe
        patience, quarter = settings.entry_timeout_seconds, TIMEFRAMES[timeframe] // 4
        if patience * 1000 <= quarter:
            text = gettext_noop(
                "Candles of %(timeframe)s cannot tell whether the price came within the"
                " %(patience)s seconds that entries wait: take shorter candles, or let them wait"
                " for more than %(least)s seconds."
            )
            least = str(quarter // 1000)
            raise Unsupported(
                Message(text, timeframe=timeframe, patience=str(patience), least=least)
            )
        is_near = not settings.entry_offset_perc and not self.costs.spread
        if settings.entry_type == OrderType.POST_ONLY and is_near:
            text = gettext_noop(
                "Entries that never take would all be refused: without a spread bid and ask are"
                " one price. Give a spread, or a distance from the market."
            )
            raise Unsupported(Message(text))
