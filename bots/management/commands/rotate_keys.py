"""manage.py rotate_keys [--dry-run]"""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from bots import rotation


class Command(BaseCommand):
    help = (
        "Encrypt all stored exchange keys, alert addresses and second factors with the first key of"
        " FERNET_KEYS. Run it after putting a new key in front; when it reports nothing left, the"
        " old one may go. It can be cut short and run again. Exit codes: 0 all are under the first"
        " key, 1 some"
        " could not be opened or moved."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="count, but write nothing")

    def handle(self, *, dry_run: bool, **_: Any) -> None:
        done = rotation.rotate(dry_run=dry_run)
        word = "to rotate" if dry_run else "rotated"
        self.stdout.write(f"{word}: {done.rotated}, under the first key already: {done.current}")
        if done.undecryptable:
            ids = ", ".join(map(str, done.undecryptable))
            self.stderr.write(f"no key in FERNET_KEYS opens these, they were not touched: {ids}")
        if done.lost_factors:
            names = ", ".join(dict.fromkeys(done.lost_factors))
            self.stderr.write(f"no key in FERNET_KEYS opens the second factors of: {names}")
        if done.contended:
            ids = ", ".join(map(str, done.contended))
            self.stderr.write(f"rewritten by others at the same time, run again: {ids}")
        if done.undecryptable or done.lost_factors or done.contended:
            raise CommandError("not every key is under the first key")
