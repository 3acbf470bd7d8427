"""A new password shuts out whoever had the old one: API tokens and sessions end with it.

Sessions would end by themselves, as each carries a hash of the password that it was opened with;
so they leave the user's list at once. The browser that set it gets a new one (Django).
"""

from typing import Any

from django.db.models.signals import post_save
from django.dispatch import receiver
from django.utils import timezone

from bots import sessions
from bots.models import AccessEvent, ApiToken, User


@receiver(post_save, sender=User)
def shut_out(instance: User, created: bool, **_: Any) -> None:
    """Revoke tokens and end sessions once a new password is saved, by whichever door it came."""
    if instance.has_new_password and not created:
        ApiToken.objects.filter(owner=instance, revoked_at=None).update(revoked_at=timezone.now())
        sessions.end_others(instance, None)
        AccessEvent.objects.create(owner=instance, what=AccessEvent.What.PASSWORD)
