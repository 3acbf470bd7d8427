"""manage.py start_bot ID"""

from typing import Any

from bots import control
from bots.management.commands._bot import BotCommand, find_bot, unless_refused


class Command(BotCommand):
    help = (
        "Start a bot, as its owner would on its page. The next tick is queued."
        " Exit codes: 0 started (or it ran already), 1 refused, 2 no such bot."
    )

    def handle(self, *, bot_id: int, **_: Any) -> None:
        bot = find_bot(bot_id)
        state = unless_refused(lambda: control.start(bot, by=None, via="command"))
        self.stdout.write(f"bot {bot.pk} ({bot.name}): {state.text}")
