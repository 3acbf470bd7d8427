"""The documentation says what the code does: each setting, command, route, status and link."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from botsite.platform.bootstrap import ROOT

DOCS = ROOT / "docs"
#: Folders whose commands are the project's own.
COMMANDS = ("bots/management/commands", "botsite/platform/management/commands")
PUBLIC_REGISTRIES = {"registry.npmjs.org", "pypi.org", "files.pythonhosted.org"}
PRIVATE_FOLDERS = re.compile(r"(?<![A-Za-z0-9_.-])/(?:work|root|home)/")
REGISTRY_LINE = re.compile(
    r"(?:index-url|find-links|trusted-host|registry|\"resolved\")\W+(https?://[^\s\"']+)"
)
ENVIRON_READERS = {"os.environ.get", "os.getenv"}


def _text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def _in_backticks(text: str) -> set[str]:
    return set(re.findall(r"`([^`\n]+)`", text))


def _section(text: str, heading: str) -> str:
    """Return what stands between this `## heading` and the next one."""
    _, found, rest = text.partition(f"\n## {heading}\n")
    assert found, f"there is no section {heading!r}"
    return rest.partition("\n## ")[0]


def _rows(text: str) -> Iterator[list[str]]:
    """Yield the cells of each row of Markdown tables whose first cell is `code`."""
    for line in text.splitlines():
        if line.startswith("| `"):
            yield [cell.strip() for cell in line.strip("|").split(" | ")]


def _tracked() -> list[Path]:
    """The files of the repository; without git (a source archive), all that are not generated."""
    if (ROOT / ".git").exists():
        names = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
        ).stdout.split("\0")
        return [ROOT / name for name in names if name and (ROOT / name).is_file()]
    ignored = {line.strip("/") for line in _text(".gitignore").split()}
    files = (path for path in ROOT.rglob("*") if path.is_file())
    return [path for path in files if not ignored & set(path.relative_to(ROOT).parts)]


def _markdown() -> list[Path]:
    return [path for path in _tracked() if path.suffix == ".md"]


# -- Settings -------------------------------------------------------------------------------------
def _reads(tree: ast.AST) -> Iterator[tuple[str, ast.expr | None]]:
    """Yield each variable of the environment that the code reads, and its default."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "os.environ":
            if isinstance(node.ctx, ast.Load) and isinstance(node.slice, ast.Constant):
                yield str(node.slice.value), None
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = ast.unparse(node.func)
            if re.fullmatch(r"env\.\w+", called) and called != "env.read_env":
                named = {word.arg: word.value for word in node.keywords}
                yield str(node.args[0].value), named.get("default")
            elif called in ENVIRON_READERS:
                yield str(node.args[0].value), node.args[1] if len(node.args) > 1 else None


def settings_read() -> dict[str, list[ast.expr | None]]:
    """Return every setting that botsite/ reads, with the defaults that it gives."""
    found: dict[str, list[ast.expr | None]] = {}
    for path in sorted((ROOT / "botsite").rglob("*.py")):
        for name, default in _reads(ast.parse(path.read_text(encoding="utf-8"))):
            found.setdefault(name, []).append(default)
    return found


def _shown(default: ast.expr | None) -> str | None:
    """Return how the page writes a default, or None where the code computes it."""
    try:
        value = ast.literal_eval(default) if default else None
    except ValueError:
        return None
    if value is None:
        return None
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, list | dict):
        value = ",".join(value)
    return f"`{value}`" if value != "" else "empty"


def test_the_reader_of_settings_sees_every_way_to_read_one() -> None:
    code = """
A = env.str("ONE", default="x").rstrip("/")
B = int(os.environ.get("TWO", "2"))
C = os.environ["THREE"]
D = os.getenv("FOUR")
os.environ["WRITTEN"] = "no setting"
env.read_env("FILE")
"""
    assert {name for name, _ in _reads(ast.parse(code))} == {"ONE", "TWO", "THREE", "FOUR"}
    assert len(settings_read()) > 40


def test_every_setting_is_on_its_page_and_nothing_else_is() -> None:
    described = [row[0].strip("`") for row in _rows(_text("docs/settings.md"))]
    assert len(described) == len(set(described)), "a setting is described twice"
    assert set(described) == set(settings_read())


def test_the_page_gives_the_defaults_of_the_code() -> None:
    cells = {row[0].strip("`"): row[1] for row in _rows(_text("docs/settings.md"))}
    code = {name: {_shown(default) for default in found} for name, found in settings_read().items()}
    # None: the default is computed, or another place gives it.
    wrong = {name: shown for name, shown in code.items() if not shown & {None, cells[name]}}
    assert not wrong
    assert sum(None not in shown for shown in code.values()) > 35


def test_the_example_file_names_every_setting_that_it_can_set() -> None:
    named = set(re.findall(r"^#?([A-Z][A-Z_]+)=", _text(".env.example"), re.MULTILINE))
    assert named == set(settings_read()) - {"ENV_FILE"}


# -- Commands, routes, words ----------------------------------------------------------------------
def test_every_command_is_on_its_page() -> None:
    commands = {
        path.stem
        for folder in COMMANDS
        for path in (ROOT / folder).glob("*.py")
        if not path.stem.startswith("_")
    }
    assert len(commands) > 10
    text = _text("docs/commands.md")
    assert not {name for name in commands if not re.search(rf"`{name}\b", text)}


def test_every_route_of_the_api_is_on_its_page() -> None:
    from bots.api import api

    paths = api.get_openapi_schema()["paths"]
    assert len(paths) > 10
    # The page may call an id by another name: `{id}`.
    sections = re.sub(r"\{\w+\}", "{}", _text("docs/api.md")).split("\n## ")
    missing = [
        f"{method.upper()} {path}"
        for path, methods in paths.items()
        for method in methods
        if not any(_names_route(text, method.upper(), path) for text in sections)
    ]
    assert not missing


