"""Timings that do not fit together are said before a bot finds out."""

from typing import Any

import pytest
from django.core.checks import run_checks


def ids() -> set[str]:
    return {message.id for message in run_checks() if (message.id or "").startswith("bots.")}


def test_the_defaults_fit_together() -> None:
    assert ids() == set()


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("LEASE_SECONDS", 45, "bots.W001"),
        ("TICK_DEADLINE_SECONDS", 35, "bots.W002"),
        ("ORDER_FENCE_SECONDS", 14.9, "bots.W003"),
        ("TICK_SEND_MARGIN_SECONDS", 7.9, "bots.W004"),
    ],
)
def test_a_timing_that_does_not_fit_is_named(
    settings: Any, name: str, value: float, code: str
) -> None:
    setattr(settings, name, value)
    assert ids() == {code}
