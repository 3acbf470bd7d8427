"""BotConfig: what the owner wants. The engine never writes here, but for switching off."""

import dataclasses
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models.functions import Cast
from django.db.models.lookups import GreaterThan
from django.utils.translation import gettext_lazy as _

from bots.lifecycle import Mode, PositionType
from bots.models import validity
from bots.models.account import Account, User
from bots.models.fields import MoneyField
from bots.models.validity import SIMULATED
from trading.market import TIMEFRAMES
from trading.risk import Settings

if TYPE_CHECKING:
    from bots.models.state import BotState

#: The settings that decisions are made of bear the names of their columns.
RISK_SETTINGS = tuple(field.name for field in dataclasses.fields(Settings))

POSITIVE = [MinValueValidator(Decimal("0.000000000000000001"), _("Must be more than zero."))]
PERCENT = [MinValueValidator(Decimal("0.01")), MaxValueValidator(Decimal(1000))]
MINUTES = [MinValueValidator(1), MaxValueValidator(525_600)]
LOSS_PERCENT = [MinValueValidator(Decimal("0.01")), MaxValueValidator(Decimal("99.99"))]


class Direction(models.TextChoices):
    LONG = "long", _("long")
    SHORT = "short", _("short")
    BOTH = "both", _("long and short")


class EntryType(models.TextChoices):
    MARKET = "market", _("market")
    LIMIT = "limit", _("limit")
    POST_ONLY = "post_only", _("limit, never taking")


class Fallback(models.TextChoices):
    """What comes when a resting entry order's time is over and nothing of it was filled."""

    NONE = "none", _("give the entry up")
    MARKET = "market", _("enter at market")


class BotQuerySet(models.QuerySet["BotConfig"]):
    def alive(self) -> "BotQuerySet":
        """Leave out the bots that their owner deleted; their ledger stays."""
        return self.filter(deleted_at=None)


def is_above_zero(column: str) -> models.Q:
    """Return a check that works on both databases (money is text on SQLite)."""
    return models.Q(GreaterThan(Cast(column, models.FloatField()), 0.0))


