"""Which process holds a lease, and leases whose holder is surely gone.

A lease ends by itself after LEASE_SECONDS. Where the process that took it can be seen to be dead,
nobody has to wait that long: after a crash of everything, positions are watched again at once.
"""

import os
from datetime import timedelta
from functools import cache
from pathlib import Path

from django.db.models.functions import Now

from bots.models import BotState

PROC = Path("/proc")


@cache
def _place() -> str:
    """Return what tells this machine's running system and process table from all others, or ""."""
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot[:13]}/{(PROC / 'self/ns/pid').readlink()}"
    except OSError:
        return ""  # no Linux: nobody can be seen to be dead, leases just expire


def _started(pid: int) -> str:
    """Return when a process of this machine started (clock ticks since boot); "" if it is gone."""
    try:
        stat = (PROC / str(pid) / "stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
    # The name in brackets may hold anything, so what follows its end counts.
    fields = stat.rpartition(")")[2].split()
    is_dead = fields[0] in "ZX"
    return "" if is_dead else fields[19]


def me() -> str:
    """Return the name under which this process holds a lease; "" where there is none to give."""
    return _name(os.getpid())


@cache
def _name(pid: int) -> str:
    return f"{_place()} {pid} {_started(pid)}" if _place() else ""


def is_gone(holder: str) -> bool:
    """Whether the process of that name surely does not run any more; elsewhere nobody knows."""
    place, _, rest = holder.partition(" ")
    pid, _, started = rest.partition(" ")
    if not place or place != _place():
        return False
    return _started(int(pid)) != started


def free_dead() -> list[int]:
    """End the leases of processes that are gone. Returns the bots concerned.

    The tick that they left behind is closed as interrupted by the next one; its fence has passed.
    """
    held = BotState.objects.filter(lease_until__gt=Now()).exclude(lease_holder="")
    freed = []
    for pk, holder, fence in held.values_list("pk", "lease_holder", "fence"):
        if is_gone(holder):
            ended = Now() - timedelta(seconds=1)
            if BotState.objects.filter(pk=pk, fence=fence).update(lease_until=ended):
                freed.append(pk)
    return freed
