"""Orders that the exchange knows and the ledger does not: ours are taken in, others are shown.

Ours bear the installation's mark and the bot's number in their client order id. They can be missing
here only when the database is older than they are, as after a restored backup. The exchange's own
forced orders (a liquidation) are a bot's too: it is the only one that trades that market.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import transaction

from bots.lease import Held
from bots.models import BotState, Installation, Order
from bots.models.ledger import PREFIX, base36
from trading.exchange import Exchange
from trading.market import OrderReport, OrderStatus, OrderType, Side
from trading.risk import Gate

#: How far back orders are read beyond the last comparison: an order may be told late.
OVERLAP = timedelta(minutes=10)
#: The reason of an order that was taken in, where its kind tells it.
REASONS = {
    (Order.Purpose.LIQUIDATION, OrderType.MARKET): "liquidation",
    (Order.Purpose.PROTECT, OrderType.STOP): Gate.STOP_LOSS.value,
    (Order.Purpose.PROTECT, OrderType.TARGET): Gate.TAKE_PROFIT.value,
}
#: What the exchange itself calls orders that it forces on an account.
FORCED = ("autoclose-", "adl_autoclose", "settlement_autoclose")


@dataclass(frozen=True, kw_only=True)
class There:
    """What the exchange's lists say beyond the ledger, oldest first.

    `missing`: orders of the bot that have no row. `late`: rows that count as settled, though the
    exchange has filled more of them since. `others`: the owner's own orders that rest.
    """

    missing: list[OrderReport]
    late: list[Order]
    others: list[OrderReport]


def look(held: Held, exchange: Exchange) -> There:
    """Compare the orders of the bot's market with the ledger's."""
    since = held.state.reconciled_at or held.bot.created_at
    at = round((since - OVERLAP).timestamp() * 1000)
    symbol = held.bot.symbol
    told = {report.exchange_order_id: report for report in exchange.history(symbol, at)}
    told |= {report.exchange_order_id: report for report in exchange.open_orders(symbol)}
    reports = sorted(told.values(), key=lambda report: report.at)
    names = [report.client_order_id for report in reports]
    rows = Order.objects.filter(account=held.account, client_order_id__in=names)
    known = {row.client_order_id: row for row in rows}
    new = [report for report in reports if report.client_order_id not in known]
    mine = [report for report in new if _is_of(held, report)]
    late = []
    for report in reports:
        row = known.get(report.client_order_id)
        if row and row.bot_id == held.bot.pk and row.is_settled and report.filled > row.filled:
            late.append(row)
    others = [report for report in new if report not in mine and not report.status.is_final]
    return There(missing=mine, late=late, others=others)


def _is_of(held: Held, report: OrderReport) -> bool:
    name = report.client_order_id
    mark = f"{PREFIX}{Installation.get().mark}{base36(held.bot.pk, 5)[-5:]}"
    if name.startswith(mark) and len(name) == len(mark) + 8:
        return True
    if ":" not in held.bot.symbol or not name.startswith(FORCED):
        return False
    # A forced order from before this bot held anything closed somebody else's position.
    opened = held.state.position_opened_at
    return opened is not None and report.at >= round(opened.timestamp() * 1000)


def is_forced(report: OrderReport) -> bool:
    """Whether the exchange itself made this order."""
    return report.client_order_id.startswith(FORCED)


def adopt(held: Held, reports: Sequence[OrderReport]) -> None:
    """Write rows for orders that were found at the exchange; their fills are booked by settling."""
    rows = [_row(held, report) for report in reports]
    with transaction.atomic():
        row = held.locked()
        for order in rows:
            order.save(force_insert=True)
        protective = any(order.purpose == Order.Purpose.PROTECT for order in rows)
        BotState.objects.filter(**held.mine).update(
            has_unsettled_orders=True, has_protection=row.has_protection or protective
        )
    held.refresh()


def _row(held: Held, report: OrderReport) -> Order:
    at = datetime.fromtimestamp(report.at / 1000, UTC)
    purpose, kind = _purpose(held, report)
    return Order(
        bot=held.bot,
        account=held.account,
        client_order_id=report.client_order_id,
        exchange_order_id=report.exchange_order_id,
        symbol=report.symbol,
        side=report.side,
        type=kind,
        purpose=purpose,
        reason=REASONS.get((purpose, kind), "adopted"),
        amount=report.amount,
        price=report.price if kind is OrderType.LIMIT else None,
        trigger=report.trigger,
        status=OrderStatus.UNKNOWN,
        signed_at=at,
        fence=held.state.fence,
        run_epoch=held.epoch,
        message="found at the exchange",
        created_at=at,
    )


def _purpose(held: Held, report: OrderReport) -> tuple[Order.Purpose, OrderType]:
    if is_forced(report):
        return Order.Purpose.LIQUIDATION, OrderType.MARKET
    if report.type in (OrderType.STOP, OrderType.TARGET):
        return Order.Purpose.PROTECT, report.type
    if held.has_rungs and report.type is OrderType.LIMIT:
        return Order.Purpose.RUNG, OrderType.LIMIT
    opens = Side.SELL if held.bot.direction == "short" else Side.BUY
    purpose = Order.Purpose.ENTRY if report.side is opens else Order.Purpose.EXIT
    return purpose, report.type or OrderType.MARKET
