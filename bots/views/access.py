"""Ending sessions from the profile."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from bots import second_factor, sessions
from bots.models import AccessEvent
from bots.views.common import Request


@login_required
@require_POST
def session_end(request: Request, pk: int) -> HttpResponse:
    """End one other session of the reader; somebody else's is not touched."""
    place = sessions.end(request.user, pk, request.session.session_key)
    if place:
        second_factor.note(request, request.user, AccessEvent.What.SESSION_ENDED, place.text)
        messages.success(request, _("The session was ended."))
    else:
        messages.error(request, _("There is no such session."))
    return redirect("profile")


@login_required
@require_POST
def sessions_end(request: Request) -> HttpResponse:
    """End all sessions of the reader but this one."""
    ended = sessions.end_others(request.user, request.session.session_key)
    for place in ended:
        second_factor.note(request, request.user, AccessEvent.What.SESSION_ENDED, place.text)
    text = ngettext("%(n)d session was ended.", "%(n)d sessions were ended.", len(ended))
    messages.success(request, text % {"n": len(ended)})
    return redirect("profile")


def factor(request: Request) -> HttpResponse:
    """Lead to where the second factor stands: on the profile."""
    return redirect(reverse("profile") + "#second-factor")
