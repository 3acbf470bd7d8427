"""manage.py cancel_orders ID"""

from typing import Any

from bots import control
from bots.management.commands._bot import BotCommand, find_bot, unless_refused
from bots.models import Command as Row


class Command(BotCommand):
    help = (
        "Have a bot's next tick take back the entry order that waits at the exchange. What was"
        " filled of it stays a position. Its protective orders go with the position."
        " Exit codes: 0 queued, 1 refused, 2 no such bot."
    )

    def handle(self, *, bot_id: int, **_: Any) -> None:
        bot = find_bot(bot_id)
        row = unless_refused(lambda: control.command(bot, Row.Kind.CANCEL, by=None, via="command"))
        self.stdout.write(f"bot {bot.pk} ({bot.name}): the next tick cancels its entry order")
        self.stdout.write(f"expires at {row.expires_at:%Y-%m-%d %H:%M:%S} UTC")
