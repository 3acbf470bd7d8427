"""What the views share: the request as they see it, and how they find a bot."""

import logging
from typing import Any

from django.contrib import messages
from django.core.paginator import Page, Paginator
from django.db import OperationalError
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django_htmx.http import HttpResponseStopPolling
from django_htmx.middleware import HtmxDetails

from bots.models import BotConfig, Outpaced, User

log = logging.getLogger(__name__)
PAGE_SIZE = 50
#: Nothing is wrong but the moment: the row or the database was taken.
BUSY = (Outpaced, OperationalError)


class Request(HttpRequest):
    """A request behind login_required and the middleware: who asks is known."""

    user: User
    htmx: HtmxDetails


def tell_busy(request: Request, error: Exception, text: str = "") -> None:
    """Tell the reader that the act did not get its turn, and the log why."""
    log.warning("busy: %s", request.path, exc_info=error)
    messages.error(request, text or _("The site is busy. Try again."))


def find(user: User, pk: int) -> BotConfig | None:
    """Return this user's bot with its state, account and balance (one query), or None."""
    bots: QuerySet[BotConfig] = user.bots.alive()
    return bots.select_related("state", "account__balance").filter(pk=pk).first()


def find_or_404(user: User, pk: int) -> BotConfig:
    """Return this user's bot; somebody else's is as unknown as one that never was."""
    bot = find(user, pk)
    if bot is None:
        raise Http404
    return bot


def back(request: Request, bot: BotConfig) -> HttpResponse:
    """Go back to the page an action was called from: the dashboard or the bot's own."""
    if request.GET.get("next") == "dashboard":
        return redirect("dashboard")
    return redirect("bot", pk=bot.pk)


def page_of(request: Request, rows: Any, size: int = PAGE_SIZE) -> Page[Any]:
    """Return the page of `rows` that the address asks for; a wrong number gives the nearest."""
    return Paginator(rows, size).get_page(request.GET.get("page"))


def unchanged() -> HttpResponse:
    """Answer a poll that has nothing new: htmx skips the swap."""
    return HttpResponse(status=204)


def gone(content: str) -> HttpResponse:
    """Answer a poll whose bot is gone: htmx shows this and stops asking."""
    return HttpResponseStopPolling(content)
