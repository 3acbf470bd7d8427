"""From what the exchange executed to what a bot holds: fees priced, fills folded, days summed.

Position, profit and counters are folds over fills; the columns that hold them are caches that
`fold` can rebuild.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, localcontext
from typing import Any

from django.db import transaction
from django.db.models import Q

from bots.lease import Held, LeaseLost, level_columns
from bots.models import BotState, DayStats, Fill, Funding, Order
from bots.models.fields import plain
from bots.reset import trading_day_of
from trading import ladder, risk
from trading import position as folds
from trading.exchange import Exchange, Fault, Unusable
from trading.market import EXACT, FillReport, FundingReport, Rules, Side, quantize
from trading.market_data import MarketData
from trading.risk import Gate

ZERO = Decimal(0)
#: What each fill and each payment moves on.
COUNTERS = ("daily_pnl", "daily_trades_count", "profit", "profit_peak")


@dataclass(frozen=True, kw_only=True)
class Priced:
    """A fill with its fee in quote currency, and the part of it taken in base currency."""

    fill: FillReport
    fee_quote: Decimal
    fee_base: Decimal


def price_fee(fill: FillReport, rules: Rules, exchange: Exchange, data: MarketData) -> Priced:
    """Convert a fill's fee to quote currency; a third coin at its last closed 1m candle.

    A coin that has no market with the quote currency counts 0: the fill keeps the fee in its own
    coin, and the position must not wait for a price that never comes. Raises ExchangeError when
    there is such a market but no candle to be believed.
    """
    if fill.fee_currency in (rules.quote, "") or not fill.fee:
        return Priced(fill=fill, fee_quote=fill.fee, fee_base=ZERO)
    if fill.fee_currency == rules.base:
        value = quantize(EXACT.multiply(fill.fee, fill.price))
        return Priced(fill=fill, fee_quote=value, fee_base=fill.fee)
    price = _price_of(fill.fee_currency, rules.quote, exchange, data)
    value = ZERO if price is None else quantize(EXACT.multiply(fill.fee, price))
    return Priced(fill=fill, fee_quote=value, fee_base=ZERO)


def _price_of(coin: str, quote: str, exchange: Exchange, data: MarketData) -> Decimal | None:
    """Return the coin's price by its market or the inverse one; None where it has neither."""
    for symbol, is_inverse in ((f"{coin}/{quote}", False), (f"{quote}/{coin}", True)):
        try:
            (close,) = data.candles(exchange, symbol, "1m", 1).close
        except Unusable as error:
            if error.fault is not Fault.MARKET_UNKNOWN:
                raise
            continue
        price = Decimal(repr(close))
        return EXACT.divide(Decimal(1), price) if is_inverse else price
    return None


def book(held: Held, row: BotState, order: Order, priced: Sequence[Priced]) -> Decimal:
    """Insert new fills and fold them into state and day; returns the order's booked amount."""
    booked: Decimal = order.booked
    first = not order.fills.exists()
    before = position = row.position
    realized, turned_at = ZERO, None
    changes: dict[str, Any] = {}
    lots = row.ladder_lots
    for one in priced:
        at = datetime.fromtimestamp(one.fill.at / 1000, UTC)
        fill = _unsaved_fill(order, one, at, trading_day_of(row, held.bot.owner.zone, at))
        fill.booked_at = held.started
        held_before, told = position, fill.booked(order.dust)
        position, fill.realized_pnl = folds.apply(position, told)
        lots = ladder.book(lots, order.level, told, held_before, position)
        turned_at = turned_at if position.side == held_before.side else at
        fill.save()
        opened = int(_opens(order, held_before, position, is_first=first))
        first = False
        day = fill.trading_day
        count(held, row, day, pnl=fill.realized_pnl, fees=fill.fee_quote, trades=opened)
        if order.reason == Gate.MAX_DAILY_LOSS and day == row.counter_day:
            changes["closed_at_loss"] = True
        realized += fill.realized_pnl
        booked += one.fill.amount
    if priced:
        changes |= position_columns(position, held.bot.risk_settings, before)
        changes["lots"] = lots_column(lots)
        if turned_at is not None:
            changes |= _turned_columns(row, order, position, realized, turned_at)
        _write(held, changes)
    return booked


def _opens(order: Order, before: folds.Position, after: folds.Position, *, is_first: bool) -> bool:
    """Whether a fill is one of the day's trades: the first of an entry, or a rung that opens."""
    if order.purpose == Order.Purpose.RUNG:
        return after.is_open and not before.is_open
    return is_first and order.purpose == Order.Purpose.ENTRY


def lots_column(lots: ladder.Lots) -> dict[str, dict[str, str]]:
    """Return lots as the state row holds them: plain text of each number."""
    return {
        str(level): {name: plain(value) for name, value in asdict(lot).items()}
        for level, lot in sorted(lots.items())
    }


def count(
    held: Held, row: BotState, day: date, *, pnl: Decimal, fees: Decimal = ZERO, trades: int = 0
) -> None:
    """Add to the day's row, and to the state's counters where it is the current day."""
    # A day that the rollovers skipped (nobody ran) is over the moment it gets its row.
    over = held.started if day < row.counter_day else None
    defaults = {"closed_at": over}
    stats, _ = DayStats.objects.get_or_create(bot=held.bot, day=day, defaults=defaults)
    DayStats.objects.filter(pk=stats.pk).update(
        pnl=stats.pnl + pnl, fees=stats.fees + fees, trades=stats.trades + trades
    )
    if day == row.counter_day:
        row.daily_pnl += pnl
        row.daily_trades_count += trades
    row.profit += pnl
    row.profit_peak = max(row.profit_peak, row.profit)
    _write(held, {name: getattr(row, name) for name in COUNTERS})


