"""What has to happen though every message was lost: each minute, from rows alone."""

from collections.abc import Collection
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from bots import holders, housekeeping, reset, schedule, transferring, transfers, watchlist
from bots.lifecycle import Duty, Mode, PositionType
from bots.models import (
    Account,
    ApiKey,
    BotConfig,
    BotState,
    Fill,
    Heartbeat,
    Market,
    Transfer,
)
from bots.models.validity import SIMULATED
from bots.reconcile import PENALTY_SLACK
from trading.exchanges.account import FENCED

CHUNK = 500


def sweep() -> dict[str, int]:
    """Roll days over, repair the schedule, and queue ticks, key checks and balances that are due.

    Returns how many of each were found.
    """
    now = timezone.now()
    rolled = reset.roll_over(now)
    repaired = sum(repair_schedule())
    late = sorted({*holders.free_dead(), *late_bots()})
    for bot_id in late:
        schedule.send(schedule.RUN_BOT, bot_id)
    checks = _queue_key_checks()
    balances = _queue_balances()
    markets = _queue_markets()
    watched = _queue_watched(now)
    comparisons = _queue_comparisons()
    transfers_ = _queue_transfers()
    housekeeping.prune_candles(now)
    reset.go_on(rolled, settings.RESET_SPREAD_SECONDS)
    Heartbeat.beat("sweep", f"{len(rolled)} rolled over, {len(late)} late")
    return {
        "rolled_over": len(rolled),
        "repaired": repaired,
        "late": len(late),
        "key_checks": checks,
        "balances": balances,
        "markets": markets,
        "watched": watched,
        "comparisons": comparisons,
        "transfers": transfers_,
    }


def repair_schedule() -> tuple[int, int, int]:
    """Bring beat's rows in line with the bots; returns how many were added, changed, removed.

    What looks wrong is looked at again under the lock that start and stop need, so that a bot
    that was started or stopped meanwhile keeps the row that it was given.
    """
    added = changed = removed = 0
    suspects = sorted(schedule.drift(intervals()))
    for start in range(0, len(suspects), CHUNK):
        names = suspects[start : start + CHUNK]
        with transaction.atomic():
            states = BotState.objects.filter(pk__in=[schedule.bot_of(name) for name in names])
            pks = list(states.select_for_update().order_by("pk").values_list("pk", flat=True))
            counts = schedule.repair(intervals(pks), names)
        added, changed, removed = added + counts[0], changed + counts[1], removed + counts[2]
    schedule.ensure_platform_rows()
    return added, changed, removed


def intervals(among: Collection[int] | None = None) -> dict[int, int]:
    """Return the bots (or those of them) with duty and how often each wants its tick (seconds)."""
    rows = BotConfig.objects.filter(state__duty__in=[Duty.TRADE, Duty.EXIT])
    if among is not None:
        rows = rows.filter(pk__in=among)
    return dict(rows.values_list("pk", "check_interval_seconds"))


def late_bots() -> list[int]:
    """Return bots with duty that missed three intervals, or that wait for an order's outcome."""
    now = timezone.now()
    soonest = now - timedelta(seconds=3 * settings.MIN_CHECK_INTERVAL_SECONDS)
    rows = BotState.objects.exclude(duty=Duty.NONE).filter(
        Q(has_unsettled_orders=True) | Q(last_run_at=None) | Q(last_run_at__lt=soonest)
    )
    return [
        state.pk
        for state in rows.select_related("bot")
        if state.has_unsettled_orders or state.is_late(now)
    ]


