"""From what the exchange executed to what a bot holds: fees priced, fills folded, days summed.

Position, profit and counters are folds over fills; the columns that hold them are caches that
`fold` can rebuild.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from bots.lease import Held, LeaseLost, level_columns
from bots.models import BotState, DayStats, Fill, Order
from bots.reset import trading_day_of
from trading import position as folds
from trading import risk
from trading.exchange import Exchange, Fault, Unusable
from trading.market import EXACT, FillReport, Rules, Side, quantize
from trading.market_data import MarketData

ZERO = Decimal(0)


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
            candles = data.candles(exchange, symbol, "1m", 1)
        except Unusable as error:
            if error.fault is not Fault.MARKET_UNKNOWN:
                raise
            continue
        close_price = Decimal(repr(candles.close[-1]))
        return EXACT.divide(Decimal(1), close_price) if is_inverse else close_price
    return None


def book(held: Held, row: BotState, order: Order, priced: Sequence[Priced]) -> Decimal:
    """Insert new fills and fold them into state and day; returns the order's booked amount."""
    position, first = row.position, not order.fills.exists()
    booked: Decimal = order.booked
    was_open = position.is_open
    pnl, trades = row.daily_pnl, row.daily_trades_count
    for one in priced:
        at = datetime.fromtimestamp(one.fill.at / 1000, UTC)
        day = trading_day_of(row, held.bot.owner.zone, at)
        fill = _unsaved_fill(order, one, at, day)
        position, fill.realized_pnl = folds.apply(position, fill.booked(order.dust))
        fill.save(force_insert=True)
        opened = int(first and order.purpose == Order.Purpose.ENTRY)
        first = False
        # A day that the rollovers skipped (nobody ran) is over the moment it gets its row.
        over = held.started if day < row.counter_day else None
        _add_to_day(held, day, fill, opened, over)
        if day == row.counter_day:
            pnl, trades = pnl + fill.realized_pnl, trades + opened
        booked += one.fill.amount
    if priced:
        changes = position_columns(position, held.bot.risk_settings, was_open)
        if position.is_open and not was_open:
            changes["position_opened_at"] = datetime.fromtimestamp(priced[0].fill.at / 1000, UTC)
        changes |= {"daily_pnl": pnl, "daily_trades_count": trades}
        if not BotState.objects.filter(**held.mine).update(**changes):
            raise LeaseLost(f"bot {held.bot.pk}")
    return booked


def position_columns(
    position: folds.Position, settings: risk.Settings, was_open: bool
) -> dict[str, Any]:
    """Return a folded position under BotState's names, with stop and target as it opens."""
    entry = position.entry_price
    columns: dict[str, Any] = {
        "in_position": position.is_open,
        "entry_price": None if entry is None else quantize(entry),
        "current_position_size": position.amount,
        "position_cost": position.cost,
        "entry_amount": position.entry_amount,
        "entry_quote": position.entry_quote,
    }
    if entry is None:
        columns |= level_columns(risk.Levels()) | {"position_opened_at": None}
    elif not was_open:
        columns |= level_columns(risk.levels(settings, entry))
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


def _add_to_day(held: Held, day: date, fill: Fill, opened: int, over: datetime | None) -> None:
    defaults = {"closed_at": over}
    stats, _ = DayStats.objects.get_or_create(bot=held.bot, day=day, defaults=defaults)
    DayStats.objects.filter(pk=stats.pk).update(
        pnl=stats.pnl + fill.realized_pnl,
        fees=stats.fees + fill.fee_quote,
        trades=stats.trades + opened,
    )


def fold(bot_id: int) -> tuple[folds.Position, Mapping[date, Decimal], Mapping[date, int]]:
    """Fold all fills of a bot anew: position, realised PnL per day, positions opened per day."""
    position = folds.Position()
    pnl: dict[date, Decimal] = {}
    trades: dict[date, int] = {}
    seen: set[int] = set()
    fills = Fill.objects.filter(bot_id=bot_id).select_related("order").order_by("pk")
    for fill in fills.iterator(chunk_size=500):
        position, realized = folds.apply(position, fill.booked(fill.order.dust))
        pnl[fill.trading_day] = EXACT.add(pnl.get(fill.trading_day, ZERO), realized)
        if fill.order.purpose == Order.Purpose.ENTRY and fill.order_id not in seen:
            trades[fill.trading_day] = trades.get(fill.trading_day, 0) + 1
        seen.add(fill.order_id)
    return position, pnl, trades