def _write(held: Held, changes: dict[str, Any]) -> None:
    if not BotState.objects.filter(**held.mine).update(**changes):
        raise LeaseLost(f"bot {held.bot.pk}")


def _turned_columns(
    row: BotState, order: Order, position: folds.Position, realized: Decimal, at: datetime
) -> dict[str, Any]:
    """Return what becomes of a row whose position was opened, closed or turned round at `at`.

    A loss of the one that ended is remembered.
    """
    changes: dict[str, Any] = {"position_opened_at": at if position.is_open else None}
    if not row.in_position:
        return changes
    changes |= {"protection": "", "protection_message": "", "liquidation_price": None}
    if row.position_opened_at is not None:
        # Whole position, not last order: it may have been left in parts. And the last order too
        # where it came in the same millisecond.
        later = Q(at__gt=row.position_opened_at) | Q(order=order)
        since = Fill.objects.filter(later, bot_id=row.pk)
        realized = sum(since.values_list("realized_pnl", flat=True), ZERO)
    if realized < 0:
        changes["last_loss_at"] = at
    return changes


def position_columns(
    position: folds.Position, settings: risk.Settings, before: folds.Position
) -> dict[str, Any]:
    """Return a folded position under BotState's names, with stop and target as it opens."""
    entry = position.entry_price
    columns: dict[str, Any] = {
        "in_position": position.is_open,
        "position_side": position.side,
        "entry_price": None if entry is None else quantize(entry),
        "current_position_size": position.amount,
        "position_cost": position.cost,
        "entry_amount": position.entry_amount,
        "entry_quote": position.entry_quote,
    }
    if entry is None:
        columns |= level_columns(risk.Levels())
    elif position.side != before.side:
        columns |= level_columns(risk.levels(settings, entry, is_short=position.is_short))
    return columns


def _unsaved_fill(order: Order, one: Priced, at: datetime, day: date) -> Fill:
    fill = one.fill
    return Fill(
        order=order,
        bot_id=order.bot_id,
        account_id=order.account_id,
        symbol=order.symbol,
        trade_id=fill.trade_id,
        side=Side(order.side),
        price=fill.price,
        amount=fill.amount,
        quote=fill.quote,
        fee=fill.fee,
        fee_currency=fill.fee_currency,
        fee_quote=one.fee_quote,
        fee_base=one.fee_base,
        at=at,
        trading_day=day,
    )


def fund(held: Held, payment: FundingReport) -> bool:
    """Book one funding payment, once. Returns whether it was new."""
    at = datetime.fromtimestamp(payment.at / 1000, UTC)
    with localcontext(EXACT), transaction.atomic():
        row = held.locked()
        day = trading_day_of(row, held.bot.owner.zone, at)
        _row, is_new = Funding.objects.get_or_create(
            account=held.account,
            funding_id=payment.funding_id,
            defaults={
                "bot": held.bot,
                "symbol": payment.symbol,
                "amount": payment.amount,
                "at": at,
                "trading_day": day,
            },
        )
        if is_new:
            _position, realized = folds.fund(row.position, payment.amount)
            count(held, row, day, pnl=realized)
    held.refresh()
    return is_new


@dataclass(frozen=True, kw_only=True)
class Fold:
    """All that follows from a bot's fills and funding: position, profit, and sums by day."""

    position: folds.Position
    pnl: Mapping[date, Decimal]
    fees: Mapping[date, Decimal]
    trades: Mapping[date, int]
    profit: Decimal
    lots: ladder.Lots


def fold(bot_id: int) -> Fold:
    """Fold all fills and funding payments of a bot anew, in the order in which they were booked."""
    position, profit = folds.Position(), ZERO
    lots: ladder.Lots = {}
    pnl: dict[date, Decimal] = {}
    fees: dict[date, Decimal] = {}
    trades: dict[date, int] = {}
    seen: set[int] = set()
    fills = Fill.objects.filter(bot_id=bot_id).select_related("order").order_by("pk")
    for fill in fills.iterator():
        before, told = position, fill.booked(fill.order.dust)
        position, realized = folds.apply(position, told)
        lots = ladder.book(lots, fill.order.level, told, before, position)
        pnl[fill.trading_day] = EXACT.add(pnl.get(fill.trading_day, ZERO), realized)
        fees[fill.trading_day] = EXACT.add(fees.get(fill.trading_day, ZERO), fill.fee_quote)
        profit = EXACT.add(profit, realized)
        if _opens(fill.order, before, position, is_first=fill.order_id not in seen):
            trades[fill.trading_day] = trades.get(fill.trading_day, 0) + 1
        seen.add(fill.order_id)
    for payment in Funding.objects.filter(bot_id=bot_id):
        pnl[payment.trading_day] = EXACT.add(pnl.get(payment.trading_day, ZERO), payment.amount)
        profit = EXACT.add(profit, payment.amount)
    return Fold(position=position, pnl=pnl, fees=fees, trades=trades, profit=profit, lots=lots)
