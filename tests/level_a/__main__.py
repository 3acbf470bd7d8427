"""Run many random schedules on two processes: `python -m tests.level_a [SCHEDULES] [SEED]`.

Prints how many ran, what they came to, their seeds and how long it took. A failing schedule is
shrunk and printed with its seed; `python -m tests.level_a 250 SEED` runs its batch again.
"""

import os
import random
import secrets
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from botsite.platform.bootstrap import ROOT, fernet_key

#: Schedules of one seed, so that a failure is found again quickly.
BATCH = 250
PROCESSES = 2


def environment(folder: str) -> dict[str, str]:
    """Return settings that know no database, broker or exchange of anybody's."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return kept | {
        "PYTHONPATH": str(ROOT),
        "DJANGO_SETTINGS_MODULE": "botsite.settings",
        "ENV_FILE": "",
        "SECRET_KEY": secrets.token_urlsafe(48),
        "FERNET_KEYS": fernet_key(),
        "DATA_DIR": folder,
        "DATABASE_URL": "sqlite://:memory:",
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "LOG_LEVEL": "CRITICAL",
    }


def work(schedules: int, number: int) -> None:
    """Run one batch in this process, on a database in its memory."""
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    from tests.level_a.running import run

    totals = run(schedules, number)
    print("totals", *(f"{name}={value}" for name, value in totals.items()), flush=True)


def batch(schedules: int, number: int) -> Counter[str]:
    """Run one batch in a process of its own; raises RuntimeError with its output if it fails."""
    with tempfile.TemporaryDirectory(prefix="botsite-level-a-") as folder:
        done = subprocess.run(
            [sys.executable, "-m", "tests.level_a", "--work", str(schedules), str(number)],
            cwd=ROOT,
            env=environment(folder),
            capture_output=True,
            text=True,
            check=False,
        )
    last = done.stdout.strip().rpartition("\n")[2]
    if done.returncode or not last.startswith("totals "):
        raise RuntimeError(f"seed {number}:\n{done.stdout[-8000:]}\n{done.stderr[-8000:]}")
    return Counter({name: int(n) for name, n in (pair.split("=") for pair in last.split()[1:])})


def main(schedules: int, first: int) -> int:
    begun = time.monotonic()
    sizes = [min(BATCH, schedules - start) for start in range(0, schedules, BATCH)]
    seeds = range(first, first + len(sizes))
    print(f"{schedules} schedules, seeds {first} to {seeds[-1]}, {PROCESSES} processes", flush=True)
    totals: Counter[str] = Counter()
    failures = 0
    with ThreadPoolExecutor(PROCESSES) as pool:
        for future in [pool.submit(batch, size, n) for size, n in zip(sizes, seeds, strict=True)]:
            try:
                totals += future.result()
            except RuntimeError as error:
                failures += 1
                print(error, flush=True)
            print(f"{time.monotonic() - begun:.0f} s: {dict(totals)}", flush=True)
    print(f"Took {time.monotonic() - begun:.0f} s; batches that failed: {failures}")
    return 1 if failures else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        work(int(sys.argv[2]), int(sys.argv[3]))
    else:
        count = int(sys.argv[1]) if sys.argv[1:] else 10_000
        sys.exit(main(count, int(sys.argv[2]) if sys.argv[2:] else random.randrange(10**6)))
