"""What is known of a request when something other than the network ends it."""

import signal
from types import FrameType

import pytest

from tests.trading.accounts import Trader


class TimeIsUp(Exception):
    """As a task's time limit: raised by a signal, at any line."""


def test_an_order_that_a_time_limit_cut_off_may_have_been_sent(trader: Trader, server):
    def ring(_number: int, _frame: FrameType | None) -> None:
        raise TimeIsUp

    request = trader.request()
    trader.exchange.balance()
    server.control.add_fault("hang", path="api/v3/order", method="POST", when="after", seconds=0.6)
    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with pytest.raises(TimeIsUp):
            trader.exchange.place(request)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    wire = trader.feed.clients.wire
    assert (wire.attempted, wire.written, wire.response) == (True, True, None)
    found = trader.exchange.find(request)
    assert found is not None
    assert found.filled == request.amount
