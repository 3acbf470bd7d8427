"""manage.py demo"""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from bots import demo


class Command(BaseCommand):
    help = (
        "Make the user `demo` with a bot for each status, and print how to sign in as the last"
        " line. Run again, it adds what is missing and changes nothing else. Exit code: 0."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--new-password", action="store_true", help="set another password")

    def handle(self, *, new_password: bool, **_: Any) -> None:
        user, password = demo.make_user(new_password=new_password)
        for bot in demo.make_bots(user):
            state = bot.state_or_none
            text = state.text if state else "never started"
            self.stdout.write(f"bot {bot.pk} ({bot.name}): {text}")
        self.stdout.write(f"login: {demo.login(user, password)}")
