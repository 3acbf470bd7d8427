"""What a file asks for, judged field by field before anything is written, and then made."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import OperationalError
from django.utils.translation import gettext as _

from bots import setup
from bots.lifecycle import Mode
from bots.models import BotConfig, BotTemplate, Outpaced, User
from bots.portable.document import LISTS, SETTINGS, Document
from bots.portable.reading import read_setting
from bots.portable.templates import free_name, keep, names_of

#: Nothing is wrong but the moment: the row or the database was taken.
BUSY = (Outpaced, OperationalError)
Errors = dict[str, list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One bot or template of a file. `key` names it there: ("bots", 0).

    `draft` is the bot that it would make, or the bot that the template would begin with; `errors`
    are what is wrong, by field; `wanted` is the name in the file where another one is free.
    """

    key: tuple[str, int]
    draft: BotConfig
    errors: Errors = field(default_factory=dict)
    wanted: str = ""

    @property
    def is_template(self) -> bool:
        return self.key[0] == "templates"

    @property
    def is_live(self) -> bool:
        """Whether it makes a bot that trades real money once it is started."""
        return not self.is_template and self.draft.mode == Mode.LIVE

    @property
    def id(self) -> str:
        """The name of the entry in forms."""
        return f"{self.key[0]}-{self.key[1]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What became of an entry: the row that was made, or why there is none."""

    entry: Entry
    row: BotConfig | BotTemplate | None = None
    why: str = ""


def plan(owner: User, content: Document, *, keeps_modes: bool) -> list[Entry]:
    """Judge each entry as it would be made for `owner` now. Writes nothing.

    Bots are made for paper, unless `keeps_modes`. Names that the owner has already are changed.
    """
    entries = []
    for kind in LISTS:
        taken = names_of(owner, kind)
        for index, raw in enumerate(getattr(content, kind)):
            values, errors = _read(raw)
            if not keeps_modes:
                values["mode"] = Mode.PAPER.value
            draft = BotConfig(owner=owner, **setup.in_one_way(values))
            errors = _judged(draft, errors)
            wanted = draft.name
            draft.name = free_name(wanted, taken)
            taken.add(draft.name)
            renamed = "" if draft.name == wanted else wanted
            entries.append(Entry(key=(kind, index), draft=draft, errors=errors, wanted=renamed))
    return entries


def _judged(draft: BotConfig, errors: Errors) -> Errors:
    """Add what a form would say of the values that could be read."""
    try:
        # Each database check has its words in clean(); asking it for each would be ten queries.
        draft.full_clean({"owner", "account", *errors}, validate_constraints=False)
    except ValidationError as error:
        errors = errors | error.message_dict
    if draft.mode == Mode.LIVE and not settings.LIVE_TRADING_ENABLED:
        errors.setdefault("mode", [_("Live trading is switched off in this installation.")])
    return errors


def carry_out(owner: User, entries: Iterable[Entry], *, via: str) -> list[Made]:
    """Make what `entries` (of `plan`, without errors) ask for, each by itself. Bots are stopped."""
    made = []
    for entry in entries:
        try:
            made.append(Made(entry=entry, row=make(owner, entry)))
        except ValidationError as error:
            made.append(Made(entry=entry, why=" ".join(error.messages)))
        except BUSY:
            made.append(Made(entry=entry, why=_("The site is busy. Try again.")))
    return made


def make(owner: User, entry: Entry) -> BotConfig | BotTemplate:
    """Make what one entry asks for; ValidationError where it cannot be any more."""
    values = {name: getattr(entry.draft, name) for name in SETTINGS}
    if entry.is_template:
        return keep(owner, entry.draft.name, entry.draft)
    return setup.create(owner, values)


def _read(raw: object) -> tuple[dict[str, Any], Errors]:
    """Return what can be read of an entry as BotConfig fields, and what cannot, by field."""
    if not isinstance(raw, dict):
        return {}, {"name": [_("This is no bot: a list of settings was expected.")]}
    values: dict[str, Any] = {}
    errors: Errors = {}
    for name, value in raw.items():
        if name not in SETTINGS:
            # The name alone: what stands there may be a secret.
            errors[name[:40].encode(errors="replace").decode()] = [_("This is not a setting.")]
            continue
        try:
            values[name] = read_setting(name, value)
        except ValueError as error:
            errors[name] = [str(error)]
    return values, errors
