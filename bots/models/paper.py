"""The book of a paper account: what a real exchange would keep, as rows."""

from typing import Any

from django.db import models

from bots.models.account import Account
from bots.models.fields import MoneyField


class PaperBalance(models.Model):
    account = models.ForeignKey(Account, models.PROTECT, related_name="paper_balances")
    currency = models.CharField(max_length=20)
    units = MoneyField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "currency"], name="paper_balance_once")
        ]

    def __str__(self) -> str:
        return f"{self.units} {self.currency}"


class PaperOrder(models.Model):
    """An answer the paper exchange gave: asked again, it says the same."""

    account = models.ForeignKey(Account, models.PROTECT, related_name="paper_orders")
    client_order_id = models.CharField(max_length=36)
    report: Any = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "client_order_id"], name="paper_order_once")
        ]

    def __str__(self) -> str:
        return self.client_order_id
