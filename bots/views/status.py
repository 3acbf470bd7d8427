"""For operators: does the platform live, and which bots and orders need a look."""

from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.db.models import Count, Q
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from bots.lifecycle import Duty, Status
from bots.models import BotState, Heartbeat, Order, User
from bots.views import words
from bots.views.common import PAGE_SIZE, Request

#: Sign of life -> (what it is, and the setting that says how old it may be; None: only shown).
PARTS: dict[str, tuple[Any, str | None]] = {
    # Beat sends the canary that the worker answers: one sign of life for both.
    "worker": (_("worker"), "CANARY_SECONDS"),
    "sweep": (_("sweep"), "SWEEP_SECONDS"),
    "reset": (_("daily reset"), None),
}


def _parts(now: Any) -> list[dict[str, Any]]:
    beats = {beat.name: beat for beat in Heartbeat.objects.all()}
    rows = []
    for name, (label, setting) in PARTS.items():
        beat = beats.pop(name, None)
        allowed = 3 * getattr(settings, setting) if setting else None
        age = (now - beat.at).total_seconds() if beat else None
        is_late = allowed is not None and (age is None or age > allowed)
        rows.append({"label": label, "beat": beat, "is_late": is_late, "allowed": allowed})
    rows += [{"label": beat.name, "beat": beat, "is_late": False} for beat in beats.values()]
    return rows


def _late(now: Any) -> list[BotState]:
    """Return bots with duty that missed three of their intervals, the oldest first."""
    rows = BotState.objects.exclude(duty=Duty.NONE).select_related("bot", "bot__owner")
    return [state for state in rows.order_by("last_run_at")[:1000] if state.is_late(now)]


@login_required
@require_safe
def status(request: Request) -> HttpResponse:
    """Show signs of life, late bots and unsettled orders; for anyone but operators a 404."""
    if not request.user.is_staff:
        raise Http404
    now = timezone.now()
    counts = dict(BotState.objects.values_list("status").annotate(n=Count("pk")))
    unsettled = Order.objects.filter(is_settled=False).select_related("bot", "bot__owner")
    held = BotState.objects.filter(in_position=True).select_related("bot__owner")
    unwatched = [state for state in held if state.is_unwatched]
    context = {
        "now": now,
        "parts": _parts(now),
        "late": _late(now)[:PAGE_SIZE],
        "orders": unsettled.order_by("pk")[:PAGE_SIZE],
        "statuses": words.STATUSES,
        "counts": [(s.label, counts.get(s.value, 0)) for s in Status],
        "users": User.objects.filter(is_active=True).count(),
        "overdue": BotState.objects.filter(Q(day_ends_at__lt=now)).count(),
        "unwatched": unwatched[:PAGE_SIZE],
    }
    return render(request, "bots/status.html", context)
