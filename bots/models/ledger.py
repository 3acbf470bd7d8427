"""The ledger: an Order is written before it is sent, a Fill is never changed."""

import secrets
from decimal import Decimal
from string import ascii_lowercase, digits

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from bots.models.account import Account
from bots.models.bot import BotConfig
from bots.models.fields import MoneyField
from trading.market import OrderRequest, OrderStatus, OrderType, Side
from trading.position import BookedFill

ALPHABET = digits + ascii_lowercase
PREFIX = "bs"
#: What people read for the values of trading.market.
SIDES = {Side.BUY.value: _("buy"), Side.SELL.value: _("sell")}
TYPES = {
    OrderType.MARKET.value: _("market"),
    OrderType.LIMIT.value: _("limit"),
    OrderType.POST_ONLY.value: _("limit, never taking"),
    OrderType.STOP.value: _("stop"),
    OrderType.TARGET.value: _("target"),
}
STATUSES = {
    OrderStatus.SENT.value: _("sent"),
    OrderStatus.UNKNOWN.value: _("outcome unknown"),
    OrderStatus.OPEN.value: _("open"),
    OrderStatus.PARTIAL.value: _("partly filled"),
    OrderStatus.FILLED.value: _("filled"),
    OrderStatus.CANCELED.value: _("canceled"),
    OrderStatus.EXPIRED.value: _("expired"),
    OrderStatus.REJECTED.value: _("rejected"),
    OrderStatus.ABANDONED.value: _("never accepted"),
}
#: Orders that a person has to look at.
BAD_ORDERS = Q(
    status__in=[
        OrderStatus.REJECTED.value,
        OrderStatus.UNKNOWN.value,
        OrderStatus.ABANDONED.value,
    ]
)


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
        ENTRY = "entry", _("entry")
        EXIT = "exit", _("exit")
        PROTECT = "protect", _("protection")
        RUNG = "rung", _("rung of a ladder")
        LIQUIDATION = "liquidation", _("liquidation")
        ADJUSTMENT = "adjustment", _("booked by hand")

    bot = models.ForeignKey(BotConfig, models.PROTECT, verbose_name=_("bot"), related_name="orders")
    account = models.ForeignKey(
        Account, models.PROTECT, verbose_name=_("account"), related_name="orders"
    )
    client_order_id = models.CharField(_("client order id"), max_length=36, unique=True)
    exchange_order_id = models.CharField(_("exchange order id"), max_length=64, null=True)  # noqa: DJ001 - unique
    symbol = models.CharField(_("symbol"), max_length=40)
    side = models.CharField(_("side"), max_length=4, choices=list(SIDES.items()))
    type = models.CharField(_("type"), max_length=9, choices=list(TYPES.items()))
    purpose = models.CharField(_("purpose"), max_length=11, choices=Purpose.choices)
    reason = models.CharField(_("reason"), max_length=32, help_text=_("the gate that decided"))
    amount = MoneyField(_("amount"), help_text=_("base units asked for"))
    price = MoneyField(_("price"), null=True, help_text=_("limit price"))
    level = models.PositiveSmallIntegerField(
        _("rung"),
        null=True,
        help_text=_("its place on the strategy's ladder, 0: what it hangs from"),
    )
    trigger = MoneyField(_("trigger price"), null=True)
    reduce_only = models.BooleanField(_("only reduces"), default=False)
    pair = models.CharField(
        _("pair"), max_length=36, blank=True, help_text=_("orders of which one cancels the other")
    )
    cancel_reason = models.CharField(
        _("cancelled because"),
        max_length=32,
        blank=True,
        help_text=_("the gate that gave it up; empty while nobody asked"),
    )
    expected_price = MoneyField(
        _("expected price"), null=True, help_text=_("what the decision reckoned with")
    )
    dust = MoneyField(
        _("dust"), default=0, help_text=_("base units below which a rest cannot be sold")
    )
    status = models.CharField(
        _("status"),
        max_length=9,
        choices=list(STATUSES.items()),
        default=OrderStatus.SENT,
    )
    filled = MoneyField(_("filled amount"), default=0)
    average = MoneyField(_("average price"), null=True)
    booked = MoneyField(
        _("booked amount"), default=0, help_text=_("base units of the fills we hold")
    )
    is_settled = models.BooleanField(
        _("settled"), default=False, help_text=_("final, and every fill is booked")
    )
    signed_at = models.DateTimeField(
        _("signed at"), help_text=_("exchange time in the signed request")
    )
    fence = models.PositiveBigIntegerField(_("tick number"), help_text=_("the tick that wrote it"))
    run_epoch = models.PositiveBigIntegerField(_("run epoch"))
    not_found = models.PositiveSmallIntegerField(
        _("not found"), default=0, help_text=_("final 'no such order's")
    )
    message = models.CharField(_("message"), max_length=500, blank=True)
    created_at = models.DateTimeField(_("made at"), default=timezone.now)
    updated_at = models.DateTimeField(_("changed at"), auto_now=True)

    class Meta:
        verbose_name = _("order")
        verbose_name_plural = _("orders")
        constraints = [
            models.UniqueConstraint(
                # Binance counts the orders of each spot market by itself. The id comes first: so an
                # operator finds an order by what the exchange calls it.
                fields=["exchange_order_id", "account", "symbol"],
                name="order_exchange_id_unique",
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
            # The activity of all bots is read by time.
            models.Index(fields=["updated_at"], name="order_changed"),
            models.Index(fields=["updated_at"], name="order_bad", condition=BAD_ORDERS),
            # Every tick asks for what is unanswered; nearly all rows are settled.
            models.Index(fields=["bot"], name="order_unsettled", condition=Q(is_settled=False)),
        ]

    def __str__(self) -> str:
        return f"{self.client_order_id} {self.side} {self.amount} {self.symbol} {self.status}"

    @property
    def rests_as_wished(self) -> bool:
        """Whether it waits at the exchange, with all that was filled booked, and holds nothing up.

        An entry that rests does: nothing else is sent meanwhile.
        """
        if self.purpose == self.Purpose.PROTECT:
            return bool(self.status == OrderStatus.OPEN)
        resting = (OrderStatus.OPEN, OrderStatus.PARTIAL)
        return (
            self.purpose == self.Purpose.RUNG
            and self.status in resting
            and (self.filled == self.booked)
        )

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
            trigger=self.trigger,
            reduce_only=self.reduce_only,
            signed_at=round(self.signed_at.timestamp() * 1000),
        )


