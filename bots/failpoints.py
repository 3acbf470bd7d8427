"""Named places at which a test kills, freezes or holds a tick. Without FAILPOINTS they do nothing.

FAILPOINTS names a folder. A file in it that is called like a point (`intent.after`), or like a
point and a bot (`intent.after@7`), is taken by the first tick that gets there; the tick then does
what the file says:

`kill`      this process is killed (SIGKILL)
`killgroup` the whole process group of this worker is killed
`freeze`    this process and its parent are stopped (SIGSTOP) until somebody sends SIGCONT
`hold`      `<file>.held` is made, and the tick goes on when somebody has removed it

While FAILPOINTS is set, an exchange that is not on loopback is refused.
"""

import ipaddress
import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings

from trading.exchange import Fault, Refused

#: In the order in which a tick passes them.
POINTS = (
    "tick.claimed",
    "intent.before",  # decided, nothing written
    "intent.after",  # written and committed, nothing sent
    "answer.before",  # answered, the answer not written
    "answer.after",  # written and committed, the lease still held
    "protect.before",  # in position, the stop not yet at the exchange
    "protect.after",  # written and committed, not sent
    "cancel.before",  # noted, not sent
    "rung.before",  # wanted, nothing written
    "rung.after",  # written and committed, not sent
    "release.before",
)


def reach(point: str, bot_id: int) -> None:
    """Do what a test asked for at this point, once."""
    if not settings.FAILPOINTS:
        return
    for name in (f"{point}@{bot_id}", point):
        file = Path(settings.FAILPOINTS) / name
        taken = file.with_name(f"{name}.taken.{os.getpid()}")
        # One process gets it, however many come by.
        with suppress(FileNotFoundError):
            file.rename(taken)
            _act(taken.read_text(encoding="utf-8").strip(), file)
            return


def _act(what: str, file: Path) -> None:
    if what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif what == "killgroup":
        os.killpg(os.getpgrp(), signal.SIGKILL)
    elif what == "freeze":
        os.kill(os.getppid(), signal.SIGSTOP)
        os.kill(os.getpid(), signal.SIGSTOP)
    elif what == "hold":
        held = file.with_name(f"{file.name}.held")
        held.touch()
        while held.exists():
            time.sleep(0.01)
    else:
        raise ValueError(f"failpoint {file.name}: {what!r} is none of kill, freeze, hold")


def check_loopback(address: str | None) -> None:
    """Refuse an exchange whose REST address is not on loopback while failpoints are armed."""
    if not settings.FAILPOINTS:
        return
    host = urlsplit(address or "").hostname or ""
    try:
        is_loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_loopback = host == "localhost"
    if not is_loopback:
        text = "FAILPOINTS is set: only an exchange on loopback (EXCHANGE_API_BASE) may be used"
        raise Refused(Fault.CLIENT, text)
