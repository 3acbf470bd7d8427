"""What happened to a user's ways in: second factor, sessions, password, tokens. Never edited."""

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from bots.models.account import User


class AccessEvent(models.Model):
    """One line of that history, kept for good. It holds no secret and no code."""

    class What(models.TextChoices):
        FACTOR_ON = "factor_on", _("second factor switched on")
        FACTOR_OFF = "factor_off", _("second factor switched off")
        CODES_MADE = "codes_made", _("new recovery codes")
        CODE_USED = "code_used", _("recovery code used")
        CODE_REFUSED = "code_refused", _("wrong code")
        SESSION_ENDED = "session_ended", _("session ended")
        PASSWORD = "password", _("new password")
        TOKEN = "token", _("API token made")

    owner = models.ForeignKey(
        User, models.PROTECT, verbose_name=_("owner"), related_name="access_events"
    )
    at = models.DateTimeField(_("time"), default=timezone.now)
    what = models.CharField(_("what happened"), max_length=16, choices=What.choices)
    details = models.CharField(_("details"), max_length=300, blank=True)
    ip = models.GenericIPAddressField(_("address"), null=True, blank=True)
    by = models.ForeignKey(
        User, models.PROTECT, verbose_name=_("by whom"), related_name="+", null=True, blank=True
    )
    via = models.CharField(_("by which door"), max_length=12, blank=True)

    class Meta:
        verbose_name = _("event of a sign-in")
        verbose_name_plural = _("events of sign-ins")
        # The activity is read by time.
        indexes = [models.Index(fields=["at"], name="access_event_at")]

    def __str__(self) -> str:
        return f"{self.owner_id} {self.what}"
