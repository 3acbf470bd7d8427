"""Settings that an owner keeps under a name, to make bots from."""

from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from bots.models.account import User


class BotTemplate(models.Model):
    """Settings to start a bot from: how it trades. No account, no key, no state.

    `settings` is JSON: BotConfig's fields but its name and account, amounts as text.
    """

    owner = models.ForeignKey(
        User, models.PROTECT, verbose_name=_("owner"), related_name="templates"
    )
    name = models.CharField(_("name"), max_length=80)
    settings: Any = models.JSONField(_("settings"), default=dict)
    created_at = models.DateTimeField(_("made at"), auto_now_add=True)
    updated_at = models.DateTimeField(_("changed at"), auto_now=True)

    class Meta:
        ordering = ["name", "pk"]
        verbose_name = _("template")
        verbose_name_plural = _("templates")
        constraints = [
            models.UniqueConstraint(
                fields=["owner", "name"],
                name="template_name_once",
                violation_error_message=_("You have a template of this name already."),
            ),
        ]

    def __str__(self) -> str:
        return self.name
