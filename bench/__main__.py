"""Run the benchmarks and print a table: `python -m bench [NAME...]`.

Each runs in a process of its own, on a scratch database (SQLite in a temporary folder, or a
PostgreSQL of our own with fsync on) and a Redis of our own. Nothing of an installation is touched.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from botsite.platform.bootstrap import ROOT, fernet_key
from botsite.platform.ports import free_port
from tests.postgres import postgres_server
from tests.redis_server import redis_server

KEPT = ("PATH", "HOME", "LANG", "PG_BIN", "CHROME", "LIVE_SECONDS")
SQLITE, POSTGRES = "sqlite", "postgres"
#: Name -> module with arguments, and the databases to run it on.
BENCHMARKS: Mapping[str, list[tuple[list[str], str]]] = {
    "start": [(["bench.start"], SQLITE)],
    "ticks": [(["bench.ticks"], SQLITE), (["bench.ticks"], POSTGRES)],
    "beat": [(["bench.beat", "Botsite's"], SQLITE), (["bench.beat", "stock"], SQLITE)],
    "rollover": [(["bench.rollover"], SQLITE), (["bench.rollover"], POSTGRES)],
    "halt": [(["bench.halt"], SQLITE), (["bench.halt"], POSTGRES)],
    "replay": [(["bench.replay"], SQLITE)],
    "backtest": [(["bench.backtest"], SQLITE)],
    "equal": [(["bench.equal"], SQLITE)],
    "pages": [(["bench.pages"], SQLITE), (["bench.pages"], POSTGRES)],
    "markets": [(["bench.markets"], SQLITE), (["bench.markets"], POSTGRES)],
    "performance": [(["bench.performance"], SQLITE), (["bench.performance"], POSTGRES)],
    "admin": [(["bench.admin"], SQLITE), (["bench.admin"], POSTGRES)],
    "lighthouse": [(["bench.lighthouse"], SQLITE)],
    "live": [(["bench.live"], SQLITE)],
    "memory": [(["bench.memory"], SQLITE)],
}


def machine() -> str:
    """Return cores, CPU model, Python and load, in one line."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    model = models[0] if models else platform.processor() or platform.machine()
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return (
        f"{os.cpu_count()} cores, {model}; {platform.system()}; "
        f"Python {platform.python_version()}; load before the run {load}"
    )


def environment(folder: Path, redis_url: str, database_url: str | None) -> dict[str, str]:
    """Return the environment of one benchmark: nothing of the caller's settings reaches it."""
    kept = {key: os.environ[key] for key in KEPT if key in os.environ}
    env = kept | {
        "PYTHONPATH": str(ROOT),
        "DJANGO_SETTINGS_MODULE": "botsite.settings",
        "ENV_FILE": "",
        "SECRET_KEY": "for-benchmarks-only-and-long-enough-for-django",
        "FERNET_KEYS": fernet_key(),
        "DATA_DIR": str(folder),
        "REDIS_URL": redis_url,
        "PORT": str(free_port()),
        "LOG_LEVEL": "WARNING",
    }
    return env | ({"DATABASE_URL": database_url} if database_url else {})


def run(arguments: list[str], env: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Run one benchmark; yields its rows. Its failure ends the whole run."""
    command = [sys.executable, "-m", *arguments]
    with subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("{"):
                row = json.loads(line)
                yield row["what"], row["result"]
            elif ": " in line:
                what, _, result = line.strip().partition(": ")
                yield what, result
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)} failed ({process.returncode})")


def main(names: list[str]) -> int:
    unknown = set(names) - set(BENCHMARKS)
    if unknown:
        print(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
        return 2
    begun = time.monotonic()
    print(f"Machine: {machine()}\nCommand: python -m bench {' '.join(names)}".rstrip(), flush=True)
    print("\n| What | Result |\n|---|---|", flush=True)
    with (
        tempfile.TemporaryDirectory(prefix="botsite-bench-") as top,
        postgres_server(durable=True) as postgres,
        redis_server(Path(top) / "redis") as redis,
    ):
        for name in names or BENCHMARKS:
            for number, (arguments, database) in enumerate(BENCHMARKS[name]):
                folder = Path(top) / f"{name}{number}"
                folder.mkdir()
                url = postgres.url if database == POSTGRES else None
                for what, result in run(arguments, environment(folder, redis.url, url)):
                    print(f"| {what} | {result} |", flush=True)
    print(f"\nTook {time.monotonic() - begun:.0f} s.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
