"""manage.py export_bots USER"""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from bots import portable
from bots.management.commands._bot import find_user


class Command(BaseCommand):
    help = (
        "Print the settings of a user's bots and templates as JSON, for import_bots or the import"
        " page. Accounts, keys, positions and history are not in it. Exit codes: 0 done,"
        " 2 no such user."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user", metavar="USER", help="the user's name")

    def handle(self, *, user: str, **_: Any) -> None:
        owner = find_user(user)
        rows = portable.document(bots=owner.bots.alive(), templates=owner.templates.all())
        self.stdout.write(portable.dumps(rows), ending="")
