"""Making and editing a bot, with early warnings against the market's rules."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from bots import control, schedule
from bots.forms import BotForm
from bots.forms.bot import exchanges
from bots.forms.fields import read_number
from bots.forms.presets import PRESETS
from bots.lifecycle import Duty, Mode, PositionType
from bots.models import BotConfig, Market
from bots.models.fields import plain
from bots.models.validity import SIMULATED
from bots.templatetags.show import money
from bots.views.common import BUSY, Request, find, find_or_404, tell_busy
from bots.views.exposure import HUNDRED, quote_of
from trading.exchanges import names

SUGGESTED = 30
#: Seconds between two requests for the same exchange's list of markets.
ASK_AGAIN = 60
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
    pk = request.GET.get("from", "")
    source = find(request.user, int(pk)) if pk.isdecimal() and len(pk) < 18 else None
    if source is not None:
        for name in COPIED:
            setattr(new, name, getattr(source, name))
        new.name = _("%(name)s copy") % {"name": source.name}
    return new


def _page(request: Request, form: BotForm, bot: BotConfig | None, status: int = 0) -> HttpResponse:
    context = {
        "form": form,
        "bot": bot,
        "tab": "settings",
        "presets": PRESETS.values(),
        "chosen": PRESETS.get(request.GET.get("preset", "")),
        "exchanges": exchanges(),
        "check": _notes(_values_of(form)),
    }
    return render(
        request, "bots/form.html", context, status=status or (422 if form.errors else 200)
    )


@login_required
@require_http_methods(["GET", "POST"])
def create(request: Request) -> HttpResponse:
    """Make a bot; `?preset=` fills the risk fields, `?from=` copies one of the reader's bots."""
    if request.method == "GET":
        form = BotForm(owner=request.user, instance=_copied(request), initial=_preset(request))
        return _page(request, form, None)
    form = BotForm(request.POST, owner=request.user)
    if form.is_valid():
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


def _values_of(form: BotForm) -> dict[str, str]:
    return {name: str(form[name].value() or "") for name in BotForm.Meta.fields}


def _number(values: dict[str, str] | QueryDict, name: str) -> Decimal | None:
    try:
        return read_number(values.get(name, "") or "")
    except ValidationError:
        return None


def _notes(values: dict[str, str] | QueryDict) -> dict[str, Any]:
    """Return what the numbers typed so far mean, and what the market would refuse."""
    exchange, mode = values.get("exchange", ""), values.get("mode", "")
    symbol = (values.get("symbol", "") or "").strip().upper()
    market = Market.objects.filter(exchange=exchange, mode=mode, symbol=symbol).first()
    known = market is not None or Market.objects.filter(exchange=exchange, mode=mode).exists()
    capital = _number(values, "initial_capital")
    size = _number(values, "position_size_fixed")
    perc = _number(values, "position_size_perc")
    if size is None and capital is not None and perc is not None:
        size = capital * perc / HUNDRED
    currency = market.quote if market else quote_of(symbol)
    return {
        "warnings": [
            *_warnings(market, known, symbol, size, capital),
            *_warnings_of_leverage(values),
        ],
        "sentences": list(_sentences(values, capital, size, currency)),
    }


def _warnings(
    market: Market | None,
    is_list_known: bool,
    symbol: str,
    size: Decimal | None,
    capital: Decimal | None,
) -> Iterator[str]:
    if market is None:
        if symbol and is_list_known:
            yield _("%(symbol)s is not in this exchange's list of markets.") % {"symbol": symbol}
        return
    if not market.is_tradable:
        yield _("The exchange has halted %(symbol)s.") % {"symbol": symbol}
    if size is not None and market.min_notional and size < market.min_notional:
        words = {"least": money(market.min_notional), "size": money(size), "quote": market.quote}
        yield _("This market takes at least %(least)s %(quote)s; you entered %(size)s.") % words
    if size is not None and capital is not None and size > capital:
        yield _("One entry is larger than the initial capital.")


def _warnings_of_leverage(values: dict[str, str] | QueryDict) -> Iterator[str]:
    """Warn of a stop that the exchange would not wait for: it liquidates first."""
    leverage, stop = _number(values, "leverage"), _number(values, "stop_loss_perc")
    if values.get("position_type") != PositionType.FUTURES or not leverage or leverage <= 1:
        return
    if stop is None:
        yield _(
            "No stop loss is set: the exchange liquidates the position when its margin is gone."
        )
    elif stop >= HUNDRED / leverage:
        words = {"leverage": plain(leverage), "perc": money(HUNDRED / leverage)}
        yield (
            _("At leverage %(leverage)s the margin is gone after %(perc)s %%: before this stop.")
            % words
        )


def _sentences(
    values: dict[str, str] | QueryDict,
    capital: Decimal | None,
    size: Decimal | None,
    currency: str,
) -> Iterator[str]:
    words = {"quote": currency}
    if size is not None:
        yield _("Each entry: %(size)s %(quote)s.") % {**words, "size": money(size)}
    leverage = _number(values, "leverage") or Decimal(1)
    is_futures = values.get("position_type") == PositionType.FUTURES
    if size is not None and is_futures and leverage > 1:
        margin = {**words, "margin": money(size / leverage)}
        yield _("It binds %(margin)s %(quote)s of margin.") % margin
    stop = _number(values, "stop_loss_perc")
    if size is not None and stop:
        loss = {**words, "loss": money(size * stop / HUNDRED)}
        yield _("A trade that hits its stop loses about %(loss)s %(quote)s and fees.") % loss
    worst = _number(values, "max_daily_loss_perc")
    if capital is not None and worst:
        day = {**words, "perc": money(worst), "loss": money(capital * worst / HUNDRED)}
        yield _("Worst day: −%(perc)s %% = %(loss)s %(quote)s, then it pauses.") % day
    elif capital is not None:
        yield _("No daily loss limit is set.")


@login_required
@require_safe
def check(request: Request) -> HttpResponse:
    """Answer the form's live check: warnings and a summary of the values typed so far."""
    return render(request, "bots/_check.html", {"check": _notes(request.GET)})


@login_required
@require_safe
def markets(request: Request) -> HttpResponse:
    """Suggest symbols: those that begin with what was typed come first."""
    exchange = request.GET.get("exchange", "").strip().lower()
    mode = request.GET.get("mode", Mode.PAPER)
    text = request.GET.get("symbol", "").strip().upper()[:40]
    every = Market.objects.filter(exchange=exchange, mode=mode)
    # Perpetuals are spelt BTC/USDT:USDT.
    is_futures = request.GET.get("position_type") == PositionType.FUTURES
    rows = every.filter(symbol__contains=":") if is_futures else every.exclude(symbol__contains=":")
    first = list(rows.filter(symbol__startswith=text).order_by("symbol")[:SUGGESTED])
    if text and len(first) < SUGGESTED:
        rest = rows.filter(symbol__contains=text).exclude(symbol__startswith=text)
        first += rest.order_by("symbol")[: SUGGESTED - len(first)]
    known = exchange == SIMULATED or exchange in names.known()
    if not first and known and mode in Mode.values and not every.exists():
        _ask_for_markets(request, exchange, mode)
    return render(request, "bots/_markets.html", {"markets": first})


def _ask_for_markets(request: Request, exchange: str, mode: str) -> None:
    """Have a worker read the list; once a minute per exchange, and per user every few seconds."""
    asked, user = f"markets-asked-{exchange}-{mode}", f"markets-asked-by-{request.user.pk}"
    if cache.add(user, 1, 5) and cache.add(asked, 1, ASK_AGAIN):
        schedule.send("bots.tasks.refresh_markets", exchange, mode)
