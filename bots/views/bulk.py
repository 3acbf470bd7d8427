"""Several bots at once: choose them on a page that does not poll, read what would happen, do it."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods

from bots import bulk as many
from bots.bulk import Act, Fate, Outcome
from bots.lifecycle import Mode
from bots.markets import markets_of
from bots.models import BotConfig
from bots.views import again
from bots.views.common import Request, page_of
from bots.views.dashboard import filters_of, matches
from bots.views.present import Shown

PAGE_SIZE = 200
#: Where the session keeps what became of the bots until the page after the redirect shows it.
DONE = "bulk-done"


def _shown(bots: Iterable[BotConfig]) -> list[Shown]:
    """Return the bots as pages show them, with their markets (one query)."""
    rows, now = list(bots), timezone.now()
    markets = markets_of(rows)
    return [
        Shown(bot=bot, now=now, market=markets.get((bot.exchange, bot.mode, bot.symbol)))
        for bot in rows
    ]


def _filtered(request: Request) -> tuple[list[Shown], list[Shown]]:
    """Return all bots of the reader, and those that fit the filters of the address."""
    now = timezone.now()
    everything = [
        Shown(bot=bot, now=now) for bot in request.user.bots.alive().select_related("state")
    ]
    status, text = request.GET.get("status", ""), request.GET.get("q", "").strip()
    return everything, [row for row in everything if matches(row, status, text)]


def _ids(request: Request) -> set[int]:
    """Return the bots that the form names: one a box, or all of them in one field."""
    texts = [*request.POST.getlist("bot"), *request.POST.get("bots", "").split(",")]
    return {int(text) for text in texts if text.isdecimal() and len(text) < 18}


def _wanted(request: Request) -> set[int]:
    """Return the boxes that were ticked; all that the filter lets through, where that was."""
    if request.POST.get("all"):
        _everything, fitting = _filtered(request)
        return {row.bot.pk for row in fitting}
    return _ids(request)


@login_required
@require_http_methods(["GET", "POST"])
def bulk(request: Request) -> HttpResponse:
    """Choose bots (GET), see what an act would mean for each (step ask), have it done (step do)."""
    if request.method == "GET":
        done = request.session.pop(DONE, None)
        return _result(request, done) if done else _choose(request, set())
    step, act = request.POST.get("step", ""), request.POST.get("act", "")
    if step == "choose" or act not in Act.values:
        return _choose(request, _ids(request))
    if step == "do":
        return _do(request, Act(act))
    return _ask(request, Act(act))


def _choose(request: Request, ticked: set[int], *, wrong: str = "") -> HttpResponse:
    everything, fitting = _filtered(request)
    fitting.sort(key=lambda row: row.urgency)
    page = page_of(request, fitting, PAGE_SIZE)
    page.object_list = _shown(row.bot for row in page)
    context = {
        "page": page,
        "total": len(everything),
        "fitting": len(fitting),
        "filters": filters_of(everything),
        "status": request.GET.get("status", ""),
        "q": request.GET.get("q", "").strip(),
        "ticked": ticked,
        "acts": Act.choices,
        "wrong": wrong,
    }
    return render(request, "bots/bulk.html", context, status=422 if wrong else 200)


def _ask(request: Request, act: Act) -> HttpResponse:
    """Show what `act` would mean for each of the bots; nothing is done yet."""
    ids = _wanted(request)
    rows = many.foresee(many.chosen(request.user, ids), act)
    rows.sort(key=lambda row: (not row.acts, row.fate != Fate.REFUSED))
    if not rows:
        return _choose(request, set(), wrong=_("Choose at least one bot."))
    if len(rows) > many.MOST:
        text = _("At most %(most)d bots at once.") % {"most": many.MOST}
        return _choose(request, ids, wrong=text)
    shown = {row.bot.pk: row for row in _shown(row.bot for row in rows)}
    concerned = [row for row in rows if row.acts]
    context = {
        "rows": [(row, shown[row.bot.pk]) for row in rows],
        "act": act,
        "acts": Act.choices,
        "starts": act == Act.START,
        "concerned": len(concerned),
        "spared": len(rows) - len(concerned),
        "live": sum(shown[row.bot.pk].is_live for row in concerned),
        "ids": ",".join(str(row.bot.pk) for row in rows),
        "held": ",".join(str(row.bot.pk) for row in rows if row.holds),
    }
    return render(request, "bots/bulk_ask.html", context)


def _do(request: Request, act: Act) -> HttpResponse:
    ids = _ids(request)
    if len(ids) > many.MOST:
        messages.error(request, _("At most %(most)d bots at once.") % {"most": many.MOST})
        return redirect("bots-bulk")
    starts_live = act == Act.START and many.chosen(request.user, ids).filter(mode=Mode.LIVE)
    if starts_live and (question := again.ask(request)):
        return question
    held = {int(text) for text in request.POST.get("held", "").split(",") if text.isdecimal()}
    outcomes = many.carry_out(request.user, ids, act, via="page", held=held)
    request.session[DONE] = {
        "act": act.value,
        # Those that need a look come first.
        "rows": sorted(map(_kept, outcomes), key=lambda row: (not row["failed"], row["name"])),
    }
    return redirect("bots-bulk")


def _kept(outcome: Outcome) -> dict[str, Any]:
    return {
        "pk": outcome.bot.pk,
        "name": outcome.bot.name,
        "done": outcome.done,
        "failed": outcome.failed,
        "text": outcome.text,
    }


def _result(request: Request, done: dict[str, Any]) -> HttpResponse:
    """Show once what became of each bot."""
    rows = done["rows"]
    counts = Counter("done" if r["done"] else "failed" if r["failed"] else "same" for r in rows)
    context = {
        "rows": rows,
        "summary": list(_summary(done["act"], counts)),
        "failed": counts["failed"],
    }
    return render(request, "bots/bulk_done.html", context)


def _summary(act: str, counts: Counter[str]) -> Iterable[str]:
    if n := counts["done"]:
        if act == Act.START:
            yield ngettext("%(n)d bot was started.", "%(n)d bots were started.", n) % {"n": n}
        else:
            yield ngettext("%(n)d bot was stopped.", "%(n)d bots were stopped.", n) % {"n": n}
    if n := counts["same"]:
        yield ngettext("%(n)d bot was so already.", "%(n)d bots were so already.", n) % {"n": n}
    if n := counts["failed"]:
        yield ngettext("%(n)d bot was refused.", "%(n)d bots were refused.", n) % {"n": n}
