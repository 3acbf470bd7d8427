"""Where a user is signed in: the list of sessions, and how each of them ends."""

import logging
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.db import OperationalError
from django.http import HttpRequest
from django.utils import timezone

from bots.models import User

log = logging.getLogger(__name__)
#: How exact "last seen" is: a session is written down again after so many seconds.
SEEN_SECONDS = 300
REMEMBERED = 10_000
BROWSERS = (
    ("Edge", r"Edg(?:e|A|iOS)?/"),
    ("Opera", r"OPR/|Opera"),
    ("Samsung Internet", r"SamsungBrowser/"),
    ("Firefox", r"Firefox/|FxiOS/"),
    ("Chrome", r"Chrome/|CriOS/"),
    ("Safari", r"Safari/"),
)
SYSTEMS = (
    ("iPhone", r"iPhone"),
    ("iPad", r"iPad"),
    ("Android", r"Android"),
    ("Windows", r"Windows"),
    ("macOS", r"Macintosh|Mac OS X"),
    ("ChromeOS", r"CrOS"),
    ("Linux", r"Linux"),
)
_seen: OrderedDict[str, float] = OrderedDict()
_lock = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One session as its user sees it; `device` is empty where the browser told nothing known."""

    pk: int
    device: str
    ip: str
    since: datetime
    seen: datetime
    is_here: bool

    @property
    def text(self) -> str:
        """Return device and address for the history."""
        return ", ".join(part for part in (self.device, self.ip) if part)


def device(agent: str) -> str:
    """Return browser and system of a User-Agent in words: `Firefox, Linux`."""
    named = (
        next((name for name, pattern in table if re.search(pattern, agent)), "")
        for table in (BROWSERS, SYSTEMS)
    )
    return ", ".join(name for name in named if name) or agent.split("/")[0][:40].strip()


def of(user: User, here: str | None) -> list[Place]:
    """Return the user's living sessions: the one with the key `here`, then the newest seen."""
    rows = list(UserSession.objects.filter(user=user).order_by("-last_seen_at", "-pk"))
    keys = [row.session_key for row in rows]
    living = Session.objects.filter(session_key__in=keys, expire_date__gt=timezone.now())
    alive = set(living.values_list("session_key", flat=True))
    places = [_place(row, here) for row in rows if row.session_key in alive]
    return sorted(places, key=lambda place: not place.is_here)


def _place(row: UserSession, here: str | None) -> Place:
    return Place(
        pk=row.pk,
        device=device(row.user_agent),
        ip=row.ip,
        since=row.created_at,
        seen=row.last_seen_at,
        is_here=row.session_key == here,
    )


def end(user: User, pk: int, here: str | None) -> Place | None:
    """End one session of the user; None: there is no such session, or it is the one `here`."""
    row = UserSession.objects.filter(user=user, pk=pk).exclude(session_key=here or "").first()
    return _end([row], here)[0] if row else None


def end_others(user: User, here: str | None) -> list[Place]:
    """End all sessions of the user but the one `here`; returns those that lived."""
    places = {place.pk: place for place in of(user, here) if not place.is_here}
    rows = UserSession.objects.filter(user=user).exclude(session_key=here or "")
    _end(rows, here)
    return list(places.values())


def _end(rows: Iterable[UserSession], here: str | None) -> list[Place]:
    ended = []
    for row in rows:
        ended.append(_place(row, here))
        row.end()
    return ended


def note_seen(request: HttpRequest) -> None:
    """Write down that a signed-in session was used, from where: at most every SEEN_SECONDS.

    What was written when is remembered by the process, not in the session: a poll that saved it
    could undo what another request put there at the same time.
    """
    key = request.session.session_key
    if key is None or not isinstance(request.user, User):
        return
    now = time.monotonic()
    with _lock:
        if now - _seen.get(key, -SEEN_SECONDS) < SEEN_SECONDS:
            return
        _seen[key] = now
        _seen.move_to_end(key)
        while len(_seen) > REMEMBERED:
            _seen.popitem(last=False)
    try:
        UserSession.objects.create_from_request(request)
    except OperationalError:
        # The database is busy: the page matters more, and the next time will do.
        log.warning("a session's last use was not written", exc_info=True)
