"""Exchange keys: they go in, and only their last four characters come out."""

from collections import defaultdict

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from bots import control, second_factor
from bots.forms import KeyForm, LimitsForm
from bots.lifecycle import Duty, Mode
from bots.messages import about_key
from bots.models import Account, ApiKey, BotConfig
from bots.views import again
from bots.views.common import BUSY, Request, tell_busy

#: What tells an account of a user's from their others.
PLACE = ("exchange", "mode", "label")


def _using(request: Request, keys: list[ApiKey]) -> dict[int, list[BotConfig]]:
    """Return the living bots of each account, in one query."""
    found: dict[int, list[BotConfig]] = defaultdict(list)
    accounts = [key.account_id for key in keys]
    bots = request.user.bots.alive().filter(account__in=accounts)
    for bot in bots.select_related("state"):
        if bot.account_id is not None:
            found[bot.account_id].append(bot)
    return found


@sensitive_post_parameters("api_key", "secret_key", "passphrase")
@login_required
@require_http_methods(["GET", "POST"])
def keys(request: Request) -> HttpResponse:
    """List the reader's keys and take a new one, which a worker then checks.

    The form is for `?new` and for the place of a key to replace; before it the reader is asked
    again who they are, as a secret that was typed cannot wait for the answer.
    """
    initial = {name: request.GET.get(name, "") for name in PLACE}
    if request.method == "POST":
        if question := _ask_first(request):
            return question
    elif (any(initial.values()) or "new" in request.GET) and (question := again.ask(request)):
        return question
    form = KeyForm(request.POST or None, initial={k: v for k, v in initial.items() if v})
    if request.method == "POST" and form.is_valid():
        try:
            key = control.put_key(request.user, via="page", **form.cleaned_data)
        except IntegrityError:
            messages.error(request, _("This key was replaced at the same time."))
            return redirect("keys")
        except BUSY as error:
            tell_busy(request, error)
            return redirect("keys")
        text = _("The key …%(last4)s was saved. It is being checked with the exchange.")
        messages.success(request, text % {"last4": key.last4})
        return redirect("keys")
    return _page(request, form, is_replacing=bool(initial["label"]))


def _ask_first(request: Request) -> HttpResponse | None:
    """Ask again; what was typed is let go but for the account's name."""
    place = {name: request.POST.get(name, "")[:60] for name in PLACE}
    back = f"{reverse('keys')}?{urlencode({'new': '1', **place})}"
    question = again.ask(request, back=back, keeps=False)
    if question:
        text = _("Nothing was saved: show that it is you, then enter the key once more.")
        messages.warning(request, text)
    return question


def _page(
    request: Request,
    form: KeyForm,
    *,
    is_replacing: bool = False,
    refused: LimitsForm | None = None,
    status: int = 0,
) -> HttpResponse:
    """Draw the page; `refused` are limits as they were typed, with what is wrong with them."""
    rows = list(
        ApiKey.objects.filter(account__owner=request.user)
        .select_related("account")
        .order_by("account__exchange", "account__label", "pk")
    )
    using = _using(request, rows)
    context = {
        "form": form,
        "rows": [
            {
                "key": key,
                "bots": using.get(key.account_id, []),
                "note": about_key(key.check_fault),
                "limits": _limits(key, refused),
            }
            for key in rows
        ],
        "is_replacing": is_replacing,
        # The form is there for whoever need not be asked first.
        "is_open": second_factor.is_fresh(request),
        "now": timezone.now(),
    }
    wrong = form.errors or refused
    return render(request, "bots/keys.html", context, status=status or (422 if wrong else 200))


def _limits(key: ApiKey, refused: LimitsForm | None) -> LimitsForm:
    if refused is not None and refused.instance.pk == key.account_id:
        return refused
    return LimitsForm(instance=key.account, auto_id=f"id_{key.account_id}_%s")


@login_required
@require_POST
def limits(request: Request, pk: int) -> HttpResponse:
    """Set the limits of an account."""
    account = Account.objects.filter(owner=request.user, pk=pk).exclude(mode=Mode.PAPER).first()
    if account is None:
        raise Http404
    form = LimitsForm(request.POST, instance=account, auto_id=f"id_{pk}_%s")
    if form.is_valid():
        try:
            control.edit_account(account, form.values, by=request.user, via="page")
        except ValidationError as error:
            form.add_error(None, error)
        except BUSY as error:
            # What was typed stays in the form.
            tell_busy(request, error)
            return _page(request, KeyForm(), refused=form, status=503)
        else:
            messages.success(request, _("Saved."))
            return redirect("keys")
    return _page(request, KeyForm(), refused=form)


@login_required
@require_http_methods(["GET", "POST"])
def key_delete(request: Request, pk: int) -> HttpResponse:
    """Delete a key. Refused while a bot needs it for a position; GET asks first."""
    key = (
        ApiKey.objects.filter(account__owner=request.user, pk=pk).select_related("account").first()
    )
    if key is None:
        raise Http404
    busy = [
        bot
        for bot in _using(request, [key])[key.account_id]
        if bot.state_or_none
        and bot.state.duty != Duty.NONE
        and (bot.state.in_position or bot.state.has_open_orders)
    ]
    if question := again.ask(request):
        return question
    if request.method == "GET":
        return render(request, "bots/key_delete.html", {"key": key, "busy": busy})
    try:
        control.drop_key(key, by=request.user, via="page")
    except control.Refusal as refusal:
        messages.error(request, refusal.message)
        return redirect("keys")
    except BUSY as error:
        tell_busy(request, error)
        return redirect("keys")
    messages.success(request, _("The key …%(last4)s was deleted.") % {"last4": key.last4})
    return redirect("keys")
