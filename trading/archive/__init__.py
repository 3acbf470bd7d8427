"""Candles of the past as files, outside any database.

`stretches.py` reckons with stretches of time, `store.py` keeps the files, `fetch.py` fills them
from an exchange. What is missing is told; nothing is made up.
"""

from trading.archive.fetch import Fetched, fetch
from trading.archive.store import Archive, Damaged, Part, Series, Shelf
from trading.archive.stretches import Stretch

__all__ = [
    "Archive",
    "Damaged",
    "Fetched",
    "Part",
    "Series",
    "Shelf",
    "Stretch",
    "fetch",
]
