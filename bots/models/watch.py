"""A trader's watch-list: markets to come back to, whether a bot trades them or not."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from bots.models.account import User
from bots.models.operations import Market


class Watch(models.Model):
    """One market on one user's list."""

    user = models.ForeignKey(User, models.CASCADE, verbose_name=_("user"), related_name="watches")
    market = models.ForeignKey(
        Market, models.CASCADE, verbose_name=_("market"), related_name="watches"
    )

    class Meta:
        verbose_name = _("watched market")
        verbose_name_plural = _("watched markets")
        constraints = [models.UniqueConstraint(fields=["user", "market"], name="watch_once")]

    def __str__(self) -> str:
        return f"{self.user_id}: {self.market_id}"

    @classmethod
    def put(cls, user: User, market: Market, *, on: bool) -> None:
        """Put a market on the list or take it off; asking twice changes nothing more."""
        if on:
            cls.objects.get_or_create(user=user, market=market)
        else:
            cls.objects.filter(user=user, market=market).delete()
