"""manage.py recompute [--bot ID] [--dry-run]"""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from bots.management.commands._bot import find_bot
from bots.models import BotState
from bots.recompute import recompute


class Command(BaseCommand):
    help = (
        "Fold the fills of every bot anew and put right what is stored beside them: position,"
        " profit, the day's counters, days. Fills are never touched. Run again, it changes"
        " nothing. Exit codes: 0 done, 2 no such bot."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--bot", type=int, metavar="ID", help="this bot only")
        parser.add_argument("--dry-run", action="store_true", help="only tell what would change")

    def handle(self, *, bot: int | None, dry_run: bool, **_: Any) -> None:
        rows = BotState.objects.order_by("pk")
        if bot is not None:
            rows = rows.filter(pk=find_bot(bot).pk)
        changed = 0
        for bot_id in list(rows.values_list("pk", flat=True)):
            found = recompute(bot_id, by=None, via="command", dry_run=dry_run)
            changed += len(found)
            for one in found:
                self.stdout.write(f"bot {bot_id}: {one}")
        verb = "would change" if dry_run else "changed"
        self.stdout.write(f"bots: {len(rows)}, values {verb}: {changed}")
