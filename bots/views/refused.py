"""The answer to a form that this site did not draw, or drew too long ago."""

from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render, resolve_url
from django.utils.http import url_has_allowed_host_and_scheme, urlencode


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Say that nothing was changed, and lead back to the page, by way of signing in if need be."""
    page = _page_of(request)
    login = f"{resolve_url(settings.LOGIN_URL)}?{urlencode({'next': page})}"
    return render(request, "403_csrf.html", {"page": page, "login": login}, status=403)


def _page_of(request: HttpRequest) -> str:
    """Return the address of the page that held the form, or the dashboard's."""
    referer = request.META.get("HTTP_REFERER", "")
    is_ours = url_has_allowed_host_and_scheme(referer, allowed_hosts={request.get_host()})
    parts = urlsplit(referer if is_ours else "")
    login = resolve_url(settings.LOGIN_URL)
    page = f"{parts.path}?{parts.query}" if parts.query else parts.path
    # A path may look like an address elsewhere (//...); the sign-in form leads nowhere useful.
    is_page = url_has_allowed_host_and_scheme(page, allowed_hosts=None) and parts.path != login
    return page if is_page else "/"
