"""Who speaks: the bearer of a token, or a signed-in browser that passes the CSRF check."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from ninja.errors import AuthenticationError, AuthorizationError
from ninja.security.base import AuthBase
from ninja.utils import check_csrf

from bots import second_factor
from bots.lifecycle import Mode
from bots.models import ApiToken, User

#: What a signed-in browser may do here. Live trading asks for a token that was granted `live`.
SESSION_SCOPES = frozenset({"read", "trade"})
#: And for as long as its user showed lately that they are there.
FRESH_SCOPES = SESSION_SCOPES | {"keys"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The user behind a request, and the scopes of what they showed."""

    user: User
    scopes: frozenset[str]

    def needs(self, scope: str) -> None:
        """Raise a 403 unless `scope` was granted."""
        if scope not in self.scopes:
            raise AuthorizationError(message=f"This needs a token with the scope '{scope}'.")

    def needs_for(self, mode: str) -> None:
        """Raise a 403 where a bot in `mode` would spend real money without the scope `live`."""
        if mode == Mode.LIVE:
            self.needs("live")


class ApiRequest(HttpRequest):
    """A request that passed one of the checks below."""

    auth: Caller


class Token(AuthBase):
    """`Authorization: Bearer <token>`. A token that does not hold is a 401, whatever else came."""

    openapi_type = "http"
    openapi_scheme = "bearer"

    def __init__(self, scope: str) -> None:
        self.scope = scope
        super().__init__()

    def __call__(self, request: HttpRequest) -> Caller | None:
        header = request.headers.get("Authorization")
        if header is None:
            return None
        scheme, _, text = header.partition(" ")
        token = ApiToken.find(text.strip()) if scheme.lower() == "bearer" else None
        if token is None:
            raise AuthenticationError(message="This token is unknown or was revoked.")
        caller = Caller(user=token.owner, scopes=frozenset(token.scopes))
        caller.needs(self.scope)
        return caller


class Session(AuthBase):
    """The site's own session. Changes need the CSRF token in `X-CSRFToken`."""

    openapi_type = "apiKey"
    openapi_in = "cookie"
    openapi_name = "sessionid"
    csrf = True

    def __init__(self, scope: str) -> None:
        self.scope = scope
        super().__init__()

    def __call__(self, request: HttpRequest) -> Caller | None:
        if not isinstance(request.user, User):
            return None
        if check_csrf(request):
            raise AuthorizationError(message="CSRF check failed.")
        is_fresh = self.scope == "keys" and second_factor.is_fresh(request)
        caller = Caller(user=request.user, scopes=FRESH_SCOPES if is_fresh else SESSION_SCOPES)
        caller.needs(self.scope)
        return caller


def access(scope: str) -> list[Callable[..., Any]]:
    """Return the checks of an endpoint that needs `scope`."""
    return [Token(scope), Session(scope)]
