"""manage.py prune --days N"""

from argparse import ArgumentParser, ArgumentTypeError
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from bots import housekeeping


def _days(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 36_500:
        raise ArgumentTypeError("must be a whole number of days, 1 or more")
    return int(text)


class Command(BaseCommand):
    help = (
        "Delete decisions, ended commands, answered paper orders and told alerts with their"
        " messages that are older than N days."
        " Orders, fills, days and events are history: they stay. Exit code: 0."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--days", type=_days, required=True, metavar="N", help="keep N days")

    def handle(self, *, days: int, **_: Any) -> None:
        done = housekeeping.prune(timezone.now() - timedelta(days=days))
        self.stdout.write(
            f"deleted: {done.decisions} decisions, {done.commands} commands,"
            f" {done.paper_orders} paper orders, {done.alerts} alerts and messages,"
            f" {done.signals} signals"
        )
