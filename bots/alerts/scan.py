"""What there is to tell: found in the rows that ticks, verbs and checks write anyway.

A row is read again until no transaction of its time can be under way any more, and its key lets one
alert be made of it, however often it is read: whoever is killed here is followed by the next scan.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Max

from bots.alerts import summary
from bots.lifecycle import FATAL, Duty, Move, Reason, Status
from bots.models import (
    Alert,
    AlertChannel,
    AlertScan,
    ApiKey,
    BotState,
    Fill,
    Order,
    Outpaced,
    StateEvent,
)
from bots.models.alert import AlertKind
from bots.models.fields import plain
from trading.market import Side
from trading.position import Position

#: Longer than any transaction: tasks are killed after 45 s.
OVERLAP = timedelta(seconds=120)
#: What was written down longer ago is no news any more: demo histories, and what a scan finds that
#: was away for long. What an exchange did while the platform was down is news when it is booked.
NEWS = timedelta(hours=6)
#: How long an order may take to get all its fills before it is told of as it is.
SETTLES = timedelta(seconds=60)
REFUSED = frozenset({Reason.API_KEY_INVALID, Reason.API_KEY_RIGHTS})
#: What is read of an event.
EVENT = ("at", "move", "old_status", "new_status", "new_reason", "bot__owner_id")

#: owner -> the kinds that one of their channels tells.
Wishes = Mapping[int, frozenset[str]]


@dataclass(frozen=True, kw_only=True)
class Fact:
    """Something that happened `at` an instant, and when we came to know of it.

    `key` is made of the row alone that says so.
    """

    owner: int
    bot: int | None
    kind: AlertKind
    reason: str
    at: datetime
    known_at: datetime
    key: str
    data: Mapping[str, Any]


def scan(turn: AlertScan, now: datetime) -> int:
    """Write alerts for what happened since the last scan. Returns how many rows were looked at.

    `turn`: the scan's row, leased by the caller; Outpaced where somebody took it over.
    """
    wishes = _wishes()
    facts: list[Fact] = []
    if wishes:
        wanted = (fact for fact in _found(turn, wishes, now) if fact.kind in wishes[fact.owner])
        facts = [fact for fact in wanted if now - fact.known_at <= NEWS]
        rows = [
            Alert(
                owner_id=fact.owner,
                bot_id=fact.bot,
                kind=fact.kind,
                reason=fact.reason,
                at=fact.at,
                key=fact.key,
                data=dict(fact.data),
            )
            for fact in facts
        ]
        Alert.objects.bulk_create(rows, batch_size=500, ignore_conflicts=True)
    _advance(turn, now)
    return len(facts)


def _wishes() -> dict[int, frozenset[str]]:
    wishes: dict[int, frozenset[str]] = {}
    for owner, kinds in AlertChannel.objects.working().values_list("owner", "kinds"):
        wishes[owner] = wishes.get(owner, frozenset()) | frozenset(kinds)
    return wishes


def _advance(turn: AlertScan, now: datetime) -> None:
    """Let `low` follow once everything up to `high` must have been seen."""
    if turn.marked_at is not None and now - turn.marked_at < OVERLAP:
        return
    newest = {
        "event": StateEvent.objects.aggregate(pk=Max("pk"))["pk"] or 0,
        "fill": Fill.objects.aggregate(pk=Max("pk"))["pk"] or 0,
    }
    is_first = turn.marked_at is None
    changes: dict[str, Any] = {"marked_at": now}
    for name, pk in newest.items():
        changes[f"{name}_low"] = pk if is_first else getattr(turn, f"{name}_high")
        changes[f"{name}_high"] = pk
    if not AlertScan.objects.filter(pk=turn.pk, fence=turn.fence).update(**changes):
        raise Outpaced("another scan took over")


def _found(turn: AlertScan, wishes: Wishes, now: datetime) -> Iterator[Fact]:
    if turn.marked_at is not None:
        yield from _events(turn.event_low, wishes)
        yield from _orders(turn.fill_low, wishes, now)
    yield from _unwatched(wishes, now)
    yield from _keys(wishes, now)
    yield from _summaries(wishes, now)


def _events(low: int, wishes: Wishes) -> Iterator[Fact]:
    # A paper twin follows its bot: what it does is told on that bot's page alone.
    rows = StateEvent.objects.filter(pk__gt=low, bot__owner__in=wishes, bot__twin_of=None)
    rows = rows.order_by("pk")
    rows = rows.select_related("bot").only(*EVENT)
    for event in rows.iterator(chunk_size=2000):
        kind = kind_of(event)
        if kind is not None:
            yield Fact(
                owner=event.bot.owner_id,
                bot=event.bot_id,
                kind=kind,
                reason=event.new_reason,
                at=event.at,
                known_at=event.at,
                key=f"event:{event.pk}",
                data={"off": event.new_reason in FATAL},
            )


def kind_of(event: StateEvent) -> AlertKind | None:
    """Return what a change of a bot's state is to a user; None where it is no news."""
    move, reason = event.move, event.new_reason
    if move in (Move.FAIL, Move.SWITCH_OFF):
        return AlertKind.KEY_REFUSED if reason in REFUSED else AlertKind.ERROR
    if move == Move.STOP:
        return AlertKind.HALTED if reason == Reason.HALT else AlertKind.STOPPED
    if move == Move.RESET:
        return AlertKind.RESUMED if event.old_status == Status.PAUSED else None
    if move == Move.RUN:
        return AlertKind.RESUMED if event.old_status == Status.ERROR else None
    return {Move.START: AlertKind.STARTED, Move.PAUSE: AlertKind.PAUSED}.get(Move(move))


