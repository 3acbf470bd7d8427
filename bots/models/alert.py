"""Alerts: where a user is told, what is to be told, and each message on its way."""

from datetime import datetime, time
from typing import Any

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from bots.models.account import User
from bots.models.bot import BotConfig
from bots.models.fields import SecretField


class AlertKind(models.TextChoices):
    """What a user can be told of, in the order in which the pages ask."""

    ERROR = "error", _("a bot fails")
    HALTED = "halted", _("a halt stops bots")
    KEY_REFUSED = "key_refused", _("the exchange refuses a key")
    UNWATCHED = "unwatched", _("nobody watches a position")
    PAUSED = "paused", _("a daily limit pauses a bot")
    RESUMED = "resumed", _("a bot goes on by itself")
    ENTRY = "entry", _("a position is opened")
    EXIT = "exit", _("a position is closed")
    STARTED = "started", _("a bot is started")
    STOPPED = "stopped", _("a bot is stopped")
    SUMMARY = "summary", _("the day in figures, after it has ended")


#: These pass quiet hours where their user lets them.
URGENT = frozenset({AlertKind.ERROR, AlertKind.HALTED, AlertKind.KEY_REFUSED, AlertKind.UNWATCHED})
#: What a new channel tells: nothing that its owner has just done, and no routine.
USUAL = [
    kind.value
    for kind in AlertKind
    if kind not in (AlertKind.RESUMED, AlertKind.STARTED, AlertKind.STOPPED)
]


class AlertChannelManager(models.Manager["AlertChannel"]):
    """Leaves the secret address where it is unless somebody asks for it by name."""

    def get_queryset(self) -> models.QuerySet["AlertChannel"]:
        return super().get_queryset().defer("secret_url")

    def working(self) -> models.QuerySet["AlertChannel"]:
        """Return the channels that messages may go to."""
        rows = self.get_queryset().filter(is_on=True, is_confirmed=True)
        return rows.filter(owner__is_active=True)


class AlertChannel(models.Model):
    """One address of a user. Encrypted, write-only; only bots.alerts.delivery reads it."""

    class Service(models.TextChoices):
        MAIL = "mail", _("E-mail")
        TELEGRAM = "telegram", _("Telegram")
        DISCORD = "discord", _("Discord")
        SLACK = "slack", _("Slack")
        WEBHOOK = "webhook", _("Webhook")
        APPRISE = "apprise", _("Apprise address")

    class Off(models.TextChoices):
        BY_OWNER = "by_owner", _("switched off by you")
        FAILING = "failing", _("switched off: nothing has arrived for days")
        OWNER_INACTIVE = "owner_inactive", _("switched off: its owner was deactivated")

    owner = models.ForeignKey(
        User, models.CASCADE, verbose_name=_("owner"), related_name="alert_channels"
    )
    service = models.CharField(_("service"), max_length=8, choices=Service.choices)
    label = models.CharField(_("name"), max_length=40, blank=True)
    secret_url = SecretField(_("address"))
    hint = models.CharField(_("masked address"), max_length=80)
    kinds: Any = models.JSONField(_("tells"), default=list)
    is_on = models.BooleanField(_("switched on"), default=True)
    off_reason = models.CharField(
        _("switched off because"), max_length=14, blank=True, choices=Off.choices
    )
    is_confirmed = models.BooleanField(
        _("confirmed"), default=True, help_text=_("mail goes to those only who asked for it")
    )
    failing_since = models.DateTimeField(_("fails since"), null=True)
    created_at = models.DateTimeField(_("made at"), default=timezone.now)
    changed_at = models.DateTimeField(_("address changed at"), default=timezone.now)

    objects = AlertChannelManager()

    class Meta:
        verbose_name = _("alert channel")
        verbose_name_plural = _("alert channels")
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.name} ({self.service})"

    def __repr__(self) -> str:
        return f"<AlertChannel {self.pk} {self.service} {self.hint}>"

    @property
    def name(self) -> str:
        """What its owner calls it, else the masked address."""
        return self.label or self.hint

    @property
    def is_working(self) -> bool:
        """Whether messages go to it (its owner is active)."""
        return self.is_on and self.is_confirmed


class AlertSettings(models.Model):
    """When a user is not to be disturbed, by the clock of their zone."""

    owner = models.OneToOneField(
        User,
        models.CASCADE,
        verbose_name=_("owner"),
        related_name="alert_settings",
        primary_key=True,
    )
    quiet_from = models.TimeField(_("quiet from"), null=True, blank=True)
    quiet_to = models.TimeField(_("quiet until"), null=True, blank=True)
    urgent_passes = models.BooleanField(
        _("what is urgent is told all the same"),
        default=True,
        help_text=_("failures, a halt, a refused key, a position that nobody watches"),
    )

    class Meta:
        verbose_name = _("alert settings")
        verbose_name_plural = _("alert settings")

    def __str__(self) -> str:
        return f"{self.owner_id}: {self.quiet_from} - {self.quiet_to}"

    def is_quiet(self, now: datetime) -> bool:
        """Whether `now` lies in the quiet hours, which may span midnight; equal ends: never."""
        start, end = self.quiet_from, self.quiet_to
        if start is None or end is None:
            return False
        local: time = now.astimezone(self.owner.zone).time()
        if start <= end:
            return start <= local < end
        return local >= start or local < end


