"""How often one user may call. Counted in this process's memory: it works when Redis is away."""

import time

from django.core.cache.backends.locmem import LocMemCache
from django.http import HttpRequest
from ninja.throttling import BaseThrottle

from bots.api.access import Caller

WINDOW_SECONDS = 60
CALLS_PER_WINDOW = 1200

#: Not the site's cache: that one is the database, and a count is not worth a write there.
memory = LocMemCache("api", {})


class PerUser(BaseThrottle):
    """CALLS_PER_WINDOW calls a minute for each user, in each web process."""

    def allow_request(self, request: HttpRequest) -> bool:
        caller: Caller = request.auth  # type: ignore[attr-defined]
        return self.count(caller.user.pk, time.time()) <= CALLS_PER_WINDOW

    def count(self, user_id: int, now: float) -> int:
        """Count one call of the user in the minute of `now` (Unix s); return how many there are."""
        key = f"{user_id}:{int(now // WINDOW_SECONDS)}"
        memory.add(key, 0, timeout=WINDOW_SECONDS)
        try:
            return memory.incr(key)
        except ValueError:  # The minute ended in between, or the memory was culled.
            return 1

    def wait(self) -> float:
        """Return the seconds until the next minute begins."""
        return WINDOW_SECONDS - time.time() % WINDOW_SECONDS


def seldom(name: str, seconds: float) -> bool:
    """Return True at most once in `seconds` for the same name, in this process."""
    return memory.add(name, 1, timeout=seconds)