class Fill(models.Model):
    """One execution. Fee conversion and trading day are fixed when it is written down."""

    order = models.ForeignKey(Order, models.PROTECT, verbose_name=_("order"), related_name="fills")
    bot = models.ForeignKey(BotConfig, models.PROTECT, verbose_name=_("bot"), related_name="fills")
    account = models.ForeignKey(
        Account, models.PROTECT, verbose_name=_("account"), related_name="fills"
    )
    symbol = models.CharField(_("symbol"), max_length=40)
    trade_id = models.CharField(_("trade id"), max_length=64)
    side = models.CharField(_("side"), max_length=4, choices=list(SIDES.items()))
    price = MoneyField(_("price"))
    amount = MoneyField(_("amount"), help_text=_("base units"))
    quote = MoneyField(_("value"), help_text=_("value in quote currency"))
    fee = MoneyField(_("fee"))
    fee_currency = models.CharField(_("fee currency"), max_length=20)
    fee_quote = MoneyField(_("fee in quote currency"), help_text=_("the fee in quote currency"))
    fee_base = MoneyField(
        _("fee in base currency"),
        default=0,
        help_text=_("the fee where it was taken in base currency"),
    )
    realized_pnl = MoneyField(
        _("realised PnL"), default=0, help_text=_("quote currency, fees included")
    )
    at = models.DateTimeField(_("time"), help_text=_("the exchange's time"))
    booked_at = models.DateTimeField(
        _("booked at"), default=timezone.now, help_text=_("when it was written down, our time")
    )
    trading_day = models.DateField(_("trading day"))

    class Meta:
        verbose_name = _("fill")
        verbose_name_plural = _("fills")
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
            # USDT perpetuals are spelt BTC/USDT:USDT.
            futures=":" in self.symbol,
        )
