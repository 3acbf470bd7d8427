"""manage.py halt [--user U] [--flatten]"""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from bots import control
from bots.management.commands._bot import find_user
from bots.models import Outpaced


class Command(BaseCommand):
    help = (
        "Stop every bot, or every bot of one user, at once. Positions stay where they are unless"
        " --flatten sells them. Exit codes: 0 done, 1 some bots were busy (run it again),"
        " 2 no such user."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--user", metavar="U", help="only this user's bots")
        parser.add_argument("--flatten", action="store_true", help="sell what the bots hold")

    def handle(self, *, user: str | None, flatten: bool, **_: Any) -> None:
        owner = find_user(user) if user else None
        try:
            count = control.halt(owner, flatten=flatten, by=None, via="command")
        except Outpaced as error:
            raise CommandError(str(error), returncode=1) from None
        self.stdout.write(f"stopped: {count}")
