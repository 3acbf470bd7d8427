"""BotState: where a bot stands, written by one function; StateEvent: each change, for ever."""

from copy import copy
from datetime import datetime
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
from trading.position import Position


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


class BotState(models.Model):
    """Where one bot stands. Position, PnL and counters are caches of folds over fills."""

    bot = models.OneToOneField(BotConfig, models.PROTECT, primary_key=True, related_name="state")
    status = models.CharField(max_length=8, choices=Status.choices, default=Status.PENDING)
    reason = models.CharField(max_length=32, choices=Reason.choices, default=Reason.START)
    duty = models.CharField(max_length=5, choices=Duty.choices, default=Duty.TRADE)
    wind_down = models.CharField(max_length=10, choices=WindDown.choices, default=WindDown.LEAVE)

    in_position = models.BooleanField(default=False)
    entry_price = MoneyField(null=True)
    current_position_size = MoneyField(default=0, help_text="base units, dust included")
    position_cost = MoneyField(default=0, help_text="what those units cost, in quote currency")
    entry_amount = MoneyField(default=0)
    entry_quote = MoneyField(default=0)
    stop_loss_price = MoneyField(null=True)
    take_profit_price = MoneyField(null=True)
    trailing_stop_price = MoneyField(null=True)
    max_price_since_entry = MoneyField(null=True)
    position_opened_at = models.DateTimeField(null=True)
    has_unsettled_orders = models.BooleanField(default=False)

    daily_pnl = MoneyField(default=0)
    daily_trades_count = models.PositiveIntegerField(default=0)
    counter_day = models.DateField()
    day_ends_at = models.DateTimeField()
    #: Set while an operator's forced reset is ahead of the calendar.
    day_forced_at = models.DateTimeField(null=True)

    last_price = MoneyField(null=True)
    last_price_at = models.DateTimeField(null=True)
    last_run_at = models.DateTimeField(null=True)
    last_ok_at = models.DateTimeField(null=True, help_text="last good tick of this start")
    retry_at = models.DateTimeField(null=True, help_text="the exchange asked us to wait")
    failures = models.PositiveIntegerField(default=0, help_text="bad ticks in a row")
    last_error_message = models.TextField(blank=True)
    last_error_at = models.DateTimeField(null=True)
    last_updated_at = models.DateTimeField(auto_now=True)
    version = models.PositiveBigIntegerField(default=1)

    fence = models.PositiveBigIntegerField(default=0, help_text="one more with each tick")
    lease_until = models.DateTimeField(null=True)
    tick_started_at = models.DateTimeField(null=True, help_text="null between ticks")
    run_epoch = models.PositiveBigIntegerField(
        default=0, help_text="one more with each start, stop and edit"
    )
    ticked_epoch = models.PositiveBigIntegerField(
        default=0, help_text="the run_epoch that the newest tick saw"
    )
    decision_id = models.PositiveBigIntegerField(null=True, help_text="the newest decision row")

    objects = StateQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(name="state_row_is_legal", condition=_legal_rows()),
            models.CheckConstraint(
                name="state_wind_down_known", condition=Q(wind_down__in=WindDown.values)
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
            entry_amount=self.entry_amount,
            entry_quote=self.entry_quote,
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


class StateEvent(models.Model):
    """One change of a bot's state: who, what, from, to, why. Never edited."""

    bot = models.ForeignKey(BotConfig, models.PROTECT, related_name="events")
    at = models.DateTimeField(default=timezone.now)
    move = models.CharField(max_length=12, choices=Move.choices)
    old_status = models.CharField(max_length=8, blank=True)
    old_reason = models.CharField(max_length=32, blank=True)
    new_status = models.CharField(max_length=8, choices=Status.choices)
    new_reason = models.CharField(max_length=32, choices=Reason.choices)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    via = models.CharField(max_length=12, help_text="page, api, admin, command, tick, reset")
    why = models.TextField(blank=True)

    class Meta:
        verbose_name = _("state event")
        indexes = [models.Index(fields=["bot", "-id"], name="event_newest")]

    def __str__(self) -> str:
        return f"{self.bot_id}: {self.old_status or '-'} -> {self.new_status}"
