"""Who may import whom, and who may touch what: read from the sources."""

import ast
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from botsite.platform.bootstrap import ROOT

ENGINE = {
    "control",
    "holders",
    "lease",
    "ledger",
    "intents",
    "placing",
    "rungs",
    "booking",
    "settle",
    "reset",
    "sweep",
    "accounts",
    "reconcile",
    "tick",
}
#: Inside bots an import goes to the same floor or one further down, never up.
FLOORS: list[set[str]] = [
    {"lifecycle", "schedule", "world", "failpoints", "uptime"},
    {"models", "guards", "housekeeping", "candles", "numbers"},
    {
        "change",
        "following",
        "setup",
        "markets",
        "messages",
        "sentences",
        "connect",
        "paper_book",
        "silences",
        "meters",
        "rotation",
        "checks",
        "passwords",
        "second_factor",
        "sessions",
    },
    {
        "control",
        "keys",
        "holders",
        "accept",
        "adopt",
        "limits",
        "orders",
        "protect",
        "sight",
        "stopping",
        "lease",
        "ledger",
        "intents",
        "placing",
        "rungs",
        "booking",
        "settle",
        "reset",
        "sweep",
        "accounts",
        "transfers",
        "transferring",
        "reconcile",
        "recompute",
        "tick",
        "outcome",
        "watchlist",
        "decisions",
        "twins",
    },
    {
        "invariants",
        "demo",
        "performance",
        "expectation",
        "bulk",
        "portable",
        "watch",
        "activity",
        "alerts",
        "charting",
        "replaying",
        "backtests",
        "signals",
    },
    {"tasks", "views", "forms", "api", "admin", "management", "templatetags", "middleware", "urls"},
    {"apps"},
]
SECRETS = {"api_key", "secret_key", "passphrase", "secret_url"}


def sources(*folders: str) -> list[Path]:
    found = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return [path for path in found if "migrations" not in path.parts]


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


