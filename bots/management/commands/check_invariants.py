"""manage.py check_invariants [--json] [--exchange]"""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from bots import invariants
from bots.invariants.exchange import check_exchanges


class Command(BaseCommand):
    help = (
        "Check on the database what must always hold: ledger, counters, schedule, owners."
        " It changes nothing. Exit codes: 0 all holds, 1 a violation."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--json", action="store_true", dest="as_json", help="a list of code, bot_id, text"
        )
        parser.add_argument(
            "--exchange", action="store_true", help="also ask the exchanges about every order"
        )

    def handle(self, *, as_json: bool, exchange: bool, **_: Any) -> None:
        found = invariants.check()
        if exchange:
            found += check_exchanges()
        if as_json:
            self.stdout.write(json.dumps([asdict(violation) for violation in found]))
        else:
            for violation in found:
                self.stdout.write(str(violation))
            self.stdout.write(f"violations: {len(found)}")
        if found:
            raise CommandError(f"{len(found)} violations")
