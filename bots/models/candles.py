"""The newest candles of a market, one row for all bots that watch it."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class StoredCandles(models.Model):
    """Closed candles of one market and timeframe, packed: bots.candles alone reads and writes."""

    exchange = models.CharField(_("exchange"), max_length=32)
    mode = models.CharField(
        _("mode"), max_length=8, help_text=_("testnet or live; paper bots see the live market")
    )
    symbol = models.CharField(_("symbol"), max_length=40)
    timeframe = models.CharField(_("timeframe"), max_length=4)
    oldest = models.BigIntegerField(_("oldest"), help_text=_("opening time, Unix ms"))
    newest = models.BigIntegerField(_("newest"), help_text=_("opening time, Unix ms"))
    count = models.PositiveIntegerField(_("count"))
    data = models.BinaryField(_("data"))
    updated_at = models.DateTimeField(_("changed at"))

    class Meta:
        verbose_name = _("candles of a market")
        verbose_name_plural = _("candles of markets")
        constraints = [
            models.UniqueConstraint(
                fields=["exchange", "mode", "symbol", "timeframe"], name="candles_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.symbol} {self.timeframe} ({self.exchange})"
