"""Callers and bots that the tests of the doors share. Models are imported late: see tests/."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from django.test import Client

    from bots.models import BotConfig, User
    from tests.doors.client import Caller
    from tests.doors.content import Content

Maker = Callable[..., "BotConfig"]


@pytest.fixture(autouse=True)
def _nothing_counted() -> None:
    """Each test starts with calls to spend."""
    from bots.api import throttle

    throttle.memory.clear()


@pytest.fixture
def as_alice(alice: "User") -> "Caller":
    from tests.doors.client import Caller

    return Caller(alice)


@pytest.fixture
def as_mallory(mallory: "User") -> "Caller":
    from tests.doors.client import Caller

    return Caller(mallory)


@pytest.fixture
def make_bot(db: None) -> Maker:
    """Make a paper bot on the simulated market."""
    from bots import control

    def make(owner: "User", **values: Any) -> "BotConfig":
        fields = {"name": "Wave", "symbol": "WAVE/USDT", "position_size_fixed": 100} | values
        return control.create(owner, fields)

    return make


@pytest.fixture
def bot(alice: "User", make_bot: Maker) -> "BotConfig":
    """A paper bot of alice's that never started."""
    return make_bot(alice)


@pytest.fixture
def content(alice: "User") -> "Content":
    """One of everything, alice's."""
    from tests.doors.content import fill

    return fill(alice)


@pytest.fixture
def operator(db: None) -> "User":
    from bots.models import User

    return User.objects.create_superuser("olga", password="olga-has-a-long-password")


@pytest.fixture
def as_operator(operator: "User") -> "Client":
    """The operator's browser."""
    from tests.doors.client import signed_in

    return signed_in(operator)
