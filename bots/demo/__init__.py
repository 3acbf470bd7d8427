"""The demo: a user, a bot for every status, and two weeks of their past on the simulated market.

This module is what pages may know of it; making it (`cast`, `history`) takes the engine.
"""

from collections.abc import Iterable

from bots.lifecycle import Mode
from bots.models import BotConfig, User
from bots.models.validity import SIMULATED

NAME = "demo"
VIA = "command"
HISTORY_DAYS = 14
#: The sign of life of whoever makes the history.
HEARTBEAT = "demo"
#: The bots that have a past, in the order in which it is made.
WITH_A_PAST = ("At rest", "Tide rider", "ETH holder", "BTC scalper", "One trade a day")


def awaiting(user: User, bots: Iterable[BotConfig]) -> list[BotConfig]:
    """Return those of a user's bots (states at hand) whose past is still to be made."""
    if user.username != NAME:
        return []
    return [
        bot
        for bot in bots
        if bot.name in WITH_A_PAST
        and (bot.exchange, bot.mode) == (SIMULATED, Mode.PAPER)
        and bot.deleted_at is None
        and bot.state_or_none is None
    ]


def is_unfinished() -> bool:
    """Whether a demo was prepared here and the past of one of its bots is still to be made."""
    user = User.objects.filter(username=NAME).first()
    return user is not None and bool(awaiting(user, user.bots.select_related("state")))