class BotConfig(models.Model):
    """One bot as its owner set it up. Percentages: 2 means 2 %."""

    owner = models.ForeignKey(User, models.PROTECT, verbose_name=_("owner"), related_name="bots")
    name = models.CharField(_("name"), max_length=80)
    exchange = models.CharField(_("exchange"), max_length=32, default=SIMULATED)
    mode = models.CharField(_("mode"), max_length=8, choices=Mode.choices, default=Mode.PAPER)
    position_type = models.CharField(
        _("position type"),
        max_length=8,
        choices=PositionType.choices,
        default=PositionType.SPOT,
    )
    symbol = models.CharField(_("symbol"), max_length=40)
    timeframe = models.CharField(
        _("timeframe"), max_length=4, choices=[(t, t) for t in TIMEFRAMES], default="1m"
    )
    strategy = models.CharField(_("strategy"), max_length=40, default="ema_rsi")
    params: Any = models.JSONField(_("strategy parameters"), default=dict, blank=True)
    initial_capital = MoneyField(_("initial capital"), default=Decimal(1000), validators=POSITIVE)
    position_size_fixed = MoneyField(
        _("fixed position size"), null=True, blank=True, validators=POSITIVE
    )
    position_size_perc = MoneyField(
        _("position size, % of capital"), null=True, blank=True, validators=PERCENT
    )
    stop_loss_perc = MoneyField(_("stop loss, %"), null=True, blank=True, validators=LOSS_PERCENT)
    take_profit_perc = MoneyField(_("take profit, %"), null=True, blank=True, validators=PERCENT)
    trailing_stop_perc = MoneyField(
        _("trailing stop, %"), null=True, blank=True, validators=LOSS_PERCENT
    )
    trailing_stop_active = models.BooleanField(_("trailing stop on"), default=False)
    max_daily_trades = models.PositiveIntegerField(
        _("max trades a day"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(100_000)],
    )
    max_daily_loss_perc = MoneyField(
        _("max daily loss, %"), null=True, blank=True, validators=PERCENT
    )
    daily_target_perc = MoneyField(_("daily target, %"), null=True, blank=True, validators=PERCENT)
    loss_includes_open = models.BooleanField(
        _("daily loss counts the open position"), default=False
    )
    max_drawdown_perc = MoneyField(_("max drawdown, %"), null=True, blank=True, validators=PERCENT)
    cooldown_minutes = models.PositiveIntegerField(
        _("cooldown after a loss, minutes"), null=True, blank=True, validators=MINUTES
    )
    stop_guard_stops = models.PositiveIntegerField(
        _("stop guard: stops"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(1000)],
    )
    stop_guard_minutes = models.PositiveIntegerField(
        _("stop guard: within minutes"), null=True, blank=True, validators=MINUTES
    )
    direction = models.CharField(
        _("direction"), max_length=5, choices=Direction.choices, default=Direction.LONG
    )
    entry_type = models.CharField(
        _("entry order"), max_length=9, choices=EntryType.choices, default=EntryType.MARKET
    )
    entry_offset_perc = MoneyField(
        _("distance from the market, %"), null=True, blank=True, validators=LOSS_PERCENT
    )
    entry_timeout_seconds = models.PositiveIntegerField(
        _("entry order rests at most … seconds"),
        default=120,
        validators=[MinValueValidator(5), MaxValueValidator(86_400)],
    )
    entry_fallback = models.CharField(
        _("then"), max_length=6, choices=Fallback.choices, default=Fallback.NONE
    )
    max_spread_perc = MoneyField(_("max spread, %"), null=True, blank=True, validators=LOSS_PERCENT)
    protect_on_exchange = models.BooleanField(_("stop and target at the exchange"), default=True)
    leverage = models.PositiveSmallIntegerField(
        _("leverage"),
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(125)],
    )
    check_interval_seconds = models.PositiveIntegerField(
        _("check every … seconds"), default=60, validators=[MaxValueValidator(86_400)]
    )
    account = models.ForeignKey(
        Account,
        models.PROTECT,
        verbose_name=_("account"),
        null=True,
        blank=True,
        related_name="bots",
    )
    twin_of = models.ForeignKey(
        "self",
        models.SET_NULL,
        verbose_name=_("paper twin of"),
        null=True,
        blank=True,
        editable=False,
        related_name="twins",
    )
    is_active = models.BooleanField(_("switched on"), default=False, editable=False)
    created_at = models.DateTimeField(_("made at"), auto_now_add=True)
    updated_at = models.DateTimeField(_("changed at"), auto_now=True)
    deleted_at = models.DateTimeField(_("deleted at"), null=True, blank=True, editable=False)

    objects = BotQuerySet.as_manager()

    class Meta:
        ordering = ["name", "pk"]
        verbose_name = _("bot")
        verbose_name_plural = _("bots")
        constraints = [
            models.CheckConstraint(name="bot_mode_known", condition=models.Q(mode__in=Mode.values)),
            models.CheckConstraint(
                name="bot_position_type_known",
                condition=models.Q(position_type__in=PositionType.values),
            ),
            models.CheckConstraint(
                name="bot_simulated_is_paper",
                condition=~models.Q(exchange=SIMULATED) | models.Q(mode=Mode.PAPER),
            ),
            models.CheckConstraint(
                name="bot_twin_is_paper",
                condition=models.Q(twin_of=None) | models.Q(mode=Mode.PAPER),
            ),
            models.UniqueConstraint(
                name="bot_one_twin",
                fields=["twin_of"],
                condition=models.Q(deleted_at=None),
            ),
            models.CheckConstraint(
                name="bot_capital_positive", condition=is_above_zero("initial_capital")
            ),
            models.CheckConstraint(
                name="bot_one_position_size",
                condition=models.Q(position_size_fixed__isnull=False)
                ^ models.Q(position_size_perc__isnull=False),
            ),
            models.CheckConstraint(
                name="bot_deleted_is_off",
                condition=models.Q(deleted_at=None) | models.Q(is_active=False),
            ),
            models.CheckConstraint(
                name="bot_interval_positive",
                condition=models.Q(check_interval_seconds__gte=1),
            ),
            models.CheckConstraint(
                name="bot_direction_known", condition=models.Q(direction__in=Direction.values)
            ),
            models.CheckConstraint(
                name="bot_entry_type_known", condition=models.Q(entry_type__in=EntryType.values)
            ),
            models.CheckConstraint(
                name="bot_leverage_positive", condition=models.Q(leverage__gte=1)
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def state_or_none(self) -> "BotState | None":
        """The state row, or None before the first start."""
        return getattr(self, "state", None)

    @property
    def risk_settings(self) -> Settings:
        """The numbers that trading.risk judges by."""
        return Settings(**{name: getattr(self, name) for name in RISK_SETTINGS})

    def clean(self) -> None:
        """Check the rules that span fields. Errors name the field: forms and the API show them."""
        errors = validity.errors_of(self)
        if errors:
            raise ValidationError(errors)
