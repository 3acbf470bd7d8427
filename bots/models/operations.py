"""What operators look at: signs of life, this installation's mark, and known markets."""

import secrets
from datetime import datetime

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from bots.lifecycle import PositionType
from bots.models.fields import MarketKeyField, MoneyField
from bots.models.ledger import ALPHABET


class Heartbeat(models.Model):
    """When a part of the platform last worked: worker (canary), sweep, reset."""

    name = models.CharField(_("name"), max_length=40, primary_key=True)
    at = models.DateTimeField(_("time"))
    note = models.CharField(_("note"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("sign of life")
        verbose_name_plural = _("signs of life")

    def __str__(self) -> str:
        return f"{self.name} {self.at:%Y-%m-%d %H:%M:%S}"

    @classmethod
    def beat(cls, name: str, note: str = "") -> None:
        """Record a sign of life, now."""
        cls.objects.update_or_create(name=name, defaults={"at": timezone.now(), "note": note})

    @classmethod
    def age(cls, name: str, now: datetime) -> float | None:
        """Return the seconds since the last sign of life, or None if there was none."""
        at = cls.objects.filter(name=name).values_list("at", flat=True).first()
        return None if at is None else (now - at).total_seconds()


class Installation(models.Model):
    """The one row that marks this installation's orders on shared exchanges."""

    mark = models.CharField(_("mark"), max_length=3)

    class Meta:
        verbose_name = _("installation")
        verbose_name_plural = _("installations")

    def __str__(self) -> str:
        return self.mark

    @classmethod
    def get(cls) -> "Installation":
        """Return the row, making it on first use."""
        mark = "".join(secrets.choice(ALPHABET) for _ in range(3))
        return cls.objects.get_or_create(pk=1, defaults={"mark": mark})[0]


class MarketManager(models.Manager["Market"]):
    def of(self, position_type: str) -> models.QuerySet["Market"]:
        """Return the markets of spot or futures: perpetuals are spelt BTC/USDT:USDT."""
        perpetual = models.Q(symbol__contains=":")
        return self.filter(perpetual if position_type == PositionType.FUTURES else ~perpetual)


class Market(models.Model):
    """One market's rules as a worker last read them: pages search and check against these."""

    exchange = models.CharField(_("exchange"), max_length=32)
    mode = models.CharField(_("mode"), max_length=8)
    symbol = models.CharField(_("symbol"), max_length=40)
    base = models.CharField(_("base currency"), max_length=20)
    quote = models.CharField(_("quote currency"), max_length=20)
    is_tradable = models.BooleanField(_("tradable"), default=True)
    amount_step = MoneyField(_("amount step"))
    price_tick = MoneyField(_("price tick"))
    min_amount = MoneyField(_("least amount"), default=0)
    min_notional = MoneyField(_("least value"), default=0)
    taker_fee = MoneyField(_("taker fee"), default=0)
    as_of = models.DateTimeField(_("as of"), default=timezone.now)
    key = MarketKeyField(_("search key"), max_length=64, editable=False)
    pairs = models.PositiveSmallIntegerField(_("markets of its base currency"), default=1)

    objects = MarketManager()

    class Meta:
        verbose_name = _("market")
        verbose_name_plural = _("markets")
        constraints = [
            models.UniqueConstraint(fields=["exchange", "mode", "symbol"], name="market_once")
        ]

    def __str__(self) -> str:
        return f"{self.symbol} ({self.exchange})"

    @property
    def position_type(self) -> PositionType:
        """Whether spot or futures bots trade it."""
        return PositionType.FUTURES if ":" in self.symbol else PositionType.SPOT


class Silence(models.Model):
    """Until when an exchange must not be asked: all of it, its reads, or an account's orders."""

    scope = models.CharField(
        _("exchange"), max_length=200, help_text=_("exchange, market, mode and address")
    )
    quiet = models.CharField(_("what is silent"), max_length=8)
    account = models.CharField(
        _("account"), max_length=64, blank=True, help_text=_("a fingerprint of its API key")
    )
    until = models.DateTimeField(_("until"))
    why = models.CharField(_("reason"), max_length=300, blank=True)

    class Meta:
        verbose_name = _("silence")
        verbose_name_plural = _("silences")
        constraints = [
            models.UniqueConstraint(fields=["scope", "quiet", "account"], name="silence_once")
        ]
        indexes = [models.Index(fields=["until"], name="silence_until")]

    def __str__(self) -> str:
        return f"{self.scope} {self.quiet} until {self.until:%Y-%m-%d %H:%M:%S}"

    @classmethod
    def keep(cls, *, scope: str, quiet: str, account: str, until: datetime, why: str) -> None:
        """Record a silence; a longer one that stands already stays."""
        values = {"until": until, "why": why[:300]}
        row, is_new = cls.objects.get_or_create(
            scope=scope, quiet=quiet, account=account, defaults=values
        )
        if not is_new:
            cls.objects.filter(pk=row.pk, until__lt=until).update(**values)
