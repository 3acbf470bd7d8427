"""Asking again who is there, before keys and before real money.

With the second factor on that is a code, else the password; what was shown in the last ten minutes
counts, the sign-in among it. The question is allauth's page. What somebody was about to do is kept
in their session meanwhile and done after the answer, so that nothing has to be typed twice; only
secrets are never kept, so a form for them is asked for before it is shown.
"""

import time
from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.internal.flows.reauthentication import STATE_SESSION_KEY
from allauth.account.utils import get_next_redirect_url
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import resolve, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from bots import second_factor
from bots.views.common import Request


def ask(request: Request, *, back: str = "", keeps: bool = True) -> HttpResponse | None:
    """Return the way to the question, or None where it was answered lately.

    `back`: where its answer leads, this address unless given. `keeps`: whether a POST is done after
    it as it was sent; never for one that carries a secret.
    """
    if second_factor.is_fresh(request):
        return None
    # What waited for an older answer would come as a surprise now.
    request.session.pop(STATE_SESSION_KEY, None)
    url = back or request.get_full_path()
    if request.method == "POST" and keeps:
        waiting = {
            "url": url,
            "path": request.path_info,
            "query": request.META.get("QUERY_STRING", ""),
            "body": request.POST.urlencode(),
            "at": time.time(),
        }
        request.session[STATE_SESSION_KEY] = {"state": waiting, "callback": f"{__name__}.resume"}
    methods = get_adapter().get_reauthentication_methods(request.user)
    question = methods[0]["url"] if methods else reverse("account_reauthenticate")
    return redirect(f"{question}?{urlencode({'next': url})}")


def resume(request: HttpRequest, waiting: dict[str, Any]) -> HttpResponse:
    """Do what was asked for before the question; not, if it waited too long or for another one."""
    url = get_next_redirect_url(request, "next") or reverse("dashboard")
    if url != waiting["url"]:
        return redirect(url)
    if time.time() - waiting["at"] > settings.ACCOUNT_REAUTHENTICATION_TIMEOUT:
        messages.warning(request, _("Nothing was done: that took too long. Do it again."))
        return redirect("dashboard")
    request.path = request.path_info = waiting["path"]
    request.META["QUERY_STRING"] = waiting["query"]
    request.GET = QueryDict(waiting["query"])
    request.POST = QueryDict(waiting["body"])
    found = resolve(waiting["path"])
    response: HttpResponse = found.func(request, *found.args, **found.kwargs)
    return response
