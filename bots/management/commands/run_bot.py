"""manage.py run_bot ID"""

from typing import Any

from django.core.management.base import CommandError

from bots import tick
from bots.management.commands._bot import BotCommand, find_bot
from bots.models import BotState


class Command(BotCommand):
    help = (
        "Tick a bot once, here and now, and print what it decided and why."
        " Exit codes: 0 it ticked, 1 it did not (no duty, or another tick has it), 2 no such bot."
    )

    def handle(self, *, bot_id: int, **_: Any) -> None:
        bot = find_bot(bot_id)
        decision = tick.run(bot.pk)
        state = BotState.objects.filter(pk=bot.pk).first()
        now = state.text if state else "never started"
        if decision is None:
            raise CommandError(f"bot {bot.pk} did not tick: it is {now}, or another tick has it")
        numbers = " ".join(f"{name}={value}" for name, value in decision.numbers.items())
        self.stdout.write(f"bot {bot.pk} ({bot.name}): {now}")
        self.stdout.write(f"decision: {decision.action} ({decision.gate}) {numbers}".rstrip())
        if decision.order:
            self.stdout.write(f"order: {decision.order}")
        if decision.message:
            self.stdout.write(f"message: {decision.message}")
