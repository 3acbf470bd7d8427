"""Settings as files: saved as JSON, and read back after a look at what would be made."""

from secrets import token_urlsafe
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.cache import cache
from django.db.models import Field
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_safe

from bots import portable as files
from bots.forms.groups import LABELS
from bots.forms.template import ImportForm
from bots.models import BotConfig
from bots.portable import Entry, Made, Unreadable
from bots.views import again
from bots.views.begin import own_template
from bots.views.common import Request, find_or_404
from trading.symbols import quote_of

#: How long a file that was read waits for its confirmation, in seconds.
KEPT = 1800
#: How many failures are told one by one.
TOLD = 5


def _saved_as(name: str, content: dict[str, Any]) -> HttpResponse:
    """Return a JSON file to be saved under `name`."""
    answer = HttpResponse(files.dumps(content), content_type="application/json; charset=utf-8")
    stem = slugify(name)[:60] or "bot"
    answer["Content-Disposition"] = f'attachment; filename="{stem}.json"'
    return answer


@login_required
@require_safe
def export_bot(request: Request, pk: int) -> HttpResponse:
    """Save one bot's settings."""
    bot = find_or_404(request.user, pk)
    return _saved_as(bot.name, files.document(bots=[bot]))


@login_required
@require_safe
def export_bots(request: Request) -> HttpResponse:
    """Save the settings of all the reader's bots; a twin's are those of its bot."""
    bots = request.user.bots.alive().filter(twin_of=None)
    return _saved_as("bots", files.document(bots=bots))


@login_required
@require_safe
def export_template(request: Request, pk: int) -> HttpResponse:
    """Save one template."""
    template = own_template(request.user, pk)
    if template is None:
        raise Http404
    return _saved_as(template.name, files.document(templates=[template]))


@login_required
@require_safe
def export_templates(request: Request) -> HttpResponse:
    """Save all the reader's templates."""
    return _saved_as("templates", files.document(templates=request.user.templates.all()))


@login_required
@require_http_methods(["GET", "POST"])
def import_(request: Request) -> HttpResponse:
    """Take a file (GET), show what it would make (POST with a file), make it (step do)."""
    if request.method == "GET":
        return render(request, "bots/import.html", {"form": ImportForm()})
    if request.POST.get("token"):
        return _confirmed(request)
    form = ImportForm(request.POST, request.FILES)
    if form.is_valid():
        raw = form.raw()
        try:
            files.loads(raw)
        except Unreadable as problem:
            form.add_error(None, str(problem))
        else:
            token = token_urlsafe(16)
            cache.set(_kept(request, token), raw, KEPT)
            return _preview(request, token, raw)
    return render(request, "bots/import.html", {"form": form}, status=422)


def _kept(request: Request, token: str) -> str:
    return f"import-{request.user.pk}-{token[:40]}"


def _preview(request: Request, token: str, raw: bytes, *, wrong: str = "") -> HttpResponse:
    """Show what would be made and what is refused, field by field; nothing is written."""
    keeps_modes = request.POST.get("modes") == "file"
    entries = files.plan(request.user, files.loads(raw), keeps_modes=keeps_modes)
    fine = [entry for entry in entries if not entry.errors]
    context = {
        "rows": [_row(entry) for entry in entries],
        "token": token,
        "modes": "file" if keeps_modes else "paper",
        "fine": len(fine),
        "refused": len(entries) - len(fine),
        "has_bots": any(not entry.is_template for entry in entries),
        "live": sum(entry.is_live for entry in fine),
        "wrong": wrong,
    }
    return render(request, "bots/import_preview.html", context, status=422 if wrong else 200)


def _row(entry: Entry) -> dict[str, Any]:
    errors = [(_label(name), text) for name, texts in entry.errors.items() for text in texts]
    bot = entry.draft
    return {"entry": entry, "bot": bot, "errors": errors, "quote": quote_of(bot.symbol)}


def _label(name: str) -> str:
    """Return what the form calls a setting; anything else as the file calls it."""
    if name not in files.SETTINGS:
        return name
    column = cast("Field[Any, Any]", BotConfig._meta.get_field(name))
    return str(LABELS.get(name, column.verbose_name))


def _confirmed(request: Request) -> HttpResponse:
    token = request.POST["token"]
    raw = cache.get(_kept(request, token))
    if raw is None:
        messages.error(request, _("The file was imported already, or waited too long: choose it."))
        return redirect("bots-import")
    if request.POST.get("step") != "do":
        return _preview(request, token, raw)
    keeps_modes = request.POST.get("modes") == "file"
    ticked = set(request.POST.getlist("entry"))
    entries = [
        entry
        for entry in files.plan(request.user, files.loads(raw), keeps_modes=keeps_modes)
        if entry.id in ticked and not entry.errors
    ]
    if not entries:
        return _preview(request, token, raw, wrong=_("Choose at least one row."))
    is_live = any(entry.is_live for entry in entries)
    if is_live and request.POST.get("confirm_name") != request.user.get_username():
        text = _("Type your user name to import bots that trade real money.")
        return _preview(request, token, raw, wrong=text)
    if is_live and (question := again.ask(request)):
        return question
    # Whoever presses twice imports once: only one request takes the file away.
    if not cache.delete(_kept(request, token)):
        return redirect("dashboard")
    return _told(request, files.carry_out(request.user, entries, via="page"))


def _told(request: Request, made: list[Made]) -> HttpResponse:
    bots = sum(one.row is not None and not one.entry.is_template for one in made)
    templates = sum(one.row is not None and one.entry.is_template for one in made)
    if bots:
        text = ngettext(
            "%(n)d bot was imported. It is stopped: start it when you want.",
            "%(n)d bots were imported. They are stopped: start them when you want.",
            bots,
        )
        messages.success(request, text % {"n": bots})
    if templates:
        text = ngettext("%(n)d template was imported.", "%(n)d templates were imported.", templates)
        messages.success(request, text % {"n": templates})
    failed = [one for one in made if one.row is None]
    for one in failed[:TOLD]:
        messages.error(request, f"{one.entry.draft.name}: {one.why}")
    if len(failed) > TOLD:
        text = _("%(n)d more were not imported.") % {"n": len(failed) - TOLD}
        messages.error(request, text)
    return redirect("dashboard" if bots else "templates")
