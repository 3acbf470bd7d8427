"""The ledger: an Order is written before it is sent, a Fill is never changed."""

import secrets
from decimal import Decimal
from string import ascii_lowercase, digits

from django.db import models
from django.db.models import Q
from django.utils import timezone

from bots.models.account import Account
from bots.models.bot import BotConfig
from bots.models.fields import MoneyField
from trading.market import OrderRequest, OrderStatus, OrderType, Side
from trading.position import BookedFill

ALPHABET = digits + ascii_lowercase
PREFIX = "bs"


def base36(number: int, width: int) -> str:
    """Write a non-negative number in [0-9a-z], padded to `width`."""
    text = ""
    while number:
        number, rest = divmod(number, 36)
        text = ALPHABET[rest] + text
    return text.rjust(width, "0")


def new_client_order_id(installation: str, bot_id: int) -> str:
    """Return 18 of [a-z0-9]: `bs`, installation 3, bot 5 (base 36), random 8."""
    luck = "".join(secrets.choice(ALPHABET) for _ in range(8))
    return f"{PREFIX}{installation}{base36(bot_id, 5)[-5:]}{luck}"


class Order(models.Model):
    """One order, from the intent to its last fill. Its status only moves forward."""

    class Purpose(models.TextChoices):
        ENTRY = "entry"
        EXIT = "exit"

    bot = models.ForeignKey(BotConfig, models.PROTECT, related_name="orders")
    account = models.ForeignKey(Account, models.PROTECT, related_name="orders")
    client_order_id = models.CharField(max_length=36, unique=True)
    exchange_order_id = models.CharField(max_length=64, null=True)  # noqa: DJ001 - unique
    symbol = models.CharField(max_length=40)
    side = models.CharField(max_length=4, choices=[(s.value, s.value) for s in Side])
    type = models.CharField(max_length=8, choices=[(t.value, t.value) for t in OrderType])
    purpose = models.CharField(max_length=5, choices=Purpose.choices)
    reason = models.CharField(max_length=32, help_text="the gate that decided")
    amount = MoneyField(help_text="base units asked for")
    price = MoneyField(null=True, help_text="limit price")
    expected_price = MoneyField(null=True, help_text="what the decision reckoned with")
    dust = MoneyField(default=0, help_text="base units below which a rest cannot be sold")
    status = models.CharField(
        max_length=9,
        choices=[(s.value, s.value) for s in OrderStatus],
        default=OrderStatus.SENT,
    )
    filled = MoneyField(default=0)
    average = MoneyField(null=True)
    booked = MoneyField(default=0, help_text="base units of the fills we hold")
    is_settled = models.BooleanField(default=False, help_text="final, and every fill is booked")
    signed_at = models.DateTimeField(help_text="exchange time in the signed request")
    fence = models.PositiveBigIntegerField(help_text="the tick that wrote it")
    run_epoch = models.PositiveBigIntegerField()
    not_found = models.PositiveSmallIntegerField(default=0, help_text="final 'no such order's")
    message = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account", "exchange_order_id"], name="order_exchange_id_unique"
            ),
            models.CheckConstraint(
                name="order_status_known",
                condition=Q(status__in=[s.value for s in OrderStatus]),
            ),
            models.CheckConstraint(
                name="order_settled_is_final",
                condition=Q(is_settled=False)
                | Q(
                    status__in=[s.value for s in OrderStatus if s.is_final],
                ),
            ),
        ]
        indexes = [
            models.Index(fields=["bot", "-id"], name="order_newest"),
            # Every tick asks for what is unanswered; nearly all rows are settled.
            models.Index(fields=["bot"], name="order_unsettled", condition=Q(is_settled=False)),
        ]

    def __str__(self) -> str:
        return f"{self.client_order_id} {self.side} {self.amount} {self.symbol} {self.status}"

    @property
    def request(self) -> OrderRequest:
        """The order as it was, or will be, sent."""
        return OrderRequest(
            client_order_id=self.client_order_id,
            symbol=self.symbol,
            side=Side(self.side),
            type=OrderType(self.type),
            amount=self.amount,
            price=self.price,
            signed_at=round(self.signed_at.timestamp() * 1000),
        )


class Fill(models.Model):
    """One execution. Fee conversion and trading day are fixed when it is written down."""

    order = models.ForeignKey(Order, models.PROTECT, related_name="fills")
    bot = models.ForeignKey(BotConfig, models.PROTECT, related_name="fills")
    account = models.ForeignKey(Account, models.PROTECT, related_name="fills")
    symbol = models.CharField(max_length=40)
    trade_id = models.CharField(max_length=64)
    side = models.CharField(max_length=4, choices=[(s.value, s.value) for s in Side])
    price = MoneyField()
    amount = MoneyField(help_text="base units")
    quote = MoneyField(help_text="value in quote currency")
    fee = MoneyField()
    fee_currency = models.CharField(max_length=20)
    fee_quote = MoneyField(help_text="the fee in quote currency")
    fee_base = MoneyField(default=0, help_text="the fee where it was taken in base currency")
    realized_pnl = MoneyField(default=0, help_text="quote currency, fees included")
    at = models.DateTimeField(help_text="the exchange's time")
    trading_day = models.DateField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account", "symbol", "trade_id"], name="fill_trade_unique"
            )
        ]
        indexes = [models.Index(fields=["bot", "-id"], name="fill_newest")]

    def __str__(self) -> str:
        return f"{self.trade_id} {self.side} {self.amount} at {self.price}"

    def booked(self, dust: Decimal) -> BookedFill:
        """This fill as the position fold takes it; `dust` is its order's."""
        return BookedFill(
            side=Side(self.side),
            amount=self.amount,
            quote=self.quote,
            fee_quote=self.fee_quote,
            fee_base=self.fee_base,
            dust=dust,
        )


class DayStats(models.Model):
    """One bot's trading day: the fold of that day's fills, closed by the rollover."""

    bot = models.ForeignKey(BotConfig, models.PROTECT, related_name="days")
    day = models.DateField()
    pnl = MoneyField(default=0, help_text="realised, quote currency")
    fees = MoneyField(default=0, help_text="quote currency")
    trades = models.PositiveIntegerField(default=0, help_text="positions opened")
    closed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["bot", "day"], name="day_once_per_bot")]

    def __str__(self) -> str:
        return f"{self.bot_id} {self.day}: {self.pnl}"