def _names_route(section: str, method: str, path: str) -> bool:
    """Whether a section of the page has the method and the whole path (/api/v1 may be left out)."""
    short = re.escape(re.sub(r"\{\w+\}", "{}", path.removeprefix("/api/v1")))
    whole = re.compile(rf"(?:/api/v1|[\s`|]){short}(?![\w/{{-])")
    return bool(re.search(rf"\b{method}\b", section) and whole.search(section))


def test_every_status_reason_and_duty_is_explained() -> None:
    from bots.lifecycle import ALLOWED, Duty, Reason, Status

    text = _text("docs/concepts.md")
    assert {row[0].strip("`") for row in _rows(_section(text, "Statuses"))} == set(Status.values)
    assert set(Duty.values) <= _in_backticks(_section(text, "Bot, state, duty"))
    reasons = {row[0].strip("`"): row[1] for row in _rows(_section(text, "Reasons"))}
    assert set(reasons) == set(Reason.values)
    for reason, cell in reasons.items():
        statuses = {status.value for status, allowed, _ in ALLOWED if reason in allowed}
        assert {word for word in cell.split(", ") if word != "fatal"} == statuses, reason


def test_the_drawing_of_moves_is_the_table() -> None:
    from bots.lifecycle import EVERY, MOVES, TICKING, Move, Status

    drawn = re.findall(r"^ +(\S+) --> (\w+)(?: : (.+))?$", _text("docs/concepts.md"), re.MULTILINE)
    # `tick` stands for every status from which a tick may report.
    assert {source for source, to, _ in drawn if to == "tick"} == {str(s) for s in TICKING}
    moves: dict[str, set[tuple[str, str]]] = {}
    for source, to, names in drawn:
        sources = TICKING if source == "tick" else [source]
        for name in names.split(", ") if names else ():
            moves.setdefault(name, set()).update((str(one), to) for one in sources)
    moves["start"].remove(("[*]", Status.PENDING.value))
    table = {
        move.value: {(str(source), to.value) for source in sources}
        for move, (sources, to) in MOVES.items()
        if to is not None
    }
    assert moves == table
    staying = {move for move, (sources, to) in MOVES.items() if to is None and sources == EVERY}
    assert staying == {Move.SETTLE, Move.EDIT, Move.PROTECT, Move.ADJUST, Move.RECOMPUTE}


def test_every_code_of_check_invariants_is_explained() -> None:
    sources = "".join(_text(f"bots/invariants/{name}.py") for name in ("state", "ledger", "safety"))
    codes = set(re.findall(r'code="(I\d+)"', sources))
    assert codes
    told = dict(re.findall(r"^\| (I\d+) \|.*\| ([^|]+) \|$", _text("docs/concepts.md"), re.M))
    assert list(told) == [f"I{number}" for number in range(1, 16)]
    assert not {code for code in codes if told[code] == "Not checked here."}
    assert not {code for code in set(told) - codes if not told[code].startswith(("Not", "Tog"))}


# -- Links, targets, privacy ----------------------------------------------------------------------
def _anchors(path: Path) -> set[str]:
    """Return the anchors that a Markdown file's headings make, as GitHub writes them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    words = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {word.strip().replace(" ", "-") for word in words}


def test_every_link_and_picture_in_the_docs_is_there() -> None:
    broken = []
    for path in _markdown():
        text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        for link in re.findall(r"!?\[[^\]]*\]\(([^)\s]+)\)", text):
            url = urlsplit(link)
            if url.scheme:
                continue
            goal = path.parent / url.path if url.path else path
            if not goal.exists() or (url.fragment and url.fragment not in _anchors(goal)):
                broken.append(f"{path.relative_to(ROOT)}: {link}")
    assert not broken


def test_every_file_that_the_docs_name_is_there() -> None:
    parts = "bench|bots|botsite|docs|locale|static|templates|tests|trading"
    missing = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in _markdown()
        for name in _in_backticks(path.read_text(encoding="utf-8"))
        if re.fullmatch(rf"(?:{parts})/[\w./-]*", name) and not (ROOT / name).exists()
    ]
    assert not missing


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "docs/operations.md"])
def test_every_make_command_in_the_docs_is_a_target(name: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", _text("Makefile"), re.MULTILINE))
    said = set(re.findall(r"(?:^|`|=\S* )make ([a-z]+)", _text(name), re.MULTILINE))
    assert said
    assert said <= targets


def test_the_readme_names_both_commands() -> None:
    assert {"make run", "make test"} <= set(re.findall(r"^make \w+", _text("README.md"), re.M))


def _private(line: str) -> bool:
    hosts = [urlsplit(url).hostname for url in REGISTRY_LINE.findall(line)]
    return bool(PRIVATE_FOLDERS.search(line)) or any(h not in PUBLIC_REGISTRIES for h in hosts)


def test_a_private_line_is_known_as_such() -> None:
    # In pieces, so that this file passes its own test.
    folder, host = "home", "https://packages.example"
    assert _private(f"path = /{folder}/me/x")
    assert _private(f"--index-url {host}/simple")
    assert _private(f'"resolved": "{host}/a.tgz"')
    assert not _private('"resolved": "https://registry.npmjs.org/a.tgz"')
    assert not _private("https://docs.example/work/page and framework/x")


def test_no_file_tells_of_the_machine_it_was_written_on() -> None:
    found = []
    for path in _tracked():
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        found += [
            f"{path.relative_to(ROOT)}:{number}"
            for number, line in enumerate(lines, start=1)
            if _private(line)
        ]
    assert not found
