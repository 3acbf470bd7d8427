"""How long after a kill every bot with duty was ticked again."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(kw_only=True)
class Waiting:
    kind: str
    at: datetime
    begun: float
    bots: set[int]


@dataclass(kw_only=True)
class Watching:
    """Notes kills, looks at rows now and then; `times` are seconds by kind of kill."""

    times: dict[str, list[float]] = field(default_factory=dict)
    _waiting: list[Waiting] = field(default_factory=list)

    def killed(self, kind: str, at: datetime, bots: Iterable[int]) -> None:
        """From now on, wait for these bots to be ticked; `at`: by the clock of the rows."""
        if bots := set(bots):
            self._waiting.append(Waiting(kind=kind, at=at, begun=time.monotonic(), bots=bots))

    def look(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take rows with pk, duty and last_run_at; a bot without duty is not waited for."""
        runs = {row["pk"]: row["last_run_at"] for row in rows if row["duty"] != "none"}
        for waiting in self._waiting:
            waiting.bots = {
                pk for pk in waiting.bots if pk in runs and not _is_after(runs[pk], waiting.at)
            }
            if not waiting.bots:
                seconds = time.monotonic() - waiting.begun
                self.times.setdefault(waiting.kind, []).append(seconds)
        self._waiting = [waiting for waiting in self._waiting if waiting.bots]

    @property
    def never(self) -> list[str]:
        """What is still waited for."""
        return [f"after {one.kind}: bots {sorted(one.bots)}" for one in self._waiting]


def _is_after(run: datetime | None, at: datetime) -> bool:
    return run is not None and run > at
