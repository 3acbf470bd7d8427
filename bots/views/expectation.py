"""Live against expectation: a section of a bot's performance, and the twin that it needs."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from bots import twins
from bots.change import Refusal
from bots.expectation import beside
from bots.lifecycle import Mode
from bots.models import BotConfig
from bots.views.common import BUSY, Request, find_or_404, tell_busy
from trading.expectation import Expectation, Trip

VIA = "page"
#: Trades that the page lists; all of them count in the sums.
NEWEST = 50


@dataclass(frozen=True, kw_only=True)
class Line:
    """One part of both results, and of the gap."""

    label: str
    hint: str
    live: Decimal
    twin: Decimal
    gap: Decimal


@dataclass(frozen=True, kw_only=True)
class Alone:
    """A trade that one side only made; `gap`: what it adds to the gap."""

    trip: Trip
    is_live: bool
    gap: Decimal

    @property
    def at(self) -> datetime:
        return self.trip.decided_at


def expected(bot: BotConfig) -> dict[str, Any]:
    """Return what the section shows: nothing for paper bots."""
    if bot.mode == Mode.PAPER:
        return {"may_compare": False}
    found = beside(bot)
    context = {"may_compare": True, "may_have_twin": twins.may_have(bot), "beside": found}
    if found is None or found.result is None:
        return context
    result = found.result
    alone = [Alone(trip=trip, is_live=True, gap=trip.result) for trip in result.live_only]
    alone += [Alone(trip=trip, is_live=False, gap=-trip.result) for trip in result.twin_only]
    alone.sort(key=lambda row: row.at, reverse=True)
    return context | {
        "expectation": result,
        "lines": _lines(result),
        "pairs": result.pairs[::-1][:NEWEST],
        "alone": alone[:NEWEST],
        "hidden": max(len(result.pairs) - NEWEST, 0) + max(len(alone) - NEWEST, 0),
    }


def _lines(result: Expectation) -> list[Line]:
    texts = {
        "fees": (_("Fees"), _("as booked, funding among them")),
        "slippage": (_("Slippage"), _("fills against the prices decided on")),
        "timing": (_("Timing"), _("the prices and amounts decided on")),
        "signal": (_("Signal"), _("trades that one side only made")),
    }
    gap = result.gap
    return [
        Line(
            label=label,
            hint=hint,
            live=getattr(result.live, name),
            twin=getattr(result.twin, name),
            gap=getattr(gap, name),
        )
        for name, (label, hint) in texts.items()
    ]


@login_required
@require_POST
def make(request: Request, pk: int) -> HttpResponse:
    """Have a paper twin run beside a bot; one that is there gets the bot's settings again."""
    bot = find_or_404(request.user, pk)
    try:
        twins.make(bot, by=request.user, via=VIA)
    except Refusal as refusal:
        messages.error(request, refusal.message)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    except BUSY as error:
        tell_busy(request, error)
    else:
        messages.success(request, _("The paper twin stands beside the bot."))
    return _section(bot)


@login_required
@require_POST
def remove(request: Request, pk: int) -> HttpResponse:
    """Take a bot's paper twin away."""
    bot = find_or_404(request.user, pk)
    try:
        is_gone = twins.remove(bot, by=request.user, via=VIA)
    except Refusal as refusal:
        messages.error(request, refusal.message)
    except BUSY as error:
        tell_busy(request, error)
    else:
        done = _("The paper twin is gone.")
        still = _("The twin closes its position first and stays, as a paper bot by itself.")
        messages.success(request, done if is_gone else still)
    return _section(bot)


def _section(bot: BotConfig) -> HttpResponse:
    return redirect(reverse("bot-performance", args=[bot.pk]) + "#expectation")
