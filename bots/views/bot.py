"""One bot: its page, the polled panel, and the tabs of its history."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.cache import cache
from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from bots import control, schedule
from bots.lifecycle import Mode, Move, PositionType, Reason
from bots.markets import market_of
from bots.messages import explain
from bots.models import BotConfig, Command, Comparison, Decision, Order, PaperBalance, StateEvent
from bots.models.ledger import SIDES, TYPES
from bots.performance import histories
from bots.templatetags.performance import SUMS
from bots.templatetags.show import number
from bots.views import chart, words
from bots.views.behind import fills_context, wanted_of
from bots.views.common import Request, find, find_or_404, gone, page_of, unchanged
from bots.views.exposure import rungs_of, shared_of
from bots.views.present import Shown
from trading.strategies import ladder_of
from trading.symbols import quote_of

#: Decisions in the panel: a changed panel stays under 6 kB.
NEWEST = 4
#: Seconds between two questions to the worker for an account's balance.
BALANCE_AGE = 30
#: What the orders page is asked with for the orders that rest to close a position.
PROTECTIVE = "protect"


def _has_command(bot: BotConfig) -> bool:
    return Command.objects.filter(
        bot=bot, status=Command.Status.PENDING, expires_at__gt=timezone.now()
    ).exists()


def _shown(bot: BotConfig, *, with_market: bool) -> Shown:
    return Shown(
        bot=bot,
        now=timezone.now(),
        market=market_of(bot) if with_market else None,
        has_command=_has_command(bot),
        is_comparing=_is_off_for_a_difference(bot) and control.is_comparing(bot.pk),
        open_orders=_open_orders(bot) if with_market else (),
        shared=shared_of(bot, quote_of(bot.symbol)),
    )


def _is_off_for_a_difference(bot: BotConfig) -> bool:
    state = bot.state_or_none
    return state is not None and state.reason == Reason.RECONCILE


def _open_orders(bot: BotConfig) -> tuple[Order, ...]:
    """Return the bot's orders that are not final; asked for only when there are some."""
    state = bot.state_or_none
    if state is None or not state.has_open_orders:
        return ()
    return tuple(bot.orders.filter(is_settled=False).order_by("pk"))


def _decisions(shown: Shown, rows: Any) -> list[dict[str, Any]]:
    """Pair each decision row with its words."""
    return [
        {
            "row": row,
            "why": words.why(row),
            "numbers": list(words.numbers(row, shown.market)),
        }
        for row in rows
    ]


def _last_error(bot: BotConfig) -> StateEvent | None:
    """Return the newest failure since the last start, for when the state no longer shows it."""
    rows = StateEvent.objects.filter(bot=bot).order_by("-pk")
    failures = (Move.FAIL, Move.SWITCH_OFF, Move.WAIT, Move.START)
    newest = rows.filter(move__in=failures).first()
    return newest if newest and newest.move != Move.START else None


def _balance(bot: BotConfig, shown: Shown) -> dict[str, Any]:
    """Return what the account holds of the bot's two currencies, and how old that is."""
    wanted = (shown.quote, shown.base)
    if bot.account_id is None:
        return {}
    if bot.mode == Mode.PAPER:
        rows = PaperBalance.objects.filter(account=bot.account_id, currency__in=wanted)
        units = dict(rows.values_list("currency", "units"))
        return {"rows": [(c, number(units[c])) for c in wanted if c in units], "is_paper": True}
    row = shown.balance
    if row is None:
        return {}
    held = row.futures if bot.position_type == PositionType.FUTURES else row.spot
    rows_of = [(c, held[c]) for c in wanted if c in held]
    explained = explain(row.fault) if row.fault else None
    failure = explained.what if explained else ""
    return {"rows": rows_of, "as_of": row.as_of, "failure": failure, "detail": row.message}


def _comparison(bot: BotConfig) -> Comparison | None:
    """Return what the newest comparison of ledger and exchange found in the bot's market."""
    return Comparison.objects.filter(account=bot.account_id, symbol=bot.symbol).first()


def _ask_for_balance(bot: BotConfig) -> None:
    """Have a worker read the account again; at most twice a minute, however often one looks."""
    if bot.mode == Mode.PAPER or bot.account_id is None:
        return
    if cache.add(f"balance-asked-{bot.account_id}", 1, BALANCE_AGE):
        schedule.send("bots.tasks.refresh_balance", bot.account_id)


