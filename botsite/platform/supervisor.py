"""Keeps a handful of programs running, and stops them so that none is left."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO

from botsite.platform.guard import Guard, signal_group

# Waits for a line and becomes the program; ends without one when the supervisor is gone.
HELD_BACK = ("/bin/sh", "-c", 'read -r _ && exec "$@" </dev/null', "sh")

#: How often a program that is to run once may die before it is left alone.
TRIES = 5

_out_lock = threading.Lock()


def say(name: str, text: str) -> None:
    """Write one line under a program's name; a reader that went away is no reason to stop."""
    try:
        with _out_lock:
            sys.stdout.write(f"{name:<8}| {text}\n")
            sys.stdout.flush()
    except (OSError, ValueError):
        return


@dataclass(frozen=True, kw_only=True)
class Program:
    """What to run.

    `grace_seconds`: how long it may take to stop before it is killed. `ready`: called after the
    first start with a function that tells whether the program lives; returns when the next
    program may start. `once`: it has something to do and is done with it when it ends well; after
    TRIES deaths it is given up.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] | None = None
    grace_seconds: float = 10
    ready: Callable[[Callable[[], bool]], None] | None = None
    once: bool = False


@dataclass(frozen=True, kw_only=True)
class Backoff:
    """How long to wait before a program that died is started again, in seconds."""

    first: float = 1
    most: float = 30
    healthy: float = 60

    def delay(self, deaths: int) -> float:
        """Return the wait after that many deaths in a row (1, 2, ...): 1, 2, 4 ... 30."""
        return min(self.first * 2.0 ** min(deaths - 1, 16), self.most)


@dataclass(kw_only=True)
class Child:
    """One program while it is supervised: it runs, or it waits to be started again."""

    program: Program
    backoff: Backoff
    guard: Guard
    process: subprocess.Popen[str] | None = field(default=None)
    started_at: float = 0
    start_again_at: float = 0
    deaths: int = 0
    is_done: bool = False

    def start(self) -> None:
        process = subprocess.Popen(
            [*HELD_BACK, *self.program.argv],
            env=self.program.env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            # A group of its own: Ctrl-C reaches the supervisor alone, which stops in order.
            start_new_session=True,
        )
        self.guard.add(process.pid)
        # Now that the guard knows it, it may run; should we be killed before, it never does.
        if process.stdin is not None:
            with suppress(BrokenPipeError), process.stdin as line:
                line.write("\n")
        self.process, self.started_at = process, time.monotonic()
        reader = threading.Thread(
            target=self._relay, args=(process.stdout,), name=self.program.name, daemon=True
        )
        reader.start()

    def _relay(self, lines: IO[str]) -> None:
        with lines:
            for line in lines:
                say(self.program.name, line.rstrip())

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def look(self) -> None:
        """Notice a death, and start the program again when its time has come."""
        if self.alive or self.is_done:
            return
        now = time.monotonic()
        if self.process is not None and self.program.once and self._ends():
            return
        if self.process is not None:
            if now - self.started_at >= self.backoff.healthy:
                self.deaths = 0
            self.deaths += 1
            delay = self.backoff.delay(self.deaths)
            self.start_again_at = now + delay
            how = _how(self.process.returncode)
            self._bury()
            say("platform", f"{self.program.name} ended ({how}); starting it again in {delay:g} s")
        elif now >= self.start_again_at:
            self.start()

    def _ends(self) -> bool:
        """Note that a program that is to run once has ended well, or died too often."""
        if self.process is None or (self.process.returncode and self.deaths + 1 < TRIES):
            return False
        if self.process.returncode:
            how = _how(self.process.returncode)
            say("platform", f"{self.program.name} ended ({how}) {TRIES} times; given up")
        self._bury()
        self.is_done = True
        return True

    def stop(self, hurried: Callable[[], bool]) -> bool:
        """Stop the program: SIGTERM, and SIGKILL after the grace. Return whether it obeyed."""
        if self.process is None:
            return True
        process = self.process
        process.terminate()
        limit = time.monotonic() + self.program.grace_seconds
        while process.poll() is None and time.monotonic() < limit and not hurried():
            time.sleep(0.02)
        obeyed = process.poll() is not None
        self._bury()
        return obeyed

    def _bury(self) -> None:
        """End what the program may have left in its group, and forget it."""
        if self.process is None:
            return
        signal_group(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.guard.remove(self.process.pid)
        self.process = None


def _how(returncode: int) -> str:
    if returncode < 0:
        return signal.Signals(-returncode).name
    return f"exit code {returncode}"


class Supervisor:
    """Starts programs in the order given, and stops them in the reverse order."""

    def __init__(
        self,
        programs: Sequence[Program],
        *,
        backoff: Backoff | None = None,
        keep: int | None = None,
    ) -> None:
        """`keep`: a file descriptor, such as a lock's, that outlives a killed supervisor until all
        programs have ended."""
        guard = Guard(keep=() if keep is None else (keep,))
        self._guard = guard
        self._backoff = backoff or Backoff()
        self.children = [
            Child(program=program, backoff=self._backoff, guard=guard) for program in programs
        ]
        self._asked_at: float | None = None
        self._hurry = False

    def add(self, program: Program) -> None:
        """Start one more program soon; any thread may ask for it."""
        child = Child(program=program, backoff=self._backoff, guard=self._guard)
        self.children.append(child)

    def ask_to_stop(self, *_signal: object) -> None:
        """Stop soon; asked again later than a second, stop now.

        (`make` passes a signal on that the terminal or the group has delivered already.)
        """
        now = time.monotonic()
        if self._asked_at is None:
            self._asked_at = now
        elif now - self._asked_at > 1:
            self._hurry = True

    def run(self) -> int:
        """Run until asked to stop. Return 0, or 1 when a program had to be killed."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self.ask_to_stop)
        try:
            for child in self.children:
                if self._asked_at is None:
                    child.start()
                    if child.program.ready is not None:
                        child.program.ready(lambda child=child: child.alive)  # type: ignore[misc]
            while self._asked_at is None:
                for child in self.children:
                    child.look()
                time.sleep(0.1)
        finally:
            code = self._stop()
        return code

    def _stop(self) -> int:
        say("platform", "stopping")
        obeyed = [child.stop(lambda: self._hurry) for child in reversed(self.children)]
        self._guard.dismiss()
        say("platform", "stopped" if all(obeyed) else "stopped; what did not obey was killed")
        return 0 if all(obeyed) else 1
