"""manage.py daily_reset [--day D]"""

from argparse import ArgumentParser, ArgumentTypeError
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand

from bots import reset


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no date such as 2026-03-01") from None


class Command(BaseCommand):
    help = (
        "Roll over the trading day of every bot whose day has ended: counters to 0, errors cleared,"
        " bots that a daily limit paused go on. Running it again changes nothing."
        " Exit code: 0."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--day",
            type=_day,
            metavar="YYYY-MM-DD",
            help="also roll bots over that have not reached this day yet",
        )

    def handle(self, *, day: date | None, **_: Any) -> None:
        count = reset.daily_reset(day)
        self.stdout.write(f"rolled over: {count}")
