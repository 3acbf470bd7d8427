"""A new password shuts out whoever had the old one: API tokens end with it.

Sessions end by themselves: each carries a hash of the password that it was opened with.
"""

from typing import Any

from allauth.account.signals import password_changed, password_reset, password_set
from django.dispatch import receiver
from django.utils import timezone

from bots.models import ApiToken, User


@receiver([password_changed, password_reset, password_set])
def revoke_tokens(user: User, **_: Any) -> None:
    """Revoke the user's API tokens."""
    ApiToken.objects.filter(owner=user, revoked_at=None).update(revoked_at=timezone.now())
