"""Orders and fills: the intent before the network, the answer after it, folds in between.

Everything here runs in the tick that holds the bot's lease and carries its fence.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, localcontext
from typing import Any

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from bots.lease import Held, LeaseLost, level_columns
from bots.lifecycle import Duty
from bots.models import BotState, Command, DayStats, Fill, Installation, Order, Outpaced
from bots.models.ledger import new_client_order_id
from bots.reset import trading_day_of
from trading import position as folds
from trading import risk
from trading.exchange import Exchange, ExchangeError, Fault, Unusable
from trading.execution import Decision
from trading.market import (
    EXACT,
    FillReport,
    OrderReport,
    OrderStatus,
    OrderType,
    Rules,
    Side,
    quantize,
)
from trading.market_data import MarketData

ZERO = Decimal(0)


@dataclass(frozen=True, kw_only=True)
class Priced:
    """A fill with its fee in quote currency, and the part of it taken in base currency."""

    fill: FillReport
    fee_quote: Decimal
    fee_base: Decimal


def write_intent(
    held: Held, decision: Decision, rules: Rules, *, signed_at: int, command: Command | None
) -> Order:
    """Commit an order before it is sent (I6). Outpaced if stop, edit, limit or day came first.

    The conditional update is on the row that Stop updates, so the two serialise: whoever
    commits second sees the other (I4). `signed_at`: exchange time, Unix ms.
    """
    if decision.side is None or decision.amount is None or decision.price is None:
        raise ValueError(f"decision {decision.gate} has no order")
    entry = decision.action == "enter"
    state = held.state
    guard: dict[str, Any] = {
        "run_epoch": held.epoch,
        "lease_until__gt": Now(),
        "has_unsettled_orders": False,
        "duty__in": [Duty.TRADE] if entry else [Duty.TRADE, Duty.EXIT],
    }
    if entry:
        guard |= {
            "in_position": False,
            "counter_day": state.counter_day,
            "daily_trades_count": state.daily_trades_count,
        }
    with transaction.atomic():
        if not BotState.objects.filter(**held.mine, **guard).update(has_unsettled_orders=True):
            raise Outpaced(f"bot {held.bot.pk}: the intent came too late")
        order = Order.objects.create(
            bot=held.bot,
            account=held.account,
            client_order_id=new_client_order_id(Installation.get().mark, held.bot.pk),
            symbol=held.bot.symbol,
            side=decision.side,
            type=OrderType.MARKET,
            purpose=Order.Purpose.ENTRY if entry else Order.Purpose.EXIT,
            reason=decision.gate,
            amount=decision.amount,
            expected_price=decision.price,
            dust=ZERO if entry else quantize(rules.dust_below(decision.price)),
            signed_at=datetime.fromtimestamp(signed_at / 1000, UTC),
            fence=state.fence,
            run_epoch=held.epoch,
            created_at=held.started,
        )
        if command is not None:
            Command.objects.filter(pk=command.pk).update(
                status=Command.Status.DONE, order=order, ended_at=held.started
            )
    held.refresh()
    return order


def close(held: Held, order: Order, status: OrderStatus, message: str) -> None:
    """End an order that was surely not accepted (REJECTED, ABANDONED): nothing was filled."""
    with transaction.atomic():
        row = held.locked()
        _forward(order, status, is_settled=True, message=message[:500])
        _note_settled(held, row)
    held.refresh()


def mark_unknown(held: Held, order: Order, message: str) -> None:
    """Keep an order whose outcome nobody knows; only the exchange can decide it."""
    with transaction.atomic():
        held.locked()
        _forward(order, OrderStatus.UNKNOWN, message=message[:500])


def count_not_found(held: Held, order: Order) -> int:
    """Note one more final "no such order" from the exchange; returns how many there are."""
    with transaction.atomic():
        held.locked()
        Order.objects.filter(pk=order.pk).update(not_found=F("not_found") + 1)
    order.refresh_from_db(fields=["not_found"])
    return order.not_found


def apply(held: Held, order: Order, report: OrderReport, rules: Rules, exchange: Exchange) -> None:
    """Book what the exchange says of an order: fills once each, position, counters, status.

    Replaying any report changes nothing. Fees are priced before the transaction, since that may
    ask the exchange; when it cannot tell, the order stays unsettled and is asked for again.
    """
    known = set(order.fills.values_list("trade_id", flat=True))
    fresh = [fill for fill in report.fills if fill.trade_id not in known]
    try:
        priced = [price_fee(fill, rules, exchange, held.world.data) for fill in fresh]
    except ExchangeError:
        _note_answer(held, order, report)
        raise
    # A report of an earlier stage may come late: it takes nothing back.
    late = report.filled < order.filled
    filled, average = (order.filled, order.average) if late else (report.filled, report.average)
    final = report.status.is_final or OrderStatus(order.status).is_final
    # Python's own 28 digits are less than a column holds.
    with localcontext(EXACT), transaction.atomic():
        row = held.locked()
        booked = _book(held, row, order, priced)
        settled = final and filled == booked
        _forward(
            order,
            report.status,
            exchange_order_id=report.exchange_order_id,
            filled=filled,
            average=average,
            booked=booked,
            is_settled=settled,
        )
        if settled:
            _note_settled(held, row)
    held.refresh()
    order.refresh_from_db()


def _note_answer(held: Held, order: Order, report: OrderReport) -> None:
    """Keep what the exchange said of an order whose fills cannot be booked yet."""
    with transaction.atomic():
        held.locked()
        _forward(
            order,
            report.status,
            exchange_order_id=report.exchange_order_id,
            filled=max(order.filled, report.filled),
            average=report.average,
            message="filled; a fee cannot be converted yet",
        )


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


def _book(held: Held, row: BotState, order: Order, priced: Sequence[Priced]) -> Decimal:
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


def _forward(order: Order, status: OrderStatus, **changes: Any) -> None:
    """Move an order forward, never back (I13)."""
    old = OrderStatus(order.status)
    # A late report of an earlier stage may still bring fills; the status stays where it is.
    new = status if old.may_become(status) else old
    if not Order.objects.filter(pk=order.pk, status=order.status).update(
        status=new, updated_at=timezone.now(), **changes
    ):
        raise LeaseLost(f"order {order.client_order_id} was changed by another")
    order.status = new
    for name, value in changes.items():
        setattr(order, name, value)


def _note_settled(held: Held, row: BotState) -> None:
    left = Order.objects.filter(bot_id=row.pk, is_settled=False).exists()
    BotState.objects.filter(**held.mine).update(has_unsettled_orders=left)


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
