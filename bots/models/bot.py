"""BotConfig: what the owner wants. The engine never writes here, but for switching off."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models.functions import Cast
from django.db.models.lookups import GreaterThan
from django.utils.translation import gettext_lazy as _

from bots.lifecycle import Mode, PositionType
from bots.models.account import Account, User
from bots.models.fields import MoneyField
from trading import strategies
from trading.exchanges import names
from trading.market import TIMEFRAMES
from trading.risk import Settings
from trading.strategies import ParamErrors

if TYPE_CHECKING:
    from bots.models.state import BotState

SIMULATED = "simulated"
#: Once an order exists these say what its rows mean; a change wants a new bot (clone).
FROZEN_AFTER_FIRST_ORDER = ("exchange", "mode", "position_type", "symbol")
#: These may change only when the bot is flat and no order is open.
FROZEN_IN_POSITION = ("account", "leverage")

SYMBOL = re.compile(r"[A-Z0-9.\-]+/[A-Z0-9]+(:[A-Z0-9]+)?")

POSITIVE = [MinValueValidator(Decimal("0.000000000000000001"), _("Must be more than zero."))]
PERCENT = [MinValueValidator(Decimal("0.01")), MaxValueValidator(Decimal(1000))]
LOSS_PERCENT = [MinValueValidator(Decimal("0.01")), MaxValueValidator(Decimal("99.99"))]


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
        return Settings(
            initial_capital=self.initial_capital,
            position_size_fixed=self.position_size_fixed,
            position_size_perc=self.position_size_perc,
            stop_loss_perc=self.stop_loss_perc,
            take_profit_perc=self.take_profit_perc,
            trailing_stop_perc=self.trailing_stop_perc,
            trailing_stop_active=self.trailing_stop_active,
            max_daily_trades=self.max_daily_trades,
            max_daily_loss_perc=self.max_daily_loss_perc,
            daily_target_perc=self.daily_target_perc,
            leverage=self.leverage,
        )

    def clean(self) -> None:
        """Check the rules that span fields. Errors name the field: forms and the API show them."""
        errors: dict[str, Any] = {}
        for rule in (self._clean_names, self._clean_market, self._clean_money, self._clean_account):
            errors.update(rule())
        try:
            self.params = strategies.clean(strategies.get(self.strategy), self.params or {})
        except strategies.UnknownStrategy:
            errors["strategy"] = _("There is no such strategy.")
        except ParamErrors as error:
            errors["params"] = [f"{name}: {text}" for name, text in error.errors.items()]
        if self.pk:
            errors.update(self._clean_frozen())
        if errors:
            raise ValidationError(errors)

    def _clean_names(self) -> Mapping[str, Any]:
        errors: dict[str, Any] = {}
        # An empty name has its error already.
        if self.symbol and not SYMBOL.fullmatch(self.symbol):
            errors["symbol"] = _("Write it as BASE/QUOTE, for example BTC/USDT.")
        if self.exchange and self.exchange not in {SIMULATED, *names.known()}:
            errors["exchange"] = _("There is no such exchange.")
        return errors

    def _clean_market(self) -> Mapping[str, Any]:
        if self.exchange == SIMULATED and self.mode != Mode.PAPER:
            return {"mode": _("The simulated exchange is for paper bots only.")}
        if self.mode != Mode.PAPER and self.exchange not in settings.LIVE_EXCHANGES:
            return {"exchange": _("This exchange is offered for paper bots only.")}
        if self.position_type != PositionType.SPOT:
            return {"position_type": _("Futures are not offered yet.")}
        if self.leverage != 1:
            return {"leverage": _("Spot bots trade without leverage: set 1.")}
        if self.check_interval_seconds < settings.MIN_CHECK_INTERVAL_SECONDS:
            least = settings.MIN_CHECK_INTERVAL_SECONDS
            return {"check_interval_seconds": _("At least %d seconds.") % least}
        return {}

    def _clean_money(self) -> Mapping[str, Any]:
        if (self.position_size_fixed is None) == (self.position_size_perc is None):
            return {"position_size_fixed": _("Set either a fixed size or a percentage.")}
        if self.trailing_stop_active and self.trailing_stop_perc is None:
            return {"trailing_stop_perc": _("The trailing stop needs its distance in %.")}
        return {}

    def _clean_account(self) -> Mapping[str, Any]:
        account = self.account
        if account is None:
            return {}
        if account.owner_id != self.owner_id:
            return {"account": _("There is no such account.")}
        if (account.exchange, account.mode) != (self.exchange, self.mode):
            return {"account": _("This key is for another exchange or mode.")}
        if self.mode == Mode.PAPER and account.bots.exclude(pk=self.pk).exists():
            return {"account": _("A paper account belongs to one bot.")}
        return {}

    def _clean_frozen(self) -> Mapping[str, Any]:
        old = BotConfig.objects.get(pk=self.pk)
        errors: dict[str, Any] = {}
        if self.orders.exists():
            for name in FROZEN_AFTER_FIRST_ORDER:
                if getattr(old, name) != getattr(self, name):
                    errors[name] = _("Fixed since the first order. Make a new bot instead.")
        state = self.state_or_none
        if state and (state.in_position or state.has_unsettled_orders):
            for name in FROZEN_IN_POSITION:
                if getattr(old, name) != getattr(self, name):
                    errors[name] = _("Can be changed only while flat and settled.")
        return errors
