"""Settings on their way into files, templates and copies: never an account, key or state."""

from bots.portable.document import (
    MOST,
    MOST_BYTES,
    SETTINGS,
    Document,
    Unreadable,
    document,
    dumps,
    loads,
    settings_of,
)
from bots.portable.entry import Entry, Made, carry_out, make, plan
from bots.portable.templates import filled_in, free_name, keep, names_of, read_draft, rename

__all__ = [
    "MOST",
    "MOST_BYTES",
    "SETTINGS",
    "Document",
    "Entry",
    "Made",
    "Unreadable",
    "carry_out",
    "document",
    "dumps",
    "filled_in",
    "free_name",
    "keep",
    "loads",
    "make",
    "names_of",
    "plan",
    "read_draft",
    "rename",
    "settings_of",
]
