"""What the engine's tests share. Models are imported late: see tests/conftest.py."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from bots.models import User
    from tests.engine.bench import Bench

Maker = Callable[..., "Bench"]


@pytest.fixture(autouse=True)
def _long_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process has been up for long: the scripted noon may lie before it was started."""
    from bots import reconcile

    monkeypatch.setattr(reconcile, "STARTED", datetime(2020, 1, 1, tzinfo=UTC))


@pytest.fixture
def bench(alice: "User") -> Maker:
    """Make a bot of alice's on a market of its own: `bench(stop_loss_perc=2)`."""
    from tests.engine.bench import Bench

    def make(**values: Any) -> "Bench":
        return Bench(alice, **values)

    return make


@pytest.fixture
def flat(bench: Maker) -> "Bench":
    """A bot that holds nothing, on an exchange that tells what it is told to."""
    b = bench()
    b.scripted()
    return b


@pytest.fixture
def holding(bench: Maker) -> "Bench":
    """Another bot, which holds 2 BTC, bought at 100."""
    b = bench()
    b.scripted()
    b.enter()
    return b
