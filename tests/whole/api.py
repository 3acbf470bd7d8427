"""What several tests read from the API."""

from typing import Any

from tests.doors.client import Caller
from tests.whole.processes import wait_until


def state_of(api: Caller, bot_id: int) -> dict[str, Any]:
    """Return a bot's state as the API tells it."""
    body: dict[str, Any] = api.get(f"/bot-states/{bot_id}").body
    return body


def wait_for(api: Caller, bot_id: int, timeout: float = 15, **wanted: Any) -> dict[str, Any]:
    """Wait until the API tells these values of a bot's state; returns the state."""

    def arrived() -> dict[str, Any] | None:
        state = state_of(api, bot_id)
        return state if all(state.get(name) == value for name, value in wanted.items()) else None

    try:
        return wait_until(arrived, timeout) or {}
    except AssertionError:
        raise AssertionError(f"wanted {wanted}, is {state_of(api, bot_id)}") from None