class Alert(models.Model):
    """One thing to tell a user, found in rows that are kept anyway; `key` names that row."""

    owner = models.ForeignKey(User, models.CASCADE, verbose_name=_("owner"), related_name="alerts")
    bot = models.ForeignKey(
        BotConfig, models.CASCADE, verbose_name=_("bot"), null=True, related_name="alerts"
    )
    kind = models.CharField(_("kind"), max_length=12, choices=AlertKind.choices)
    reason = models.CharField(_("reason"), max_length=40, blank=True)
    at = models.DateTimeField(_("time"))
    data: Any = models.JSONField(_("figures"), default=dict)
    key = models.CharField(_("source"), max_length=120, unique=True)
    told_at = models.DateTimeField(_("told at"), null=True)

    class Meta:
        verbose_name = _("alert")
        verbose_name_plural = _("alerts")
        indexes = [
            models.Index(fields=["owner"], name="alert_untold", condition=Q(told_at=None)),
            models.Index(fields=["owner", "told_at"], name="alert_told"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.reason} ({self.key})"


class AlertDelivery(models.Model):
    """One message to one channel: written before it is sent, tried a few times."""

    class Status(models.TextChoices):
        PENDING = "pending", _("on its way")
        SENT = "sent", _("delivered")
        FAILED = "failed", _("not delivered")
        DROPPED = "dropped", _("dropped: the channel is off")

    class Fault(models.TextChoices):
        """Why a message did not arrive: our words, never those of the other side."""

        ADDRESS = "address", _("the address is not understood")
        PRIVATE = "private", _("the address leads into a private network")
        NAME = "name", _("the host is not known")
        CONNECT = "connect", _("no connection")
        TIMEOUT = "timeout", _("no answer in time")
        TLS = "tls", _("the connection is not secure (certificate)")
        LOGIN = "login", _("access was refused")
        ANSWER = "answer", _("the message was refused")
        UNREADABLE = "unreadable", _("the stored address cannot be decrypted")
        INTERNAL = "internal", _("unexpected failure")

    #: The kind of a message that its owner asked for, to see whether it arrives.
    TEST = "test"

    channel = models.ForeignKey(
        AlertChannel,
        models.CASCADE,
        verbose_name=_("channel"),
        related_name="deliveries",
    )
    kind = models.CharField(_("kind"), max_length=12, help_text=_("the most urgent of its alerts"))
    alerts = models.PositiveIntegerField(_("alerts"), default=0)
    subject = models.CharField(_("subject"), max_length=200)
    body = models.TextField(_("text"))
    status = models.CharField(
        _("status"), max_length=8, choices=Status.choices, default=Status.PENDING
    )
    created_at = models.DateTimeField(_("made at"), default=timezone.now)
    due_at = models.DateTimeField(_("due at"), default=timezone.now)
    lease_until = models.DateTimeField(_("lease until"), null=True)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    ended_at = models.DateTimeField(_("ended at"), null=True)
    fault = models.CharField(_("fault"), max_length=10, blank=True, choices=Fault.choices)
    code = models.PositiveSmallIntegerField(
        _("answer"), null=True, help_text=_("status of HTTP or SMTP")
    )

    class Meta:
        verbose_name = _("alert delivery")
        verbose_name_plural = _("alert deliveries")
        indexes = [
            models.Index(fields=["due_at"], name="delivery_due", condition=Q(status="pending")),
            models.Index(fields=["channel", "-id"], name="delivery_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.status} ({self.channel_id})"


class AlertScan(models.Model):
    """The one row of the scan: whose turn it is, and up to where rows have been read.

    Numbers are given out before their transactions commit, so rows between `low` and the newest are
    read again and again; `low` follows `high` only when `high` is older than any transaction.
    """

    fence = models.PositiveBigIntegerField(_("turn"), default=0)
    lease_until = models.DateTimeField(_("lease until"), null=True)
    event_low = models.PositiveBigIntegerField(_("events read up to"), default=0)
    event_high = models.PositiveBigIntegerField(_("newest event"), default=0)
    fill_low = models.PositiveBigIntegerField(_("fills read up to"), default=0)
    fill_high = models.PositiveBigIntegerField(_("newest fill"), default=0)
    marked_at = models.DateTimeField(_("marked at"), null=True)

    class Meta:
        verbose_name = _("alert scan")
        verbose_name_plural = _("alert scans")

    def __str__(self) -> str:
        return f"turn {self.fence}"
