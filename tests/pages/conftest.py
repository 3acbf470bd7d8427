"""What every page test needs, and a signed-in browser."""

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from bots.models import User


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, tuple[object, ...]]]:
    """Collect what would be queued: no worker listens here, and no test may wait for one."""
    from bots import schedule

    queued: list[tuple[str, tuple[object, ...]]] = []

    def send(task: str, *args: object, expires: float = 60) -> bool:
        queued.append((task, args))
        return True

    monkeypatch.setattr(schedule, "send", send)
    return queued


@pytest.fixture
def seen(page: "Page", live_server: Any, alice: "User") -> "Page":
    """A browser in which alice is signed in, on nowhere yet."""
    from tests.browser import sign_in

    sign_in(page, alice, live_server.url)
    return page


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server asks for a poll every 300 ms."""
    from bots.views import dashboard, present

    for module in (present, dashboard):
        for name in ("SOON", "ACTIVE", "IDLE"):
            monkeypatch.setattr(module, name, 0.3)