def _queue_comparisons() -> int:
    """Queue a comparison of positions that no tick watches; the others' ticks compare."""
    old = timezone.now() - timedelta(seconds=settings.RECONCILE_SECONDS)
    left = BotState.objects.filter(duty=Duty.NONE).exclude(bot__mode=Mode.PAPER)
    # A position that has just been closed: what it paid or its liquidation cost may be missing.
    last = OuterRef("reconciled_at") - PENALTY_SLACK
    since = Fill.objects.filter(bot=OuterRef("pk"), at__gt=last)
    closed = Q(Exists(since), bot__position_type=PositionType.FUTURES)
    left = left.filter(Q(in_position=True) | Q(has_protection=True) | Q(has_ladder=True) | closed)
    left = left.filter(Q(reconciled_at=None) | ~Q(reconciled_at__range=(old, timezone.now())))
    for pk in left.values_list("pk", flat=True):
        schedule.send("bots.tasks.reconcile", pk)
    return len(left)


def _queue_transfers() -> int:
    """Queue what was asked for and not taken yet, and what has no answer; close what is too old."""
    transfers.expire()
    waiting = Transfer.objects.filter(status=Transfer.Status.REQUESTED)
    requested = list(waiting.values_list("pk", flat=True))
    unanswered = transferring.unanswered()
    for pk in requested:
        schedule.send(transfers.SEND, pk)
    for pk in unanswered:
        schedule.send("bots.tasks.look_up_transfer", pk)
    return len(requested) + len(unanswered)


def _queue_markets() -> int:
    """Queue a reading of market rules wherever they are missing or old."""
    fresh = timezone.now() - timedelta(seconds=settings.MARKETS_TTL_SECONDS)
    old = []
    for kind in PositionType:
        rows = Market.objects.of(kind).filter(as_of__gt=fresh)
        known = set(rows.values_list("exchange", "mode").distinct())
        old += [(*place, kind.value) for place in sorted(_markets_wanted(kind) - known)]
    for where in old:
        schedule.send("bots.tasks.refresh_markets", *where)
    return len(old)


def _queue_watched(now: datetime) -> int:
    """Queue a reading of watched markets wherever a candle has closed that nobody has brought."""
    places = watchlist.places(now)
    for place in places:
        schedule.send("bots.tasks.refresh_watched", *place)
    return len(places)


def _markets_wanted(kind: PositionType) -> set[tuple[str, str]]:
    """Return the exchanges and modes whose spot or futures markets somebody may ask for.

    Futures: where a bot trades them, or a key for real money could.
    """
    ticking = BotConfig.objects.filter(state__duty__in=[Duty.TRADE, Duty.EXIT], position_type=kind)
    keyed = Account.objects.filter(key__isnull=False).exclude(key__is_valid=False)
    if kind == PositionType.FUTURES:
        keyed = keyed.filter(mode=Mode.LIVE, exchange__in=FENCED)
    used = set(ticking.values_list("exchange", "mode").distinct())
    used |= set(keyed.values_list("exchange", "mode").distinct())
    return used | {(SIMULATED, Mode.PAPER.value)} if kind == PositionType.SPOT else used


def _queue_key_checks() -> int:
    old = timezone.now() - timedelta(hours=settings.KEY_CHECK_HOURS)
    due = Q(checked_at=None) | Q(checked_at__lt=old)
    # A bot may have been made since the check that wants more rights than those before it.
    lacks = Q(check_fault="", may_trade_futures=False, account__bots__in=_futures_bots())
    keys = ApiKey.objects.filter(due | lacks).distinct()
    for pk in keys.values_list("pk", flat=True):
        schedule.send("bots.tasks.check_key", pk)
    return len(keys)


def _futures_bots() -> QuerySet[BotConfig]:
    return BotConfig.objects.alive().filter(position_type=PositionType.FUTURES)


def _queue_balances() -> int:
    old = timezone.now() - timedelta(seconds=60)
    accounts = (
        Account.objects.exclude(mode=Mode.PAPER)
        .filter(bots__is_active=True, key__isnull=False)
        .filter(Q(balance=None) | Q(balance__as_of__lt=old))
        .distinct()
    )
    for pk in accounts.values_list("pk", flat=True):
        schedule.send("bots.tasks.refresh_balance", pk)
    return len(accounts)
