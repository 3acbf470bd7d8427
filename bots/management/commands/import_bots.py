"""manage.py import_bots USER FILE [--modes paper|file] [--dry-run]"""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from bots import portable
from bots.management.commands._bot import find_user
from bots.models import User
from bots.portable import Entry, Unreadable


class Command(BaseCommand):
    help = (
        "Make the bots and templates of a file that export_bots or a page saved: all of them or"
        " none. Bots are stopped, for paper unless --modes file, and without an account. Exit"
        " codes: 0 done, 1 the file cannot be read or an entry is refused, 2 no such user."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user", metavar="USER", help="the user's name")
        parser.add_argument("file", metavar="FILE", help="the file; - reads standard input")
        parser.add_argument(
            "--modes",
            choices=("paper", "file"),
            default="paper",
            help="paper (the default), or as in the file",
        )
        parser.add_argument("--dry-run", action="store_true", help="say it, make nothing")

    def handle(self, *, user: str, file: str, modes: str, dry_run: bool, **_: Any) -> None:
        owner = find_user(user)
        try:
            content = portable.loads(_read(file))
        except (Unreadable, OSError) as problem:
            raise CommandError(str(problem)) from None
        entries = portable.plan(owner, content, keeps_modes=modes == "file")
        refused = [line for entry in entries for line in _refusals(entry)]
        if refused:
            raise CommandError("\n".join(["nothing was made:", *refused]))
        if not dry_run:
            _make(owner, entries)
        verb = "would make" if dry_run else "made"
        for entry in entries:
            kind = "template" if entry.is_template else f"{entry.draft.mode} bot"
            self.stdout.write(f"{verb} {kind}: {entry.draft.name}")


def _read(name: str) -> bytes:
    """Return the file's bytes, one more than is allowed at most."""
    if name == "-":
        return sys.stdin.buffer.read(portable.MOST_BYTES + 1)
    with Path(name).open("rb") as file:
        return file.read(portable.MOST_BYTES + 1)


def _refusals(entry: Entry) -> list[str]:
    place = f"{entry.key[0]}[{entry.key[1]}]"
    return [f"{place}.{name}: {t}" for name, texts in entry.errors.items() for t in texts]


def _make(owner: User, entries: list[Entry]) -> None:
    with transaction.atomic():
        for entry in entries:
            portable.make(owner, entry)
