"""Funds that an owner moves between the spot and the futures wallet of an account."""

from uuid import uuid4

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from bots.models.account import Account
from bots.models.fields import MoneyField
from trading.wallets import Wallet


class Transfer(models.Model):
    """One transfer: written before it is sent, sent once, never repeated."""

    class Direction(models.TextChoices):
        TO_FUTURES = "to_futures", _("from spot to futures")
        TO_SPOT = "to_spot", _("from futures to spot")

    class Status(models.TextChoices):
        REQUESTED = "requested", _("waiting for a worker")
        SENT = "sent", _("sent, no answer yet")
        UNKNOWN = "unknown", _("outcome unknown")
        DONE = "done", _("done")
        FAILED = "failed", _("nothing was moved")

    #: Until one of these has ended there is no other one.
    PENDING = (Status.REQUESTED, Status.SENT, Status.UNKNOWN)

    account = models.ForeignKey(
        Account, models.PROTECT, verbose_name=_("account"), related_name="transfers"
    )
    number = models.UUIDField(
        _("number"), default=uuid4, help_text=_("of the request: a repetition has the same")
    )
    currency = models.CharField(_("currency"), max_length=20)
    amount = MoneyField(_("amount"))
    direction = models.CharField(_("direction"), max_length=10, choices=Direction.choices)
    status = models.CharField(
        _("status"), max_length=9, choices=Status.choices, default=Status.REQUESTED
    )
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        verbose_name=_("by whom"),
        null=True,
        related_name="+",
    )
    via = models.CharField(_("by which door"), max_length=12)
    created_at = models.DateTimeField(_("made at"), default=timezone.now)
    expires_at = models.DateTimeField(_("expires at"))
    sent_at = models.DateTimeField(
        _("sent at"), null=True, help_text=_("when a worker took it, by our clock")
    )
    signed_at = models.DateTimeField(
        _("signed at"), null=True, help_text=_("exchange time in the signed request")
    )
    ended_at = models.DateTimeField(_("ended at"), null=True)
    closed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        verbose_name=_("closed by"),
        null=True,
        related_name="+",
        help_text=_("who compared the balances and said what became of it"),
    )
    exchange_id = models.CharField(_("exchange's id"), max_length=64, blank=True)
    message = models.CharField(_("message"), max_length=500, blank=True)

    class Meta:
        verbose_name = _("transfer")
        verbose_name_plural = _("transfers")
        constraints = [
            # A second click while the first one is under way is a 409, decided by the database.
            models.UniqueConstraint(
                fields=["account"],
                condition=Q(status__in=["requested", "sent", "unknown"]),
                name="transfer_one_pending",
            ),
            models.UniqueConstraint(fields=["account", "number"], name="transfer_once"),
        ]

    def __str__(self) -> str:
        return f"{self.amount} {self.currency} {self.direction} {self.status}"

    @property
    def source(self) -> Wallet:
        to_futures = self.direction == self.Direction.TO_FUTURES
        return Wallet.SPOT if to_futures else Wallet.FUTURES

    @property
    def target(self) -> Wallet:
        return Wallet.FUTURES if self.source is Wallet.SPOT else Wallet.SPOT

    @property
    def is_pending(self) -> bool:
        """Whether its end is still to come."""
        return self.status in self.PENDING
