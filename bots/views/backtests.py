"""Backtests: the list, asking for one, its page while it runs and after it, comparing some."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from bots import control, portable
from bots.backtests import asking, plans, results
from bots.backtests.axes import Axis, axes_of
from bots.change import Refusal
from bots.forms.backtest import BacktestForm
from bots.forms.bot import exchanges
from bots.forms.presets import PRESETS
from bots.lifecycle import Mode
from bots.models import BacktestRun, BotConfig
from bots.templatetags.show import read, strategy_name
from bots.views import overlay
from bots.views.backtest_files import chart_context
from bots.views.backtest_report import Report, ends_of, trade_rows
from bots.views.backtest_sweep import sweep_context
from bots.views.backtest_terms import rules_of, settings_of
from bots.views.begin import blank, own_template
from bots.views.common import BUSY, Request, find, gone, page_of, tell_busy, unchanged

Origin = BacktestRun.Origin
#: How many results are compared at once.
MOST_COMPARED = 5
#: Seconds between two looks at a run that goes on, or waits.
POLL = 1
TRADES_SHOWN = 25


def runs_of(request: Request) -> QuerySet[BacktestRun]:
    """Return the reader's backtests, newest first."""
    return request.user.backtests.order_by("-pk")


def find_run(request: Request, pk: int) -> BacktestRun:
    """Return the reader's backtest; somebody else's is as unknown as one that never was."""
    run = runs_of(request).filter(pk=pk).first()
    if run is None:
        raise Http404
    return run


@login_required
@require_safe
def index(request: Request) -> HttpResponse:
    """List the reader's backtests, newest first."""
    page = page_of(request, runs_of(request))
    rows = [{"run": run, "span": ends_of(run), **_shown(run)} for run in page]
    context = {
        "page": page,
        "rows": rows,
        "has_two": sum(row["can_compare"] for row in rows) > 1,
        "bots": request.user.bots.alive().order_by("name")[:50],
        "now": timezone.now(),
    }
    return render(request, "bots/backtests.html", context)


def _shown(run: BacktestRun) -> dict[str, Any]:
    """Return what a row of a list has of a run: figures, and whether it can be compared."""
    names = ("net", "percent", "hold_percent", "drawdown_percent")
    is_done = run.status == BacktestRun.Status.DONE
    told = {name: read(run.summary.get(name)) for name in names}
    if run.is_sweep:
        # Of the realised profit alone: not what the column tells of the others.
        told["drawdown_percent"] = None
    return {**told, "can_compare": is_done and not run.is_sweep}


# -- Asking for one -------------------------------------------------------------------------------
def _source(request: Request) -> tuple[BotConfig, str, BotConfig | None, list[Axis]]:
    """Return an unsaved bot with what is to be tried, where from, the bot that it is, the sweep.

    `?bot=`, `?template=`, `?run=` (the reader's own), `?preset=`.
    """

    def number(name: str) -> int:
        text = request.GET.get(name, "")
        return int(text) if text.isdecimal() and len(text) < 18 else 0

    bot = find(request.user, number("bot"))
    if bot is not None:
        draft = portable.read_draft(portable.settings_of(bot))
        return draft, Origin.BOT, bot, []
    template = own_template(request.user, number("template"))
    if template is not None:
        return portable.filled_in(template), Origin.TEMPLATE, None, []
    run = runs_of(request).filter(pk=number("run")).first()
    if run is not None:
        return plans.draft_of(run), run.origin, run.bot, axes_of(run)
    draft = blank()
    preset = PRESETS.get(request.GET.get("preset", ""), PRESETS["balanced"])
    for name, value in preset.values.items():
        setattr(draft, name, value)
    draft.name, draft.timeframe = str(preset.label), "15m"
    return draft, Origin.PRESET, None, []


@login_required
@require_http_methods(["GET", "POST"])
def new(request: Request) -> HttpResponse:
    """Ask for a backtest of a bot, a template, a preset, or once more of what was tried before."""
    draft, origin, bot, axes = _source(request)
    name = draft.name
    form = BacktestForm(request.POST or None, bot=draft, axes=axes)
    status = 200
    if request.method == "POST" and form.is_valid():
        try:
            tried, wanted, vary = form.tried(), form.wanted(), form.axes
            run = asking.ask(request.user, tried, wanted, origin=origin, of=bot, vary=vary)
        except ValidationError as error:
            form.refuse(getattr(error, "message_dict", {"__all__": error.messages}))
        except Refusal as refusal:
            form.add_error(None, refusal.message)
            status = 409
        except BUSY as error:
            # What was typed stays in the form.
            tell_busy(request, error)
            status = 503
        else:
            return redirect("backtest", pk=run.pk)
    context = {
        "form": form,
        "name": name,
        "bot": bot,
        "origin": origin,
        "presets": PRESETS.values(),
        "chosen": request.GET.get("preset", "balanced") if origin == Origin.PRESET else "",
        "templates": request.user.templates.all()[:50],
        "bots": request.user.bots.alive().order_by("name")[:50],
        "exchanges": exchanges(),
        "draft": draft,
        "rules": rules_of(draft, apart=form.fields),
        "vary": form.vary_rows(),
        "most_sets": settings.BACKTEST_SWEEP_SETS,
    }
    if form.errors and status == 200:
        status = 422
    return render(request, "bots/backtest_new.html", context, status=status)


