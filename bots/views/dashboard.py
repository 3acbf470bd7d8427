"""The dashboard: all bots of one user, their day per currency, and one poll for the whole page."""

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import Count, Max, Sum
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_safe

from bots import control, demo, uptime
from bots.lifecycle import Duty, Status
from bots.markets import markets_of
from bots.models import BotConfig, DayStats, Heartbeat, User
from bots.views.common import BUSY, Request, page_of, tell_busy, unchanged
from bots.views.first_steps import checklist
from bots.views.present import ACTIVE, IDLE, SOON, Shown

SPARK_DAYS = 7
SPARK_WIDTH, SPARK_HEIGHT = 84, 24
NEVER = "never"
#: How long a platform that has just started may be without its workers, in seconds.
STARTING_SECONDS = 30
#: How old the sign of life of whoever makes the demo's history may be.
MAKING_SECONDS = 60


@dataclass(frozen=True, kw_only=True)
class Spark:
    """Seven days of realised PnL, summed up day by day, as points of an SVG line."""

    points: str
    total: Decimal


def _token(user: User, now: datetime) -> str:
    """Return what a poll compares: any change of a bot, and each new minute (ages, late bots).

    Besides, the end of the start: then a worker that is silent is news.
    """
    seen = user.bots.alive().aggregate(
        bots=Count("pk"), versions=Sum("state__version"), edited=Max("updated_at")
    )
    edited = int(seen["edited"].timestamp()) if seen["edited"] else 0
    start = "start-" if _is_starting() else ""
    return f"{start}{seen['bots']}-{seen['versions'] or 0}-{edited}-{int(now.timestamp()) // 60}"


def _is_starting() -> bool:
    return uptime.seconds() < STARTING_SECONDS


def _cadence(rows: list[Shown]) -> int:
    is_pending = any(row.state and row.state.status == Status.PENDING for row in rows)
    if is_pending or _is_starting():
        return SOON
    busy = any(row.state and row.state.duty != Duty.NONE for row in rows)
    return ACTIVE if busy else IDLE


def matches(row: Shown, status: str, text: str) -> bool:
    """Whether a bot fits the filters of the address: a status, and a text in its name or market."""
    is_text = text.lower() in f"{row.bot.name} {row.bot.symbol} {row.bot.mode}".lower()
    current = row.state.status if row.state else NEVER
    return is_text and (not status or current == status)


def _today(rows: list[Shown]) -> list[tuple[str, Decimal]]:
    """Return today's realised PnL per quote currency: different ones are never added up."""
    sums: dict[str, Decimal] = {}
    for row in rows:
        if row.state and not row.bot.twin_of_id:
            sums[row.quote] = sums.get(row.quote, Decimal(0)) + row.state.daily_pnl
    return sorted(sums.items())


def _sparks(rows: list[Shown], now: datetime) -> dict[int, Spark]:
    """Return a line for each bot that has one of the reader's last SPARK_DAYS, today included."""
    first = timezone.localdate(now) - timedelta(days=SPARK_DAYS - 1)
    week = [first + timedelta(days=ahead) for ahead in range(SPARK_DAYS)]
    ids = [row.bot.pk for row in rows]
    days: dict[int, dict[date, Decimal]] = {}
    found = DayStats.objects.filter(bot__in=ids, day__gte=first)
    for bot_id, day, pnl in found.values_list("bot_id", "day", "pnl"):
        days.setdefault(bot_id, {})[day] = pnl
    return {
        bot_id: _spark([pnls.get(day, Decimal(0)) for day in week]) for bot_id, pnls in days.items()
    }


def _spark(values: list[Decimal]) -> Spark:
    line = [Decimal(0)]
    for value in values:
        line.append(line[-1] + value)
    low, high = min(line), max(line)
    span = (high - low) or Decimal(1)
    points = " ".join(
        f"{2 + index * (SPARK_WIDTH - 4) / (len(line) - 1):.1f},"
        f"{2 + float((high - value) / span) * (SPARK_HEIGHT - 4):.1f}"
        for index, value in enumerate(line)
    )
    return Spark(points=points, total=line[-1])


