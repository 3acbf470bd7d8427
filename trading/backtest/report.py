"""What a backtest comes to: the figures of the performance pages, and what holding had earned."""

from dataclasses import dataclass
from decimal import Decimal, localcontext

from trading.backtest.plan import Plan, instant
from trading.backtest.prices import price
from trading.backtest.result import Order, Paid, Result
from trading.equity import Drawdown, Point, curve, drawdown
from trading.fills import buy_price
from trading.market import EXACT
from trading.performance import Summary, summarize
from trading.position import BookedFill
from trading.risk import Gate
from trading.trades import HUNDRED, ZERO, Booking, Payment, fold, ratio


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Figures of one result, quote currency; fees and slippage are in all of them.

    `pnl` is realised, `open_pnl` what closing the position at the last close would realise before
    its fee. `value`: what the capital has become at the end. `hold`: the profit, in percent
    of the capital, of buying with all of it at the first opening and never selling; `percent` the
    same of this result. `points` and `drawdown` are those of the realised profit. `funding` is part
    of `pnl`; `gross` is what the prices alone came to, so that gross - paid fees + funding is the
    net profit. `assumed`: how many payments had a rate that nobody told.
    """

    summary: Summary
    pnl: Decimal
    fees: Decimal
    funding: Decimal
    gross: Decimal
    payments: int
    assumed: int
    liquidations: int
    open_pnl: Decimal
    value: Decimal
    percent: Decimal
    hold: Decimal | None
    points: tuple[Point, ...]
    drawdown: Drawdown


def report(plan: Plan, result: Result) -> Report:
    """Return the figures of what `plan` came to."""
    folded = fold(booking(number, one) for number, one in enumerate(result.orders, 1))
    points = curve(folded.parts, (payment(*one) for one in enumerate(result.funding, 1)))
    with localcontext(EXACT):
        value = result.quote - plan.beside + result.base * result.last
        fees = sum((order.fee for order in result.orders), ZERO)
        funding = sum((paid.amount for paid in result.funding), ZERO)
        open_pnl = result.position.unrealized(result.last) if result.position.is_open else ZERO
        return Report(
            summary=summarize(folded.trades),
            pnl=sum((order.pnl for order in result.orders), funding),
            fees=fees,
            funding=funding,
            gross=value - plan.capital + fees - funding,
            payments=len(result.funding),
            assumed=sum(paid.is_assumed for paid in result.funding),
            liquidations=sum(one.reason is Gate.LIQUIDATION for one in result.orders),
            open_pnl=open_pnl,
            value=value,
            percent=ratio((value - plan.capital) * HUNDRED, plan.capital),
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
            futures=order.futures,
        ),
    )


def payment(number: int, paid: Paid) -> Payment:
    """Return a funding payment as the ledger of a bot would have it."""
    return Payment(number=number, at=instant(paid.at), day=paid.day, amount=paid.amount)


def _hold(plan: Plan, result: Result) -> Decimal | None:
    if not len(plan.candles):
        return None
    opens = price(plan.candles.open[0])
    paid = buy_price(opens, plan.costs.slippage, plan.rules) * (1 + plan.fee_rate)
    return ratio((result.last - paid) * HUNDRED, paid)
