"""From alerts to messages: what is told now, what is held back, and what equal ones become.

Equal alerts (of a user: bot or API key, kind, reason) make one message, then none for WINDOW, then
one that says how many more there were. Quiet hours hold back, and all that waited is one message
after them.
"""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TypeAlias

from django.conf import settings
from django.db import transaction
from django.db.models import Case, Max, When
from django.utils import timezone, translation

from bots.alerts.wording import Entry, message
from bots.models import Alert, AlertChannel, AlertDelivery, AlertSettings, Outpaced, User
from bots.models.alert import URGENT, AlertKind

log = logging.getLogger(__name__)
#: More alerts than these of one user wait for the next turn.
MOST = 5000

Group: TypeAlias = tuple[int | None, str, str, str]


def plan(now: datetime) -> int:
    """Make messages of the alerts that may be told at `now`. Returns how many messages there are.

    A user's alerts are marked and their messages written in one transaction: a plan that is killed
    told nothing, and of two at once the second finds nothing to tell.
    """
    owners = Alert.objects.filter(told_at=None).values_list("owner", flat=True).distinct()
    made = 0
    for owner in User.objects.filter(pk__in=list(owners)):
        try:
            with transaction.atomic():
                made += _plan_for(owner, now)
        except Outpaced:
            continue
        except Exception:
            # A door of its own: what cannot be told to one user must not silence all the others.
            log.exception("alerts of user %s not planned", owner.pk)
    return made


def _plan_for(owner: User, now: datetime) -> int:
    window = timedelta(seconds=settings.ALERTS_WINDOW_SECONDS)
    waiting = Alert.objects.filter(owner=owner, told_at=None).select_related("bot")
    groups: dict[Group, list[Alert]] = {}
    # What is urgent does not wait behind a night of what is not.
    calm = Case(When(kind__in=URGENT, then=0), default=1)
    for alert in waiting.order_by(calm, "at", "pk")[:MOST]:
        group = _group(alert.bot_id, alert.kind, alert.reason, alert.key)
        groups.setdefault(group, []).append(alert)
    told = _told(owner, now - 2 * window)
    quiet, passes = _quiet(owner, now)
    due = []
    for group, alerts in groups.items():
        last = told.get(group)
        entry = Entry(alerts=alerts, more=last is not None)
        if quiet and not (passes and entry.is_urgent):
            continue
        if last is None or now - last >= window:
            due.append(entry)
    return _write(owner, due, now) if due else 0


def _group(bot: int | None, kind: str, reason: str, key: str) -> Group:
    """Return what equal alerts have in common; without a bot, the API key that they are about."""
    about = ":".join(key.split(":")[:2]) if bot is None and kind == AlertKind.KEY_REFUSED else ""
    return bot, kind, reason, about


def _told(owner: User, since: datetime) -> dict[Group, datetime]:
    """Return when equal alerts were told last."""
    rows = Alert.objects.filter(owner=owner, told_at__gt=since).order_by("told_at")
    newest = rows.values_list("bot", "kind", "reason").annotate(last=Max("told_at")).order_by()
    told = {_group(bot, kind, why, ""): at for bot, kind, why, at in newest if at is not None}
    for kind, reason, key, at in rows.filter(bot=None).values_list(
        "kind", "reason", "key", "told_at"
    ):
        if at is not None:
            told[_group(None, kind, reason, key)] = at
    return told


def _quiet(owner: User, now: datetime) -> tuple[bool, bool]:
    """Return whether it is quiet at `now`, and whether what is urgent passes."""
    hours = AlertSettings.objects.filter(owner=owner).first()
    if hours is None:
        return False, True
    hours.owner = owner
    return hours.is_quiet(now), hours.urgent_passes


def _write(owner: User, entries: Sequence[Entry], now: datetime) -> int:
    pks = [alert.pk for entry in entries for alert in entry.alerts]
    if Alert.objects.filter(pk__in=pks, told_at=None).update(told_at=now) != len(pks):
        raise Outpaced("somebody else told these alerts")
    made = 0
    for channel in AlertChannel.objects.working().filter(owner=owner):
        mine = [entry for entry in entries if entry.kind in channel.kinds]
        if mine:
            subject, body = _in_words_of(owner, mine)
            AlertDelivery.objects.create(
                channel=channel,
                kind=_first(mine).value,
                alerts=sum(len(entry.alerts) for entry in mine),
                subject=subject,
                body=body,
                created_at=now,
                due_at=now,
            )
            made += 1
    return made


def _first(entries: Sequence[Entry]) -> AlertKind:
    return next((entry.kind for entry in entries if entry.is_urgent), entries[0].kind)


def _in_words_of(owner: User, entries: Sequence[Entry]) -> tuple[str, str]:
    language = owner.language or settings.LANGUAGE_CODE
    with translation.override(language), timezone.override(owner.zone):
        return message(entries)
