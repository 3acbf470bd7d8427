"""The file: JSON with a version, exact numbers as text, and nothing but settings.

{"format": "botsite", "version": 1, "bots": [{…}], "templates": [{…}]}; docs/templates.md.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _

from bots import setup
from bots.models import BotConfig, BotTemplate
from bots.models.fields import plain
from bots.numbers import bounded, read_int

FORMAT = "botsite"
VERSION = 1
#: A file of as many bots as one may hold, with room to spare.
MOST_BYTES = 1024 * 1024
MOST = 500
#: What a file, a template and a copy know of a bot, in the order of its columns.
SETTINGS = tuple(
    column.name
    for column in BotConfig._meta.concrete_fields
    if column.name in setup.SETTINGS - {"account"}
)
LISTS = ("bots", "templates")


class Unreadable(ValueError):
    """The file is none of ours, or not whole: the text says it to a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What a file holds, not yet judged."""

    bots: list[object] = field(default_factory=list)
    templates: list[object] = field(default_factory=list)


def settings_of(bot: BotConfig) -> dict[str, Any]:
    """Return a bot's settings as JSON holds them: amounts as text, percentages: 2 means 2 %."""
    return {name: _written(getattr(bot, name)) for name in SETTINGS}


def _written(value: object) -> object:
    if isinstance(value, Decimal):
        return plain(value)
    # An enum's member is written as its value.
    return str(value) if isinstance(value, str) else value


def document(
    bots: Iterable[BotConfig] = (), templates: Iterable[BotTemplate] = ()
) -> dict[str, Any]:
    """Return what a file says of these bots and templates."""
    rows = {
        "bots": [settings_of(bot) for bot in bots],
        "templates": [{"name": row.name, **row.settings} for row in templates],
    }
    return {"format": FORMAT, "version": VERSION, **{k: v for k, v in rows.items() if v}}


def dumps(content: dict[str, Any]) -> str:
    """Write a document for people and machines."""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def loads(raw: bytes) -> Document:
    """Read a file; Unreadable says what is wrong with it as a whole."""
    if len(raw) > MOST_BYTES:
        raise Unreadable(_("The file is too large: at most 1 MiB."))
    content = _parsed(raw)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise Unreadable(_('This is no file of bots: it does not say "format": "botsite".'))
    version = content.get("version")
    if isinstance(version, bool) or version != VERSION:
        raise Unreadable(_("This file has another version of the format; version 1 is read here."))
    unknown = sorted(set(content) - {"format", "version", *LISTS})
    if unknown:
        raise Unreadable(_("Not known here: %(names)s.") % {"names": _named(unknown)})
    rows = {name: content.get(name, []) for name in LISTS}
    if not all(isinstance(row, list) for row in rows.values()):
        raise Unreadable(_('"bots" and "templates" must be lists.'))
    count = sum(len(row) for row in rows.values())
    if not count:
        raise Unreadable(_("There is neither a bot nor a template in this file."))
    if count > MOST:
        raise Unreadable(_("At most %(most)d bots and templates in one file.") % {"most": MOST})
    return Document(**rows)


def _parsed(raw: bytes) -> object:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Unreadable(_("This is no text in UTF-8.")) from None
    try:
        found: object = json.loads(
            text,
            parse_float=bounded,
            parse_int=read_int,
            parse_constant=_refuse_constant,
            object_pairs_hook=_once,
        )
    except json.JSONDecodeError as error:
        words = {"line": error.lineno, "column": error.colno}
        raise Unreadable(
            _("This is no JSON: see line %(line)d, column %(column)d.") % words
        ) from None
    except RecursionError:
        raise Unreadable(_("This is no file of bots: it is nested too deeply.")) from None
    return found


def _refuse_constant(name: str) -> None:
    raise Unreadable(_("%(name)s is no number in JSON.") % {"name": name})


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Refuse an object that names a field twice: one of the two would be lost without a word."""
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _value in pairs]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise Unreadable(_("Given twice: %(names)s.") % {"names": _named(twice)})
    return found


def _named(names: Iterable[str]) -> str:
    """Return a few names from a file, short enough to be shown."""
    some = [name[:40] for name in names][:10]
    return ", ".join(some).encode(errors="replace").decode()
