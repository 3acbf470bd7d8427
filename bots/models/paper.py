"""The book of a paper account: what a real exchange would keep, as rows."""

from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from bots.models.account import Account
from bots.models.fields import MoneyField


class PaperBalance(models.Model):
    account = models.ForeignKey(
        Account, models.PROTECT, verbose_name=_("account"), related_name="paper_balances"
    )
    currency = models.CharField(_("currency"), max_length=20)
    units = MoneyField(_("units"), default=0)

    class Meta:
        verbose_name = _("paper balance")
        verbose_name_plural = _("paper balances")
        constraints = [
            models.UniqueConstraint(fields=["account", "currency"], name="paper_balance_once")
        ]

    def __str__(self) -> str:
        return f"{self.units} {self.currency}"


class PaperOrder(models.Model):
    """An answer the paper exchange gave: asked again, it says the same.

    For an open order `held` units of `currency` are set aside; `price` and `fee`: quote currency.
    """

    account = models.ForeignKey(
        Account, models.PROTECT, verbose_name=_("account"), related_name="paper_orders"
    )
    client_order_id = models.CharField(_("client order id"), max_length=36)
    report: Any = models.JSONField(_("answer"))
    is_open = models.BooleanField(_("open"), default=False)
    price = MoneyField(_("limit price"), null=True)
    fee = MoneyField(_("fee"), default=0)
    currency = models.CharField(_("currency"), max_length=20, blank=True)
    held = MoneyField(_("units set aside"), default=0)
    created_at = models.DateTimeField(_("made at"), auto_now_add=True)

    class Meta:
        verbose_name = _("paper order")
        verbose_name_plural = _("paper orders")
        constraints = [
            models.UniqueConstraint(fields=["account", "client_order_id"], name="paper_order_once")
        ]
        indexes = [
            models.Index(
                fields=["account"], condition=models.Q(is_open=True), name="paper_order_open"
            )
        ]

    def __str__(self) -> str:
        return self.client_order_id
