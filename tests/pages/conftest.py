"""What every page test needs."""

import pytest


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
