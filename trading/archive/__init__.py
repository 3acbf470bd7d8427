"""Candles and funding rates of the past as files, outside any database.

`stretches.py` reckons with stretches of time, `store.py` keeps the candles' files and `funding.py`
the rates' (`files.py`: how they are written), `fetch.py` fills them from an exchange. What is
missing is told; nothing is made up.
"""

from trading.archive.fetch import Fetched, fetch
from trading.archive.files import Damaged
from trading.archive.funding import RateArchive, Told, fetch_rates
from trading.archive.store import Archive, Part, Series, Shelf
from trading.archive.stretches import Stretch

__all__ = [
    "Archive",
    "Damaged",
    "Fetched",
    "Part",
    "RateArchive",
    "Series",
    "Shelf",
    "Stretch",
    "Told",
    "fetch",
    "fetch_rates",
]