def panel_context(bot: BotConfig) -> dict[str, Any]:
    """Return what the panel shows."""
    shown = _shown(bot, with_market=True)
    state = shown.state
    newest = Decision.objects.filter(bot=bot).order_by("-pk")[:NEWEST]
    has_error = bool(state and state.last_error_message)
    rungs = rungs_of(shown.open_orders, state.last_price if state else None)
    return {
        "bot": bot,
        "shown": shown,
        "state": state,
        "now": shown.now,
        "decisions": _decisions(shown, newest),
        "rungs": rungs,
        "has_ladder": bool(rungs) or ladder_of(bot.strategy) is not None,
        "balance": _balance(bot, shown),
        "comparison": _comparison(bot) if _is_off_for_a_difference(bot) else None,
        "start_balance": settings.PAPER_START_BALANCE,
        "last_error": None if has_error or state is None else _last_error(bot),
    }


@login_required
@require_safe
def detail(request: Request, pk: int) -> HttpResponse:
    """Show one bot; an unknown one leads back to the dashboard with a message."""
    bot = find(request.user, pk)
    if bot is None:
        messages.error(request, _("There is no such bot."))
        return redirect("dashboard")
    _ask_for_balance(bot)
    context = panel_context(bot)
    drawn = chart.context_of(bot, context["shown"].market)
    return render(request, "bots/bot.html", {**context, **drawn, "tab": "bot"})


@login_required
@require_safe
def panel(request: Request, pk: int) -> HttpResponse:
    """Answer a poll: 204 unchanged, the fragment when changed, 286 when the bot is gone."""
    bot = find(request.user, pk)
    if bot is None:
        if request.htmx:
            return gone(render_to_string("bots/_gone.html", request=request))
        raise Http404
    if request.GET.get("v") == _shown(bot, with_market=False).token:
        return unchanged()
    return render(request, "bots/_panel.html", panel_context(bot))


def _tab(request: Request, pk: int, tab: str, rows: QuerySet[Any], **more: Any) -> HttpResponse:
    bot = find_or_404(request.user, pk)
    page = page_of(request, rows.filter(bot=bot))
    shown = Shown(bot=bot, now=timezone.now(), market=market_of(bot))
    context = {"bot": bot, "tab": tab, "page": page, "shown": shown, **more}
    if tab == "decisions":
        context["decisions"] = _decisions(shown, page)
    return render(request, f"bots/tab_{tab}.html", context)


@login_required
@require_safe
def decisions(request: Request, pk: int) -> HttpResponse:
    """Show why the bot did or did not trade, newest first."""
    return _tab(request, pk, "decisions", Decision.objects.order_by("-pk"))


@login_required
@require_safe
def orders(request: Request, pk: int) -> HttpResponse:
    """Show the bot's orders, newest first; those that protect a position apart."""
    found = find_or_404(request.user, pk)
    is_protective = request.GET.get("kind") == PROTECTIVE
    every = found.orders.order_by("-pk")
    protective = every.filter(purpose=Order.Purpose.PROTECT)
    rows = protective if is_protective else every.exclude(purpose=Order.Purpose.PROTECT)
    more = {
        "statuses": words.STATUSES,
        "reasons": words.LEVELS if is_protective else words.ORDER_REASONS,
        "cancel_reasons": words.CANCEL_REASONS,
        "kind": PROTECTIVE if is_protective else "",
        "has_protective": is_protective or protective.exists(),
        "comparison": _comparison(found),
        "sides": SIDES,
        "types": TYPES,
    }
    return _tab(request, pk, "orders", rows, **more)


@login_required
@require_safe
def fills(request: Request, pk: int) -> HttpResponse:
    """Show the bot's fills, newest first; of a figure that led here those that it came from."""
    found = find_or_404(request.user, pk)
    if wanted_of(request.GET).is_any and SUMS[0] not in request.GET:
        return _tab(request, pk, "fills", found.fills.select_related("order").order_by("-pk"))
    shown = Shown(bot=found, now=timezone.now(), market=market_of(found))
    ledgers = histories(request.user.bots.filter(pk=pk))
    context = fills_context(request, {pk: found}, ledgers, shown.quote)
    context |= {"bot": found, "tab": "fills", "shown": shown}
    return render(request, "bots/tab_fills.html", context)


@login_required
@require_safe
def events(request: Request, pk: int) -> HttpResponse:
    """Show each change of the bot's state, newest first."""
    rows = StateEvent.objects.select_related("by").order_by("-pk")
    return _tab(request, pk, "events", rows, doors=words.DOORS)


@login_required
@require_safe
def days(request: Request, pk: int) -> HttpResponse:
    """Show the bot's trading days, newest first."""
    found = find_or_404(request.user, pk)
    return _tab(request, pk, "days", found.days.order_by("-day"))
