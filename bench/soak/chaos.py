"""What goes wrong in a soak: one step at a time, chosen by the seed."""

import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from random import Random

from bench.soak.site import Site, kill
from bots.failpoints import POINTS
from tests.testexchange import ExchangeControl

ORDERS = ("api/v3/order", "fapi/v1/order", "fapi/v1/algoOrder")
PATHS = (
    *("api/v3/order", "api/v3/account", "api/v3/myTrades", "api/v3/klines", "api/v3/ticker/*"),
    *("fapi/v1/order", "fapi/v1/algoOrder", "fapi/v1/userTrades", "fapi/v3/positionRisk"),
)
BAD_BODIES = ("html", "truncated", "empty", "list", "null", "cut", "close")
DEFECTS = ("gap", "duplicate", "nan", "negative", "reversed", "empty")
FAULTS = (
    *("5xx", "order lost", "body", "hang", "silence", "klines"),
    *("refuse", "halt", "fills", "key", "skew", "clear", "liquidate"),
)
#: Longer than a lease, so that another tick takes over before the frozen one wakes.
FREEZE_SECONDS = 70


@dataclass(kw_only=True)
class Chaos:
    """Strikes at random; `heal` takes back what is still wrong. `kills` and `faults` are counts."""

    site: Site
    exchange: ExchangeControl
    folder: Path  # FAILPOINTS
    random: Random
    keys: list[str]
    symbols: dict[str, Decimal]  # with their price ticks
    kills: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    on_kill: Callable[[str], None] = lambda _kind: None
    _later: list[tuple[float, Callable[[], object]]] = field(default_factory=list)

    def strike(self) -> None:
        """Do one thing, and what fell due of earlier ones."""
        self.look()
        kind = self.random.choices(("kill", "fault", "price"), (3, 4, 3))[0]
        {"kill": self._kill, "fault": self._fault, "price": self._price}[kind]()

    def look(self) -> None:
        """Carry out what fell due, and count the failpoints that ticks have taken."""
        now = time.monotonic()
        due = [do for at, do in self._later if at <= now]
        self._later = [(at, do) for at, do in self._later if at > now]
        for do in due:
            do()
        for held in self.folder.glob("*.held"):
            if time.time() - held.stat().st_mtime > self.random.uniform(2, 20):
                held.unlink(missing_ok=True)
        for taken in self.folder.glob("*.taken.*"):
            self._count_taken(taken)

    def heal(self) -> None:
        """End every fault and hold; what is due later is done now."""
        for _, do in self._later:
            do()
        self._later.clear()
        for file in self.folder.iterdir():
            if ".taken." not in file.name:
                file.unlink(missing_ok=True)
        self.look()
        for _, do in self._later:
            do()
        self._later.clear()
        self.exchange.refuse(False)
        self.exchange.clear_faults()
        self.exchange.set_skew(0)
        for key in self.keys:
            self.exchange.restore_key(key)
        for symbol in self.symbols:
            self.exchange.resume(symbol)
            self.exchange.resume(symbol, futures=True)

    def _after(self, seconds: float, do: Callable[[], object]) -> None:
        self._later.append((time.monotonic() + seconds, do))

    def _count_taken(self, file: Path) -> None:
        what, pid = file.read_text(encoding="utf-8").strip(), int(file.suffix[1:])
        file.unlink()
        if what == "freeze":
            self.faults["frozen worker"] += 1
            self._after(FREEZE_SECONDS, lambda: self._wake(pid))
        elif what == "hold":
            self.faults["held tick"] += 1
        else:
            name = f"{what} at {file.name.partition('.taken')[0].partition('@')[0]}"
            self.kills[name] += 1
            self.on_kill(name)

    def _wake(self, pid: int) -> None:
        for one in [*self.site.pids("worker"), pid]:
            kill(one, signal.SIGCONT)

    def _kill(self) -> None:
        weights = {"point": 50, "child": 25, "worker": 8, "beat": 5, "web": 5, "redis": 4}
        weights |= {"freeze": 0.5, "everything": 2}
        kind = self.random.choices([*weights], [*weights.values()])[0]
        if kind == "point":
            what = self.random.choices(("kill", "killgroup", "hold"), (6, 1, 2))[0]
            self._arm(what)
        elif kind == "freeze":
            self._arm("freeze", "intent.after")
        elif kind == "everything":
            self.site.kill_everything()
            self._killed("everything")
            self.site.start()
        else:
            pids = self.site.children_of_worker() if kind == "child" else self.site.pids(kind)[:1]
            if pids and kill(self.random.choice(pids)):
                self._killed(kind)

    def _arm(self, what: str, point: str = "") -> None:
        name = point or self.random.choice(POINTS)
        draft = self.folder.parent / "draft"
        draft.write_text(what, encoding="utf-8")
        draft.rename(self.folder / name)

    def _killed(self, kind: str) -> None:
        self.kills[kind] += 1
        self.on_kill(kind)

    def _fault(self) -> None:
        times = self.random.choice((1, 1, 2, 5))
        when = self.random.choice(("before", "after"))
        kind = self.random.choice(FAULTS)
        self.faults[kind] += 1
        path, add = self.random.choice(PATHS), self.exchange.add_fault
        if kind == "5xx":
            add("http", status=self.random.choice((500, 502, 503, 504)), path=path, when=when)
        elif kind == "order lost":
            lost = {"path": self.random.choice(ORDERS), "method": "POST"}
            add("http", status=503, when=when, times=times, **lost)
        elif kind == "body":
            add(self.random.choice(BAD_BODIES), path=path, when=when, times=times)
        elif kind == "hang":
            seconds = self.random.choice((1, 4, 7, 12))
            add("hang", path=path, when=when, seconds=seconds, times=times)
        elif kind == "silence":
            add(self.random.choice(("rate_limit", "ban")), path=path, retry_after=3)
        elif kind == "klines":
            add("klines", path="*klines", defect=self.random.choice(DEFECTS), times=times)
        else:
            self._switch(kind)

    def _switch(self, kind: str) -> None:
        """What stays wrong for a moment, or changes how orders are filled."""
        control, seconds = self.exchange, self.random.uniform(2, 12)
        symbol, key = self.random.choice([*self.symbols]), self.random.choice(self.keys)
        futures = self.random.random() < 0.5
        if kind == "refuse":
            control.refuse(True)
            self._after(seconds / 2, lambda: control.refuse(False))
        elif kind == "halt":
            control.halt(symbol, futures=futures)
            self._after(seconds, lambda: control.resume(symbol, futures=futures))
        elif kind == "fills":
            parts = self.random.choice(((0.4, 0.6), (0.3, 0.3, 0.4), (0.5,)))
            plan = [{"part": str(part)} for part in parts]
            control.set_fill_plan(symbol, plan, futures=futures)
        elif kind == "key":
            control.revoke_key(key)
            self._after(seconds / 2, lambda: control.restore_key(key))
        elif kind == "skew":
            control.set_skew(self.random.choice((-90_000, -4_000, 4_000, 90_000)))
            self._after(seconds, lambda: control.set_skew(0))
        elif kind == "liquidate":
            # The mark alone jumps, and back: whoever has leverage on the wrong side is gone.
            away = self.random.choice((Decimal("0.9"), Decimal("1.1")))
            control.set_mark(symbol, control.price(symbol, futures=True) * away)
            control.set_mark(symbol, None)
        else:
            control.clear_faults()

    def _price(self) -> None:
        symbol = self.random.choice([*self.symbols])
        if self.random.random() < 0.2:
            self.exchange.clear_price(symbol)
            return
        moved = self.exchange.price(symbol) * (1000 + self.random.randint(-15, 15)) / 1000
        self.exchange.set_price(symbol, moved.quantize(self.symbols[symbol]))
