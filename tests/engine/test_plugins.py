"""A package brings a strategy: the one of docs/strategies.md, installed by pip, then taken away."""

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable
from decimal import Decimal
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks
from django.test import Client

from bots import tick
from bots.models import BotConfig, BotState, Decision, Order, User
from bots.replaying import replay
from botsite.platform.bootstrap import ROOT
from tests.engine.bench import Bench
from tests.engine.test_rungs import resting
from tests.pages.builders import sign_in, text_of
from tests.trading.odd_plugins import Moody, Steps
from trading import strategies
from trading.strategies import Registry, plugins
from trading.strategies.ema_rsi import EmaRsi

D = Decimal
PAGE = (ROOT / "docs/strategies.md").read_text(encoding="utf-8")
Maker = Callable[..., Bench]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def wheel(folder: Path, project: dict[str, Any], files: dict[str, str]) -> Path:
    """Write a wheel as a build tool would; files: path -> text."""
    name, version = project["name"].replace("-", "_"), project["version"]
    info = f"{name}-{version}.dist-info"
    groups = "".join(
        f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in points.items())
        for group, points in project["entry-points"].items()
    )
    head = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {version}\n"
    kind = "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    infos = {"METADATA": head, "WHEEL": kind, "entry_points.txt": groups}
    content = files | {f"{info}/{key}": text for key, text in infos.items()}
    rows = [f"{key},sha256={digest(text)},{len(text.encode())}" for key, text in content.items()]
    record = "\n".join([*rows, f"{info}/RECORD,,\n"])
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for inside, text in content.items():
            archive.writestr(inside, text)
        archive.writestr(f"{info}/RECORD", record)
    return path


def digest(text: str) -> str:
    raw = hashlib.sha256(text.encode()).digest()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which pip has installed the package of the page."""
    folder = tmp_path_factory.mktemp("plugin")
    (project,), (code,) = blocks("toml"), blocks("python")
    target = folder / "installed"
    made = wheel(folder, tomllib.loads(project)["project"], {"botsite_momentum.py": code})
    options = ["--no-deps", "--no-index", "--no-compile", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "install", "-q", *options, "--target", target, made]
    subprocess.run([str(word) for word in command], check=True)
    return target


def run(package: Path, env: dict[str, str], *words: str) -> "subprocess.CompletedProcess[str]":
    env = env | {"PYTHONPATH": f"{package}:{ROOT}", "DJANGO_SETTINGS_MODULE": "botsite.settings"}
    command = [sys.executable, *words]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


def test_the_example_of_the_page_is_as_short_as_it_says() -> None:
    assert "a module of fewer than 40 lines" in PAGE
    assert 20 < len(blocks("python")[0].splitlines()) < 40


@pytest.mark.django_db(transaction=True)
def test_form_check_and_tick_know_an_installed_package_and_say_when_it_is_gone(
    package: Path, alice: User, process_env: dict[str, str], client: Client
) -> None:
    checked = run(package, process_env, "manage.py", "check")
    assert checked.returncode == 0, checked.stderr
    assert "bots.W005" not in checked.stderr
    done = run(package, process_env, "-m", "tests.engine.plugged", "momentum")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["choice"] == "Momentum"
    assert said["params"] == {"lookback": 4}
    assert said["where"] == ["running", "entered", "trade"]
    assert said["orders"] == 1
    assert said["numbers"]["why"] == "momentum.buy"
    assert said["fields"] == ["param_lookback"]
    assert "Buys while the close is above the one some candles ago" in said["settings"]
    assert "Entry signal: The close is above the earlier one." in said["why"]
    assert re.search(r"earlier\s+\d", said["why"]), "its own numbers are shown by their own names"
    # Here the package is not installed: the same bot, the same database.
    _is_gone(BotConfig.objects.get(pk=said["bot"]), alice, client)


def _is_gone(bot: BotConfig, owner: User, client: Client) -> None:
    bench = Bench(owner, start=False, name="Market alone")
    bench.bot, bench.market.price = bot, D(100)
    bench.tick(after=120)
    assert bench.where == ("error", "unknown_strategy", "exit")
    state = BotState.objects.get(pk=bot.pk)
    assert "Have its package installed, or choose another strategy" in state.last_error_message
    assert state.last_error_message.endswith("[momentum]")
    sign_in(client, owner)
    assert "does not exist in this installation" in text_of(client.get(f"/bots/{bot.pk}/"))
    form = text_of(client.get(f"/bots/{bot.pk}/settings/"))
    assert "momentum (not installed)" in form
    assert "This strategy is not installed here." in form
    row = Decision.objects.filter(bot=bot, order__isnull=False).get()
    assert client.get(f"/bots/{bot.pk}/decisions/{row.pk}/").status_code == 200
    # Its stop is watched all the same.
    bench.market.price = D(90)
    tick.run(bot.pk, bench.world)
    assert Order.objects.filter(bot=bot).latest("pk").reason == "stop_loss"


#: The module of an entry point that stands, and why what it brings is refused.
BROKEN = {
    "raises": ("raise RuntimeError('no licence')\n", "(RuntimeError: no licence)"),
    "exits": ("import sys; sys.exit(3)\n", "(SystemExit: 3)"),
    "unfinished": ("def broken(:\n", "(SyntaxError"),
    "other": ("class Kept: pass\n", "its name is not that of its entry point: None"),
}


def test_a_broken_package_is_said_by_check_and_takes_nothing_with_it(
    package: Path, tmp_path: Path
) -> None:
    points = {name: f"broken_{name}:Kept" for name in BROKEN}
    project = {"name": "broken-pack", "version": "1", "entry-points": {plugins.GROUP: points}}
    files = {f"broken_{name}.py": code for name, (code, _why) in BROKEN.items()}
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel(tmp_path, project, files)) as archive:
        archive.extractall(installed)
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = run(Path(f"{installed}:{package}"), env, "manage.py", "check")
    assert done.returncode == 0, done.stderr
    text = re.sub(r"\s+", " ", done.stderr)
    for name, (_code, why) in BROKEN.items():
        how = why if name == "other" else f"it cannot be loaded {why}"
        said = f"(bots.W005) The strategy '{name}' of the package broken-pack is refused: {how}"
        assert said in text
    assert text.count("bots.W005") == len(BROKEN), "the good package beside it is taken"


def brought(monkeypatch: pytest.MonkeyPatch, what: str, name: str = "odd") -> None:
    """Let another package bring this class of odd_plugins as a strategy."""
    point = EntryPoint(name, f"tests.trading.odd_plugins:{what}", plugins.GROUP)
    monkeypatch.setattr(plugins, "entry_points", lambda group: [point])
    monkeypatch.setattr(strategies, "STRATEGIES", Registry(EmaRsi()))


@pytest.fixture
def moody(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The strategy `odd` of another package, which fails when its mood says so."""
    brought(monkeypatch, "Moody")
    yield Moody
    Moody.mood = None


