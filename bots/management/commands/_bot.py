"""What the commands about one bot share."""

from argparse import ArgumentParser
from collections.abc import Callable
from typing import TypeVar

from django.core.management.base import BaseCommand, CommandError

from bots.control import Refusal
from bots.models import BotConfig, User

NOT_FOUND = 2
T = TypeVar("T")


def find_bot(bot_id: int) -> BotConfig:
    """Return the bot, or end the command with exit code 2."""
    bot = BotConfig.objects.alive().filter(pk=bot_id).first()
    if bot is None:
        raise CommandError(f"there is no bot {bot_id}", returncode=NOT_FOUND)
    return bot


def find_user(name: str) -> User:
    """Return the user, or end the command with exit code 2."""
    user = User.objects.filter(username=name).first()
    if user is None:
        raise CommandError(f"there is no user {name!r}", returncode=NOT_FOUND)
    return user


def unless_refused(verb: Callable[[], T]) -> T:
    """Call a verb; a refusal ends the command with exit code 1 and says why."""
    try:
        return verb()
    except Refusal as refusal:
        raise CommandError(f"{refusal.message} ({refusal.reason})") from None


class BotCommand(BaseCommand):
    """A command whose first argument is a bot's id."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("bot_id", type=int, metavar="ID", help="the bot's id")
