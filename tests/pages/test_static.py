"""Vendored files are the published ones; our own stay small."""

import gzip
import hashlib
import json

from django.conf import settings

STATIC = settings.BASE_DIR / "static"
OWN_LIMIT = 15_000
VENDOR = STATIC / "vendor"


def test_each_vendored_file_is_pinned_and_licensed() -> None:
    files = json.loads((VENDOR / "manifest.json").read_text(encoding="utf-8"))["files"]
    pinned = {entry["file"] for entry in files}
    present = {path.name for path in VENDOR.iterdir()}
    licences = {entry["licence_file"] for entry in files}
    notices = {entry["notice_file"] for entry in files if entry["licence"] == "Apache-2.0"}
    assert present == pinned | licences | notices | {"manifest.json"}
    for entry in files:
        content = (VENDOR / entry["file"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == entry["sha256"], entry["file"]
        assert entry["version"] in entry["file"]
        assert entry["licence"] in ("0BSD", "MIT", "Apache-2.0")


def test_the_versions_are_the_agreed_ones() -> None:
    files = json.loads((VENDOR / "manifest.json").read_text(encoding="utf-8"))["files"]
    versions = {entry["package"]: entry["version"] for entry in files}
    assert versions == {
        "htmx.org": "2.0.11",
        "idiomorph": "0.8.0",
        "lightweight-charts": "5.2.1",
        "@picocss/pico": "2.1.1",
    }


def test_our_own_files_are_small_and_all_together_fit_in_40_kb() -> None:
    for name in ("app.css", "app.js", "chart.css", "chart.js"):
        assert len((STATIC / name).read_bytes()) <= OWN_LIMIT, name
    paths = [*STATIC.glob("app.*"), *VENDOR.glob("*.js"), *VENDOR.glob("*.css")]
    # The charts are on a bot's page alone: see test_chart.
    paths = [path for path in paths if not path.name.startswith("lightweight-charts")]
    assert len(paths) == 5
    assert sum(len(gzip.compress(path.read_bytes())) for path in paths) <= 40 * 1024
