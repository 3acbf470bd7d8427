"""The app: its models, and the triggers that go with them."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class BotsConfig(AppConfig):
    name = "bots"
    verbose_name = _("Bots")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Have the triggers made after each migration, and the settings checked."""
        from bots import (  # noqa: F401 - they register themselves
            checks,
            guards,
            passwords,
            second_factor,
            uptime,
        )

        post_migrate.connect(guards.install, sender=self)
