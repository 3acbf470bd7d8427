"""Orders, fills, money: what is stored is what a fresh sum over the fills gives."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from functools import reduce

from django.db.models import Count, Exists, OuterRef

from bots import recompute
from bots.invariants.among import EVERY, Among
from bots.invariants.violation import Violation
from bots.lifecycle import Mode
from bots.models import (
    BotConfig,
    BotState,
    Fill,
    Order,
    PaperBalance,
    PaperOrder,
)
from trading.market import EXACT, OrderStatus


def ledger_is_whole(_: datetime, among: Among = EVERY) -> Iterator[Violation]:
    """I2, I6, I13: fills add up to their orders, settled orders are final and complete."""
    orders = among.of(Order.objects.prefetch_related("fills"))
    for order in orders.iterator(chunk_size=500):
        booked = reduce(EXACT.add, (fill.amount for fill in order.fills.all()), Decimal(0))
        if booked != order.booked:
            text = f"{order.client_order_id}: fills sum to {booked}, booked is {order.booked}"
            yield Violation(code="I2", bot_id=order.bot_id, text=text)
        final = OrderStatus(order.status).is_final
        if order.is_settled != (final and order.booked == order.filled):
            text = f"{order.client_order_id}: {order.status}, {order.booked} of {order.filled}"
            yield Violation(code="I13", bot_id=order.bot_id, text=text)
    doubled = among.of(Fill.objects.all()).values("account", "symbol", "trade_id")
    for row in doubled.annotate(n=Count("pk")).filter(n__gt=1):
        yield Violation(code="I2", bot_id=None, text=f"trade {row['trade_id']} counted twice")


def caches_are_folds(_: datetime, among: Among = EVERY) -> Iterator[Violation]:
    """I3, I7: position, counters and days are what a fresh fold over the fills gives."""
    for state in among.of(BotState.objects.select_related("bot")):
        for found in recompute.differences(state):
            counted = found.day is not None or found.name in ("daily_pnl", "daily_trades_count")
            yield Violation(code="I3" if counted else "I7", bot_id=state.pk, text=str(found))


def nothing_was_sent_unwritten(_: datetime, among: Among = EVERY) -> Iterator[Violation]:
    """I6: a paper exchange knows no order that the ledger does not."""
    written = Order.objects.filter(client_order_id=OuterRef("client_order_id"))
    answers = PaperOrder.objects.exclude(Exists(written)).select_related("account")
    for answer in among.of(answers, "account__bots"):
        bot = answer.account.bots.first()
        text = f"{answer.client_order_id} was answered but never written down"
        yield Violation(code="I6", bot_id=bot.pk if bot else None, text=text)


def paper_books_balance(_: datetime, among: Among = EVERY) -> Iterator[Violation]:
    """I7: a paper account holds of its base coin exactly what its bot's fills left there."""
    bots = BotConfig.objects.filter(mode=Mode.PAPER, account__isnull=False, state__isnull=False)
    for bot in among.of(bots.select_related("state", "account"), "pk"):
        base = bot.symbol.partition("/")[0]
        row = PaperBalance.objects.filter(account=bot.account, currency=base).first()
        units = row.units if row else Decimal(0)
        if units != bot.state.current_position_size and not bot.state.has_unsettled_orders:
            text = f"book {units} {base}, position {bot.state.current_position_size}"
            yield Violation(code="I7", bot_id=bot.pk, text=text)
