"""Who knocks, and from where: what both throttles of the sign-in count by."""

from collections.abc import Mapping

from allauth.account.adapter import get_adapter
from django.http import HttpRequest


def client_ip(request: HttpRequest) -> str | None:
    """Return the visitor's address as allauth reads it, so that both throttles count the same one.

    X-Forwarded-For is read only as far as `TRUSTED_PROXY_COUNT` says. None: nobody knocked, the
    request was made by code of ours (a sign-in without a connection).
    """
    if "REMOTE_ADDR" not in request.META:
        return None
    return str(get_adapter().get_client_ip(request))


def account_name(request: HttpRequest, credentials: Mapping[str, str] | None = None) -> str:
    """Return the name that somebody signs in with, as typed; '' where there is none.

    Backends are given credentials; before them, axes has only the form, whose field is `login`.
    """
    name = (credentials or {}).get("username") or request.POST.get("login", "")
    return name.strip().lower()
