"""API tokens: shown once, stored as a hash."""

import hashlib
import secrets
from typing import Any

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from bots.models.account import User

SCOPES = ("read", "trade", "keys", "live")


class ApiToken(models.Model):
    owner = models.ForeignKey(
        User, models.CASCADE, verbose_name=_("owner"), related_name="api_tokens"
    )
    name = models.CharField(_("token name"), max_length=60)
    digest = models.CharField(_("digest"), max_length=64, unique=True)
    scopes: Any = models.JSONField(_("rights"), default=list)
    created_at = models.DateTimeField(_("made at"), auto_now_add=True)
    last_used_at = models.DateTimeField(_("last used at"), null=True)
    revoked_at = models.DateTimeField(_("revoked at"), null=True)

    class Meta:
        verbose_name = _("API token")
        verbose_name_plural = _("API tokens")

    def __str__(self) -> str:
        return f"{self.name} ({', '.join(self.scopes)})"

    @classmethod
    def issue(cls, owner: User, name: str, scopes: tuple[str, ...] = SCOPES) -> str:
        """Make a token and return its text: the only time that anybody sees it."""
        text = "bs_" + secrets.token_urlsafe(32)
        cls.objects.create(owner=owner, name=name, digest=_digest(text), scopes=list(scopes))
        return text

    @classmethod
    def find(cls, text: str) -> "ApiToken | None":
        """Return the living token with this text, of an active owner, or None."""
        token = (
            cls.objects.select_related("owner")
            .filter(digest=_digest(text), revoked_at=None, owner__is_active=True)
            .first()
        )
        if token and (
            token.last_used_at is None or (timezone.now() - token.last_used_at).total_seconds() > 60
        ):
            cls.objects.filter(pk=token.pk).update(last_used_at=timezone.now())
        return token


def _digest(text: str) -> str:
    # 256 random bits need no slow hash.
    return hashlib.sha256(text.encode()).hexdigest()
