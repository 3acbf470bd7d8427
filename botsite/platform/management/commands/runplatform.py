"""`manage.py runplatform`: everything that the site needs, on this machine, until it is stopped."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from botsite.platform.launch import PortTaken, run
from botsite.platform.lock import AlreadyRunning, platform_lock
from botsite.platform.redis import NoRedis


class Command(BaseCommand):
    help = (
        "Run the whole platform here: migrate, start a Redis if REDIS_URL names none, create the"
        " demo on the first run, then keep worker, web and beat running. Ctrl-C or SIGTERM stops"
        " all of it; a second one kills. Exit codes: 0 stopped as asked, 1 could not start or"
        " something had to be killed, 130 interrupted before the start."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--no-demo", action="store_true", help="never create demo content")

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            with platform_lock(settings.DATA_DIR) as lock:
                code = run(lock, demo=not options["no_demo"])
        except (AlreadyRunning, NoRedis, PortTaken) as error:
            raise CommandError(str(error)) from error
        except DatabaseError as error:
            raise CommandError(f"The database does not answer: {error}") from error
        except KeyboardInterrupt:
            code = 130
        if code:
            sys.exit(code)
