"""What has to happen though every message was lost: each minute, from rows alone."""

from collections.abc import Collection
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from bots import holders, reset, schedule
from bots.lifecycle import Duty, Mode
from bots.models import Account, ApiKey, BotConfig, BotState, Heartbeat, Market
from bots.models.validity import SIMULATED

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
    comparisons = _queue_comparisons()
    reset.go_on(rolled, settings.RESET_SPREAD_SECONDS)
    Heartbeat.beat("sweep", f"{len(rolled)} rolled over, {len(late)} late")
    return {
        "rolled_over": len(rolled),
        "repaired": repaired,
        "late": len(late),
        "key_checks": checks,
        "balances": balances,
        "markets": markets,
        "comparisons": comparisons,
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
    left = left.filter(Q(in_position=True) | Q(has_protection=True))
    left = left.filter(Q(reconciled_at=None) | Q(reconciled_at__lt=old))
    for pk in left.values_list("pk", flat=True):
        schedule.send("bots.tasks.reconcile", pk)
    return len(left)


def _queue_markets() -> int:
    """Queue a reading of market rules wherever they are missing or old."""
    ticking = BotConfig.objects.filter(state__duty__in=[Duty.TRADE, Duty.EXIT])
    used = set(ticking.values_list("exchange", "mode").distinct())
    keyed = Account.objects.filter(key__isnull=False).exclude(key__is_valid=False)
    used |= set(keyed.values_list("exchange", "mode").distinct())
    used.add((SIMULATED, Mode.PAPER.value))
    fresh = timezone.now() - timedelta(seconds=settings.MARKETS_TTL_SECONDS)
    known = set(Market.objects.filter(as_of__gt=fresh).values_list("exchange", "mode").distinct())
    for exchange, mode in sorted(used - known):
        schedule.send("bots.tasks.refresh_markets", exchange, mode)
    return len(used - known)


def _queue_key_checks() -> int:
    old = timezone.now() - timedelta(hours=settings.KEY_CHECK_HOURS)
    keys = ApiKey.objects.filter(Q(checked_at=None) | Q(checked_at__lt=old))
    for pk in keys.values_list("pk", flat=True):
        schedule.send("bots.tasks.check_key", pk)
    return len(keys)


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
