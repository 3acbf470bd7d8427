"""Templates: settings that the reader keeps, uses again, renames, saves as files and deletes."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from bots import portable
from bots.forms.template import NameForm
from bots.models import BotTemplate
from bots.views.begin import own_template
from bots.views.common import Request, find_or_404
from trading.symbols import quote_of


def _find_or_404(request: Request, pk: int) -> BotTemplate:
    template = own_template(request.user, pk)
    if template is None:
        raise Http404
    return template


def _page(request: Request, refused: tuple[int, NameForm] | None = None) -> HttpResponse:
    """List the templates; `refused` is a new name as it was typed, and for which template."""
    rows = []
    for template in request.user.templates.all():
        form = NameForm(initial={"name": template.name}, auto_id=f"id_{template.pk}_%s")
        if refused and refused[0] == template.pk:
            form = refused[1]
        bot = portable.filled_in(template)
        rows.append({"template": template, "bot": bot, "quote": quote_of(bot.symbol), "form": form})
    context = {
        "rows": rows,
        "has_bots": request.user.bots.alive().exists(),
        "now": timezone.now(),
    }
    return render(request, "bots/templates.html", context, status=422 if refused else 200)


@login_required
@require_safe
def templates(request: Request) -> HttpResponse:
    """List the reader's templates."""
    return _page(request)


@login_required
@require_http_methods(["GET", "POST"])
def keep(request: Request, pk: int) -> HttpResponse:
    """Keep a bot's settings as a template; GET asks for its name."""
    bot = find_or_404(request.user, pk)
    free = portable.free_name(bot.name, portable.names_of(request.user, "templates"))
    form = NameForm(request.POST or None, initial={"name": free})
    if request.method == "POST" and form.is_valid():
        try:
            template = portable.keep(request.user, form.cleaned_data["name"], bot)
        except ValidationError as error:
            form.add_error("name", error.messages)
        else:
            text = _("The template %(name)s was saved.") % {"name": template.name}
            messages.success(request, text)
            return redirect("templates")
    context = {"bot": bot, "form": form}
    return render(request, "bots/templates_keep.html", context, status=422 if form.errors else 200)


@login_required
@require_POST
def rename(request: Request, pk: int) -> HttpResponse:
    """Give a template another name."""
    template = _find_or_404(request, pk)
    form = NameForm(request.POST, auto_id=f"id_{pk}_%s")
    if form.is_valid():
        try:
            portable.rename(template, form.cleaned_data["name"])
        except ValidationError as error:
            form.add_error("name", error.messages)
        else:
            messages.success(request, _("Saved."))
            return redirect("templates")
    return _page(request, refused=(pk, form))


@login_required
@require_http_methods(["GET", "POST"])
def delete(request: Request, pk: int) -> HttpResponse:
    """Forget a template; GET asks first. Bots made from it stay as they are."""
    template = _find_or_404(request, pk)
    if request.method == "GET":
        return render(request, "bots/templates_delete.html", {"template": template})
    template.delete()
    messages.success(request, _("%(name)s was deleted.") % {"name": template.name})
    return redirect("templates")
