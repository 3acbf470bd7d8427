"""manage.py replay_decision ID"""

import json
from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from bots.management.commands._bot import NOT_FOUND
from bots.models import Decision
from bots.replaying import Can, Replay, Signals, Verdict, replay
from trading import recording

CANNOT = {
    Can.NOTHING_DECIDED: "the tick ended before it came to decide: there is nothing to replay",
    Can.OTHER_VERSION: "made by an earlier version: cannot be replayed",
    Can.UNREADABLE: "what was kept of it cannot be read: cannot be replayed",
}


class Command(BaseCommand):
    help = (
        "Decide once more what a tick decided, from what was kept of it, and compare. Sends nothing"
        " and changes nothing. Exit codes: 0 the same verdict, 1 another one, or it cannot be"
        " replayed, 2 no such decision."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("decision_id", type=int, metavar="ID", help="the decision's id")

    def handle(self, *, decision_id: int, **_: Any) -> None:
        row = Decision.objects.select_related("bot").filter(pk=decision_id).first()
        if row is None:
            raise CommandError(f"there is no decision {decision_id}", returncode=NOT_FOUND)
        found = replay(row)
        ticks = "tick" if row.count == 1 else "ticks, the newest"
        self.stdout.write(
            f"decision {row.pk} of bot {row.bot_id} ({row.bot.name}): {row.count} {ticks}"
            f" at {row.last_at.isoformat()}"
        )
        if found.view is not None:
            inputs = json.dumps(recording.pack(found.view), indent=1)
            self.stdout.write(f"inputs: {inputs}")
        self._tell(found)

    def _tell(self, found: Replay) -> None:
        self.stdout.write(f"then: {_said(found.then)}")
        if found.now is None:
            raise CommandError(CANNOT[found.can])
        if found.has_window:
            is_judged = found.signals is Signals.JUDGED
            text = "judged again on its candles" if is_judged else "as kept: its candles are not"
            self.stdout.write(f"signal: {text}")
        for check in found.checks:
            self.stdout.write(f"  {check.mark.value:9} {check.gate.value} {_told(check.numbers)}")
        self.stdout.write(f"now:  {_said(found.now)}")
        if not found.is_same:
            raise CommandError("not the same verdict")
        self.stdout.write("the same verdict")


def _said(verdict: Verdict) -> str:
    return f"{verdict.action} ({verdict.gate}) {_told(verdict.numbers)}".rstrip()


def _told(numbers: Mapping[str, str]) -> str:
    return " ".join(f"{name}={numbers[name]}" for name in sorted(numbers))
