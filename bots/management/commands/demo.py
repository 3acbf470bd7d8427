"""manage.py demo"""

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from bots.demo import cast

#: Between two bots, for whoever else wants to write to SQLite.
PAUSE_SECONDS = 1.0


class Command(BaseCommand):
    help = (
        "Make the user `demo` with a bot for each status, and print how to sign in as the last"
        " line. Run again, it adds what is missing and changes nothing else. Exit code: 0."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--new-password", action="store_true", help="set another password")
        past = parser.add_mutually_exclusive_group()
        past.add_argument(
            "--history",
            type=int,
            default=0,
            metavar="DAYS",
            help="let the engine live bots that never started through these days (1 to 60)",
        )
        past.add_argument(
            "--prepare",
            action="store_true",
            help="leave the bots that --history is for unstarted",
        )

    def handle(
        self, *, new_password: bool, history: int, prepare: bool, verbosity: int, **_: Any
    ) -> None:
        if history and not 1 <= history <= 60:
            raise CommandError("--history: between 1 and 60 days.")
        user, password = cast.make_user(new_password=new_password)
        bots = cast.make_bots(user, leave_past=prepare or bool(history))
        if history:
            made = cast.make_history(
                user, end=timezone.now(), days=history, pause=lambda: time.sleep(PAUSE_SECONDS)
            )
            for name, days in made:
                self.stdout.write(f"history of {name}: {days} days")
            bots = cast.make_bots(user, leave_past=True)
        cast.try_one(user)
        if not verbosity:
            return
        for bot in bots:
            state = bot.state_or_none
            text = state.text if state else "never started"
            self.stdout.write(f"bot {bot.pk} ({bot.name}): {text}")
        self.stdout.write(f"login: {cast.login(user, password)}")
