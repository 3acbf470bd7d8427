"""Performance: of all bots of the reader, of one bot, and the fills behind each figure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from django.contrib.auth.decorators import login_required
from django.db.models import Exists, OuterRef
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from bots.lifecycle import Mode
from bots.markets import market_of
from bots.models import BotConfig, Fill
from bots.performance import History, Selection, Span, Wanted, histories, report, select
from bots.templatetags.performance import Scope
from bots.views import exports
from bots.views.behind import fills_context, wanted_of
from bots.views.common import Request, find_or_404, page_of
from bots.views.expectation import expected
from bots.views.figures import Block, trade_rows
from bots.views.present import Shown
from trading.equity import Unit
from trading.symbols import quote_of

#: ?period= -> days, today among them; anything else is all time.
PERIODS = {"7": 7, "30": 30, "90": 90}
#: The most serious money first.
MODES = (Mode.LIVE, Mode.TESTNET, Mode.PAPER)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the address asks for: the period and the unit of the table by time."""

    period: str
    unit: Unit
    has_all_rows: bool
    today: date

    @property
    def span(self) -> Span:
        days = PERIODS.get(self.period)
        return Span(first=self.today - timedelta(days=days - 1)) if days else Span()


def _asked(request: Request) -> Asked:
    period, unit = request.GET.get("period", ""), request.GET.get("by", "")
    return Asked(
        period=period if period in PERIODS else "",
        unit=Unit(unit) if unit in list(Unit) else Unit.DAY,
        has_all_rows=request.GET.get("rows") == "all",
        today=timezone.localdate(),
    )


@dataclass(frozen=True, kw_only=True)
class Owned:
    """The reader's bots of one mode, deleted ones that traded among them, and their ledgers."""

    mode: str
    modes: list[str]
    bots: dict[int, BotConfig]
    found: dict[int, History]

    def of(self, currency: str) -> dict[int, BotConfig]:
        """Return the bots with a ledger in this quote currency."""
        return {
            pk: bot
            for pk, bot in self.bots.items()
            if pk in self.found and quote_of(bot.symbol) == currency
        }

    @property
    def currencies(self) -> list[str]:
        return sorted({quote_of(self.bots[pk].symbol) for pk in self.found})


def _owned(request: Request) -> Owned:
    """Read the mode that the address asks for, else the most serious one that has traded."""
    traded = Exists(Fill.objects.filter(bot=OuterRef("pk")))
    # A paper twin is a measure of its bot, no bot whose result counts.
    own = request.user.bots.filter(twin_of=None)
    every = list(own)
    used = set(own.filter(traded).order_by().values_list("mode", flat=True))
    modes = [m.value for m in MODES if m in used or any(b.mode == m for b in every)]
    mode = request.GET.get("mode", "")
    if mode not in modes:
        mode = next((m for m in modes if m in used), modes[0] if modes else "")
    mine = own.filter(mode=mode)
    return Owned(
        mode=mode,
        modes=modes,
        bots={bot.pk: bot for bot in every if bot.mode == mode},
        found=histories(mine) if mode in used else {},
    )


@login_required
@require_safe
def overview(request: Request) -> HttpResponse:
    """Show what all bots of the reader came to, one block for each quote currency."""
    asked, owned = _asked(request), _owned(request)
    blocks = []
    for currency in owned.currencies:
        bots = owned.of(currency)
        scope = Scope(
            path=reverse("performance-fills"), fixed=(("mode", owned.mode), ("currency", currency))
        )
        blocks.append(_block(asked, currency, bots, owned.found, scope))
    labels = [(mode, Mode(mode).label) for mode in owned.modes]
    context = {"blocks": blocks, "mode": owned.mode, "modes": labels, **_filters(asked)}
    return render(request, "bots/performance.html", context)


