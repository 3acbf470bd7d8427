"""Finding and watching markets. Prices and rules are rows that workers keep; nobody is asked."""

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core.cache import cache
from django.db.models import Exists, Max, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST, require_safe

from bots import candles, markets, schedule
from bots.forms.bot import exchanges
from bots.lifecycle import Mode, PositionType
from bots.models import Market, Watch
from bots.models.validity import SIMULATED
from bots.templatetags.show import number
from bots.views.common import Request, page_of
from bots.views.exposure import HUNDRED
from bots.views.prices import Price, frame_of, prices_of
from trading.exchanges import names

SUGGESTED = 30
#: Seconds between two requests for the same exchange's list of markets.
ASK_AGAIN = 60
LONGEST_TEXT = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Whose list of markets is looked at."""

    exchange: str
    mode: str
    position_type: str

    @property
    def rows(self) -> QuerySet[Market]:
        return markets.listed(self.exchange, self.mode, self.position_type)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A market as the list shows it; `bots` counts the reader's own, `price` None: unknown."""

    market: Market
    is_watched: bool
    bots: int
    fee: Decimal
    price: Price | None


def _place(request: Request, usual: Place) -> Place:
    """Return the place that the address names; what it leaves out or gets wrong is the usual."""
    exchange = request.GET.get("exchange", "").strip().lower()
    mode, kind = request.GET.get("mode", ""), request.GET.get("position_type", "")
    known = exchange == SIMULATED or exchange in names.known()
    return Place(
        exchange=exchange if known else usual.exchange,
        mode=mode if mode in Mode.values else usual.mode,
        position_type=kind if kind in PositionType.values else usual.position_type,
    )


def _own(request: Request) -> Counter[tuple[str, str, str, str]]:
    """Count the reader's bots by exchange, mode, type and symbol."""
    bots = request.user.bots.alive()
    return Counter(bots.values_list("exchange", "mode", "position_type", "symbol"))


def _usual(own: Counter[tuple[str, str, str, str]]) -> Place:
    """Return where most of the reader's bots trade; the simulated market where there are none."""
    places: Counter[tuple[str, str, str]] = Counter()
    for (*place, _symbol), count in own.items():
        places[place[0], place[1], place[2]] += count
    first = (SIMULATED, Mode.PAPER.value, PositionType.SPOT.value)
    exchange, mode, kind = max(sorted(places), key=lambda one: places[one], default=first)
    return Place(exchange=exchange, mode=mode, position_type=kind)


def fee_of(market: Market) -> Decimal:
    """Return what a trade costs there, in percent of its value."""
    is_paper = market.mode == Mode.PAPER
    fee: Decimal = settings.PAPER_FEE_PERC if is_paper else market.taker_fee * HUNDRED
    return fee


@login_required
@require_safe
def index(request: Request) -> HttpResponse:
    """Show the markets of one exchange: the watched first, then the best finds."""
    own = _own(request)
    place = _place(request, _usual(own))
    text = request.GET.get("q", "").strip()[:LONGEST_TEXT]
    watches = request.user.watches.filter(market=OuterRef("pk"))
    rows = place.rows
    as_of = rows.aggregate(newest=Max("as_of"))["newest"]
    if as_of is None or timezone.now() - as_of > timedelta(seconds=settings.MARKETS_TTL_SECONDS):
        ask_for_markets(request, place)
    only = request.GET.get("watched") == "1"
    found = markets.search(rows.filter(Exists(watches)) if only else rows, text)
    page = page_of(request, found.order_by(Exists(watches).desc(), *found.query.order_by))
    shown = [market.pk for market in page.object_list]
    watched = set(request.user.watches.filter(market__in=shown).values_list("market", flat=True))
    prices = prices_of(list(page.object_list))
    page.object_list = [
        Row(
            market=market,
            is_watched=market.pk in watched,
            bots=own[place.exchange, place.mode, place.position_type, market.symbol],
            fee=fee_of(market),
            price=prices.get(market.pk),
        )
        for market in page.object_list
    ]
    offered = dict.fromkeys([*exchanges(), *sorted(one[0] for one in own), place.exchange])
    context = {
        "page": page,
        "found": page.paginator.count,
        "place": place,
        "q": text,
        "only_watched": only,
        "exchanges": list(offered),
        "modes": Mode.choices,
        "kinds": PositionType.choices,
        "as_of": as_of,
        "now": timezone.now(),
    }
    return render(request, "bots/markets.html", context)


@login_required
@require_safe
def suggest(request: Request) -> HttpResponse:
    """Suggest symbols for what was typed in the bot form, the best first."""
    usual = Place(exchange="", mode=Mode.PAPER, position_type=PositionType.SPOT)
    place = _place(request, usual)
    text = request.GET.get("symbol", "").strip()[:LONGEST_TEXT]
    found = list(markets.search(place.rows, text)[:SUGGESTED])
    if not found and place.exchange and not place.rows.exists():
        ask_for_markets(request, place)
    return render(request, "bots/_markets.html", {"markets": found})


@login_required
@require_safe
def detail(request: Request, pk: int) -> HttpResponse:
    """Show one market: its rules in plain words, and the reader's bots there."""
    market = _find(pk)
    here = {"exchange": market.exchange, "mode": market.mode, "symbol": market.symbol}
    price = prices_of([market]).get(market.pk)
    context = {
        "market": market,
        "price": price,
        "chart": frame_of(price, market.price_tick) if price else None,
        "kind": PositionType(market.position_type).label,
        "mode": Mode(market.mode).label,
        "fee": f"{number(fee_of(market))} %",
        "is_watched": Watch.objects.filter(user=request.user, market=market).exists(),
        "bots": request.user.bots.alive().filter(**here).select_related("state"),
        "now": timezone.now(),
    }
    return render(request, "bots/market.html", context)


def _find(pk: int) -> Market:
    return get_object_or_404(Market, pk=pk)


@login_required
@require_POST
def watch(request: Request, pk: int) -> HttpResponse:
    """Put a market on the reader's list (`on=1`) or take it off; pressing twice does no harm."""
    market = _find(pk)
    is_on = request.POST.get("on") == "1"
    Watch.put(request.user, market, on=is_on)
    if is_on and cache.add(f"watch-sent-{request.user.pk}", 1, 5):
        # The next sweep would bring its candles, too.
        place = candles.key_of(market.exchange, market.mode, market.symbol, "")
        schedule.send("bots.tasks.refresh_watched", *place[:2], market.position_type.value)
    return redirect(_back(request, market))


def _back(request: HttpRequest, market: Market) -> str:
    """Return the page of this site that the star was pressed on."""
    target = request.POST.get("next", "")
    if url_has_allowed_host_and_scheme(target, {request.get_host()}, request.is_secure()):
        return target
    return reverse("market", args=[market.pk])


def ask_for_markets(request: Request, place: Place) -> None:
    """Have a worker read the list; once a minute per exchange, and per user every few seconds."""
    where: tuple[Any, ...] = (place.exchange, place.mode)
    if place.position_type == PositionType.FUTURES:
        if place.mode != Mode.LIVE:
            # Nowhere else are futures traded.
            return
        where = (*where, PositionType.FUTURES.value)
    asked, user = f"markets-asked-{'-'.join(where)}", f"markets-asked-by-{request.user.pk}"
    if cache.add(user, 1, 5) and cache.add(asked, 1, ASK_AGAIN):
        schedule.send("bots.tasks.refresh_markets", *where)
