"""Tools that npm brings: fetched when a run needs them, pinned by a lock file with hashes."""

import shutil
import subprocess
from pathlib import Path

VENV = Path(__file__).parent.parent / ".venv"


def fetch(pinned: Path, name: str) -> Path:
    """Return the folder .venv/`name` with what `pinned`/package-lock.json names in node_modules.

    What is there and made of the same lock file is used again. Packages' own scripts never run.
    """
    folder = VENV / name
    lock = (pinned / "package-lock.json").read_bytes()
    kept = folder / "package-lock.json"
    if kept.is_file() and kept.read_bytes() == lock:
        return folder
    print(f"Fetching {name} with npm...", flush=True)
    scratch = folder.with_suffix(".new")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    for file in ("package.json", "package-lock.json"):
        shutil.copy(pinned / file, scratch)
    npm = ["npm", "ci", "--ignore-scripts", "--legacy-peer-deps", "--no-audit", "--no-fund"]
    subprocess.run([*npm, "--loglevel=error"], cwd=scratch, check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(folder, ignore_errors=True)
    # Last and at once: an interrupted installation is not taken for the tool.
    scratch.rename(folder)
    return folder
