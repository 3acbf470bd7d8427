"""The reader's own: language, zone, colours, API tokens; and the help page."""

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone, translation
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from bots import second_factor, sessions
from bots.forms import ProfileForm, TokenForm
from bots.lifecycle import Mode
from bots.models import AccessEvent, ApiToken, User
from bots.second_factor import Factor
from bots.views import again
from bots.views.common import Request, page_of

#: How long a form for a new token is told from its own repetition.
FORM_SECONDS = 30 * 86_400


def _page(
    request: Request,
    profile: ProfileForm | None = None,
    token: TokenForm | None = None,
    secret: str = "",
) -> HttpResponse:
    factor = second_factor.of(request.user)
    profile = profile or ProfileForm(instance=request.user)
    token = token or TokenForm(may_live=_may_live(factor))
    tokens = ApiToken.objects.filter(owner=request.user, revoked_at=None).order_by("-pk")
    context = {
        "form": profile,
        "token_form": token,
        "tokens": page_of(request, tokens),
        "secret": secret,
        "factor": factor,
        "may_live": _may_live(factor),
        "places": sessions.of(request.user, request.session.session_key),
        "now": timezone.now(),
    }
    status = 422 if profile.errors or token.errors else 200
    return render(request, "bots/profile.html", context, status=status)


def _may_live(factor: Factor | None) -> bool:
    """Whether a page may grant the right to spend real money: to whoever has a second factor."""
    return settings.LIVE_TRADING_ENABLED and factor is not None


@login_required
@require_http_methods(["GET", "POST"])
def profile(request: Request) -> HttpResponse:
    """Show and change language, time zone and colours."""
    if request.method == "GET":
        return _page(request)
    # A copy, so that a refused zone does not reach the page around the form.
    user = User.objects.get(pk=request.user.pk)
    form = ProfileForm(request.POST, instance=user)
    if not form.is_valid():
        return _page(request, form)
    form.save()
    with translation.override(user.language or translation.get_language()):
        messages.success(request, _("Saved."))
    return redirect("profile")


@login_required
@require_POST
def token_create(request: Request) -> HttpResponse:
    """Make an API token and show it once: nothing but its hash is kept.

    The answer shows it, as no redirect could without keeping it somewhere. Sent a second time, by a
    reload or two clicks, the form makes no second token: each form's number counts once.
    """
    form = TokenForm(request.POST, may_live=_may_live(second_factor.of(request.user)))
    if not form.is_valid():
        return _page(request, token=form)
    if form.is_grave and (question := again.ask(request)):
        return question
    number = form.cleaned_data["number"]
    if not cache.add(f"token-form-{request.user.pk}-{number}", 1, FORM_SECONDS):
        messages.info(request, _("This token was made already and is not shown again."))
        return redirect("profile")
    scopes = tuple(form.cleaned_data["scopes"])
    name = form.cleaned_data["name"]
    secret = ApiToken.issue(request.user, name, scopes)
    told = f"{name} ({', '.join(scopes)})"
    second_factor.note(request, request.user, AccessEvent.What.TOKEN, told)
    return _page(request, secret=secret)


@login_required
@require_POST
def token_revoke(request: Request, pk: int) -> HttpResponse:
    """Revoke a token of the reader; somebody else's is not touched."""
    tokens = ApiToken.objects.filter(owner=request.user, pk=pk, revoked_at=None)
    if tokens.update(revoked_at=timezone.now()):
        messages.success(request, _("The token was revoked."))
    else:
        messages.error(request, _("There is no such token."))
    return redirect("profile")


@require_POST
def language(request: HttpRequest) -> HttpResponse:
    """Switch the language: for the user where there is one, and in this browser."""
    code = request.POST.get("language", "")
    here = request.POST.get("next", "/")
    if not url_has_allowed_host_and_scheme(here, allowed_hosts=None):
        here = "/"
    response = redirect(here)
    if code not in dict(settings.LANGUAGES):
        return response
    if isinstance(request.user, User):
        User.objects.filter(pk=request.user.pk).update(language=code)
    response.set_cookie(
        settings.LANGUAGE_COOKIE_NAME,
        code,
        max_age=365 * 86_400,
        secure=settings.LANGUAGE_COOKIE_SECURE,
        httponly=settings.LANGUAGE_COOKIE_HTTPONLY,
        samesite="Lax",
    )
    return response


@require_safe
def help_page(request: HttpRequest) -> HttpResponse:
    """Explain the first steps, modes, statuses, limits, the trading day, and what is promised."""
    context = {"modes": Mode, "live": settings.LIVE_TRADING_ENABLED}
    return render(request, "bots/help.html", context)
