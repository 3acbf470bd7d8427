"""Who owns what: users, their accounts on exchanges, and the keys that open them."""

from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from bots.lifecycle import Mode, PositionType
from bots.models.fields import MoneyField, SecretField


def validate_zone(name: str) -> None:
    """Refuse a name that is no IANA time zone."""
    if name and name not in available_timezones():
        raise ValidationError(_("Unknown time zone: %(name)s"), params={"name": name})


class User(AbstractUser):
    """A trader or an operator. Users are deactivated, never deleted: their ledger stays."""

    class Theme(models.TextChoices):
        AUTO = "", _("as the device")
        LIGHT = "light", _("light")
        DARK = "dark", _("dark")

    time_zone = models.CharField(
        _("time zone"),
        max_length=64,
        blank=True,
        validators=[validate_zone],
        help_text=_("IANA name; the trading day of your bots ends at its midnight."),
    )
    language = models.CharField(
        _("language"),
        max_length=5,
        blank=True,
        choices=[("", _("as the browser")), ("tr", "Türkçe"), ("en", "English")],
    )
    theme = models.CharField(
        _("theme"), max_length=5, blank=True, choices=Theme.choices, default=Theme.AUTO
    )
    hides_first_steps = models.BooleanField(
        _("first steps put away"), default=False, help_text=_("off the dashboard")
    )

    @property
    def has_new_password(self) -> bool:
        """Whether a password was set, or taken away, that is not saved yet."""
        # Django clears it after each save, and before it saves the same password hashed anew.
        return self._password is not None

    def set_unusable_password(self) -> None:
        """Take the password away: to whoever had it that is as good as a new one."""
        super().set_unusable_password()
        self._password = ""

    @property
    def zone(self) -> ZoneInfo:
        """The zone of this user's trading day and of the times shown to them."""
        try:
            return ZoneInfo(self.time_zone or settings.TRADING_DAY_TIME_ZONE)
        except ZoneInfoNotFoundError:
            # A zone that tzdata dropped must not stop everybody's rollover.
            return ZoneInfo(settings.TRADING_DAY_TIME_ZONE)


