"""A paper twin goes along with its bot: each verb calls this once it has been done to the bot."""

import logging
from collections.abc import Callable

from django.core.exceptions import ValidationError
from django.db import DatabaseError

from bots.change import Refusal
from bots.lifecycle import Mode
from bots.models import BotConfig, Outpaced

log = logging.getLogger(__name__)


def twin_of(bot: BotConfig) -> BotConfig | None:
    """Return the paper twin beside a bot; paper bots have none, and cost no query."""
    if bot.mode == Mode.PAPER:
        return None
    return BotConfig.objects.alive().filter(twin_of=bot.pk).select_related("state").first()


def follow(bot: BotConfig, act: Callable[[BotConfig], object]) -> None:
    """Do to the bot's twin, if it has one, what was done to the bot; in a transaction of its own.

    What the twin cannot do is a line in the log: play money never stands in the way of real money.
    """
    try:
        twin = twin_of(bot)
        if twin is not None:
            act(twin)
    except (Refusal, ValidationError, Outpaced, DatabaseError) as error:
        log.warning("the paper twin of bot %s did not follow", bot.pk, exc_info=error)
