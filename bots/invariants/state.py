"""Where bots stand: leases, statuses, days, open orders, ticks, schedule, owners."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db.models import F

from bots import lifecycle, schedule
from bots.invariants.among import EVERY, Among
from bots.invariants.violation import Violation
from bots.lifecycle import Duty
from bots.models import BotConfig, BotState, DayStats, Decision, Order
from bots.sweep import intervals


def one_tick(_: datetime, among: Among = EVERY) -> Iterator[Violation]:
    """I1: a lease and an open tick belong together."""
    rows = BotState.objects.filter(tick_started_at__isnull=True, lease_until__isnull=False)
    for state in among.of(rows):
        yield Violation(code="I1", bot_id=state.pk, text="a lease without a tick")


def states_are_legal(_: datetime, among: Among = EVERY) -> Iterator[Violation]:
    """I5: the table allows the row, and duty is trade exactly when the bot is active."""
    for state in among.of(BotState.objects.select_related("bot")):
        if not lifecycle.is_allowed(state.status, state.reason, state.duty):
            yield Violation(code="I5", bot_id=state.pk, text=f"{state.text} with {state.duty}")
        if state.bot.is_active != (state.duty == Duty.TRADE):
            text = f"is_active {state.bot.is_active}, duty {state.duty}"
            yield Violation(code="I5", bot_id=state.pk, text=text)
    for bot in among.of(BotConfig.objects.filter(is_active=True, state=None), "pk"):
        yield Violation(code="I5", bot_id=bot.pk, text="active without a state")


def days_are_closed(now: datetime, among: Among = EVERY) -> Iterator[Violation]:
    """I3: each day before the current one is closed, and nothing is two minutes overdue."""
    late = now - timedelta(minutes=2)
    for state in among.of(BotState.objects.filter(day_ends_at__lt=late)):
        text = f"day {state.counter_day} ended {state.day_ends_at:%Y-%m-%d %H:%M}Z, not rolled over"
        yield Violation(code="I3", bot_id=state.pk, text=text)
    open_days = DayStats.objects.filter(closed_at=None, day__lt=F("bot__state__counter_day"))
    for day in among.of(open_days):
        yield Violation(code="I3", bot_id=day.bot_id, text=f"day {day.day} is past but open")


def unsettled_is_known(_: datetime, among: Among = EVERY) -> Iterator[Violation]:
    """I4, I9: the state row knows of its open orders; at most one entry or exit is among them."""
    left: dict[int, list[Order]] = {}
    for order in among.of(Order.objects.filter(is_settled=False)):
        left.setdefault(order.bot_id, []).append(order)
    for state in among.of(BotState.objects.all()):
        mine = left.get(state.pk, [])
        protection = [order for order in mine if order.purpose == Order.Purpose.PROTECT]
        rungs = [order for order in mine if order.purpose == Order.Purpose.RUNG]
        others = len(mine) - len(protection) - len(rungs)
        forced = sum(order.purpose == Order.Purpose.LIQUIDATION for order in mine)
        waiting = not all(order.rests_as_wished for order in mine)
        told = (state.has_unsettled_orders, state.has_protection, state.has_ladder)
        if told != (waiting, bool(protection), bool(rungs)):
            text = f"says {told}, orders: {others}, protective: {len(protection)}"
            text += f", rungs: {len(rungs)}"
            yield Violation(code="I9", bot_id=state.pk, text=text)
        # What the exchange forced came without asking, and several may wait for their fills.
        own = others - forced
        if own > 1 or len(protection) > 2:
            text = f"{own} orders and {len(protection)} protective ones are open at once"
            yield Violation(code="I9", bot_id=state.pk, text=text)
        # A comparison that is under way takes it back, or leaves it to ticks.
        alone = state.duty == Duty.NONE and state.tick_started_at is None
        if protection and not state.in_position and alone:
            text = "a protective order is left without a position and without duty"
            yield Violation(code="I8", bot_id=state.pk, text=text)


def tenants_are_apart(_: datetime, among: Among = EVERY) -> Iterator[Violation]:
    """I11: a bot, its account and its orders have one owner."""
    foreign = BotConfig.objects.exclude(account=None).exclude(account__owner=F("owner"))
    for bot in among.of(foreign, "pk"):
        yield Violation(code="I11", bot_id=bot.pk, text="its account belongs to another user")
    for order in among.of(Order.objects.exclude(account__owner=F("bot__owner"))):
        yield Violation(code="I11", bot_id=order.bot_id, text=f"{order} is on a foreign account")


def ticks_are_told(_: datetime, among: Among = EVERY) -> Iterator[Violation]:
    """I14: the newest finished tick has its decision row."""
    for state in among.of(BotState.objects.filter(fence__gt=0, tick_started_at=None)):
        newest = Decision.objects.filter(bot_id=state.pk).order_by("-pk").first()
        if newest is None or newest.fence != state.fence:
            text = f"tick {state.fence} has no decision row"
            yield Violation(code="I14", bot_id=state.pk, text=text)


def schedule_is_in_step(_: datetime, among: Among = EVERY) -> Iterator[Violation]:
    """I15: exactly the bots with duty are scheduled, at their own interval."""
    wanted, rows = intervals(), schedule.scheduled()
    for bot_id in wanted.keys() ^ rows.keys():
        if bot_id not in among:
            continue
        word = "not scheduled" if bot_id in wanted else "scheduled without duty"
        yield Violation(code="I15", bot_id=bot_id, text=word)
    for bot_id in wanted.keys() & rows.keys():
        if bot_id in among and wanted[bot_id] != rows[bot_id]:
            text = f"every {rows[bot_id]} s instead of {wanted[bot_id]}"
            yield Violation(code="I15", bot_id=bot_id, text=text)
