"""How long `make run` takes until the site answers, beside an empty Django project's runserver.

Fails when a second start, with everything installed and migrated, works LIMIT seconds or more
beyond Django's own start. Work is CPU time of all processes, which other load stretches less.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from urllib.error import HTTPError
from urllib.request import urlopen

import psutil

from bench import scene
from botsite.platform.bootstrap import ROOT
from botsite.platform.ports import free_port

LIMIT = 5.0
RUNS = 3
PATIENCE_SECONDS = 120.0

#: Seconds until it answered, CPU seconds of all its processes.
Cost = tuple[float, float]


def spent(pid: int) -> float:
    """Return the CPU seconds of a process and its descendants, those that ended included."""
    parent = psutil.Process(pid)
    family = [parent, *parent.children(recursive=True)]
    return sum(sum(one.cpu_times()[:4]) for one in family)


def answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=2):
            return True
    except HTTPError as error:
        error.close()
        raise SystemExit(f"{url} answers {error.code}") from error
    except OSError:
        return False


def start(command: list[str], env: dict[str, str], url: str) -> Cost:
    """Start, wait for an answer, stop; return what it cost until the answer."""
    begun = time.perf_counter()
    process = subprocess.Popen(
        command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT
    )
    try:
        while not answers(url):
            if process.poll() is not None or time.perf_counter() - begun > PATIENCE_SECONDS:
                raise SystemExit(f"{' '.join(command)} did not start")
            time.sleep(0.02)
        return time.perf_counter() - begun, spent(process.pid)
    finally:
        process.terminate()
        process.wait()


def median(results: list[Cost]) -> Cost:
    seconds, cpu = zip(*results, strict=True)
    return statistics.median(seconds), statistics.median(cpu)


def tell(what: str, result: Cost) -> None:
    seconds, cpu = result
    text = f"{seconds:.1f} s until it answers ({cpu:.1f} s CPU)"
    scene.tell(what, text, seconds=seconds, cpu=cpu)


def empty_project(folder: str) -> Cost:
    """Return the start of what `startproject` makes, with its tables already there."""
    env = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    port = str(free_port())
    python = sys.executable
    subprocess.run([python, "-m", "django", "startproject", "empty", folder], env=env, check=True)
    manage = [python, f"{folder}/manage.py"]
    subprocess.run([*manage, "migrate", "-v", "0"], env=env, check=True)
    serve = [*manage, "runserver", "--noreload", port]
    return median([start(serve, env, f"http://127.0.0.1:{port}/") for _ in range(RUNS)])


def main() -> None:
    env = {name: value for name, value in os.environ.items() if name != "REDIS_URL"}
    command = [sys.executable, str(ROOT / "manage.py"), "runplatform"]
    url = f"http://127.0.0.1:{env['PORT']}/healthz"
    tell("first start, migrating and making the demo", start(command, env, url))
    second = median([start(command, env, url) for _ in range(RUNS)])
    tell("second start", second)
    with tempfile.TemporaryDirectory(prefix="botsite-bench-") as folder:
        django = empty_project(folder)
    tell("start of an empty Django project", django)
    if second[1] - django[1] >= LIMIT:
        raise SystemExit(f"a second start works {second[1] - django[1]:.1f} s beyond Django's own")


if __name__ == "__main__":
    main()
