"""What else moves a bot's profit, and its trading days: sums of what the ledger holds."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from bots.models.account import Account
from bots.models.bot import BotConfig
from bots.models.fields import MoneyField


class Funding(models.Model):
    """One funding payment of a perpetual's position, positive when received."""

    bot = models.ForeignKey(
        BotConfig, models.PROTECT, verbose_name=_("bot"), related_name="fundings"
    )
    account = models.ForeignKey(
        Account, models.PROTECT, verbose_name=_("account"), related_name="fundings"
    )
    symbol = models.CharField(_("symbol"), max_length=40)
    funding_id = models.CharField(_("funding id"), max_length=64)
    amount = MoneyField(_("amount"), help_text=_("quote currency"))
    at = models.DateTimeField(_("time"), help_text=_("the exchange's time"))
    trading_day = models.DateField(_("trading day"))

    class Meta:
        verbose_name = _("funding payment")
        verbose_name_plural = _("funding payments")
        constraints = [
            models.UniqueConstraint(fields=["account", "funding_id"], name="funding_unique")
        ]
        # The activity of all bots is read by time.
        indexes = [models.Index(fields=["at"], name="funding_at")]

    def __str__(self) -> str:
        return f"{self.symbol} {self.amount}"

    @property
    def currency(self) -> str:
        """What it was paid in: the quote currency of `BTC/USDT:USDT`."""
        return self.symbol.partition("/")[2].partition(":")[0]


class DayStats(models.Model):
    """One bot's trading day: the fold of that day's fills, closed by the rollover."""

    bot = models.ForeignKey(BotConfig, models.PROTECT, verbose_name=_("bot"), related_name="days")
    day = models.DateField(_("day"))
    pnl = MoneyField(_("PnL"), default=0, help_text=_("realised, quote currency"))
    fees = MoneyField(_("fees"), default=0, help_text=_("quote currency"))
    trades = models.PositiveIntegerField(_("trades"), default=0, help_text=_("positions opened"))
    closed_at = models.DateTimeField(_("closed at"), null=True)

    class Meta:
        verbose_name = _("trading day")
        verbose_name_plural = _("trading days")
        constraints = [models.UniqueConstraint(fields=["bot", "day"], name="day_once_per_bot")]

    def __str__(self) -> str:
        return f"{self.bot_id} {self.day}: {self.pnl}"
