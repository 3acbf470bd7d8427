"""What happened to a user's bots, orders, funds and keys: one time line, newest first.

Nothing is written for it: each line is a row that exists anyway. Every kind is read by its own
index for as many rows as a page needs, so a page costs the same however long the history is.
"""

from bots.activity.facts import Facts, facts
from bots.activity.sources import SOURCES, Kind, Source
from bots.activity.timeline import FEW, Item, Wanted, every, newest

__all__ = [
    "FEW",
    "SOURCES",
    "Facts",
    "Item",
    "Kind",
    "Source",
    "Wanted",
    "every",
    "facts",
    "newest",
]
