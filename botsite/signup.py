"""Who may sign up, and how somebody shows again that they are there."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core import context
from django.conf import settings
from django.http import HttpRequest

from bots import second_factor

AGAIN_BY_CODE = "mfa_reauthenticate"


class Adapter(DefaultAccountAdapter):  # type: ignore[misc]
    """allauth's door, with a lock that the operator holds (SIGNUP_OPEN)."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Return whether a stranger may make an account."""
        return bool(settings.SIGNUP_OPEN)

    def get_reauthentication_methods(self, user: Any) -> list[dict[str, Any]]:
        """Return how a user may be asked again: by the second factor alone where it is on."""
        methods: list[dict[str, Any]] = super().get_reauthentication_methods(user)
        by_code = [method for method in methods if method["id"] == AGAIN_BY_CODE]
        return by_code or methods

    def is_reauthentication_required(self, *, app: str, **options: Any) -> bool:
        """Return whether allauth's own pages have to ask: not just after the sign-in."""
        if not super().is_reauthentication_required(app=app, **options):
            return False
        return not second_factor.is_fresh(context.request)
