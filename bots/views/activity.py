"""Activity: what happened to all bots of the reader, newest first, as a page, a poll and a CSV."""

from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass, fields
from datetime import date, datetime, time, timedelta
from hashlib import blake2b
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, QueryDict
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from bots.activity import Facts, Item, Kind, Wanted, every, facts, newest
from bots.lifecycle import PositionType
from bots.markets import markets_of
from bots.models import BotConfig
from bots.views import exports
from bots.views.common import PAGE_SIZE, Request, unchanged
from bots.views.lines import Line, line_of
from bots.views.present import ACTIVE

DAYS = (1, 7, 30)
COLUMNS = (
    *("at", "kind", "bot_id", "bot_or_account", "mode", "symbol"),
    *(one.name for one in fields(Facts)),
)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The filters of an address; what is no bot of the reader, kind or day asks for nothing."""

    bot: BotConfig | None
    kind: Kind | None
    errors: bool
    first: date | None
    last: date | None

    @property
    def wanted(self) -> Wanted:
        """The same for bots.activity: days are the reader's."""
        return Wanted(
            bot=self.bot.pk if self.bot else None,
            kind=self.kind,
            errors=self.errors,
            first=_begin(self.first),
            end=_begin(self.last, days=1),
        )

    @property
    def is_any(self) -> bool:
        return self.wanted == Wanted()


def asked_of(query: QueryDict, bots: Mapping[int, BotConfig]) -> Asked:
    """Read the filters of an address."""
    kind, bot = query.get("kind", ""), query.get("bot", "")
    return Asked(
        bot=bots.get(int(bot)) if bot.isascii() and bot.isdigit() and len(bot) < 20 else None,
        kind=Kind(kind) if kind in Kind.values else None,
        errors=query.get("errors") == "1",
        first=_day(query.get("from", "")),
        last=_day(query.get("to", "")),
    )


def _day(text: str) -> date | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    # The ends of the calendar have no instant in every zone.
    return day if date(1971, 1, 1) < day < date(9000, 1, 1) else None


def _begin(day: date | None, days: int = 0) -> datetime | None:
    """Return when a day of the reader begins, or `days` days later."""
    if day is None:
        return None
    return timezone.make_aware(datetime.combine(day + timedelta(days=days), time.min))


def _bots(request: Request) -> dict[int, BotConfig]:
    """Return the reader's bots, deleted ones among them: what they did stays."""
    return {bot.pk: bot for bot in request.user.bots.all()}


def _token(lines: list[Line]) -> str:
    """Return what a poll compares: which lines there are, and how each of them ended."""
    text = "|".join(f"{line.item.cursor} {line.result}" for line in lines)
    return blake2b(text.encode(), digest_size=8).hexdigest()


def _context(request: Request) -> dict[str, Any]:
    bots = _bots(request)
    asked, before = asked_of(request.GET, bots), request.GET.get("before", "")
    items = newest(request.user, asked.wanted, PAGE_SIZE + 1, before)
    lines = _lines(items[:PAGE_SIZE], bots)
    today = timezone.localdate()
    periods = [(days, (today - timedelta(days=days - 1)).isoformat()) for days in DAYS]
    return {
        "asked": asked,
        "before": before,
        "lines": lines,
        "older": items[PAGE_SIZE - 1].cursor if len(items) > PAGE_SIZE else "",
        "token": _token(lines),
        "every": ACTIVE,
        "kinds": _kinds(bots, asked),
        "periods": periods,
        "bots": list(bots.values()),
        "today": today,
    }


def _kinds(bots: Mapping[int, BotConfig], asked: Asked) -> list[tuple[str, object]]:
    """Return the kinds to choose from: only futures pay funding, and many trade none."""
    pays = any(bot.position_type == PositionType.FUTURES for bot in bots.values())
    has_funding = pays or asked.kind == Kind.FUNDING
    return [(kind.value, kind.label) for kind in Kind if has_funding or kind != Kind.FUNDING]


def _lines(items: list[Item], bots: Mapping[int, BotConfig]) -> list[Line]:
    """Put items into words, prices and amounts to the steps of their markets."""
    traded = {item.row.bot_id for item in items if item.name == "order"}
    markets = markets_of(bots[pk] for pk in traded)
    return [line_of(item, bots, markets) for item in items]


@login_required
@require_safe
def activity(request: Request) -> HttpResponse:
    """Show what happened, newest first; the filters live in the address."""
    return render(request, "bots/activity.html", _context(request))


@login_required
@require_safe
def rows(request: Request) -> HttpResponse:
    """Answer the page's poll: 204 while nothing happened, else the newest lines."""
    context = _context(request)
    if request.GET.get("v") == context["token"]:
        return unchanged()
    return render(request, "bots/activity_rows.html", context)


@login_required
@require_safe
def export(request: Request) -> HttpResponse:
    """Send everything that the filters leave, newest first, as CSV."""
    bots = _bots(request)
    asked = asked_of(request.GET, bots)
    cells = _cells(every(request.user, asked.wanted), bots)
    return exports.answer("activity", COLUMNS, cells)


def _cells(items: Iterator[Item], bots: Mapping[int, BotConfig]) -> Iterator[exports.Cells]:
    """Yield the rows as they are stored: words are for pages."""
    for item in items:
        yield (item.at, item.name, *_place(item, bots), *astuple(facts(item)))


def _place(item: Item, bots: Mapping[int, BotConfig]) -> tuple[object, ...]:
    """Return bot or account: id, name, mode and symbol; nothing for what is the user's own."""
    if item.is_of_bot:
        bot = bots[item.row.bot_id]
        return bot.pk, bot.name, bot.mode, bot.symbol
    account = item.account
    return (None, account.label, account.mode, None) if account else (None,) * 4
