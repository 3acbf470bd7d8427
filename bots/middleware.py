"""What each answer owes its reader: their language, their time zone, and privacy."""

from collections.abc import Callable
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import resolve_url
from django.utils import timezone, translation
from django.utils.cache import add_never_cache_headers
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django_htmx.http import HttpResponseClientRedirect

from bots import sessions
from bots.models import User

Answer = Callable[[HttpRequest], HttpResponseBase]
WAS = "was"
"""The query parameter of the sign-in form that says what its visitor was doing: sending a form,
looking at a page."""


class ViewerMiddleware:
    """Stands after HtmxMiddleware. A user's language and zone win over the browser's.

    Pages of signed-in people are not kept by any cache, and where a poll's session has expired
    the whole page goes to the sign-in form instead of that form into a panel.
    """

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        user = request.user if isinstance(request.user, User) else None
        if user and user.language:
            translation.activate(user.language)
            request.LANGUAGE_CODE = translation.get_language()
        if user is None and request.path == resolve_url(settings.LOGIN_URL):
            _tell_why(request)
        zone = user.zone if user else ZoneInfo(settings.TRADING_DAY_TIME_ZONE)
        with timezone.override(zone):
            response = self.get_response(request)
        if user and isinstance(response, HttpResponse):
            add_never_cache_headers(response)
        return response if user else _to_sign_in(request, response)


def _tell_why(request: HttpRequest) -> None:
    """Tell somebody who was at work why they see the sign-in form.

    The address carries it: of two polls that find the session gone, the first one's page could
    use up a message that is shown once, and the second one's page be the one that is seen.
    """
    if request.GET.get(WAS) == "sending":
        text = _("You were signed out. Nothing was changed: sign in and send it again.")
        messages.warning(request, text)
    elif request.GET.get(WAS) == "looking":
        messages.warning(request, _("You were signed out. Sign in to see how your bots are doing."))


def _to_sign_in(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """Where the answer is the way to the sign-in form, add what the visitor was doing.

    A poll is answered with the way of the whole page, back to where it was; so is a form that was
    sent, for what it was sent to may be no page.
    """
    login = resolve_url(settings.LOGIN_URL)
    if not isinstance(response, HttpResponseRedirect) or not response.url.startswith(login):
        return response
    is_poll = request.headers.get("HX-Request") == "true"
    was = {WAS: "sending"} if request.method == "POST" else {WAS: "looking"} if is_poll else {}
    if is_poll:
        page = request.htmx.current_url_abs_path or "/"  # type: ignore[attr-defined]
        return HttpResponseClientRedirect(f"{login}?{urlencode({'next': page} | was)}")
    if was:
        page = _sender_of(request) or request.get_full_path()
        response["Location"] = f"{login}?{urlencode({'next': page} | was)}"
    return response


def _sender_of(request: HttpRequest) -> str:
    """Return the path of the page whose form this is; empty where the browser does not tell."""
    origin = f"{request.scheme}://{request.get_host()}"
    referer = request.headers.get("Referer", "")
    return referer.removeprefix(origin) if referer.startswith(f"{origin}/") else ""


class SeenMiddleware:
    """Keeps the list of a user's sessions: when each was last used, and from where."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        sessions.note_seen(request)
        return self.get_response(request)
