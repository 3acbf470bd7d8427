"""The fills behind a figure: which ones an address asks for, and what they add up to."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from django.http import QueryDict
from django.utils import formats, timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from bots.markets import markets_of
from bots.models import BotConfig, Fill
from bots.performance import KINDS, History, Span, Wanted, select
from bots.templatetags.performance import exit_label
from bots.views.common import Request, page_of

#: Funding payments that a page of fills lists; the CSV has all of them.
NEWEST_PAYMENTS = 100
TRADES = {
    "all": gettext_lazy("closed trades"),
    "won": gettext_lazy("winning trades"),
    "lost": gettext_lazy("losing trades"),
    "even": gettext_lazy("break-even trades"),
    "open": gettext_lazy("position still open"),
}


def wanted_of(query: QueryDict) -> Wanted:
    """Read which fills an address asks for; what is no day, kind or number asks for nothing."""
    trades, trade = query.get("trades", ""), query.get("trade", "")
    return Wanted(
        span=Span(first=_day(query.get("from", "")), last=_day(query.get("to", ""))),
        after=_instant(query.get("after", "")),
        until=_instant(query.get("until", "")),
        trades=trades if trades in KINDS else "",
        reason=query.get("reason", "")[:32],
        trade=int(trade) if trade.isascii() and trade.isdigit() and len(trade) < 20 else None,
    )


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _instant(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo else None


def described(wanted: Wanted) -> list[str]:
    """Say in words which fills were asked for."""
    first, last = (
        formats.date_format(day, "j M Y") if day else ""
        for day in (wanted.span.first, wanted.span.last)
    )
    words: list[str] = []
    if first and last:
        words.append(first if first == last else f"{first} \N{EN DASH} {last}")
    elif first or last:
        text = _("since %(day)s") if first else _("until %(day)s")
        words.append(text % {"day": first or last})
    if wanted.after or wanted.until:
        words.append(f"{_minute(wanted.after)} \N{EN DASH} {_minute(wanted.until)}")
    if wanted.trade is not None:
        words.append(_("one trade"))
    elif wanted.trades:
        words.append(str(TRADES[wanted.trades]))
    if wanted.reason:
        words.append(_("ended by: %(reason)s") % {"reason": exit_label(wanted.reason)})
    return words or [_("all time")]


def _minute(at: datetime | None) -> str:
    return formats.date_format(timezone.localtime(at), "j M H:i") if at else ""


def fills_context(
    request: Request, bots: Mapping[int, BotConfig], found: Mapping[int, History], currency: str
) -> dict[str, Any]:
    """Return what a page of fills shows of those that the address asks for, and their sums."""
    wanted = wanted_of(request.GET)
    selection = select([found[pk] for pk in bots if pk in found], wanted)
    page = page_of(request, selection.numbers)
    rows = Fill.objects.filter(pk__in=list(page.object_list), bot__in=list(bots))
    markets = markets_of(bots.values())
    page.object_list = []
    for fill in rows.select_related("order").order_by("-pk"):
        bot = bots[fill.bot_id]
        market = markets.get((bot.exchange, bot.mode, bot.symbol))
        row = {"fill": fill, "part": selection.parts[fill.pk], "bot": bot}
        row["step"] = market.amount_step if market else None
        row["tick"] = market.price_tick if market else None
        page.object_list.append(row)
    return {
        "page": page,
        "selection": selection,
        "payments": selection.payments[:NEWEST_PAYMENTS],
        "words": described(wanted),
        "is_of_trades": wanted.is_of_trades,
        "currency": currency,
    }