class Account(models.Model):
    """One account on one exchange. It outlives its keys; its orders stay with it."""

    owner = models.ForeignKey(
        User, models.PROTECT, verbose_name=_("owner"), related_name="accounts"
    )
    exchange = models.CharField(_("exchange"), max_length=32)
    mode = models.CharField(_("mode"), max_length=8, choices=Mode.choices)
    label = models.CharField(_("label"), max_length=60)
    max_open_positions = models.PositiveIntegerField(
        _("max open positions"), null=True, blank=True, help_text=_("of all bots of the account")
    )
    max_daily_loss = MoneyField(
        _("max daily loss"),
        null=True,
        blank=True,
        help_text=_("of all bots of the account, in quote currency"),
    )
    created_at = models.DateTimeField(_("made at"), auto_now_add=True)

    class Meta:
        verbose_name = _("account")
        verbose_name_plural = _("accounts")
        constraints = [
            models.CheckConstraint(
                name="account_mode_known", condition=models.Q(mode__in=Mode.values)
            ),
            # A paper bot has an account of its own, so paper accounts may share a label.
            models.UniqueConstraint(
                fields=["owner", "exchange", "mode", "label"],
                condition=~models.Q(mode=Mode.PAPER),
                name="account_label_unique",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.label} ({self.exchange} {self.mode})"


class ApiKeyManager(models.Manager["ApiKey"]):
    """Leaves the secrets where they are unless somebody asks for them by name."""

    def get_queryset(self) -> models.QuerySet["ApiKey"]:
        return super().get_queryset().defer("api_key", "secret_key", "passphrase")


class ApiKey(models.Model):
    """The key of an account: encrypted, write-only. Only bots.connect reads the secrets."""

    account = models.OneToOneField(
        Account, models.CASCADE, verbose_name=_("account"), related_name="key"
    )
    api_key = SecretField(_("API key"))
    secret_key = SecretField(_("secret key"))
    passphrase = SecretField(_("passphrase"), blank=True, default="")
    last4 = models.CharField(_("last four characters"), max_length=4)
    is_valid = models.BooleanField(
        _("valid"), null=True, help_text=_("null until a worker has checked it")
    )
    may_trade = models.BooleanField(_("may trade"), null=True)
    may_trade_futures = models.BooleanField(_("may trade futures"), null=True)
    may_withdraw = models.BooleanField(_("may withdraw"), null=True)
    ip_bound = models.BooleanField(_("bound to an IP address"), null=True)
    checked_at = models.DateTimeField(_("checked at"), null=True)
    check_fault = models.CharField(_("fault of the check"), max_length=32, blank=True)
    check_message = models.CharField(_("answer of the check"), max_length=500, blank=True)
    created_at = models.DateTimeField(_("made at"), auto_now_add=True)

    objects = ApiKeyManager()

    class Meta:
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")

    def __str__(self) -> str:
        return f"{self.account.label} …{self.last4}"

    def __repr__(self) -> str:
        return f"<ApiKey {self.pk} …{self.last4}>"

    def may(self, position_type: str) -> bool | None:
        """Whether the key may trade spot or futures, as far as the exchange told."""
        return self.may_trade_futures if position_type == PositionType.FUTURES else self.may_trade

    @classmethod
    def put(
        cls,
        *,
        owner: User,
        exchange: str,
        mode: str,
        label: str,
        via: str = "command",
        **secrets: str,
    ) -> "ApiKey":
        """Store a key under the owner's account of that name; a new key replaces the old one.

        `secrets`: api_key, secret_key and, where the exchange wants one, passphrase. `via`: the
        door. Call it inside a transaction. The key counts as unchecked until a worker has asked the
        exchange.
        """
        account, _created = Account.objects.get_or_create(
            owner=owner, exchange=exchange, mode=mode, label=label
        )
        for old in cls.objects.filter(account=account):
            old.take_away(KeyEvent.What.REPLACED, by=owner, via=via)
        key = cls.objects.create(account=account, last4=secrets["api_key"][-4:], **secrets)
        KeyEvent.of(key, KeyEvent.What.ADDED, by=owner, via=via)
        return key

    def take_away(self, what: "KeyEvent.What", *, by: User, via: str) -> None:
        """Delete the key and keep that it was there; nothing, where somebody was faster."""
        if ApiKey.objects.filter(pk=self.pk).delete()[0]:
            KeyEvent.of(self, what, by=by, via=via)


class KeyEvent(models.Model):
    """A key that was added, replaced or deleted: what is left of it. Never edited, no secret."""

    class What(models.TextChoices):
        ADDED = "added", _("added")
        REPLACED = "replaced", _("replaced")
        DELETED = "deleted", _("deleted")

    account = models.ForeignKey(
        Account, models.PROTECT, verbose_name=_("account"), related_name="key_events"
    )
    at = models.DateTimeField(_("time"), default=timezone.now)
    what = models.CharField(_("what happened"), max_length=8, choices=What.choices)
    last4 = models.CharField(_("last four characters"), max_length=4)
    by = models.ForeignKey(User, models.PROTECT, verbose_name=_("by whom"), related_name="+")
    via = models.CharField(_("by which door"), max_length=12)

    class Meta:
        verbose_name = _("event of a key")
        verbose_name_plural = _("events of keys")
        # The activity is read by time.
        indexes = [models.Index(fields=["at"], name="key_event_at")]

    def __str__(self) -> str:
        return f"…{self.last4} {self.what}"

    @classmethod
    def of(cls, key: ApiKey, what: What, *, by: User, via: str) -> "KeyEvent":
        """Write down what happened to a key, in the transaction that did it."""
        return cls.objects.create(
            account_id=key.account_id, what=what, last4=key.last4, by=by, via=via
        )


class Balance(models.Model):
    """What an account held when a worker last asked: shown with its age, never used to decide."""

    account = models.OneToOneField(
        Account, models.CASCADE, verbose_name=_("account"), related_name="balance", primary_key=True
    )
    spot: Any = models.JSONField(
        _("spot holdings"), default=dict, help_text=_("currency -> units as text")
    )
    futures: Any = models.JSONField(_("futures holdings"), default=dict)
    as_of = models.DateTimeField(_("as of"), null=True)
    fault = models.CharField(
        _("fault"), max_length=32, blank=True, help_text=_("why it could not be read")
    )
    message = models.CharField(_("message"), max_length=500, blank=True)

    class Meta:
        verbose_name = _("balance")
        verbose_name_plural = _("balances")

    def __str__(self) -> str:
        return f"balance of account {self.account_id}"


class Comparison(models.Model):
    """Both sides of one market of an account, as the newest comparison found them."""

    account = models.ForeignKey(
        Account, models.CASCADE, verbose_name=_("account"), related_name="comparisons"
    )
    symbol = models.CharField(_("symbol"), max_length=40)
    as_of = models.DateTimeField(_("as of"))
    ok = models.BooleanField(_("agrees"))
    ours = MoneyField(_("the bots hold"), help_text=_("base units, negative when short"))
    there = MoneyField(_("the exchange holds"), help_text=_("base units, negative when short"))
    external: Any = models.JSONField(
        _("the owner's own orders"), default=list, help_text=_("never touched")
    )
    text = models.CharField(_("result"), max_length=300)

    class Meta:
        verbose_name = _("comparison")
        verbose_name_plural = _("comparisons")
        constraints = [
            models.UniqueConstraint(fields=["account", "symbol"], name="comparison_once")
        ]
        indexes = [
            models.Index(fields=["account"], name="comparison_drift", condition=models.Q(ok=False))
        ]

    def __str__(self) -> str:
        return f"{self.symbol}: {self.text}"
