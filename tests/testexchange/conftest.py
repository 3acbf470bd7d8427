"""What the tests of the test exchange share; each module gets a `server` of its own."""

from collections.abc import Iterator

import pytest

from tests.testexchange import ExchangeControl, TestExchange
from tests.testexchange.clients import NOON, FuturesTrader, Trader, calm


@pytest.fixture(scope="module")
def server() -> Iterator[TestExchange]:
    with TestExchange(config={"clock": {"now_ms": NOON}}) as running:
        yield running


@pytest.fixture
def control(server: TestExchange) -> ExchangeControl:
    """The module's exchange in a known state."""
    calm(server.control)
    return server.control


@pytest.fixture
def alice(server: TestExchange, control: ExchangeControl, request: pytest.FixtureRequest) -> Trader:
    """An account of this test's own."""
    return Trader(server, f"alice-{request.node.name}")


@pytest.fixture
def bob(
    server: TestExchange, control: ExchangeControl, request: pytest.FixtureRequest
) -> FuturesTrader:
    """An account of this test's own that trades perpetuals."""
    return FuturesTrader(server, f"bob-{request.node.name}")
