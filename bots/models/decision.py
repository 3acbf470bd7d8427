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

    bot = models.ForeignKey(
        BotConfig, models.PROTECT, verbose_name=_("bot"), related_name="decisions"
    )
    action = models.CharField(_("action"), max_length=12, choices=Action.choices)
    gate = models.CharField(_("gate"), max_length=40, help_text=_("the rule that decided"))
    numbers: Any = models.JSONField(
        _("numbers"), default=dict, help_text=_("what the rule compared, newest tick")
    )
    message = models.TextField(_("message"), blank=True)
    order = models.ForeignKey(
        Order, models.PROTECT, verbose_name=_("order"), null=True, related_name="decisions"
    )
    first_at = models.DateTimeField(_("first at"))
    last_at = models.DateTimeField(_("last at"))
    count = models.PositiveIntegerField(
        _("count"), default=1, help_text=_("ticks that this row stands for")
    )
    fence = models.PositiveBigIntegerField(
        _("tick number"), help_text=_("the newest of those ticks")
    )
    inputs = models.TextField(
        _("inputs"), blank=True, help_text=_("what the newest of those ticks decided on, as JSON")
    )

    class Meta:
        verbose_name = _("decision")
        verbose_name_plural = _("decisions")
        indexes = [models.Index(fields=["bot", "-id"], name="decision_newest")]

    def __str__(self) -> str:
        return f"{self.bot_id}: {self.action} ({self.gate}) x {self.count}"


class DecisionCandles(models.Model):
    """The window of candles that a decision to trade, or one that a rule kept back, was made on.

    Beside the decision, so that neither a list of decisions nor a repeated one carries it along.
    """

    decision = models.OneToOneField(
        Decision,
        models.CASCADE,
        verbose_name=_("decision"),
        primary_key=True,
        related_name="candles",
    )
    data = models.BinaryField(_("candles"), help_text=_("prices and volumes, compressed"))

    class Meta:
        verbose_name = _("candles of a decision")
        verbose_name_plural = _("candles of decisions")

    def __str__(self) -> str:
        return f"candles of decision {self.decision_id}"
