"""manage.py accept_exchange ID"""

from typing import Any

from bots.accept import accept_exchange
from bots.management.commands._bot import BotCommand, find_bot, unless_refused


class Command(BotCommand):
    help = (
        "Book what the exchange no longer holds of a bot's position, as left at the last price."
        " For bots in error (reconcile); the bot stays off."
        " Exit codes: 0 booked, 1 refused, 2 no such bot."
    )

    def handle(self, *, bot_id: int, **_: Any) -> None:
        bot = find_bot(bot_id)
        order = unless_refused(lambda: accept_exchange(bot, by=None, via="command"))
        self.stdout.write(f"bot {bot.pk} ({bot.name}): booked {order.side} {order.amount:f}")
