"""Where a request comes from."""

from allauth.account.adapter import get_adapter
from django.http import HttpRequest


def client_ip(request: HttpRequest) -> str:
    """Return the visitor's address as allauth reads it, so that both throttles count the same one.

    X-Forwarded-For is read only as far as `TRUSTED_PROXY_COUNT` says.
    """
    return str(get_adapter().get_client_ip(request))
