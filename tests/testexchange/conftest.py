"""What the tests of the test exchange share; each module starts a `server` of its own."""

import pytest

from tests.testexchange import ExchangeControl, TestExchange
from tests.testexchange.clients import Trader, calm


@pytest.fixture
def control(server: TestExchange) -> ExchangeControl:
    """The module's exchange in a known state."""
    calm(server.control)
    return server.control


@pytest.fixture
def alice(server: TestExchange, control: ExchangeControl, request: pytest.FixtureRequest) -> Trader:
    """An account of this test's own."""
    return Trader(server, f"alice-{request.node.name}")
