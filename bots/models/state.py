"""BotState: where a bot stands, written by one function; StateEvent: each change, for ever."""

from copy import copy
from datetime import datetime
from decimal import Decimal
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from bots import lifecycle
from bots.lifecycle import Duty, Move, Reason, Status, WindDown
from bots.models.bot import BotConfig
from bots.models.fields import MoneyField
from trading.ladder import Lot, Lots
from trading.position import Position
from trading.risk import Levels


class Outpaced(Exception):
    """Somebody else changed the row first: the caller reads again or gives up."""


class StateQuerySet(models.QuerySet["BotState"]):
    """The only way to write a state row: update() stamps version and last_updated_at."""

    def update(self, **changes: Any) -> int:
        return super().update(**changes, version=F("version") + 1, last_updated_at=timezone.now())


def _legal_rows() -> Q:
    legal = Q()
    for status, reasons, duties in lifecycle.rows():
        legal |= Q(status=status, reason__in=reasons, duty__in=duties)
    return legal


class Protection(models.TextChoices):
    """Who watches the stop of an open position."""

    WATCHED = "watched", _("watched by each tick")
    RESTING = "resting", _("at the exchange")
    FAILED = "failed", _("could not be placed at the exchange")


class BotState(models.Model):
    """Where one bot stands. Position, PnL and counters are caches of folds over fills."""

    bot = models.OneToOneField(
        BotConfig, models.PROTECT, verbose_name=_("bot"), primary_key=True, related_name="state"
    )
    status = models.CharField(
        _("status"), max_length=8, choices=Status.choices, default=Status.PENDING
    )
    reason = models.CharField(
        _("reason"), max_length=32, choices=Reason.choices, default=Reason.START
    )
    duty = models.CharField(_("duty"), max_length=5, choices=Duty.choices, default=Duty.TRADE)
    wind_down = models.CharField(
        _("wind down"), max_length=10, choices=WindDown.choices, default=WindDown.LEAVE
    )

    in_position = models.BooleanField(_("in position"), default=False)
    entry_price = MoneyField(_("entry price"), null=True)
    position_side = models.CharField(
        _("position side"), max_length=5, blank=True, help_text=_("long, short, or empty when flat")
    )
    current_position_size = MoneyField(
        _("position size"), default=0, help_text=_("base units, dust included")
    )
    position_cost = MoneyField(
        _("position cost"), default=0, help_text=_("what those units cost, in quote currency")
    )
    entry_amount = MoneyField(_("entry amount"), default=0)
    entry_quote = MoneyField(_("entry value"), default=0)
    stop_loss_price = MoneyField(_("stop loss price"), null=True)
    take_profit_price = MoneyField(_("take profit price"), null=True)
    trailing_stop_price = MoneyField(_("trailing stop price"), null=True)
    max_price_since_entry = MoneyField(_("highest price since the entry"), null=True)
    position_opened_at = models.DateTimeField(_("position opened at"), null=True)
    has_unsettled_orders = models.BooleanField(
        _("unsettled orders"), default=False, help_text=_("protection that rests is settled enough")
    )
    has_protection = models.BooleanField(
        _("protective orders"), default=False, help_text=_("some are not final yet")
    )
    has_ladder = models.BooleanField(
        _("ladder"), default=False, help_text=_("some of its orders are not final yet")
    )
    #: Folded from fills: level -> what trading.ladder.Lot says of it, as text.
    lots: Any = models.JSONField(_("lots"), default=dict, blank=True)

    liquidation_price = MoneyField(_("liquidation price"), null=True)
    protection = models.CharField(
        _("protection"),
        max_length=8,
        blank=True,
        choices=Protection.choices,
        help_text=_("where the stop of the open position is watched"),
    )
    protection_message = models.CharField(_("protection's trouble"), max_length=500, blank=True)

    profit = MoneyField(_("profit"), default=0, help_text=_("realised, of all fills and funding"))
    profit_base = MoneyField(_("profit at the start"), default=0)
    profit_peak = MoneyField(_("highest profit since the start"), default=0)
    last_loss_at = models.DateTimeField(_("last loss at"), null=True)
    daily_pnl = MoneyField(_("PnL today"), default=0)
    daily_trades_count = models.PositiveIntegerField(_("trades today"), default=0)
    closed_at_loss = models.BooleanField(
        _("closed by the daily loss"), default=False, help_text=_("today")
    )
    counter_day = models.DateField(_("trading day"))
    day_ends_at = models.DateTimeField(_("day ends at"))
    #: Set while an operator's forced reset is ahead of the calendar.
    day_forced_at = models.DateTimeField(_("day forced at"), null=True)

    reconciled_at = models.DateTimeField(
        _("compared at"), null=True, help_text=_("ledger and exchange agreed")
    )
    last_price = MoneyField(_("last price"), null=True)
    last_price_at = models.DateTimeField(_("last price at"), null=True)
    last_run_at = models.DateTimeField(_("last run"), null=True)
    last_ok_at = models.DateTimeField(
        _("last good tick"), null=True, help_text=_("last good tick of this start")
    )
    retry_at = models.DateTimeField(
        _("tries again at"), null=True, help_text=_("the exchange asked us to wait")
    )
    failures = models.PositiveIntegerField(
        _("failures"), default=0, help_text=_("bad ticks in a row")
    )
    last_error_message = models.TextField(_("last error"), blank=True)
    last_error_at = models.DateTimeField(_("last error at"), null=True)
    last_updated_at = models.DateTimeField(_("last changed at"), auto_now=True)
    version = models.PositiveBigIntegerField(_("version"), default=1)

    fence = models.PositiveBigIntegerField(
        _("tick number"), default=0, help_text=_("one more with each tick")
    )
    lease_until = models.DateTimeField(_("lease until"), null=True)
    lease_holder = models.CharField(
        _("lease holder"), max_length=80, blank=True, help_text=_("the process of the newest tick")
    )
    tick_started_at = models.DateTimeField(
        _("tick started at"), null=True, help_text=_("null between ticks")
    )
    run_epoch = models.PositiveBigIntegerField(
        _("run epoch"), default=0, help_text=_("one more with each start, stop and edit")
    )
    ticked_epoch = models.PositiveBigIntegerField(
        _("ticked epoch"), default=0, help_text=_("the run_epoch that the newest tick saw")
    )
    decision_id = models.PositiveBigIntegerField(
        _("newest decision"), null=True, help_text=_("the newest decision row")
    )

    objects = StateQuerySet.as_manager()

    class Meta:
        verbose_name = _("bot state")
        verbose_name_plural = _("bot states")
        constraints = [
            models.CheckConstraint(name="state_row_is_legal", condition=_legal_rows()),
            models.CheckConstraint(
                name="state_wind_down_known", condition=Q(wind_down__in=WindDown.values)
            ),
            models.CheckConstraint(
                name="state_position_has_side",
                condition=Q(in_position=False, position_side="")
                | Q(in_position=True, position_side__in=["long", "short"]),
            ),
            models.CheckConstraint(
                name="state_position_has_price",
                condition=Q(in_position=False) | Q(entry_price__isnull=False),
            ),
        ]
        indexes = [
            # The sweep asks each minute whose day has ended.
            models.Index(fields=["day_ends_at"], name="state_day_ends"),
            # The sweep asks which bots with duty nobody ticked.
            models.Index(fields=["last_run_at"], name="state_late", condition=~Q(duty=Duty.NONE)),
            # What operators count: open positions, and bots in error.
            models.Index(fields=["bot"], name="state_held", condition=Q(in_position=True)),
            models.Index(fields=["bot"], name="state_error", condition=Q(status=Status.ERROR)),
        ]

    def __str__(self) -> str:
        return f"{self.bot_id}: {self.text}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise TypeError("a state row is written by change() alone")
        super().save(*args, **kwargs)

    @property
    def text(self) -> str:
        """The stable English text, e.g. `error (api key decrypt failed)`."""
        return lifecycle.text(self.status, self.reason)

    @property
    def position(self) -> Position:
        """The cached fold over this bot's fills."""
        return Position(
            amount=self.current_position_size,
            cost=self.position_cost,
            is_open=self.in_position,
            is_short=self.position_side == "short",
            entry_amount=self.entry_amount,
            entry_quote=self.entry_quote,
        )

    @property
    def levels(self) -> Levels:
        """The prices at which the position is left, as the newest tick wrote them."""
        return Levels(
            stop=self.stop_loss_price,
            target=self.take_profit_price,
            trailing=self.trailing_stop_price,
            max_price=self.max_price_since_entry,
        )

    @property
    def is_unwatched(self) -> bool:
        """Whether no tick watches the position, or none saw a price for two intervals."""
        if not self.in_position:
            return False
        if self.duty == Duty.NONE:
            return True
        if self.last_price_at is None or self.last_run_at is None:
            return False
        blind = (self.last_run_at - self.last_price_at).total_seconds()
        return bool(blind >= 2 * self.bot.check_interval_seconds)

    def is_late(self, now: datetime) -> bool:
        """Whether a bot with duty has missed three of its intervals."""
        if self.duty == Duty.NONE:
            return False
        since = self.last_run_at or self.last_updated_at
        allowed = max(3 * self.bot.check_interval_seconds, settings.SWEEP_SECONDS)
        return bool((now - since).total_seconds() > allowed)

    @property
    def has_open_orders(self) -> bool:
        """Whether any order of the bot may still be at its exchange."""
        return self.has_unsettled_orders or self.has_protection or self.has_ladder

    @property
    def ladder_lots(self) -> Lots:
        """What the fills of each rung left, as the fold takes it."""
        return {
            int(level): Lot(**{name: Decimal(text) for name, text in lot.items()})
            for level, lot in self.lots.items()
        }

    def change(self, move: Move | None, *, guard: dict[str, Any], **changes: Any) -> Self:
        """Write this row if it still is as `guard` says; the row count is the verdict.

        `move` must be legal from the status that was read, which joins the guard. Raises Outpaced
        when the row moved on. Returns the row as it now is; `changes` are plain values.
        """
        if move is not None:
            changes["status"] = lifecycle.target(self.status, move)
            guard = {"status": self.status, **guard}
        if not BotState.objects.filter(**{"pk": self.pk, **guard}).update(**changes):
            raise Outpaced(f"bot {self.pk} is no longer {self.status}")
        new = copy(self)
        for name, value in {**changes, "version": self.version + 1}.items():
            setattr(new, name, value)
        return new
