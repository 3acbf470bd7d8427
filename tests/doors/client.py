"""A caller of the API in tests: JSON in, JSON out, as a script would see it."""

import json
import time
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.test import Client

from bots.models import ApiToken, User
from bots.models.token import SCOPES

PAPER: dict[str, Any] = {
    "name": "Wave",
    "exchange": "simulated",
    "mode": "paper",
    "symbol": "WAVE/USDT",
    "position_size_fixed": "100",
}
KEY = {
    "exchange": "binance",
    "mode": "testnet",
    "label": "main",
    "api_key": "PUBLICPARTOFTHEKEYabcd1234",
    "secret_key": "SECRETPARTOFTHEKEYefgh5678",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    body: Any
    headers: Any


class Caller:
    """Calls /api/v1 with a token of `user`, or anonymously."""

    def __init__(self, user: User | None = None, *scopes: str) -> None:
        self.http = Client()
        self.headers: dict[str, str] = {}
        if user is not None:
            token = ApiToken.issue(user, "test", tuple(scopes) or SCOPES)
            self.headers["Authorization"] = f"Bearer {token}"

    def __call__(self, method: str, path: str, body: Any = None) -> Answer:
        text = body if isinstance(body, str) else json.dumps(body)
        response = self.http.generic(
            method,
            f"/api/v1{path}",
            "" if body is None else text,
            content_type="application/json",
            headers=self.headers,
        )
        content = json.loads(response.content) if response.content else None
        return Answer(status=response.status_code, body=content, headers=response.headers)

    def get(self, path: str) -> Answer:
        return self("GET", path)

    def post(self, path: str, body: Any = None) -> Answer:
        return self("POST", path, body)

    def put(self, path: str, body: Any) -> Answer:
        return self("PUT", path, body)

    def patch(self, path: str, body: Any) -> Answer:
        return self("PATCH", path, body)

    def delete(self, path: str) -> Answer:
        return self("DELETE", path)


def fields_of(answer: Answer) -> set[str]:
    """Return the names of the fields that a 422 complains about."""
    assert answer.status == 422, answer.body
    return {row["loc"][1] if len(row["loc"]) > 1 else "" for row in answer.body["detail"]}


def just_shown(user: User) -> dict[str, Any]:
    """What a session holds whose user has just shown password and code."""
    shown = [{"method": method, "at": time.time()} for method in ("password", "mfa")]
    return {
        "account_authentication_methods": shown,
        "account_authentication_methods_user": str(user.pk),
    }


def signed_in(user: User, *, enforce_csrf_checks: bool = False) -> Client:
    """Return a browser with a session of `user`; how people sign in is tested elsewhere."""
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[-1]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.update(just_shown(user))
    session.save()
    client = Client(enforce_csrf_checks=enforce_csrf_checks)
    client.cookies[settings.SESSION_COOKIE_NAME] = str(session.session_key)
    return client
