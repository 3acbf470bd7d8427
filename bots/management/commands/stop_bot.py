"""manage.py stop_bot ID [--close]"""

from argparse import ArgumentParser
from typing import Any

from bots import control
from bots.lifecycle import Duty, Reason, WindDown
from bots.management.commands._bot import BotCommand, find_bot, unless_refused


class Command(BotCommand):
    help = (
        "Stop a bot. Its position stays where it is, unwatched, unless --close is given."
        " Exit codes: 0 stopped (or it never ran), 1 refused, 2 no such bot."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--close", action="store_true", help="sell the position first")

    def handle(self, *, bot_id: int, close: bool, **_: Any) -> None:
        bot = find_bot(bot_id)
        position = WindDown.CLOSE if close else WindDown.LEAVE
        state = unless_refused(
            lambda: control.stop(
                bot, by=None, via="command", position=position, reason=Reason.BY_OPERATOR
            )
        )
        text = "never started" if state is None else state.text
        self.stdout.write(f"bot {bot.pk} ({bot.name}): {text}")
        if state is not None and state.duty == Duty.EXIT:
            self.stdout.write("it goes on ticking until its position and orders are done with")
        if state is not None and state.is_unwatched:
            self.stderr.write("nobody watches its open position now")
