"""For operators: does the platform live, and which bots and orders need a look."""

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.db.models import Count
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from bots import schedule
from bots.lifecycle import Duty, Status
from bots.models import BotState, Silence, User
from bots.views import words
from bots.views.common import Request
from bots.watch import QUESTIONS, Question, find, platform

#: How many rows of each kind are shown: the admin's lists have them all.
SHOWN = 5
#: How many limits and silences are shown.
LIMITS = 15


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A question, how many rows it finds, and where they are listed (operators of the admin)."""

    question: Question
    count: int
    url: str


def _asked(now: datetime) -> list[Asked]:
    return [
        Asked(
            question=question,
            count=question.rows(now).count(),
            url=f"admin:bots_{question.model._meta.model_name}_changelist",
        )
        for question in QUESTIONS
    ]


@login_required
@require_safe
def status(request: Request) -> HttpResponse:
    """Show how the platform does and what needs a look; for anyone but operators a 404."""
    if not request.user.is_staff:
        raise Http404
    now = timezone.now()
    counts = dict(BotState.objects.values_list("status").annotate(n=Count("pk")))
    states = ("bot__owner",)
    questions = [find("unknown"), find("unsettled")]
    orders = [
        order
        for question in questions
        for order in question.rows(now).select_related(*states).order_by("pk")[:SHOWN]
    ]
    context = {
        "now": now,
        "signs": platform.signs(now),
        "queued": schedule.queued(),
        "on_duty": BotState.objects.exclude(duty=Duty.NONE).count(),
        "latency": platform.latency(now),
        "deadline": settings.TICK_DEADLINE_SECONDS,
        "budgets": platform.budgets(now, LIMITS),
        "silences": Silence.objects.filter(until__gt=now).order_by("-until")[:LIMITS],
        "clocks": platform.clocks(),
        "inspections": platform.inspections(),
        "asked": _asked(now),
        "late": find("late").rows(now).select_related(*states).order_by("last_run_at")[:SHOWN],
        "unwatched": find("unwatched").rows(now).select_related(*states)[:SHOWN],
        "orders": orders,
        "statuses": words.STATUSES,
        "counts": [(s.label, counts.get(s.value, 0)) for s in Status],
        "users": User.objects.filter(is_active=True).count(),
    }
    return render(request, "bots/status.html", context)
