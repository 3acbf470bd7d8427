"""What a backtest comes to: the figures of the performance pages, and what holding had earned."""

from dataclasses import dataclass
from decimal import Decimal, localcontext

from trading.backtest.plan import Plan, instant
from trading.backtest.prices import price
from trading.backtest.result import Order, Result
from trading.equity import Drawdown, Point, curve, drawdown
from trading.fills import buy_price
from trading.market import EXACT
from trading.performance import Summary, summarize
from trading.position import BookedFill
from trading.trades import HUNDRED, ZERO, Booking, fold, ratio


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Figures of one result, quote currency; fees and slippage are in all of them.

    `pnl` is realised, `open_pnl` what closing the position at the last close would realise before
    its fee. `value`: what the account is worth at the end. `hold`: the profit, in percent of the
    funds, of buying with all of them at the first opening and never selling; `percent` the same of
    this result. `points` and `drawdown` are those of the realised profit.
    """

    summary: Summary
    pnl: Decimal
    fees: Decimal
    open_pnl: Decimal
    value: Decimal
    percent: Decimal
    hold: Decimal | None
    points: tuple[Point, ...]
    drawdown: Drawdown


def report(plan: Plan, result: Result) -> Report:
    """Return the figures of what `plan` came to."""
    folded = fold(booking(number, one) for number, one in enumerate(result.orders, 1))
    points = curve(folded.parts, ())
    with localcontext(EXACT):
        value = result.quote + result.base * result.last
        open_pnl = result.position.unrealized(result.last) if result.position.is_open else ZERO
        return Report(
            summary=summarize(folded.trades),
            pnl=sum((order.pnl for order in result.orders), ZERO),
            fees=sum((order.fee for order in result.orders), ZERO),
            open_pnl=open_pnl,
            value=value,
            percent=ratio((value - plan.funds) * HUNDRED, plan.funds),
            hold=_hold(plan, result),
            points=tuple(points),
            drawdown=drawdown(points),
        )


def booking(number: int, order: Order) -> Booking:
    """Return an order's fill as the ledger of a bot would have it."""
    return Booking(
        number=number,
        at=instant(order.at),
        day=order.day,
        reason=order.reason.value,
        fill=BookedFill(
            side=order.side,
            amount=order.amount,
            quote=order.value,
            fee_quote=order.fee,
            dust=order.dust,
        ),
    )


def _hold(plan: Plan, result: Result) -> Decimal | None:
    if not len(plan.candles):
        return None
    opens = price(plan.candles.open[0])
    paid = buy_price(opens, plan.costs.slippage, plan.rules) * (1 + plan.fee_rate)
    return ratio((result.last - paid) * HUNDRED, paid)
