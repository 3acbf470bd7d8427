"""manage.py sync_schedule"""

from typing import Any

from django.core.management.base import BaseCommand

from bots import sweep


class Command(BaseCommand):
    help = (
        "Bring beat's rows in line with the bots: one for each bot that has something to do, and"
        " those of the platform. The sweep does the same each minute. Exit code: 0."
    )

    def handle(self, *, verbosity: int, **_: Any) -> None:
        added, changed, removed = sweep.repair_schedule()
        if verbosity:
            self.stdout.write(f"added: {added}, changed: {changed}, removed: {removed}")
