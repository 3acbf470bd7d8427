"""The history of a bot: each change of its state, with who and why."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from bots.lifecycle import Move, Reason, Status
from bots.models.bot import BotConfig
from bots.models.state import Protection

#: Events that a person has to look at. A protection that could not be placed says why; the way back
#: names who watches the stop.
BAD_EVENTS = (
    Q(new_status=Status.ERROR.value)
    | Q(move__in=[Move.FAIL.value, Move.SWITCH_OFF.value])
    | Q(move=Move.PROTECT.value) & ~Q(why__in=["", *Protection.values])
)


class StateEvent(models.Model):
    """One change of a bot's state: who, what, from, to, why. Never edited."""

    bot = models.ForeignKey(BotConfig, models.PROTECT, verbose_name=_("bot"), related_name="events")
    at = models.DateTimeField(_("time"), default=timezone.now)
    move = models.CharField(_("move"), max_length=12, choices=Move.choices)
    old_status = models.CharField(_("old status"), max_length=8, blank=True)
    old_reason = models.CharField(_("old reason"), max_length=32, blank=True)
    new_status = models.CharField(_("new status"), max_length=8, choices=Status.choices)
    new_reason = models.CharField(_("new reason"), max_length=32, choices=Reason.choices)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        verbose_name=_("by whom"),
        null=True,
        related_name="+",
    )
    via = models.CharField(
        _("by which door"), max_length=12, help_text=_("page, api, admin, command, tick, reset")
    )
    why = models.TextField(_("details"), blank=True)
    run_epoch = models.PositiveBigIntegerField(_("run epoch"), default=0)

    class Meta:
        verbose_name = _("state event")
        verbose_name_plural = _("state events")
        indexes = [
            models.Index(fields=["bot", "-id"], name="event_newest"),
            # The activity of all bots is read by time.
            models.Index(fields=["at"], name="event_at"),
            models.Index(fields=["at"], name="event_bad", condition=BAD_EVENTS),
        ]

    def __str__(self) -> str:
        return f"{self.bot_id}: {self.old_status or '-'} -> {self.new_status}"
