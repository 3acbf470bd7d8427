"""Channels that lead to receivers on this machine, and turns of the alerts at any time."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from tests.receivers import Received, mailbox, webhooks


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect what would be queued: no worker listens here."""
    from bots import schedule

    queued: list[str] = []

    def send(task: str, *_args: object, expires: float = 60) -> bool:
        queued.append(task)
        return True

    monkeypatch.setattr(schedule, "send", send)
    return queued


@pytest.fixture
def private(settings: Any) -> None:
    """Receivers on this machine may be used."""
    settings.ALERTS_ALLOW_PRIVATE = True


@pytest.fixture
def hook(private: None) -> Iterator[Received]:
    with webhooks() as received:
        yield received


@pytest.fixture
def post(settings: Any) -> Iterator[Received]:
    """The site's own mail server."""
    with mailbox() as received:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", received.port
        settings.DEFAULT_FROM_EMAIL = "Botsite <alerts@example.org>"
        yield received


@pytest.fixture
def look(db: None) -> Callable[..., int]:
    """Scan and plan at a time; returns how many messages were made. The first look is made here."""
    from bots.alerts.plan import plan
    from bots.alerts.scan import scan
    from bots.models import AlertScan

    AlertScan.objects.create(pk=1)
    start = timezone.now() - timedelta(minutes=10)
    scan(AlertScan.objects.get(), start)

    def at(now: datetime | None = None) -> int:
        moment = now or timezone.now()
        scan(AlertScan.objects.get(), moment)
        return plan(moment)

    return at


@pytest.fixture
def tell(look: Callable[..., int]) -> Callable[..., int]:
    """As `look`, and send what is due; returns how many messages were tried."""

    from bots.alerts import delivery

    def at(now: datetime | None = None) -> int:
        look(now)
        return delivery.deliver(now)

    return at
