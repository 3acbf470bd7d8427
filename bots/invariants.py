"""What must always hold, evaluated on the database: the I-numbers of docs/concepts.md."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import reduce

from django.db.models import Count, Exists, F, OuterRef
from django.utils import timezone

from bots import booking, lifecycle, schedule
from bots.lifecycle import Duty, Mode
from bots.models import (
    BotConfig,
    BotState,
    DayStats,
    Decision,
    Fill,
    Order,
    PaperBalance,
    PaperOrder,
)
from bots.sweep import intervals
from trading.market import EXACT, OrderStatus, quantize


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One thing that does not hold. `code` is the invariant; `bot_id` None: not of one bot."""

    code: str
    bot_id: int | None
    text: str

    def __str__(self) -> str:
        return f"{self.code} bot {self.bot_id or '-'}: {self.text}"


def check(now: datetime | None = None) -> list[Violation]:
    """Evaluate every invariant that the database alone can show. Empty: all hold.

    `now`: the time to judge days by (replays bring their own).
    """
    at = now or timezone.now()
    return [violation for rule in RULES for violation in rule(at)]


def _one_tick(_: datetime) -> Iterator[Violation]:
    """I1: a lease and an open tick belong together."""
    rows = BotState.objects.filter(tick_started_at__isnull=True, lease_until__isnull=False)
    for state in rows:
        yield Violation(code="I1", bot_id=state.pk, text="a lease without a tick")


def _ledger_is_whole(_: datetime) -> Iterator[Violation]:
    """I2, I6, I13: fills add up to their orders, settled orders are final and complete."""
    for order in Order.objects.prefetch_related("fills").iterator(chunk_size=500):
        booked = reduce(EXACT.add, (fill.amount for fill in order.fills.all()), Decimal(0))
        if booked != order.booked:
            text = f"{order.client_order_id}: fills sum to {booked}, booked is {order.booked}"
            yield Violation(code="I2", bot_id=order.bot_id, text=text)
        final = OrderStatus(order.status).is_final
        if order.is_settled != (final and order.booked == order.filled):
            text = f"{order.client_order_id}: {order.status}, {order.booked} of {order.filled}"
            yield Violation(code="I13", bot_id=order.bot_id, text=text)
    doubled = (
        Fill.objects.values("account", "symbol", "trade_id").annotate(n=Count("pk")).filter(n__gt=1)
    )
    for row in doubled:
        yield Violation(code="I2", bot_id=None, text=f"trade {row['trade_id']} counted twice")


def _states_are_legal(_: datetime) -> Iterator[Violation]:
    """I5: the table allows the row, and duty is trade exactly when the bot is active."""
    for state in BotState.objects.select_related("bot"):
        if not lifecycle.is_allowed(state.status, state.reason, state.duty):
            yield Violation(code="I5", bot_id=state.pk, text=f"{state.text} with {state.duty}")
        if state.bot.is_active != (state.duty == Duty.TRADE):
            text = f"is_active {state.bot.is_active}, duty {state.duty}"
            yield Violation(code="I5", bot_id=state.pk, text=text)
    for bot in BotConfig.objects.filter(is_active=True, state=None):
        yield Violation(code="I5", bot_id=bot.pk, text="active without a state")


def _caches_are_folds(_: datetime) -> Iterator[Violation]:
    """I3, I7: position, counters and days are what a fresh fold over the fills gives."""
    days: dict[int, list[DayStats]] = {}
    for day in DayStats.objects.all():
        days.setdefault(day.bot_id, []).append(day)
    for state in BotState.objects.all():
        fold = booking.fold(state.pk)
        position, pnl, trades = fold.position, fold.pnl, fold.trades
        if position != state.position:
            yield Violation(code="I7", bot_id=state.pk, text=f"{position} != {state.position}")
        if fold.profit != state.profit:
            text = f"profit {state.profit}, fills say {fold.profit}"
            yield Violation(code="I7", bot_id=state.pk, text=text)
        today = state.counter_day
        counted = (state.daily_pnl, state.daily_trades_count)
        if counted != (pnl.get(today, Decimal(0)), trades.get(today, 0)):
            text = f"{today}: counters {counted}, fills say {pnl.get(today)}, {trades.get(today)}"
            yield Violation(code="I3", bot_id=state.pk, text=text)
        rows = {day.day: day for day in days.get(state.pk, [])}
        for date in pnl.keys() | rows.keys():
            row = rows.get(date)
            told = (row.pnl, row.trades) if row else None
            if told != (quantize(pnl.get(date, Decimal(0))), trades.get(date, 0)):
                text = f"{date}: day row {told}, fills say {pnl.get(date)}, {trades.get(date)}"
                yield Violation(code="I3", bot_id=state.pk, text=text)


