"""One set of settings on many markets: what each of them says to it, then a bot on each."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from bots import control, markets
from bots.forms import BotForm
from bots.models import BotConfig, Market
from bots.views import again, meaning
from bots.views.common import BUSY, Request, tell_busy
from trading.symbols import quote_of

#: Bots that one press of the button may make.
MOST = 50
#: What the preview itself sends; all else is what was typed in the form.
OWN = frozenset({"csrfmiddlewaretoken", "pick", "confirm", "back"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A bot that would be made, and what its market says to it."""

    symbol: str
    name: str
    market: Market | None
    stakes: meaning.Stakes
    verdict: meaning.Verdict
    is_picked: bool

    @property
    def is_refused(self) -> bool:
        return bool(self.verdict.refusals)

    @property
    def quote(self) -> str:
        return self.market.quote if self.market else quote_of(self.symbol)


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """What all the bots of one quote currency put in; `worst` None: no daily limit is set."""

    quote: str
    count: int
    capital: Decimal
    size: Decimal
    worst: Decimal | None


def candidates(request: Request, form: BotForm) -> list[Candidate]:
    """Return a bot for each symbol of a valid form. At most three queries, however many."""
    values = form.values
    symbols = [values["symbol"], *form.cleaned_data["more_symbols"]]
    rows = markets.listed(values["exchange"], values["mode"], values["position_type"])
    found = {market.symbol: market for market in rows.filter(symbol__in=symbols)}
    is_listed = bool(found) or rows.exists()
    names = {symbol: f"{values['name']} {symbol}" for symbol in symbols}
    bots = request.user.bots.alive().filter(name__in=names.values())
    taken = set(bots.values_list("name", flat=True))
    stakes = meaning.Stakes.of(values)
    made = []
    picks = set(request.POST.getlist("pick")) if "confirm" in request.POST else set(symbols)
    for number, symbol in enumerate(symbols):
        verdict = meaning.judge(found.get(symbol), symbol, stakes, is_listed=is_listed)
        wrong = list(_wrong(request, {**values, "symbol": symbol, "name": names[symbol]}))
        if names[symbol] in taken:
            wrong.append(_("You already have a bot of this name."))
        if number >= MOST:
            wrong.append(_("At most %d bots are made at once.") % MOST)
        made.append(
            Candidate(
                symbol=symbol,
                name=names[symbol],
                market=found.get(symbol),
                stakes=stakes,
                verdict=meaning.Verdict(
                    refusals=(*verdict.refusals, *wrong), warnings=verdict.warnings
                ),
                is_picked=symbol in picks,
            )
        )
    return made


def _wrong(request: Request, values: dict[str, Any]) -> Iterable[str]:
    """Return what the bot's own rules say against these values."""
    try:
        # The owner and the account are the form's, which has looked them up.
        bot = BotConfig(owner=request.user, **values)
        bot.full_clean(exclude=["owner", "account"], validate_constraints=False)
    except ValidationError as error:
        return error.messages
    return []


def totals(rows: Iterable[Candidate]) -> list[Total]:
    """Return what the bots put in together, each quote currency by itself."""
    sums: dict[str, list[Candidate]] = {}
    for row in rows:
        sums.setdefault(row.quote, []).append(row)
    return [
        Total(
            quote=quote,
            count=len(group),
            capital=sum((row.stakes.capital or Decimal(0) for row in group), Decimal(0)),
            size=sum((row.stakes.size or Decimal(0) for row in group), Decimal(0)),
            worst=None
            if any(row.stakes.worst is None for row in group)
            else sum((row.stakes.worst or Decimal(0) for row in group), Decimal(0)),
        )
        for quote, group in sorted(sums.items())
    ]


def preview(
    request: Request, form: BotForm, *, rows: list[Candidate] | None = None, status: int = 200
) -> HttpResponse:
    """Show what would be made and what not, and why. Nothing is made yet."""
    rows = candidates(request, form) if rows is None else rows
    kept = [
        (name, value)
        for name, values in request.POST.lists()
        if name not in OWN
        for value in values
    ]
    good = [row for row in rows if not row.is_refused]
    account = form.cleaned_data.get("account")
    context = {
        "form": form,
        "rows": rows,
        "good": good,
        "totals": totals(good),
        "kept": kept,
        "most_open": account.max_open_positions if account else None,
    }
    return render(request, "bots/many.html", context, status=status)


def make(request: Request, form: BotForm) -> HttpResponse:
    """Make a bot on each picked symbol: all of them, or none where one is refused meanwhile.

    Nothing goes to an exchange here, so there is no half of it that could not be taken back, and
    nobody has to find out which ones are missing.
    """
    rows = candidates(request, form)
    picked = [row for row in rows if row.is_picked]
    if not picked or any(row.is_refused for row in picked):
        none = _("Nothing was made: pick at least one symbol.")
        refused = _("Nothing was made: a picked symbol is refused by now. The others stay ticked.")
        messages.error(request, refused if picked else none)
        return preview(request, form, rows=rows, status=422)
    if form.goes_live and (question := again.ask(request)):
        return question
    try:
        with transaction.atomic():
            for row in picked:
                values = {**form.values, "symbol": row.symbol, "name": row.name}
                control.create(request.user, values)
    except ValidationError as error:
        messages.error(request, _("Nothing was made: %s") % " ".join(error.messages))
        return preview(request, form, rows=rows, status=422)
    except BUSY as error:
        tell_busy(request, error)
        return preview(request, form, rows=rows, status=503)
    count = len(picked)
    done = ngettext(
        "%(n)d bot was created. Start it when you want.",
        "%(n)d bots were created. Start them when you want.",
        count,
    )
    messages.success(request, done % {"n": count})
    return redirect(f"{reverse('dashboard')}?{urlencode({'q': form.cleaned_data['name']})}")
