"""How well it traded: the figures that traders judge round trips by.

Win rate, average win and loss, and expectancy are those of Van Tharp, "Trade Your Way to Financial
Freedom"; profit factor that of Pardo, "The Evaluation and Optimization of Trading Strategies". The
equity curve and its drawdown are in `trading.equity`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal, localcontext
from operator import attrgetter

from trading.market import EXACT
from trading.trades import ZERO, Trade, ratio


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a set of trades comes to, quote currency. `gross_loss` is positive."""

    trades: int = 0
    wins: int = 0
    losses: int = 0
    gross_profit: Decimal = ZERO
    gross_loss: Decimal = ZERO
    fees: Decimal = ZERO
    held: timedelta = timedelta()
    best: Trade | None = None
    worst: Trade | None = None

    @property
    def even(self) -> int:
        """Trades that neither won nor lost."""
        return self.trades - self.wins - self.losses

    @property
    def pnl(self) -> Decimal:
        return EXACT.subtract(self.gross_profit, self.gross_loss)

    @property
    def win_rate(self) -> Decimal | None:
        """Percent of all trades that won; None without trades."""
        return ratio(Decimal(100 * self.wins), Decimal(self.trades)) if self.trades else None

    @property
    def profit_factor(self) -> Decimal | None:
        """Gross profit / gross loss; None where nothing was lost."""
        return ratio(self.gross_profit, self.gross_loss) if self.gross_loss else None

    @property
    def expectancy(self) -> Decimal | None:
        """Mean profit of a trade: win rate x average win - loss rate x average loss."""
        return ratio(self.pnl, Decimal(self.trades)) if self.trades else None

    @property
    def average_win(self) -> Decimal | None:
        return ratio(self.gross_profit, Decimal(self.wins)) if self.wins else None

    @property
    def average_loss(self) -> Decimal | None:
        """Mean result of the trades that lost: negative."""
        return ratio(-self.gross_loss, Decimal(self.losses)) if self.losses else None

    @property
    def average_held(self) -> timedelta | None:
        return self.held / self.trades if self.trades else None


def summarize(trades: Sequence[Trade]) -> Summary:
    """Return the figures of these trades (of one quote currency)."""
    if not trades:
        return Summary()
    wins = losses = 0
    profit = loss = fees = ZERO
    with localcontext(EXACT):
        for trade in trades:
            fees += trade.fees
            if trade.pnl > 0:
                wins, profit = wins + 1, profit + trade.pnl
            elif trade.pnl < 0:
                losses, loss = losses + 1, loss - trade.pnl
    return Summary(
        trades=len(trades),
        wins=wins,
        losses=losses,
        gross_profit=profit,
        gross_loss=loss,
        fees=fees,
        held=sum((trade.held for trade in trades), timedelta()),
        best=max(trades, key=attrgetter("pnl")),
        worst=min(trades, key=attrgetter("pnl")),
    )