def _days_are_closed(now: datetime) -> Iterator[Violation]:
    """I3: each day before the current one is closed, and nothing is two minutes overdue."""
    late = now - timedelta(minutes=2)
    for state in BotState.objects.filter(day_ends_at__lt=late):
        text = f"day {state.counter_day} ended {state.day_ends_at:%Y-%m-%d %H:%M}Z, not rolled over"
        yield Violation(code="I3", bot_id=state.pk, text=text)
    open_days = DayStats.objects.filter(closed_at=None, day__lt=F("bot__state__counter_day"))
    for day in open_days:
        yield Violation(code="I3", bot_id=day.bot_id, text=f"day {day.day} is past but open")


def _unsettled_is_known(_: datetime) -> Iterator[Violation]:
    """I4, I9: the state row knows of its open orders; at most one entry or exit is among them."""
    left: dict[int, list[Order]] = {}
    for order in Order.objects.filter(is_settled=False):
        left.setdefault(order.bot_id, []).append(order)
    for state in BotState.objects.all():
        mine = left.get(state.pk, [])
        protection = [order for order in mine if order.purpose == Order.Purpose.PROTECT]
        others = len(mine) - len(protection)
        waiting = any(order.status != OrderStatus.OPEN for order in protection)
        told = (state.has_unsettled_orders, state.has_protection)
        if told != (bool(others or waiting), bool(protection)):
            text = f"says {told}, orders: {others}, protective: {len(protection)}"
            yield Violation(code="I9", bot_id=state.pk, text=text)
        if others > 1 or len(protection) > 2:
            text = f"{others} orders and {len(protection)} protective ones are open at once"
            yield Violation(code="I9", bot_id=state.pk, text=text)
        if protection and not state.in_position and state.duty == Duty.NONE:
            text = "a protective order is left without a position and without duty"
            yield Violation(code="I8", bot_id=state.pk, text=text)


def _nothing_was_sent_unwritten(_: datetime) -> Iterator[Violation]:
    """I6: a paper exchange knows no order that the ledger does not."""
    written = Order.objects.filter(client_order_id=OuterRef("client_order_id"))
    for answer in PaperOrder.objects.exclude(Exists(written)).select_related("account"):
        bot = answer.account.bots.first()
        text = f"{answer.client_order_id} was answered but never written down"
        yield Violation(code="I6", bot_id=bot.pk if bot else None, text=text)


def _tenants_are_apart(_: datetime) -> Iterator[Violation]:
    """I11: a bot, its account and its orders have one owner."""
    foreign = BotConfig.objects.exclude(account=None).exclude(account__owner=F("owner"))
    for bot in foreign:
        yield Violation(code="I11", bot_id=bot.pk, text="its account belongs to another user")
    for order in Order.objects.exclude(account__owner=F("bot__owner")):
        yield Violation(code="I11", bot_id=order.bot_id, text=f"{order} is on a foreign account")


def _ticks_are_told(_: datetime) -> Iterator[Violation]:
    """I14: the newest finished tick has its decision row."""
    for state in BotState.objects.filter(fence__gt=0, tick_started_at=None):
        newest = Decision.objects.filter(bot_id=state.pk).order_by("-pk").first()
        if newest is None or newest.fence != state.fence:
            text = f"tick {state.fence} has no decision row"
            yield Violation(code="I14", bot_id=state.pk, text=text)


def _schedule_is_in_step(_: datetime) -> Iterator[Violation]:
    """I15: exactly the bots with duty are scheduled, at their own interval."""
    wanted, rows = intervals(), schedule.scheduled()
    for bot_id in wanted.keys() ^ rows.keys():
        word = "not scheduled" if bot_id in wanted else "scheduled without duty"
        yield Violation(code="I15", bot_id=bot_id, text=word)
    for bot_id in wanted.keys() & rows.keys():
        if wanted[bot_id] != rows[bot_id]:
            text = f"every {rows[bot_id]} s instead of {wanted[bot_id]}"
            yield Violation(code="I15", bot_id=bot_id, text=text)


def _paper_books_balance(_: datetime) -> Iterator[Violation]:
    """I7: a paper account holds of its base coin exactly what its bot's fills left there."""
    bots = BotConfig.objects.filter(mode=Mode.PAPER, account__isnull=False, state__isnull=False)
    for bot in bots.select_related("state", "account"):
        base = bot.symbol.partition("/")[0]
        row = PaperBalance.objects.filter(account=bot.account, currency=base).first()
        units = row.units if row else Decimal(0)
        if units != bot.state.current_position_size and not bot.state.has_unsettled_orders:
            text = f"book {units} {base}, position {bot.state.current_position_size}"
            yield Violation(code="I7", bot_id=bot.pk, text=text)


RULES: tuple[Callable[[datetime], Iterator[Violation]], ...] = (
    _one_tick,
    _ledger_is_whole,
    _states_are_legal,
    _caches_are_folds,
    _days_are_closed,
    _unsettled_is_known,
    _nothing_was_sent_unwritten,
    _tenants_are_apart,
    _ticks_are_told,
    _schedule_is_in_step,
    _paper_books_balance,
)
