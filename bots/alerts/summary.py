"""The day in figures: per bot and quote currency, once a user and day, after the rollover."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from bots.models import Alert, AlertChannel, BotState, DayStats, User
from bots.models.alert import AlertKind
from bots.models.fields import plain
from trading.day import day_end, local_day

#: The rollovers have had their time by then.
AFTER = timedelta(minutes=3)
#: A summary that could not be made by then is not made any more.
LATEST = timedelta(hours=6)


def due(owners: Sequence[int], now: datetime) -> Iterator[tuple[int, date, datetime]]:
    """Yield owner, day and its end for each summary that is due and not made yet."""
    for owner in User.objects.filter(pk__in=owners).only("time_zone"):
        day = local_day(owner.zone, now) - timedelta(days=1)
        ended = day_end(owner.zone, day)
        if not AFTER <= now - ended < LATEST:
            continue
        if Alert.objects.filter(key=f"summary:{owner.pk}:{day.isoformat()}").exists():
            continue
        # Who has asked for it since gets the next one. A day that is not over waits for it.
        working = AlertChannel.objects.working().filter(owner=owner, created_at__lte=ended)
        asked = any(AlertKind.SUMMARY in kinds for kinds in working.values_list("kinds", flat=True))
        late = BotState.objects.filter(bot__owner=owner, day_ends_at__lte=now).exists()
        if asked and not late and DayStats.objects.filter(bot__owner=owner, day=day).exists():
            yield owner.pk, day, ended


def rows(owner: int, day: date) -> list[dict[str, Any]]:
    """Return a row for each bot that is on, holds something or traded that day, as stored text."""
    states = {s.pk: s for s in BotState.objects.filter(bot__owner=owner)}
    found = []
    stats = DayStats.objects.filter(bot__owner=owner, day=day).select_related("bot")
    for one in stats.order_by("bot__name", "bot_id"):
        state = states.get(one.bot_id)
        is_on = one.bot.is_active or (state is not None and state.in_position)
        if not (is_on or one.trades or one.pnl):
            continue
        found.append(
            {
                "name": one.bot.name,
                "mode": one.bot.mode,
                "currency": one.bot.symbol.partition("/")[2].partition(":")[0],
                "pnl": plain(one.pnl),
                "trades": one.trades,
                "status": state.status if state else "",
                "held": bool(state and state.in_position),
            }
        )
    return found
