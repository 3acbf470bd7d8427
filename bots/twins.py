"""A paper twin beside a bot: the same settings with play money, so that its fills can be judged."""

from django.db import transaction
from django.utils.translation import gettext as _

from bots import control
from bots.change import Refusal
from bots.following import twin_of
from bots.lifecycle import Duty, Mode, PositionType
from bots.models import BotConfig, User
from bots.setup import FOLLOWED, keep_in_step

LONGEST_NAME = 80


def may_have(bot: BotConfig) -> bool:
    """Whether a twin can stand beside this bot: paper bots trade spot markets only."""
    return bot.mode != Mode.PAPER and bot.position_type == PositionType.SPOT


def make(bot: BotConfig, *, by: User, via: str) -> BotConfig:
    """Return the bot's paper twin, made where there is none, its settings brought in line.

    It starts with the bot, at once where the bot is on. Refusal for a paper bot and for futures;
    ValidationError where the twin's orders stand in the way of a setting.
    """
    if bot.mode == Mode.PAPER:
        raise Refusal("paper_bot", _("A paper bot needs no paper twin."))
    if not may_have(bot):
        raise Refusal("futures", _("Paper bots trade spot markets only: no twin for futures."))
    with transaction.atomic():
        # Two clicks at once: the second finds what the first has made.
        fresh = BotConfig.objects.select_for_update().get(pk=bot.pk)
        twin = twin_of(fresh)
        if twin is None:
            settings = {name: getattr(fresh, name) for name in FOLLOWED}
            names = {"name": _name(fresh), "mode": Mode.PAPER, "twin_of": fresh}
            twin = control.create(fresh.owner, settings | names)
    keep_in_step(fresh, twin, by=by, via=via)
    state = fresh.state_or_none
    if state is not None and state.duty == Duty.TRADE:
        control.start(twin, by=by, via=via)
    return twin


def _name(bot: BotConfig) -> str:
    tail = f" ({_('paper twin')})"
    return bot.name[: LONGEST_NAME - len(tail)] + tail


def remove(bot: BotConfig, *, by: User, via: str) -> bool:
    """Take the bot's twin away. False: it holds play coins, closes them and stays a bot of its own.

    Refusal where there is no twin.
    """
    twin = twin_of(bot)
    if twin is None:
        raise Refusal("no_twin", _("No paper twin runs beside this bot."))
    return control.retire(twin, by=by, via=via)


def differences(bot: BotConfig, twin: BotConfig) -> list[str]:
    """Return the settings, by their names on pages, in which a twin is no twin any more."""
    return [
        str(field.verbose_name)
        for field in BotConfig._meta.concrete_fields
        if field.name in FOLLOWED and getattr(bot, field.name) != getattr(twin, field.name)
    ]