def filters_of(rows: list[Shown]) -> list[tuple[str, str, int]]:
    """Return each status that a bot has: its value, its name and how many have it."""
    counts = Counter(row.state.status if row.state else NEVER for row in rows)
    named = [(status.value, str(status.label)) for status in Status]
    named.append((NEVER, _("Never started")))
    return [(value, label, counts[value]) for value, label in named if counts[value]]


def board_context(request: Request) -> dict[str, Any]:
    """Return what the board shows: five queries however many bots there are."""
    now = timezone.now()
    token = _token(request.user, now)
    bots = request.user.bots.alive().select_related("state")
    everything = [Shown(bot=bot, now=now) for bot in bots]
    status, text = request.GET.get("status", ""), request.GET.get("q", "").strip()
    chosen = [row for row in everything if matches(row, status, text)]
    chosen.sort(key=lambda row: row.urgency)
    page = page_of(request, chosen)
    markets = markets_of(row.bot for row in page)
    page.object_list = [
        Shown(
            bot=row.bot,
            now=now,
            market=markets.get((row.bot.exchange, row.bot.mode, row.bot.symbol)),
        )
        for row in page
    ]
    return {
        "now": now,
        "token": token,
        "every": _cadence(everything),
        "page": page,
        "total": len(everything),
        "bots": [row.bot for row in everything],
        "errors": sum(row.is_bad for row in everything),
        "open_positions": sum(bool(row.state and row.state.in_position) for row in everything),
        "may_halt": any(row.may_stop for row in everything),
        "today": _today(everything),
        "filters": filters_of(everything),
        "status": status,
        "q": text,
        "sparks": _sparks(page.object_list, now),
        "newest": max((r.state.last_updated_at for r in everything if r.state), default=None),
        **_signs(request.user, [row.bot for row in everything], now),
    }


def _signs(user: User, bots: list[BotConfig], now: datetime) -> dict[str, Any]:
    """Return what is to be said of the workers, and of the demo's history: one query for both."""
    beats = Heartbeat.objects.filter(name__in=["worker", demo.HEARTBEAT])
    ages = {name: (now - at).total_seconds() for name, at in beats.values_list("name", "at")}
    worker = ages.get("worker")
    waiting = demo.awaiting(user, bots)
    is_made = ages.get(demo.HEARTBEAT, MAKING_SECONDS) < MAKING_SECONDS or _is_starting()
    past = [bot.created_at for bot in bots if bot.name in demo.WITH_A_PAST]
    return {
        "is_worker_away": worker is None or worker > settings.CANARY_SECONDS,
        "is_starting": _is_starting(),
        "worker_age": worker,
        "is_demo": user.username == demo.NAME,
        "demo_waiting": len(waiting) if is_made else 0,
        "demo_since": min(past, default=None),
    }


@login_required
@require_safe
def dashboard(request: Request) -> HttpResponse:
    """Show all bots of the reader, the ones in trouble first, and to a new one the first steps."""
    context = board_context(request)
    context["first_steps"] = checklist(request.user, context["bots"])
    return render(request, "bots/dashboard.html", context)


@login_required
@require_safe
def board(request: Request) -> HttpResponse:
    """Answer the dashboard's poll: 204 while nothing changed, else the whole board."""
    if request.GET.get("v") == _token(request.user, timezone.now()):
        return unchanged()
    return render(request, "bots/_board.html", board_context(request))


@login_required
@require_http_methods(["GET", "POST"])
def halt(request: Request) -> HttpResponse:
    """Stop all bots of the reader, leaving or closing their positions; GET asks first."""
    if request.method == "GET":
        return render(request, "bots/halt.html")
    flatten = request.POST.get("position") == "close"
    try:
        count = control.halt(request.user, flatten=flatten, by=request.user, via="page")
    except BUSY as error:
        tell_busy(request, error, _("Not every bot was halted. Try again."))
        return redirect("dashboard")
    text = ngettext("%(n)d bot was halted.", "%(n)d bots were halted.", count) % {"n": count}
    messages.success(request, text)
    return redirect("dashboard")
