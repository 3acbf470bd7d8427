"""What `manage.py check` says before a bot finds out: settings that do not fit, refused plugins."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, register
from django.core.checks import Warning as CheckWarning

from trading import strategies

#: Binance may work on a request for this long after its receive window has closed.
EXCHANGE_WORKS_MS = 10_000


@register()
def timings_fit(**_: Any) -> Sequence[CheckMessage]:
    """Warn where a tick could outlive its lease, or an order its fence."""
    found = []
    limit = settings.CELERY_TASK_TIME_LIMIT
    if limit >= settings.LEASE_SECONDS:
        text = "TASK_HARD_LIMIT_SECONDS must be below LEASE_SECONDS: no tick may outlive its lease."
        found.append(CheckWarning(text, id="bots.W001"))
    if settings.TICK_DEADLINE_SECONDS >= settings.CELERY_TASK_SOFT_TIME_LIMIT:
        text = "TICK_DEADLINE_SECONDS must be below TASK_SOFT_LIMIT_SECONDS."
        found.append(CheckWarning(text, id="bots.W002"))
    if settings.ORDER_FENCE_SECONDS * 1000 < settings.RECV_WINDOW_MS + EXCHANGE_WORKS_MS:
        text = "ORDER_FENCE_SECONDS must be RECV_WINDOW_MS + 10 s or more: an order that the "
        text += "exchange still works on could be taken for one that it never got."
        found.append(CheckWarning(text, id="bots.W003"))
    if settings.TICK_SEND_MARGIN_SECONDS < settings.HTTP_TIMEOUT_SECONDS:
        text = "TICK_SEND_MARGIN_SECONDS must be HTTP_TIMEOUT_SECONDS or more."
        found.append(CheckWarning(text, id="bots.W004"))
    return found


@register()
def plugins_are_used(**_: Any) -> Sequence[CheckMessage]:
    """Warn of each strategy of another package that is refused: its bots cannot run.

    A warning, since an error would keep the site from starting.
    """
    return [
        CheckWarning(
            str(refusal),
            hint="Mend or remove the package; docs/strategies.md says what a strategy must have.",
            id="bots.W005",
        )
        for refusal in strategies.refused()
    ]
