"""Failpoints: nothing without their setting, once each with it, and never against real money."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from bots import failpoints
from bots.models import User
from tests.engine.bench import Bench
from trading.exchange import Fault, Refused


def test_without_the_setting_a_file_does_nothing(
    alice: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tick.claimed").write_text("kill")
    bench = Bench(alice)
    assert bench.tick() is not None
    assert (tmp_path / "tick.claimed").exists()


def test_a_held_tick_goes_on_when_it_is_let_go(settings: Any, tmp_path: Path) -> None:
    settings.FAILPOINTS = str(tmp_path)
    (tmp_path / "intent.after@7").write_text("hold")
    failpoints.reach("intent.after", 8)
    passed = threading.Event()

    def tick() -> None:
        failpoints.reach("intent.after", 7)
        passed.set()

    threading.Thread(target=tick).start()
    held = tmp_path / "intent.after@7.held"
    while not held.exists():
        time.sleep(0.005)
    assert not passed.is_set()
    held.unlink()
    assert passed.wait(5)
    failpoints.reach("intent.after", 7)  # taken: the second time nothing happens


def test_an_order_that_nobody_knows_is_refused(settings: Any, tmp_path: Path) -> None:
    settings.FAILPOINTS = str(tmp_path)
    (tmp_path / "tick.claimed").write_text("explode")
    with pytest.raises(ValueError, match="explode"):
        failpoints.reach("tick.claimed", 1)


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("http://127.0.0.1:9000", True),
        ("http://[::1]:9000", True),
        ("http://localhost:9000", True),
        ("https://api.binance.com", False),
        ("http://127.0.0.1.example.com", False),
        (None, False),
    ],
)
def test_armed_failpoints_refuse_every_exchange_that_is_not_on_loopback(
    settings: Any, tmp_path: Path, address: str | None, allowed: bool
) -> None:
    failpoints.check_loopback(address)
    settings.FAILPOINTS = str(tmp_path)
    if allowed:
        failpoints.check_loopback(address)
        return
    with pytest.raises(Refused) as refused:
        failpoints.check_loopback(address)
    assert refused.value.fault is Fault.CLIENT


def test_a_real_bot_never_reaches_its_exchange_while_failpoints_are_armed(
    settings: Any, tmp_path: Path, alice: User
) -> None:
    settings.FAILPOINTS = str(tmp_path)
    bench = Bench(alice, exchange="binance")
    from bots import tick

    found = tick.run(bench.bot.pk)
    assert found is not None
    assert (found.gate, bench.where) == (
        "client_init_failed",
        ("error", "client_init_failed", "none"),
    )
