"""Break a module in every small way and see whether its tests notice: `make mutants MODULE=ledger`.

cosmic-ray changes one operator, number, condition or keyword after the other in a copy of the
project and runs the engine's tests that are named below. Prints the mutants that nobody noticed
and the share of those that were. COSMIC_RAY names the program (the Makefile installs it).
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.mistakes import LEFT_OUT
from botsite.platform.bootstrap import ROOT

#: Module -> the tests that guard it, the quickest to notice first.
GUARDS: Mapping[str, Sequence[str]] = {
    "lifecycle": ["test_lifecycle", "test_control"],
    "ledger": ["test_ledger", "test_settle", "test_tick", "test_doubts"],
    "booking": ["test_ledger", "test_day", "test_settle", "test_invariants"],
    "reset": ["test_reset", "test_day"],
    "reconcile": ["test_settle", "test_doubts"],
    "tick": ["test_tick", "test_settle", "test_bad_ticks", "test_doubts", "test_settings_matter"],
    "lease": ["test_lease", "test_tick", "test_holders"],
    "settle": ["test_settle", "test_doubts"],
}
#: Seconds after which a mutant counts as noticed: it made a test hang.
TIMEOUT = 120
CONFIG = """\
[cosmic-ray]
module-path = "bots/{module}.py"
timeout = {timeout}
excluded-modules = []
test-command = "{python} -m pytest -q -x -p no:cacheprovider --no-header {tests}"

[cosmic-ray.distributor]
name = "local"
"""


def program(name: str) -> str:
    """Return the path of one of cosmic-ray's programs."""
    given = Path(os.environ.get("COSMIC_RAY", ROOT / ".venv/mutants/bin/cosmic-ray"))
    return str(given.with_name(name))


def run(module: str) -> None:
    """Mutate one module; prints what survived. SystemExit when its tests are red as they are."""
    names = ("PYTHONPATH", "DJANGO_SETTINGS_MODULE")
    env = {name: value for name, value in os.environ.items() if name not in names}
    tests = [f"tests/engine/{name}.py" for name in GUARDS[module]]
    with tempfile.TemporaryDirectory(prefix="botsite-mutants-") as top:
        folder = Path(top) / "copy"
        shutil.copytree(ROOT, folder, ignore=LEFT_OUT)
        config, session = Path(top) / "mutants.toml", Path(top) / "session.sqlite"
        text = CONFIG.format(
            module=module, timeout=TIMEOUT, python=sys.executable, tests=" ".join(tests)
        )
        config.write_text(text, encoding="utf-8")
        for arguments in (
            [program("cosmic-ray"), "init", str(config), str(session)],
            [program("cosmic-ray"), "--verbosity", "ERROR", "baseline", str(config)],
            [program("cosmic-ray"), "exec", str(config), str(session)],
            [program("cr-report"), "--surviving-only", "--show-diff", str(session)],
        ):
            if subprocess.run(arguments, cwd=folder, env=env, check=False).returncode:
                raise SystemExit(f"{' '.join(arguments[:2])} failed")


def main(modules: Sequence[str]) -> int:
    unknown = set(modules) - GUARDS.keys()
    if unknown:
        print(f"no tests are named for {', '.join(sorted(unknown))}; there are {', '.join(GUARDS)}")
        return 2
    os.nice(10)
    for module in modules or GUARDS:
        print(f"== bots/{module}.py", flush=True)
        run(module)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