def _orders(low: int, wishes: Wishes, now: datetime) -> Iterator[Fact]:
    """Yield what orders executed and was not told yet, once their fills are complete.

    An order that rests is told of in parts, where it is filled in parts.
    """
    fills = Fill.objects.filter(pk__gt=low, bot__owner__in=wishes, bot__twin_of=None)
    pks = set(fills.values_list("order", flat=True).iterator(chunk_size=2000))
    orders = Order.objects.filter(pk__in=pks).exclude(purpose=Order.Purpose.ADJUSTMENT)
    orders = orders.select_related("bot").prefetch_related("fills").order_by("pk")
    found = [(order, sorted(order.fills.all(), key=lambda fill: fill.pk)) for order in orders]
    keys = [_key(fill) for _order, those in found for fill in those]
    told = set(Alert.objects.filter(key__in=keys).values_list("key", flat=True))
    for order, those in found:
        upto = max((fill.pk for fill in those if _key(fill) in told), default=0)
        new = [fill for fill in those if fill.pk > upto]
        if new and (order.is_settled or now - new[0].booked_at > SETTLES):
            yield Fact(
                owner=order.bot.owner_id,
                bot=order.bot_id,
                kind=AlertKind.ENTRY if _opens(order) else AlertKind.EXIT,
                reason=order.reason,
                at=new[-1].at,
                known_at=new[-1].booked_at,
                key=_key(new[-1]),
                data=_figures(order, new),
            )


def _key(fill: Fill) -> str:
    """Return the key of the alert that tells of everything up to this fill."""
    return f"fill:{fill.pk}"


def _opens(order: Order) -> bool:
    is_rung = order.purpose == Order.Purpose.RUNG
    return order.purpose == Order.Purpose.ENTRY or (is_rung and order.side == Side.BUY)


def _figures(order: Order, fills: Iterable[Fill]) -> dict[str, str]:
    """Return what these fills of an order did: side, symbol, base units, average price, result."""
    amount = quote = pnl = Decimal(0)
    for fill in fills:
        amount, quote, pnl = amount + fill.amount, quote + fill.quote, pnl + fill.realized_pnl
    price = quote / amount if amount else Decimal(0)
    return {
        "side": order.side,
        "symbol": order.symbol,
        "amount": plain(amount),
        "price": plain(price),
        "pnl": plain(pnl),
    }


def _unwatched(wishes: Wishes, now: datetime) -> Iterator[Fact]:
    """Yield positions that nobody watches, once for each time that it came to that."""
    held = BotState.objects.filter(in_position=True, bot__owner__in=wishes, bot__twin_of=None)
    for state in held.select_related("bot"):
        if state.is_unwatched:
            is_off = state.duty == Duty.NONE
            since = state.run_epoch if is_off else _second(state.last_price_at)
            position: Position = state.position
            yield Fact(
                owner=state.bot.owner_id,
                bot=state.pk,
                kind=AlertKind.UNWATCHED,
                reason="stopped" if is_off else "blind",
                at=now,
                known_at=now,
                key=f"unwatched:{state.pk}:{'off' if is_off else 'blind'}:{since}",
                data={
                    "symbol": state.bot.symbol,
                    "amount": plain(position.amount),
                    "protected": state.protection == "resting",
                },
            )


def _keys(wishes: Wishes, now: datetime) -> Iterator[Fact]:
    """Yield keys that their check refused; `checked_at` stays as it was while it is refused."""
    rows = ApiKey.objects.filter(is_valid=False, account__owner__in=wishes)
    for key in rows.exclude(check_fault="").select_related("account"):
        checked = _second(key.checked_at)
        yield Fact(
            owner=key.account.owner_id,
            bot=None,
            kind=AlertKind.KEY_REFUSED,
            reason=key.check_fault,
            at=now,
            known_at=now,
            key=f"key:{key.pk}:{key.check_fault}:{checked}",
            data={"label": key.account.label, "last4": key.last4},
        )


def _summaries(wishes: Wishes, now: datetime) -> Iterator[Fact]:
    owners = [owner for owner, kinds in wishes.items() if AlertKind.SUMMARY in kinds]
    for owner, day, ended in summary.due(owners, now):
        yield Fact(
            owner=owner,
            bot=None,
            kind=AlertKind.SUMMARY,
            reason=day.isoformat(),
            at=ended,
            known_at=ended,
            key=f"summary:{owner}:{day.isoformat()}",
            data={"bots": summary.rows(owner, day)},
        )


def _second(at: datetime | None) -> int:
    """Return an instant as a number for a key; 0 for none."""
    return int(at.timestamp()) if at else 0
