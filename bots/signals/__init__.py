"""Signals from outside: what an alert says (`reading.py`), and what is made of it (`taking.py`)."""

from bots.signals.reading import Said, Unreadable, read
from bots.signals.taking import Answer, take
from bots.signals.trust import is_trusted

__all__ = ["Answer", "Said", "Unreadable", "is_trusted", "read", "take"]
