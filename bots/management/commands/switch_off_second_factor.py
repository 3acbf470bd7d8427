"""manage.py switch_off_second_factor USER --why REASON"""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from bots import second_factor
from bots.management.commands._bot import find_user


class Command(BaseCommand):
    help = (
        "Switch off the second factor of a user who lost telephone and recovery codes. Be sure who"
        " asks: from then on the password alone opens the account. The user's activity tells of it,"
        " with the reason. Exit codes: 0 switched off, 1 it was not on, 2 no such user."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user", metavar="USER", help="the user's name")
        parser.add_argument("--why", required=True, help="who asked, and how you knew them")

    def handle(self, *, user: str, why: str, **_: Any) -> None:
        if not why.strip():
            raise CommandError("--why: a reason is needed", returncode=2)
        if not second_factor.switch_off(find_user(user), by=None, via="command", why=why.strip()):
            raise CommandError(f"{user} has no second factor")
        self.stdout.write(f"the second factor of {user} is off")
