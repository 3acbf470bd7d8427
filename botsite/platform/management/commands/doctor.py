"""`manage.py doctor`: is everything here as it has to be?"""

import sys
from typing import Any

from django.core.management.base import BaseCommand

from botsite.platform.doctor import examine


class Command(BaseCommand):
    help = (
        "Check Python, files, keys, timings, Redis, the database, and the last signs of life of"
        " worker and sweep. One line each, with what to do. Exit code 1 when something is wrong."
    )
    requires_system_checks = []

    def handle(self, *_args: Any, **_options: Any) -> None:
        wrong = 0
        for finding in examine():
            wrong += not finding.ok
            mark = self.style.SUCCESS("ok  ") if finding.ok else self.style.ERROR("FAIL")
            self.stdout.write(f"{mark}  {finding.name:<9} {finding.text}")
            if finding.advice:
                self.stdout.write(f"      {'':<9} {finding.advice}")
        if wrong:
            sys.exit(1)
