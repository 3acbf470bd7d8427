"""A new password shuts out whoever had the old one: API tokens end with it.

Sessions end by themselves: each carries a hash of the password that it was opened with.
"""

from typing import Any

from django.db.models.signals import post_save
from django.dispatch import receiver
from django.utils import timezone

from bots.models import ApiToken, User


@receiver(post_save, sender=User)
def revoke_tokens(instance: User, created: bool, **_: Any) -> None:
    """Revoke the user's API tokens once a new password is saved, by whichever door it came."""
    if instance.has_new_password and not created:
        ApiToken.objects.filter(owner=instance, revoked_at=None).update(revoked_at=timezone.now())
