"""What the rows of the fault matrix share: traps for ticks, dead processes, a look at the end."""

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bots import control, invariants
from bots.models import BotConfig, BotState, Decision, Order
from tests.testexchange import ExchangeControl
from tests.whole.ledger import assert_ledger_is_the_exchanges, sent_once
from tests.whole.processes import FAST, Beat, wait_until

LEASE, FENCE, SWEEP = (
    float(FAST[name]) for name in ("LEASE_SECONDS", "ORDER_FENCE_SECONDS", "SWEEP_SECONDS")
)
#: How long a bot may take to be where it belongs after a fault: two minutes, as times are scaled.
HEALED = 120 * LEASE / 60


def is_dead(pid: int) -> bool:
    """Whether a process is gone, or a zombie that nobody has taken yet."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return True
    return stat.rpartition(")")[2].split()[0] in "ZX"


@dataclass(frozen=True, kw_only=True)
class Traps:
    """Failpoints of a real worker: files in the folder that its FAILPOINTS names."""

    folder: Path

    def set(self, point: str, bot: BotConfig, what: str) -> None:
        """Let the next tick of the bot that gets to `point` do `what` (see bots.failpoints)."""
        draft = self.folder / "draft"
        draft.write_text(what, encoding="utf-8")
        draft.rename(self._file(point, bot))

    def _file(self, point: str, bot: BotConfig) -> Path:
        return self.folder / f"{point}@{bot.pk}"

    def wait_for(self, point: str, bot: BotConfig) -> int:
        """Wait until a tick has stepped into the trap, the first of its kind; returns its process.

        The file stays: the tick may not have read it yet.
        """
        taken = wait_until(lambda: list(self.folder.glob(f"{point}@{bot.pk}.taken.*")), every=0.01)
        return int(taken[0].suffix[1:])

    def wait_for_death(self, point: str, bot: BotConfig) -> int:
        """Wait until the trap has killed a tick; returns the number of that tick."""
        pid = self.wait_for(point, bot)
        fence = BotState.objects.get(pk=bot.pk).fence
        wait_until(lambda: is_dead(pid), every=0.01)
        return fence

    def wait_until_held(self, point: str, bot: BotConfig) -> int:
        """Wait until a tick waits in the trap; returns its process."""
        pid = self.wait_for(point, bot)
        wait_until(self._held(point, bot).exists, every=0.01)
        return pid

    def _held(self, point: str, bot: BotConfig) -> Path:
        file = self._file(point, bot)
        return file.with_name(f"{file.name}.held")

    def let_go(self, point: str, bot: BotConfig) -> None:
        self._held(point, bot).unlink()

    def clear(self) -> None:
        for file in self.folder.iterdir():
            with suppress(FileNotFoundError):
                file.unlink()


def holder_of(bot: BotConfig) -> int:
    """Return the process whose tick holds the bot."""
    return int(BotState.objects.get(pk=bot.pk).lease_holder.split()[1])


def kill_holder(bot: BotConfig) -> int:
    """SIGKILL the process whose tick holds the bot; returns the number of that tick."""
    fence, pid = BotState.objects.get(pk=bot.pk).fence, holder_of(bot)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: is_dead(pid), every=0.01)
    return fence


def wait_for_ticks(bot: BotConfig, count: int = 1, timeout: float = HEALED) -> None:
    """Wait until so many more ticks of the bot have ended."""
    fence = BotState.objects.get(pk=bot.pk).fence + count
    rows = BotState.objects.filter(pk=bot.pk, fence__gte=fence)
    ended = rows.filter(tick_started_at=None) | rows.filter(fence__gt=fence)
    wait_until(ended.exists, timeout)


def assert_interrupted(bot: BotConfig, fence: int) -> None:
    """The tick of that number was closed as interrupted by the next one."""
    rows = Decision.objects.filter(bot=bot, action="interrupted", fence=fence, gate="killed")
    wait_until(rows.exists, HEALED)


def orders_of(bot: BotConfig) -> list[Order]:
    return list(Order.objects.filter(bot=bot).order_by("pk"))


def come_to_rest(beat: Beat | None = None) -> None:
    """Let nothing tick any more: beat pauses, the queue is empty, every tick has ended."""
    import redis
    from django.conf import settings

    if beat is not None and beat.is_alive:
        beat.send(signal.SIGSTOP)
    busy = BotState.objects.filter(tick_started_at__isnull=False)
    with redis.Redis.from_url(settings.REDIS_URL) as broker:
        for _ in range(2):  # the worker may just have taken one off the queue
            wait_until(lambda: broker.llen("botsite") == 0 and not busy.exists(), HEALED)
            time.sleep(0.1)


def assert_all_holds(exchange: ExchangeControl, beat: Beat | None = None) -> None:
    """All invariants hold, and the ledger is what the exchange knows; no order was sent twice."""
    come_to_rest(beat)
    assert_books_agree(exchange)


def assert_books_agree(exchange: ExchangeControl) -> None:
    """As assert_all_holds, where no other process ticks."""
    assert invariants.check() == []
    assert_ledger_is_the_exchanges(exchange)
    assert sent_once(exchange)


def ask(bot: BotConfig, kind: str) -> None:
    """Force an entry or an exit, as its owner may."""
    control.command(bot, kind, by=bot.owner, via="api")
