"""Making and editing a bot, with early warnings against the market's rules."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from bots import control
from bots.forms import BotForm
from bots.forms.bot import exchanges
from bots.forms.presets import PRESETS
from bots.lifecycle import Duty
from bots.models import BotConfig
from bots.views import again, many, meaning
from bots.views.begin import Beginning, beginning_of, preset_of
from bots.views.common import BUSY, Request, find_or_404, tell_busy


def _page(
    request: Request,
    form: BotForm,
    bot: BotConfig | None,
    status: int = 0,
    begun: Beginning | None = None,
) -> HttpResponse:
    context = {
        "form": form,
        "bot": bot,
        "is_trading": bool(bot and bot.state_or_none and bot.state_or_none.duty == Duty.TRADE),
        "tab": "settings",
        "presets": PRESETS.values(),
        "chosen": PRESETS.get(request.GET.get("preset", "")),
        "exchanges": exchanges(),
        "check": meaning.notes(meaning.values_of(form)),
        "said": begun.said if begun else "",
        "filled": begun.filled if begun else preset_of(request).keys(),
    }
    return render(
        request, "bots/form.html", context, status=status or (422 if form.errors else 200)
    )


def _is_to_show(request: Request, form: BotForm) -> bool:
    """Whether the parameters of the chosen strategy are to be seen before anything is saved."""
    return "show" in request.POST or form.shows_another


def _shown(request: Request, form: BotForm, bot: BotConfig | None) -> HttpResponse:
    """Show what was typed with the fields of the strategy that was chosen."""
    said = ""
    if "show" not in request.POST and form.strategy is not None:
        words = {"name": gettext(form.strategy.label)}
        said = _("Nothing is saved yet: these are the settings of %(name)s.") % words
    form.show_again()
    begun = Beginning(bot=form.instance, initial={}, said=said, filled=frozenset())
    return _page(request, form, bot, begun=begun)


@login_required
@require_http_methods(["GET", "POST"])
def create(request: Request) -> HttpResponse:
    """Make a bot; `?preset=` fills the risk fields, `?from=` and `?template=` all of them.

    `?first=` suggests a name as well, so that a first bot is made by one click.
    """
    if request.method == "GET":
        begun = beginning_of(request)
        form = BotForm(owner=request.user, instance=begun.bot, initial=begun.initial)
        return _page(request, form, None, begun=begun)
    form = BotForm(request.POST, owner=request.user)
    if _is_to_show(request, form):
        bot = beginning_of(request).bot
        return _shown(request, BotForm(request.POST, owner=request.user, instance=bot), None)
    if form.is_valid():
        if "back" in request.POST:
            return _page(request, form, None)
        if form.cleaned_data["more_symbols"]:
            is_confirmed = "confirm" in request.POST
            return many.make(request, form) if is_confirmed else many.preview(request, form)
        if form.goes_live and (question := again.ask(request)):
            return question
        try:
            bot = control.create(request.user, form.values)
        except ValidationError as error:
            form._update_errors(error)
        except BUSY as error:
            # What was typed stays in the form.
            tell_busy(request, error)
            return _page(request, form, None, status=503)
        else:
            messages.success(
                request, _("%(name)s was created. Start it when you want.") % {"name": bot.name}
            )
            return redirect("bot", pk=bot.pk)
    return _page(request, form, None)


@login_required
@require_http_methods(["GET", "POST"])
def edit(request: Request, pk: int) -> HttpResponse:
    """Change a bot's settings; what its history froze is shown and explained."""
    bot = find_or_404(request.user, pk)
    state = bot.state_or_none
    limits: dict[str, Any] = {
        "owner": request.user,
        "has_orders": bot.orders.exists(),
        "in_position": bool(state and (state.in_position or state.has_open_orders)),
    }
    if request.method == "GET":
        form = BotForm(instance=bot, initial=preset_of(request), **limits)
        return _page(request, form, bot)
    form = BotForm(request.POST, instance=find_or_404(request.user, pk), **limits)
    if request.POST.get("seen", bot.updated_at.isoformat()) != bot.updated_at.isoformat():
        # A second tab would silently put back what the first one changed.
        form.refuse_as_outpaced()
    elif _is_to_show(request, form):
        return _shown(request, form, bot)
    if form.is_valid():
        if form.goes_live and (question := again.ask(request)):
            return question
        try:
            control.edit(bot, form.values, by=request.user, via="page")
        except ValidationError as error:
            form._update_errors(error)
        except BUSY as error:
            # What was typed stays in the form.
            tell_busy(request, error)
            return _page(request, form, bot, status=503)
        else:
            done = _("Saved.")
            if state and state.duty == Duty.TRADE:
                done = _("Saved. It works from the next tick.")
            messages.success(request, done)
            return redirect("bot", pk=bot.pk)
    return _page(request, form, bot)


@login_required
@require_safe
def check(request: Request) -> HttpResponse:
    """Answer the form's live check: warnings and a summary of the values typed so far."""
    return render(request, "bots/_check.html", {"check": meaning.notes(request.GET)})
