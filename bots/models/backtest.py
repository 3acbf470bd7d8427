"""A backtest that somebody asked for: what was asked, how far it is, and what it came to."""

from typing import Any

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from bots.models.account import User
from bots.models.bot import BotConfig


class BacktestRun(models.Model):
    """One backtest. What it tries is frozen: later changes of its bot or template do not touch it.

    `settings` is BotConfig's fields, amounts as text (2 means 2 %); `assumed` is fee, slippage and
    spread in percent, the funds, the owner's zone, and from its start on the market's rules;
    `vary` is what a sweep varies, a list of `{"name", "from", "to", "step"}` with numbers as text.
    `summary` are its figures, money as text; those of a sweep are its best set's.
    """

    class Kind(models.TextChoices):
        SINGLE = "single", _("one set of settings")
        SWEEP = "sweep", _("many sets of settings")

    class Origin(models.TextChoices):
        BOT = "bot", _("a bot")
        TEMPLATE = "template", _("a template")
        PRESET = "preset", _("a preset")
        SETTINGS = "settings", _("settings of its own")

    class Status(models.TextChoices):
        QUEUED = "queued", _("waiting for a worker")
        RUNNING = "running", _("running")
        DONE = "done", _("done")
        FAILED = "failed", _("failed")
        CANCELED = "canceled", _("canceled")

    class Stage(models.TextChoices):
        CANDLES = "candles", _("getting candles")
        SIGNALS = "signals", _("asking the strategy")
        WALK = "walk", _("trading")
        SETS = "sets", _("trying the sets")

    class Fault(models.TextChoices):
        """Why there is no result."""

        NOT_TRIED = "not_tried", _("these settings cannot be tried")
        CANDLES = "candles", _("there are no candles to try them on")
        EXCHANGE = "exchange", _("the exchange did not give the candles")
        TIME = "time", _("it took too long")
        MEMORY = "memory", _("it needed too much memory")
        LOST = "lost", _("the worker ended before it was done")
        STRATEGY = "strategy", _("the strategy failed")
        INTERNAL = "internal", _("something went wrong here")

    #: Until a run has ended, it counts against its owner's limit.
    OPEN = (Status.QUEUED, Status.RUNNING)

    owner = models.ForeignKey(
        User, models.PROTECT, verbose_name=_("owner"), related_name="backtests"
    )
    kind = models.CharField(_("kind"), max_length=8, choices=Kind.choices, default=Kind.SINGLE)
    name = models.CharField(_("name"), max_length=80)
    origin = models.CharField(_("made from"), max_length=8, choices=Origin.choices)
    bot = models.ForeignKey(
        BotConfig,
        models.SET_NULL,
        verbose_name=_("bot"),
        null=True,
        blank=True,
        related_name="backtests",
    )
    settings: Any = models.JSONField(_("settings"), default=dict)
    assumed: Any = models.JSONField(_("assumptions"), default=dict)
    vary: Any = models.JSONField(_("varied"), default=list, blank=True)
    since = models.DateTimeField(_("from"))
    until = models.DateTimeField(_("up to"))
    status = models.CharField(
        _("status"), max_length=8, choices=Status.choices, default=Status.QUEUED
    )
    stage = models.CharField(_("stage"), max_length=8, choices=Stage.choices, blank=True)
    progress = models.PositiveSmallIntegerField(_("progress, %"), default=0)
    is_unwanted = models.BooleanField(_("cancellation asked for"), default=False)
    fault = models.CharField(_("fault"), max_length=9, choices=Fault.choices, blank=True)
    error = models.CharField(_("error"), max_length=500, blank=True)
    summary: Any = models.JSONField(_("figures"), default=dict)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    holder = models.CharField(
        _("held by"), max_length=32, blank=True, help_text=_("the attempt that writes to it")
    )
    seen_at = models.DateTimeField(_("last sign of life"), null=True, blank=True)
    created_at = models.DateTimeField(_("made at"), default=timezone.now)
    started_at = models.DateTimeField(_("started at"), null=True, blank=True)
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("backtest")
        verbose_name_plural = _("backtests")
        constraints = [
            models.CheckConstraint(
                name="backtest_progress_known", condition=models.Q(progress__lte=100)
            ),
            models.CheckConstraint(
                name="backtest_has_a_span", condition=models.Q(since__lt=models.F("until"))
            ),
        ]
        indexes = [
            # Lists and limits: an owner's newest, and how many were asked for since yesterday.
            models.Index(fields=["owner", "-id"], name="backtest_newest"),
            # Workers and the sweep look at those few that have not ended.
            models.Index(
                fields=["status"],
                name="backtest_open",
                condition=models.Q(status="queued") | models.Q(status="running"),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_open(self) -> bool:
        """Whether it has not ended yet."""
        return self.status in self.OPEN

    @property
    def is_sweep(self) -> bool:
        """Whether it tries many sets."""
        return self.kind == self.Kind.SWEEP

    @property
    def exchange(self) -> str:
        return str(self.settings.get("exchange", ""))

    @property
    def symbol(self) -> str:
        return str(self.settings.get("symbol", ""))

    @property
    def timeframe(self) -> str:
        return str(self.settings.get("timeframe", ""))

    @property
    def strategy(self) -> str:
        return str(self.settings.get("strategy", ""))


class BacktestData(models.Model):
    """A result order by order: beside its run, so that no list carries it along.

    `packed` is JSON, compressed with zlib: bots.backtests.results alone reads and writes it.
    """

    run = models.OneToOneField(
        BacktestRun, models.CASCADE, verbose_name=_("backtest"), related_name="data"
    )
    packed = models.BinaryField(_("data"))

    class Meta:
        verbose_name = _("orders of a backtest")
        verbose_name_plural = _("orders of backtests")

    def __str__(self) -> str:
        return f"backtest {self.run_id}"
