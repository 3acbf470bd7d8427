"""Signals from outside: the door they come in by, and the page that shows what became of them."""

import logging
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_POST, require_safe

from bots import signals
from bots.lifecycle import Mode
from bots.markets import market_of
from bots.models import BotConfig, Hook, SignalIn
from bots.models.hook import new_secret
from bots.signals.reading import MOST_BYTES
from bots.views import again
from bots.views.common import Request, find_or_404
from bots.views.present import Shown
from bots.views.words import refusal

log = logging.getLogger(__name__)
#: Shown on the page.
NEWEST = 10
STATUS = {"accepted": 202, "duplicate": 200, "too_many": 429, "unreadable": 422, "busy": 503}
RESULTS = {
    "late": gettext_lazy("Too old, or from the future."),
    "no_time": gettext_lazy("A signed signal has to say its time."),
    "other_market": gettext_lazy("It speaks of another market."),
    "unreadable": gettext_lazy("It says nothing that a bot could do."),
}
#: Why a command could not be given, by the word of its refusal.
REFUSALS = {
    "not_running": gettext_lazy("The bot is not running."),
    "in_position": gettext_lazy("The bot already holds a position."),
    "flat": gettext_lazy("The bot holds no position."),
    "pending": gettext_lazy("A command is already waiting for the next tick."),
    "order_unknown": gettext_lazy("An order is still open or unanswered."),
    "no_order": gettext_lazy("No order of this bot is waiting at the exchange."),
    "direction": gettext_lazy("This bot may not go that way."),
}


@csrf_exempt
@never_cache
@require_POST
@sensitive_variables("secret")
def receive(request: HttpRequest, name: str, secret: str = "") -> HttpResponse:
    """Take a signal: the secret is in the address, or a signature in the header X-Signature.

    A wrong secret and an address that never was get the same answer.
    """
    length = request.headers.get("Content-Length", "")
    if length.isdecimal() and int(length) > MOST_BYTES:
        return JsonResponse({"result": "too_long"}, status=413)
    hook = Hook.objects.select_related("bot__owner").filter(name=name).first()
    signature = request.headers.get("X-Signature", "")
    known = hook is not None and hook.bot.deleted_at is None and hook.bot.owner.is_active
    if (
        hook is None
        or not known
        or not signals.is_trusted(hook, request.body, secret=secret, signature=signature)
    ):
        return JsonResponse({"result": "not_found"}, status=404)
    try:
        answer = signals.take(hook.bot, request.body, timezone.now(), signed=not secret)
    except OperationalError as error:
        log.warning("a signal for bot %s did not get its turn", hook.bot_id, exc_info=error)
        return JsonResponse({"result": "busy"}, status=503)
    return JsonResponse({"result": answer.result}, status=STATUS.get(answer.result, 409))


@login_required
@never_cache
@require_safe
def page(request: Request, pk: int) -> HttpResponse:
    """Show how a bot takes signals, and what became of the newest."""
    return _page(request, find_or_404(request.user, pk))


def _page(request: Request, bot: BotConfig, secret: str = "") -> HttpResponse:
    hook = Hook.objects.filter(bot=bot).first()
    rows = SignalIn.objects.filter(bot=bot).select_related("command").order_by("-pk")[:NEWEST]
    context: dict[str, Any] = {
        "bot": bot,
        "tab": "signals",
        "shown": Shown(bot=bot, now=timezone.now(), market=market_of(bot)),
        "hook": hook,
        "rows": [{"row": row, "outcome": outcome(row)} for row in rows],
    }
    if hook is not None:
        context["plain_url"] = settings.SITE_URL + reverse("hook-signed", args=[hook.name])
        if secret:
            path = reverse("hook", args=[hook.name, secret])
            context |= {"url": settings.SITE_URL + path, "secret": secret}
    return render(request, "bots/tab_signals.html", context)


def outcome(row: SignalIn) -> str:
    """Return what became of a signal, in a sentence."""
    if row.command is not None:
        said = str(row.command.get_status_display())
        return f"{said}: {refusal(row.command.result)}" if row.command.result else said
    if row.is_accepted and row.result:
        return _("It took back the entry that waited for its tick.")
    if row.is_accepted:
        return _("It was followed; the command is no longer kept.")
    return str(RESULTS.get(row.result) or REFUSALS.get(row.result) or row.result)


@login_required
@require_POST
@sensitive_variables("secret")
def renew(request: Request, pk: int) -> HttpResponse:
    """Make a bot's signal address, or a new secret for it; shown in this answer and never again.

    Who knows the address of a live bot can spend real money, so its owner is asked again first.
    """
    bot = find_or_404(request.user, pk)
    if bot.mode == Mode.LIVE and (question := again.ask(request)):
        return question
    secret = new_secret()
    Hook.objects.update_or_create(bot=bot, defaults={"secret": secret})
    return _page(request, bot, secret)


@login_required
@require_POST
def remove(request: Request, pk: int) -> HttpResponse:
    """Take no more signals."""
    bot = find_or_404(request.user, pk)
    if Hook.objects.filter(bot=bot).delete()[0]:
        messages.success(request, _("The address is gone: signals find nobody there."))
    return redirect("bot-signals", pk=bot.pk)
