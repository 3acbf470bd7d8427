"""What an owner asked of a running bot; the next tick takes it or it expires."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from bots.models.bot import BotConfig
from bots.models.ledger import SIDES, Order

#: Commands that were not followed, or not yet: one that waits past its time has expired, whether or
#: not a tick has said so. "Is not done", as SQLite knows no list of values in an index's condition.
UNDONE_COMMANDS = ~Q(status="done")
#: When a command ended; one that waits stands where it was given.
MOMENT = Coalesce("ended_at", "created_at")


class Command(models.Model):
    class Kind(models.TextChoices):
        ENTER = "enter", _("enter now")
        EXIT = "exit", _("exit now")
        CANCEL = "cancel", _("cancel the waiting order")

    class Status(models.TextChoices):
        PENDING = "pending", _("waiting for the next tick")
        DONE = "done", _("done")
        REFUSED = "refused", _("refused")
        EXPIRED = "expired", _("expired")

    bot = models.ForeignKey(
        BotConfig, models.PROTECT, verbose_name=_("bot"), related_name="commands"
    )
    kind = models.CharField(_("command"), max_length=8, choices=Kind.choices)
    side = models.CharField(
        _("side"),
        max_length=4,
        choices=list(SIDES.items()),
        blank=True,
        help_text=_("of an entry; empty: the one that its bot opens with"),
    )
    status = models.CharField(
        _("status"), max_length=8, choices=Status.choices, default=Status.PENDING
    )
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        verbose_name=_("by whom"),
        null=True,
        related_name="+",
    )
    via = models.CharField(_("by which door"), max_length=12)
    created_at = models.DateTimeField(_("made at"), default=timezone.now)
    expires_at = models.DateTimeField(_("expires at"))
    ended_at = models.DateTimeField(_("ended at"), null=True)
    result = models.CharField(
        _("result"), max_length=200, blank=True, help_text=_("the gate that refused it")
    )
    order = models.OneToOneField(
        Order, models.PROTECT, verbose_name=_("order"), null=True, related_name="command"
    )

    class Meta:
        verbose_name = _("command")
        verbose_name_plural = _("commands")
        constraints = [
            # A second click while the first one waits is a 409, decided by the database.
            models.UniqueConstraint(
                fields=["bot"],
                condition=Q(status="pending"),
                name="command_one_pending",
            )
        ]
        indexes = [
            # The activity of all bots is read by time.
            models.Index(MOMENT, name="command_moment"),
            models.Index(MOMENT, name="command_undone", condition=UNDONE_COMMANDS),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.status} (bot {self.bot_id})"
