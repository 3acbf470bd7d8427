"""Memory of the platform's processes with 50 bots at work, shared pages counted once (PSS)."""

import os
import subprocess
import time
from urllib.request import urlopen

import psutil

from bench import scene

BOTS = 50
SETTLE_SECONDS = 12.0


def megabytes(pid: int) -> tuple[float, int]:
    """Return the memory of a process and its children, and how many they are."""
    parent = psutil.Process(pid)
    family = [parent, *parent.children(recursive=True)]
    return sum(one.memory_full_info().pss for one in family) / 2**20, len(family)


def wait_for(url: str, seconds: float = 60) -> None:
    """Return when a page answers and a worker has shown that it lives."""
    end = time.monotonic() + seconds
    while True:
        try:
            with urlopen(url, timeout=2) as page:
                if page.status == 200:
                    return
        except OSError:
            pass
        if time.monotonic() > end:
            raise SystemExit(f"{url} is not healthy after {seconds} s")
        time.sleep(0.5)


def main() -> None:
    scene.setup()
    from django.core.management import call_command

    from bots import schedule, sweep
    from botsite.platform.launch import programs

    call_command("collectstatic", interactive=False, verbosity=0)
    scene.started_bots(scene.owner(), BOTS, check_interval_seconds=5)
    schedule.repair(sweep.intervals())
    running: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for program in programs(os.environ):
            quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            running[program.name] = subprocess.Popen(program.argv, env=program.env, **quiet)
        wait_for(f"http://127.0.0.1:{os.environ['PORT']}/healthz")
        time.sleep(SETTLE_SECONDS)
        for name, process in running.items():
            size, count = megabytes(process.pid)
            scene.tell(
                f"memory of {name} ({count} process{'es' if count > 1 else ''}), {BOTS} bots",
                f"{size:.0f} MB",
                mb=size,
            )
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            process.wait(timeout=50)


if __name__ == "__main__":
    main()
