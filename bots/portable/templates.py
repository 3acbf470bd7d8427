"""Templates: kept from a bot's settings, and filled into a new one."""

from collections.abc import Collection, Mapping

from django.db import transaction

from bots.models import BotConfig, BotTemplate, User
from bots.portable.document import SETTINGS, settings_of
from bots.portable.reading import read_setting

LONGEST_NAME = 80


def names_of(owner: User, kind: str) -> set[str]:
    """Return the names that the owner's bots or templates have."""
    rows = owner.bots.alive() if kind == "bots" else owner.templates.all()
    return set(rows.values_list("name", flat=True))


def free_name(wanted: str, taken: Collection[str]) -> str:
    """Return `wanted`, or it with the first number that makes it free; 80 signs at most."""
    name, number = wanted[:LONGEST_NAME], 1
    while name in taken:
        number += 1
        tail = f" {number}"
        name = wanted[: LONGEST_NAME - len(tail)] + tail
    return name


def keep(owner: User, name: str, bot: BotConfig) -> BotTemplate:
    """Keep a bot's settings as a template; ValidationError where the owner has that name."""
    settings = settings_of(bot)
    del settings["name"]
    template = BotTemplate(owner=owner, name=name.strip(), settings=settings)
    with transaction.atomic():
        template.full_clean()
        template.save()
    return template


def rename(template: BotTemplate, name: str) -> None:
    """Give a template another name; ValidationError where the owner has it already."""
    template.name = name.strip()
    with transaction.atomic():
        template.full_clean()
        template.save(update_fields=["name", "updated_at"])


def filled_in(template: BotTemplate) -> BotConfig:
    """Return an unsaved bot with the template's settings, its name still to be chosen.

    What an older version kept and this one does not know, or cannot read, is left out.
    """
    return read_draft({**template.settings, "name": template.name})


def read_draft(settings: Mapping[str, object]) -> BotConfig:
    """Return an unsaved bot with these settings as JSON; what cannot be read is left out."""
    bot = BotConfig()
    for name, value in settings.items():
        if name not in SETTINGS:
            continue
        try:
            setattr(bot, name, read_setting(name, value))
        except ValueError:
            continue
    return bot
