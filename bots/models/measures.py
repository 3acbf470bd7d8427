"""What the platform notes of itself, for operators: limits in use, clocks, tick times, checks."""

from typing import Any

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from bots.models.account import Account


class Gauge(models.Model):
    """The newest reading of one thing at one exchange, by whichever worker read it last."""

    class Kind(models.TextChoices):
        BUDGET = "budget", _("rate budget")
        CLOCK = "clock", _("clock")

    kind = models.CharField(_("kind"), max_length=6, choices=Kind.choices)
    scope = models.CharField(
        _("exchange"), max_length=200, help_text=_("exchange, market, mode and address")
    )
    what = models.CharField(_("limit"), max_length=20, blank=True)
    key = models.CharField(
        _("key"), max_length=64, blank=True, help_text=_("a fingerprint of its API key")
    )
    account = models.ForeignKey(
        Account, models.SET_NULL, verbose_name=_("account"), null=True, related_name="+"
    )
    value = models.BigIntegerField(
        _("value"), help_text=_("units used, or milliseconds that the exchange's clock is ahead")
    )
    most = models.BigIntegerField(_("at most"), null=True)
    at = models.DateTimeField(_("time"))
    ends_at = models.DateTimeField(_("window ends at"), null=True)

    class Meta:
        verbose_name = _("gauge")
        verbose_name_plural = _("gauges")
        constraints = [
            models.UniqueConstraint(fields=["kind", "scope", "what", "key"], name="gauge_once")
        ]

    def __str__(self) -> str:
        most = "" if self.most is None else f" of {self.most}"
        return f"{self.scope} {self.what or self.kind}: {self.value}{most}"


class TickTimes(models.Model):
    """How long the ticks of one minute took in one process: a count for each bucket."""

    minute = models.DateTimeField(_("minute"))
    process = models.CharField(_("process"), max_length=80)
    counts: Any = models.JSONField(_("counts"), help_text=_("bucket -> ticks"))
    slowest = models.FloatField(_("slowest"), help_text=_("seconds"))

    class Meta:
        verbose_name = _("tick times")
        verbose_name_plural = _("tick times")
        constraints = [
            models.UniqueConstraint(fields=["minute", "process"], name="tick_times_once")
        ]

    def __str__(self) -> str:
        return f"{self.minute:%H:%M} {self.process}"


class Inspection(models.Model):
    """One pass of the invariants over all bots, some of them each minute."""

    begun_at = models.DateTimeField(_("begun at"), default=timezone.now)
    ended_at = models.DateTimeField(_("ended at"), null=True)
    cursor = models.BigIntegerField(_("bots up to"), default=0, help_text=_("number of a bot"))
    bots = models.PositiveIntegerField(_("bots"), default=0)
    violations = models.PositiveIntegerField(_("violations"), default=0)
    found: Any = models.JSONField(_("found"), default=list, help_text=_("the first of them"))
    suspects: Any = models.JSONField(
        _("suspects"), default=list, help_text=_("looked at once more before they count")
    )

    class Meta:
        verbose_name = _("inspection")
        verbose_name_plural = _("inspections")

    def __str__(self) -> str:
        return f"{self.begun_at:%Y-%m-%d %H:%M}: {self.violations}"
