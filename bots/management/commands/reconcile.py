"""manage.py reconcile [--bot ID]"""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from bots.management.commands._bot import find_bot
from bots.reconcile import reconcile


class Command(BaseCommand):
    help = (
        "Ask the exchanges about unanswered orders and compare holdings with the ledger, for every"
        " bot with a position or an open order. Exit codes: 0 all agree, 1 some do not, 2 no such"
        " bot."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--bot", type=int, metavar="ID", help="this bot only")

    def handle(self, *, bot: int | None, **_: Any) -> None:
        findings = reconcile(find_bot(bot).pk if bot is not None else None)
        for found in findings:
            mark = "ok" if found.ok else "WRONG"
            self.stdout.write(f"bot {found.bot_id}: {mark}: {found.text}")
        wrong = sum(not found.ok for found in findings)
        self.stdout.write(f"compared: {len(findings)}, wrong: {wrong}")
        if wrong:
            raise CommandError("the exchange and the ledger do not agree")