def test_a_clash_is_a_warning_and_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    brought(monkeypatch, "Good", name="ema_rsi")
    (found,) = [message for message in run_checks() if message.id == "bots.W005"]
    assert "a strategy of this name is built in" in found.msg
    assert not found.is_serious()


@pytest.mark.parametrize("mood", [{"signal": ZeroDivisionError("x")}, {"signal": None}])
def test_a_strategy_that_fails_opens_nothing_and_its_bot_says_so(
    bench: Maker, moody: Any, mood: dict[str, object]
) -> None:
    b = bench(strategy="odd")
    b.tick()
    assert b.where == ("running", "entered", "trade")
    b.command("exit")
    b.tick()
    assert b.where == ("running", "exited", "trade")
    moody.mood = mood
    for expected in ("waiting", "waiting", "error"):
        b.tick()
        assert b.where == (expected, "internal", "trade")
        assert "odd: " in b.state.last_error_message
    b.command("enter")
    b.tick()
    assert len(b.orders) == 2
    moody.mood = None
    b.tick()
    assert b.where == ("running", "entered", "trade")


def test_a_strategy_that_fails_does_not_keep_the_stop_from_working(
    bench: Maker, moody: Any
) -> None:
    b = bench(strategy="odd", stop_loss_perc=D(5))
    b.tick()
    moody.mood = {"signal": RuntimeError("x")}
    b.tick()
    assert b.state.in_position
    b.market.price = D(90)
    b.tick()
    assert b.order.reason == "stop_loss"
    assert not b.state.in_position


def test_a_ladder_rests_and_where_it_fails_its_orders_stay_and_the_stop_works(
    bench: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    brought(monkeypatch, "Steps")
    b = bench(strategy="odd", stop_loss_perc=D(5), take_profit_perc=D(10))
    b.tick()
    b.tick()
    assert resting(b) == [("buy", D("80.05"), D(1)), ("buy", D("90.05"), D(1))]
    assert b.where == ("running", "in_position", "trade")
    monkeypatch.setattr(Steps, "answer", RuntimeError("x"))
    b.tick()
    assert b.where == ("waiting", "internal", "trade")
    assert "odd: RuntimeError" in b.state.last_error_message
    assert len(resting(b)) == 2
    b.market.price = D(94)
    b.tick()
    assert (b.state.in_position, resting(b)) == (False, [])
    assert b.order.reason == "stop_loss"


@pytest.mark.parametrize("mood", [{"window": 0}, {"window": None}])
def test_parameters_that_it_cannot_bear_switch_its_bot_off(
    bench: Maker, moody: Any, mood: dict[str, object]
) -> None:
    b = bench(strategy="odd")
    moody.mood = mood
    b.tick()
    assert b.where == ("error", "bad_settings", "none")


def test_a_replay_takes_the_signal_as_kept_where_the_strategy_fails(
    bench: Maker, moody: Any
) -> None:
    b = bench(strategy="odd")
    b.tick()
    row = b.decisions[-1]
    assert replay(row).signals == "judged"
    moody.mood = {"signal": RuntimeError("x")}
    assert replay(row).signals == "as_kept"