@cache
def imports(path: Path) -> tuple[str, ...]:
    """Return every module, or module.name, that a source imports, at its top or inside."""
    found: list[str] = []
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found += (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            found += (f"{node.module}.{alias.name}" for alias in node.names)
    return tuple(found)


def floor_of(module: str) -> int:
    part = module.split(".")[1] if "." in module else ""
    for number, floor in enumerate(FLOORS):
        if part in floor:
            return number
    raise AssertionError(f"{module} stands on no floor: add it to FLOORS")


def is_under(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def importers(package: str, *folders: str) -> set[str]:
    return {
        module_of(path)
        for path in sources(*folders)
        for name in imports(path)
        if is_under(name, package)
    }


@pytest.mark.parametrize(
    ("folder", "forbidden"),
    [
        ("trading", "bots"),
        ("trading", "botsite"),
        ("trading", "django"),
        ("trading", "celery"),
        ("bots", "botsite"),
    ],
)
def test_botsite_uses_bots_uses_trading_and_never_back(folder: str, forbidden: str) -> None:
    assert importers(forbidden, folder) == set()


def test_inside_bots_nothing_reaches_up() -> None:
    wrong = []
    for path in sources("bots"):
        module = module_of(path)
        if module == "bots":
            continue
        for name in imports(path):
            is_ours = is_under(name, "bots") and name.count(".") >= 1
            if is_ours and floor_of(name) > floor_of(module):
                wrong.append(f"{module} -> {name}")
    assert wrong == []


def test_the_models_know_nothing_but_lifecycle_and_each_other() -> None:
    allowed = {"bots.models", "bots.lifecycle", "bots.schedule"}
    for path in sources("bots/models"):
        ours = [name for name in imports(path) if is_under(name, "bots")]
        for name in ours:
            assert any(is_under(name, one) for one in allowed), f"{path.name} -> {name}"
    lifecycle = imports(ROOT / "bots/lifecycle.py")
    assert [name for name in lifecycle if is_under(name, "bots")] == []


def test_a_page_never_reaches_an_exchange() -> None:
    """Balance, key checks and market rules are rows that workers refresh."""
    asking = ["bots.connect", "bots.tick", "bots.accounts", "bots.reconcile", "bots.settle"]
    asking += ["bots.transferring", "bots.watchlist"]
    asking += ["bots.backtests.past", "bots.backtests.running"]
    doors = ["bots/views", "bots/api", "bots/forms", "bots/templatetags"]
    for module in asking:
        assert importers(module, *doors) == set(), module
    assert importers("trading.exchanges.ccxt_exchange", *doors, "botsite") == set()


def test_only_the_ccxt_exchange_imports_ccxt() -> None:
    assert importers("ccxt", "bots", "botsite", "trading") == {"trading.exchanges.ccxt_exchange"}


def test_only_the_schedule_imports_django_celery_beat() -> None:
    found = importers("django_celery_beat", "bots", "botsite", "trading")
    assert {name for name in found if not is_under(name, "bots.schedule")} == set()
    assert "bots.schedule.rows" in found


def test_only_the_courier_imports_apprise() -> None:
    assert importers("apprise", "bots", "botsite", "trading") == {"bots.alerts.courier"}
    assert importers("bots.alerts.courier", "bots", "botsite", "trading") == set()


def test_the_web_process_imports_neither_ccxt_nor_apprise_nor_numpy() -> None:
    program = (
        "import sys; import botsite.wsgi; from django.urls import get_resolver;"
        "get_resolver().url_patterns; import botsite.urls;"
        "from django.contrib import admin; admin.autodiscover();"
        "found = {name.split('.')[0] for name in sys.modules};"
        "sys.exit(1 if found & {'ccxt', 'apprise', 'numpy'} else 0)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr or "one of them was imported"


# -- one writer of the state row ------------------------------------------------------------------
#: update() of the default manager stamps the row; whatever goes around it is refused.
AROUND = {"bulk_update", "bulk_create", "update_or_create", "get_or_create", "raw", "abulk_create"}


def goes_around(tree: ast.AST) -> list[str]:
    """Return what a source does to BotState rows other than by StateQuerySet.update()."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            target, verb = ast.unparse(node.func.value), node.func.attr
            if target.startswith("BotState.") and verb in AROUND:
                found.append(f"BotState {verb}")
            if verb in {"save", "save_base", "asave"} and is_state(target):
                found.append(f"{target}.{verb}")
            if verb in {"_base_manager", "_raw_delete"} or "_base_manager" in target:
                found.append(f"{target}.{verb}")
            if verb in {"execute", "executemany"} and "bots_botstate" in ast.unparse(node):
                found.append("SQL on bots_botstate")
        if isinstance(node, ast.Call) and "QuerySet(" in ast.unparse(node)[:20]:
            found += ["QuerySet(BotState)"] if "BotState" in ast.unparse(node) else []
    return found


def is_state(target: str) -> bool:
    return target.rpartition(".")[2] in {"state", "now_row", "state_or_none", "bot_state"}


@pytest.mark.parametrize(
    "source",
    [
        "bot.state.save()",
        "state.save(update_fields=['status'])",
        "held.state.save()",
        "BotState.objects.bulk_update(rows, ['status'])",
        "BotState.objects.bulk_create(rows, update_conflicts=True)",
        "BotState.objects.filter(pk=1).update_or_create(defaults={})",
        "BotState._base_manager.filter(pk=1).update(status='running')",
        "cursor.execute('UPDATE bots_botstate SET status = 1')",
        "models.QuerySet(BotState).update(status='running')",
    ],
)
def test_a_way_around_the_one_writer_is_seen(source: str) -> None:
    assert goes_around(ast.parse(source))


def test_nothing_writes_a_state_row_but_the_one_writer() -> None:
    found = {module_of(path): goes_around(tree_of(path)) for path in sources("bots", "botsite")}
    assert {name: ways for name, ways in found.items() if ways} == {}


def test_only_the_engine_changes_state_rows_at_all() -> None:
    engine = {
        "adopt",
        "reconcile",
        "recompute",
        "protect",
        "booking",
        "change",
        "control",
        "holders",
        "lease",
        "ledger",
        "reset",
        "setup",
        "stopping",
    }
    writers = set()
    for path in sources("bots", "botsite"):
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                text = ast.unparse(node.func)
                if text.startswith("BotState.objects") and text.endswith((".update", ".create")):
                    writers.add(module_of(path))
    allowed = {f"bots.{name}" for name in engine} | {"bots.models.state"}
    assert writers <= allowed, writers - allowed
    assert {"bots.stopping", "bots.ledger", "bots.reset"} <= writers


# -- secrets --------------------------------------------------------------------------------------
def reads_secret(tree: ast.AST) -> bool:
    """Whether a source reads a secret column: by attribute, or by asking a query for it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in SECRETS:
            return True
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            texts = {arg.value for arg in node.args if isinstance(arg, ast.Constant)}
            if node.func.attr in {"only", "values", "values_list"} and texts & SECRETS:
                return True
            if node.func.attr == "defer" and None in texts:
                return True
    return False


@pytest.mark.parametrize(
    "source",
    [
        "print(key.secret_key)",
        "ApiKey.objects.values('api_key')",
        "ApiKey.objects.values_list('pk', 'passphrase')",
        "ApiKey.objects.only('secret_key')",
        "ApiKey.objects.defer(None)",
    ],
)
def test_a_reader_of_secrets_is_seen(source: str) -> None:
    assert reads_secret(ast.parse(source))


def test_only_connect_and_delivery_read_secrets() -> None:
    readers = {
        module_of(path) for path in sources("bots", "botsite") if reads_secret(tree_of(path))
    }
    assert readers == {"bots.connect", "bots.alerts.delivery"}