# -- One ------------------------------------------------------------------------------------------
def _context(run: BacktestRun) -> dict[str, Any]:
    return {"run": run, "poll": POLL, "token": token_of(run), "now": timezone.now()}


def token_of(run: BacktestRun) -> str:
    """Return a text that changes with whatever the panel of a run shows."""
    return f"{run.status}-{run.stage}-{run.progress}-{int(run.is_unwanted)}"


@login_required
@require_safe
def detail(request: Request, pk: int) -> HttpResponse:
    """Show a run: how far it is, why there is no result, or the result."""
    run = find_run(request, pk)
    context = {**_context(run), "span": ends_of(run), "settings": settings_of(run)}
    if run.is_sweep:
        return render(request, "bots/backtest.html", {**context, **sweep_context(request, run)})
    kept = results.load(run) if run.status == BacktestRun.Status.DONE else None
    if kept is None:
        return render(request, "bots/backtest.html", context)
    report = Report(run=run, kept=kept)
    page = page_of(request, report.history.folded.trades[::-1], TRADES_SHOWN)
    page.object_list = trade_rows(report, list(page.object_list))
    context |= {"report": report, "f": report.figures, "page": page, **chart_context(report)}
    return render(request, "bots/backtest.html", context)


@login_required
@require_safe
def panel(request: Request, pk: int) -> HttpResponse:
    """Answer a poll: 204 unchanged, the fragment, or have the page read anew when it has ended."""
    run = runs_of(request).filter(pk=pk).first()
    if run is None:
        if request.htmx:
            return gone(render_to_string("bots/_gone.html", request=request))
        raise Http404
    if request.GET.get("v") == token_of(run):
        return unchanged()
    response = render(request, "bots/_backtest_panel.html", _context(run))
    if not run.is_open:
        # The result is a whole page, and nothing polls there.
        response["HX-Refresh"] = "true"
    return response


@login_required
@require_POST
def cancel(request: Request, pk: int) -> HttpResponse:
    """Cancel a run that goes on or waits."""
    run = find_run(request, pk)
    try:
        asking.cancel(run)
    except Refusal as refusal:
        messages.info(request, refusal.message)
    return redirect("backtest", pk=run.pk)


@login_required
@require_POST
def delete(request: Request, pk: int) -> HttpResponse:
    """Forget a run that has ended."""
    run = find_run(request, pk)
    try:
        asking.delete(run)
    except Refusal as refusal:
        messages.error(request, refusal.message)
        return redirect("backtest", pk=pk)
    messages.success(request, _("The backtest of %(name)s was deleted.") % {"name": run.name})
    return redirect("backtests")


@login_required
@require_POST
def paper(request: Request, pk: int) -> HttpResponse:
    """Make a paper bot with the settings that were tried, and start it."""
    run = find_run(request, pk)
    draft = plans.draft_of(run)
    values = {name: getattr(draft, name) for name in portable.SETTINGS}
    values["mode"] = Mode.PAPER.value
    wanted = _("%(name)s paper") % {"name": run.name[:70]}
    values["name"] = portable.free_name(wanted, portable.names_of(request.user, "bots"))
    try:
        bot = control.create(request.user, values)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
        return redirect("backtest", pk=run.pk)
    except BUSY as error:
        tell_busy(request, error)
        return redirect("backtest", pk=run.pk)
    try:
        control.start(bot, by=request.user, via="page")
    except (Refusal, *BUSY) as error:
        text = _("%(name)s was created, but not started: %(why)s")
        messages.warning(request, text % {"name": bot.name, "why": str(error)})
    else:
        text = _("%(name)s trades with play money now, by the settings that were tried.")
        messages.success(request, text % {"name": bot.name})
    return redirect("bot", pk=bot.pk)


# -- Several --------------------------------------------------------------------------------------
@login_required
@require_safe
def compare(request: Request) -> HttpResponse:
    """Show up to five results beside each other (`?run=1&run=2`)."""
    asked = [pk for pk in request.GET.getlist("run") if pk.isdecimal() and len(pk) < 18]
    single = runs_of(request).filter(kind=BacktestRun.Kind.SINGLE)
    done = single.filter(status=BacktestRun.Status.DONE)
    found = {run.pk: run for run in done.filter(pk__in=asked[:50])}
    chosen = list(dict.fromkeys(found[int(pk)] for pk in asked if int(pk) in found))
    runs = chosen[:MOST_COMPARED]
    rows, lines = [], []
    for number, run in enumerate(runs, start=1):
        kept = results.load(run)
        if kept is not None:
            report = Report(run=run, kept=kept)
            # Runs of one bot have one name: what was tried on what tells them apart.
            tried = f"{strategy_name(run.strategy)} · {run.symbol} {run.timeframe}"
            label = f"{number}. {run.name} · {tried}"
            lines.append((f"l{number}", label, overlay.of_value(kept, report.capital)))
            row = {"run": run, "number": number, "span": ends_of(run), "f": report.figures}
            rows.append({**row, "report": report})
    context = {
        "rows": rows,
        "drawing": overlay.draw(lines),
        "left_out": len(chosen) - len(runs),
        "most": MOST_COMPARED,
    }
    return render(request, "bots/backtest_compare.html", context)
