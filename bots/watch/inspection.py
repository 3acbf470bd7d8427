"""The invariants, looked at all the time: some bots each minute, all of them in one pass.

A bot may tick while it is looked at, and then two statements see two moments. So what looks wrong
is only a suspicion; it counts when it still is wrong a minute later.
"""

import time
from collections.abc import Iterable
from datetime import timedelta

from celery.exceptions import SoftTimeLimitExceeded
from django.utils import timezone

from bots import invariants
from bots.invariants import Among, Violation
from bots.models import BotConfig, Inspection

#: How many bots are looked at between two looks at the clock.
SLICE = 200
#: How long one run may take, in seconds: ticks wait for the worker meanwhile.
RUN_SECONDS = 5.0
#: How long after the beginning of a pass the next one may begin.
PASS_EVERY = timedelta(hours=1)
#: How many violations a pass writes down, and how many passes are kept.
SHOWN, KEPT = 100, 48
#: How many bots that look wrong are looked at once more: a thousand wrong ones tell no more.
SUSPECTS = 50
LAST = 2**62


def inspect(seconds: float = RUN_SECONDS) -> Inspection | None:
    """Go on with the pass under way, or begin one that is due. Returns it, or None: none is due."""
    until = time.monotonic() + seconds
    row = _current()
    if row is None:
        return None
    _confirm(row)
    while row.cursor < LAST and time.monotonic() < until:
        if not _look(row):
            return None  # another worker took this turn
    if row.cursor == LAST and not row.suspects:
        row.ended_at = timezone.now()
        row.save(update_fields=["ended_at"])
    return row


def _current() -> Inspection | None:
    newest = Inspection.objects.order_by("-pk").first()
    if newest is not None and newest.ended_at is None:
        return newest
    if newest is not None and timezone.now() - newest.begun_at < PASS_EVERY:
        return None
    begun = Inspection.objects.create()
    Inspection.objects.filter(pk__lte=begun.pk - KEPT).delete()
    return begun


def _look(row: Inspection) -> bool:
    """Look at the next slice; False when somebody else did."""
    bots = BotConfig.objects.filter(pk__gt=row.cursor).order_by("pk")
    pks = list(bots.values_list("pk", flat=True)[:SLICE])
    is_last = len(pks) < SLICE
    first = 0 if row.cursor == 0 else row.cursor + 1
    cursor = LAST if is_last else pks[-1]
    # The turn is taken first: a slice that kills its worker is not looked at for ever.
    taken = Inspection.objects.filter(pk=row.pk, cursor=row.cursor)
    if not taken.update(cursor=cursor):
        return False
    row.cursor = cursor
    try:
        found = invariants.check(among=Among(first=first, last=None if is_last else cursor))
    except SoftTimeLimitExceeded:
        text = f"bots {first} to {cursor}: not looked at, it took too long"
        _count(row, [Violation(code="-", bot_id=None, text=text)])
        found = []
    row.bots += len(pks)
    row.suspects = [*row.suspects, *({"code": v.code, "bot": v.bot_id} for v in found)]
    row.save(update_fields=["bots", "suspects"])
    return True


def _confirm(row: Inspection) -> None:
    """Look once more at what looked wrong in an earlier run; what still does counts."""
    suspects = {(one["code"], one["bot"]) for one in row.suspects}
    if not suspects:
        return
    found: list[Violation] = []
    for bot_id in sorted({bot for _, bot in suspects if bot is not None})[:SUSPECTS]:
        found += invariants.check(among=Among(first=bot_id, last=bot_id))
    if any(bot is None for _, bot in suspects):
        found += invariants.check(among=Among(last=0))
    _count(row, [one for one in found if (one.code, one.bot_id) in suspects])
    row.suspects = []
    row.save(update_fields=["suspects"])


def _count(row: Inspection, found: Iterable[Violation]) -> None:
    texts = [str(violation) for violation in found]
    row.violations += len(texts)
    row.found = [*row.found, *texts][:SHOWN]
    row.save(update_fields=["violations", "found"])
