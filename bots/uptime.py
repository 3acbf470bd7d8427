"""How long this part of the platform has been up.

The module is loaded when Django is: by the web server before it makes its processes, which all
count from there, also those that it makes later.
"""

from time import monotonic

_STARTED = monotonic()


def seconds() -> float:
    """Return the seconds since the start."""
    return monotonic() - _STARTED
