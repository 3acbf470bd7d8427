"""Why a bot did or did not trade: one row a tick, equal ones in a row folded into a count."""

from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from bots.models.bot import BotConfig
from bots.models.ledger import Order


class Decision(models.Model):
    class Action(models.TextChoices):
        ENTER = "enter", _("bought")
        EXIT = "exit", _("sold")
        HOLD = "hold", _("held")
        BLOCKED = "blocked", _("blocked")
        FAILED = "failed", _("failed")
        INTERRUPTED = "interrupted", _("interrupted")

    bot = models.ForeignKey(BotConfig, models.PROTECT, related_name="decisions")
    action = models.CharField(max_length=12, choices=Action.choices)
    gate = models.CharField(max_length=40, help_text="the rule that decided")
    numbers: Any = models.JSONField(default=dict, help_text="what the rule compared, newest tick")
    message = models.TextField(blank=True)
    order = models.ForeignKey(Order, models.PROTECT, null=True, related_name="decisions")
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    count = models.PositiveIntegerField(default=1, help_text="ticks that this row stands for")
    fence = models.PositiveBigIntegerField(help_text="the newest of those ticks")

    class Meta:
        indexes = [models.Index(fields=["bot", "-id"], name="decision_newest")]

    def __str__(self) -> str:
        return f"{self.bot_id}: {self.action} ({self.gate}) x {self.count}"
