"""What an owner does to a bot: POST for the act, GET for a plain page that asks first."""

from collections.abc import Callable

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from bots import control
from bots.accept import accept_exchange
from bots.lifecycle import Mode, WindDown
from bots.markets import market_of
from bots.models import BotConfig, Command
from bots.views import again
from bots.views.common import BUSY, Request, back, find_or_404, tell_busy
from bots.views.present import Shown

#: What a Stop button sends that was drawn while the bot held nothing.
FLAT = "flat"


def _do(request: Request, act: Callable[[], object], done: str) -> bool:
    """Call a verb; tell the reader that it is done, or why it is not."""
    try:
        act()
    except control.Refusal as refusal:
        messages.error(request, refusal.message)
        return False
    except BUSY as error:
        tell_busy(request, error)
        return False
    messages.success(request, done)
    return True


def _ask(request: Request, bot: BotConfig, template: str) -> HttpResponse:
    shown = Shown(bot=bot, now=timezone.now(), market=market_of(bot))
    context = {"bot": bot, "state": bot.state_or_none, "shown": shown}
    return render(request, template, context)


@login_required
@require_POST
def start(request: Request, pk: int) -> HttpResponse:
    """Start a bot. A bot that runs already stays as it is."""
    bot = find_or_404(request.user, pk)
    if bot.mode == Mode.LIVE and (question := again.ask(request)):
        return question
    done = _("%(name)s was started.") % {"name": bot.name}
    _do(request, lambda: control.start(bot, by=request.user, via="page"), done)
    return back(request, bot)


@login_required
@require_http_methods(["GET", "POST"])
def stop(request: Request, pk: int) -> HttpResponse:
    """Stop a bot in one of three ways; GET offers them."""
    bot = find_or_404(request.user, pk)
    position = request.POST.get("position", WindDown.LEAVE)
    in_position = bool(bot.state_or_none and bot.state.in_position)
    if request.method == "GET" or (position == FLAT and in_position):
        # The button was drawn before the bot bought: what becomes of the position is asked first.
        return _ask(request, bot, "bots/stop.html")
    if position not in WindDown.values:
        position = WindDown.LEAVE
    done = _("%(name)s was stopped.") % {"name": bot.name}
    if in_position and position == WindDown.CLOSE:
        done = _("%(name)s stops and closes its position.") % {"name": bot.name}
    elif in_position and position == WindDown.AFTER_EXIT:
        done = _("%(name)s stops after its next exit.") % {"name": bot.name}
    _do(
        request,
        lambda: control.stop(bot, by=request.user, via="page", position=position),
        done,
    )
    return back(request, bot)


@login_required
@require_http_methods(["GET", "POST"])
def enter(request: Request, pk: int) -> HttpResponse:
    """Have the next tick open a position without a signal; GET asks first."""
    bot = find_or_404(request.user, pk)
    spends = request.method == "POST" and bot.mode == Mode.LIVE
    if spends and (question := again.ask(request)):
        return question
    done = _("The bot opens a position with its next tick.")
    return _command(request, pk, Command.Kind.ENTER, done)


@login_required
@require_http_methods(["GET", "POST"])
def leave(request: Request, pk: int) -> HttpResponse:
    """Have the next tick close the position; GET asks first."""
    done = _("The bot closes its position with its next tick.")
    return _command(request, pk, Command.Kind.EXIT, done)


@login_required
@require_POST
def cancel(request: Request, pk: int) -> HttpResponse:
    """Have the next tick take back the entry order that waits at the exchange."""
    done = _("The bot cancels its entry order with its next tick.")
    return _command(request, pk, Command.Kind.CANCEL, done)


def _command(request: Request, pk: int, kind: Command.Kind, done: str) -> HttpResponse:
    bot = find_or_404(request.user, pk)
    if request.method == "GET":
        return _ask(request, bot, f"bots/{kind.value}.html")
    _do(request, lambda: control.command(bot, kind, by=request.user, via="page"), done)
    return back(request, bot)


@login_required
@require_POST
def compare(request: Request, pk: int) -> HttpResponse:
    """Have a worker compare the bot with its exchange now; its panel shows what came of it."""
    bot = find_or_404(request.user, pk)
    done = _("The comparison with the exchange was asked for.")
    _do(request, lambda: control.compare(bot), done)
    return back(request, bot)


@login_required
@require_http_methods(["GET", "POST"])
def accept(request: Request, pk: int) -> HttpResponse:
    """Book what the exchange no longer holds of the position; GET asks first."""
    bot = find_or_404(request.user, pk)
    if request.method == "GET":
        return _ask(request, bot, "bots/accept.html")
    done = _("The difference is booked. Start the bot when both sides agree.")
    _do(request, lambda: accept_exchange(bot, by=request.user, via="page"), done)
    return back(request, bot)


@login_required
@require_http_methods(["GET", "POST"])
def delete(request: Request, pk: int) -> HttpResponse:
    """Hide a bot for good. Refused, with the reason, while a position or an order is open."""
    bot = find_or_404(request.user, pk)
    if request.method == "GET":
        return _ask(request, bot, "bots/delete.html")
    done = _("%(name)s was deleted.") % {"name": bot.name}
    if _do(request, lambda: control.delete(bot, by=request.user, via="page"), done):
        return redirect("dashboard")
    return redirect("bot", pk=bot.pk)
