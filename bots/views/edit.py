"""Making and editing a bot, with early warnings against the market's rules."""

from decimal import Decimal
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from bots import control
from bots.forms import BotForm
from bots.forms.bot import exchanges
from bots.forms.presets import PRESETS
from bots.lifecycle import Duty, Mode, PositionType
from bots.models import BotConfig, Market
from bots.views import many, meaning
from bots.views.common import BUSY, Request, find, find_or_404, tell_busy

COPIED = (
    *(name for name in BotForm.Meta.fields if name not in ("name", "account")),
    "params",
)


def _preset(request: Request) -> dict[str, Any]:
    preset = PRESETS.get(request.GET.get("preset", ""))
    return dict(preset.values) if preset else {}


def _copied(request: Request) -> BotConfig:
    """Return an unsaved bot to start from: blank, or a copy of one of the reader's own."""
    new = BotConfig(position_size_perc=Decimal(10), symbol="BTC/USDT")
    _on_market(request, new)
    pk = request.GET.get("from", "")
    source = find(request.user, int(pk)) if pk.isdecimal() and len(pk) < 18 else None
    if source is not None:
        for name in COPIED:
            setattr(new, name, getattr(source, name))
        new.name = _("%(name)s copy") % {"name": source.name}
    return new


def _chosen(request: Request) -> list[Market]:
    """Return the markets that the address names, of one exchange: the first one's."""
    pks = [pk for pk in request.GET.getlist("market") if pk.isdecimal() and len(pk) < 18]
    found = list(Market.objects.filter(pk__in=pks[: many.MOST]).order_by("symbol"))
    return [one for one in found if _place(one) == _place(found[0])]


def _place(market: Market) -> tuple[str, str, PositionType]:
    return market.exchange, market.mode, market.position_type


def _on_market(request: Request, new: BotConfig) -> None:
    """Set a new bot on the market that was chosen: on paper, where that market can be had so."""
    for market in _chosen(request)[:1]:
        is_real = market.mode == Mode.LIVE and market.position_type == PositionType.SPOT
        new.exchange, new.mode = market.exchange, Mode.PAPER if is_real else market.mode
        new.position_type, new.symbol = market.position_type, market.symbol


def _initial(request: Request) -> dict[str, Any]:
    more = ", ".join(market.symbol for market in _chosen(request)[1:])
    return {**_preset(request), "more_symbols": more}


def _page(request: Request, form: BotForm, bot: BotConfig | None, status: int = 0) -> HttpResponse:
    context = {
        "form": form,
        "bot": bot,
        "is_trading": bool(bot and bot.state_or_none and bot.state_or_none.duty == Duty.TRADE),
        "tab": "settings",
        "presets": PRESETS.values(),
        "chosen": PRESETS.get(request.GET.get("preset", "")),
        "exchanges": exchanges(),
        "check": meaning.notes(meaning.values_of(form)),
    }
    return render(
        request, "bots/form.html", context, status=status or (422 if form.errors else 200)
    )


@login_required
@require_http_methods(["GET", "POST"])
def create(request: Request) -> HttpResponse:
    """Make a bot; `?preset=` fills the risk fields, `?from=` copies one of the reader's bots."""
    if request.method == "GET":
        form = BotForm(owner=request.user, instance=_copied(request), initial=_initial(request))
        return _page(request, form, None)
    form = BotForm(request.POST, owner=request.user)
    if form.is_valid():
        if "back" in request.POST:
            return _page(request, form, None)
        if form.cleaned_data["more_symbols"]:
            is_confirmed = "confirm" in request.POST
            return many.make(request, form) if is_confirmed else many.preview(request, form)
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
        "in_position": bool(state and (state.in_position or state.has_unsettled_orders)),
    }
    if request.method == "GET":
        form = BotForm(instance=bot, initial=_preset(request), **limits)
        return _page(request, form, bot)
    form = BotForm(request.POST, instance=find_or_404(request.user, pk), **limits)
    if request.POST.get("seen", bot.updated_at.isoformat()) != bot.updated_at.isoformat():
        # A second tab would silently put back what the first one changed.
        form.refuse_as_outpaced()
    if form.is_valid():
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