@login_required
@require_safe
def of_bot(request: Request, pk: int) -> HttpResponse:
    """Show what one bot came to, with its closed trades, newest first."""
    bot, asked = find_or_404(request.user, pk), _asked(request)
    found = histories(request.user.bots.filter(pk=pk))
    shown = Shown(bot=bot, now=timezone.now(), market=market_of(bot))
    scope = Scope(path=reverse("bot-fills", args=[pk]))
    block = _block(asked, shown.quote, {pk: bot} if found else {}, found, scope)
    page = page_of(request, block.report.trades)
    page.object_list = trade_rows(list(page.object_list), {pk: bot})
    context = {"bot": bot, "tab": "performance", "shown": shown, "page": page, "figures": block}
    context |= {"has_traded": bool(found), **_filters(asked), **expected(bot)}
    return render(request, "bots/tab_performance.html", context)


def _block(
    asked: Asked,
    currency: str,
    bots: Mapping[int, BotConfig],
    found: Mapping[int, History],
    scope: Scope,
) -> Block:
    capital = sum((bot.initial_capital for bot in bots.values()), Decimal(0))
    return Block(
        currency=currency,
        report=report([found[pk] for pk in bots], asked.span, capital),
        scope=scope,
        unit=asked.unit,
        today=asked.today,
        bots=bots,
        found=found,
        has_all_rows=asked.has_all_rows,
    )


def _filters(asked: Asked) -> dict[str, Any]:
    return {
        "period": asked.period,
        "periods": [("7", _("7 days")), ("30", _("30 days")), ("90", _("90 days"))],
        "units": [("day", _("Day")), ("week", _("Week")), ("month", _("Month"))],
        "span": asked.span,
    }


# -- The fills behind a figure -----------------------------------------------------------------
@login_required
@require_safe
def fills(request: Request) -> HttpResponse:
    """Show the fills behind a figure of all bots of one mode and quote currency."""
    owned = _owned(request)
    currency, bots = _chosen(request, owned)
    context = fills_context(request, bots, owned.found, currency)
    context |= {"mode": owned.mode, "mode_label": Mode(owned.mode).label if owned.mode else ""}
    return render(request, "bots/performance_fills.html", context)


def _chosen(request: Request, owned: Owned) -> tuple[str, dict[int, BotConfig]]:
    """Return the currency that the address asks for (else the first) and its bots, or one."""
    known = owned.currencies
    asked, one = request.GET.get("currency", ""), request.GET.get("bot", "")
    currency = asked if asked in known else next(iter(known), "")
    bots = owned.of(currency)
    return currency, {pk: bot for pk, bot in bots.items() if one in ("", str(pk))}


# -- CSV ------------------------------------------------------------------------------------------
@login_required
@require_safe
def export(request: Request, what: str) -> HttpResponse:
    """Send trades, days or fills of all bots of one mode; `currency` and `bot` narrow them."""
    owned = _owned(request)
    bots = owned.bots
    if request.GET.get("currency") or request.GET.get("bot"):
        _currency, bots = _chosen(request, owned)
    found = {pk: one for pk, one in owned.found.items() if pk in bots}
    return _csv(request, what, f"{what}-{owned.mode or 'none'}", bots, found)


@login_required
@require_safe
def bot_export(request: Request, pk: int, what: str) -> HttpResponse:
    """Send trades, days or fills of one bot."""
    bot = find_or_404(request.user, pk)
    found = histories(request.user.bots.filter(pk=pk))
    return _csv(request, what, f"{what}-bot-{pk}", {pk: bot}, found)


def _csv(
    request: Request,
    what: str,
    name: str,
    bots: Mapping[int, BotConfig],
    found: Mapping[int, History],
) -> HttpResponse:
    span = _asked(request).span
    if what == "trades":
        return exports.answer(name, exports.TRADES, exports.trades(bots, found, span))
    if what == "days":
        return exports.answer(name, exports.DAYS, exports.days(bots, found, span))
    wanted = wanted_of(request.GET)
    if wanted.is_any:
        wanted = Wanted(span=span)
    selection: Selection = select(found.values(), wanted)
    return exports.answer(name, exports.FILLS, exports.fills(bots, found, selection))
