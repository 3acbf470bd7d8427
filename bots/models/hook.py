"""Signals from outside: the address that a bot listens on, and what came in by it."""

import secrets
import string
from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from bots.models.bot import BotConfig
from bots.models.command import Command
from bots.models.fields import SecretField

ALPHABET = string.ascii_lowercase + string.digits


def new_name() -> str:
    """Return the part of an address that names its hook; it is no secret."""
    return "".join(secrets.choice(ALPHABET) for _ in range(12))


def new_secret() -> str:
    """Return 192 random bits as text that an address may hold."""
    return secrets.token_urlsafe(24)


class Hook(models.Model):
    """The address on which one bot takes signals. Whoever knows it may let the bot trade."""

    bot = models.OneToOneField(
        BotConfig, models.CASCADE, verbose_name=_("bot"), related_name="hook"
    )
    name = models.CharField(_("name"), max_length=12, unique=True, default=new_name)
    secret: Any = SecretField(_("secret"), default=new_secret)
    created_at = models.DateTimeField(_("made at"), auto_now_add=True)

    class Meta:
        verbose_name = _("signal address")
        verbose_name_plural = _("signal addresses")

    def __str__(self) -> str:
        return self.name


class SignalIn(models.Model):
    """One signal that came in under the right secret, and what became of it. Never edited."""

    class Status(models.TextChoices):
        ACCEPTED = "accepted", _("accepted")
        REFUSED = "refused", _("refused")

    bot = models.ForeignKey(
        BotConfig, models.CASCADE, verbose_name=_("bot"), related_name="signals"
    )
    key = models.CharField(
        _("key"), max_length=64, help_text=_("the same signal has the same: it counts once")
    )
    received_at = models.DateTimeField(_("received at"))
    said = models.CharField(_("what it said"), max_length=80, blank=True)
    status = models.CharField(_("status"), max_length=8, choices=Status.choices)
    result = models.CharField(
        _("result"), max_length=32, blank=True, help_text=_("why it was refused")
    )
    command = models.OneToOneField(
        Command, models.SET_NULL, verbose_name=_("command"), null=True, related_name="signal"
    )

    class Meta:
        verbose_name = _("signal")
        verbose_name_plural = _("signals")
        constraints = [
            # One that was refused may be sent again, and is judged anew.
            models.UniqueConstraint(
                fields=["bot", "key"], condition=models.Q(status="accepted"), name="signal_once"
            )
        ]
        indexes = [models.Index(fields=["bot", "-received_at"], name="signal_newest")]

    def __str__(self) -> str:
        return f"{self.said} {self.status} (bot {self.bot_id})"

    @property
    def is_accepted(self) -> bool:
        return self.status == self.Status.ACCEPTED
