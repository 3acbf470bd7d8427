"""The silences that exchanges asked for, shared by all workers of this installation.

In the database and not in Redis: a flushed broker must not make us run into a ban. Workers on
several machines have several addresses, and yet heed one another's silence.
"""

import logging
import threading
from datetime import datetime, timedelta
from functools import cache

from django.db import DatabaseError
from django.utils import timezone

from bots.models import Silence
from trading.exchanges.silence import Quiet

log = logging.getLogger(__name__)
#: How old what a process knows of the others' silences may be.
READ_EVERY = timedelta(seconds=1)
#: A silence that is known this precisely is not written again.
PRECISION = timedelta(seconds=1)


class StoredSilences:
    """Implements trading.exchanges.silence.Silences on rows: written at once, read each second.

    Without a database what this process itself was told goes on counting.
    """

    def __init__(self) -> None:
        self._until: dict[tuple[str, str, str], datetime] = {}
        self._read_at: datetime | None = None
        self._lock = threading.Lock()

    def keep(self, scope: str, quiet: Quiet, account: str, seconds: float, why: str) -> None:
        """Be quiet for so long, in all workers."""
        until = timezone.now() + timedelta(seconds=seconds)
        key = (scope, quiet.value, account)
        with self._lock:
            known = self._until.get(key)
            if known is not None and until <= known + PRECISION:
                return
            self._until[key] = until
        try:
            Silence.keep(scope=scope, quiet=quiet.value, account=account, until=until, why=why)
        except DatabaseError:
            # The call that brought it may have been an order: its answer must not be lost.
            log.warning("a silence of %s could not be stored", scope, exc_info=True)

    def left(self, scope: str, quiet: Quiet, account: str = "") -> float:
        """Return for how many seconds more, as all workers know."""
        now = timezone.now()
        with self._lock:
            if self._read_at is None or not now - READ_EVERY < self._read_at <= now:
                self._read(now)
            until = self._until.get((scope, quiet.value, account))
        return 0.0 if until is None else (until - now).total_seconds()

    def _read(self, now: datetime) -> None:
        self._read_at = now
        try:
            rows = Silence.objects.filter(until__gt=now)
            found = {(row.scope, row.quiet, row.account): row.until for row in rows}
        except DatabaseError:
            log.warning("the silences could not be read", exc_info=True)
            return
        ours = {key: until for key, until in self._until.items() if until > now}
        self._until = {
            key: max(times)
            for key in found.keys() | ours.keys()
            if (times := [known[key] for known in (found, ours) if key in known])
        }


@cache
def shared_silences() -> StoredSilences:
    """Return this process's view of the silences."""
    return StoredSilences()
