"""The exchange's clock while ours is asleep, is set, or is slow to be told better."""

import pytest

from trading.exchange import ExchangeError, Fault, Unreachable
from trading.exchanges.clock import RETRY_S, ExchangeClock

TTL_S = 600.0


class Clocks:
    """The world's time, and what a machine's two clocks make of it; all in seconds."""

    def __init__(self) -> None:
        self.true = 1_700_000_000.0
        self.mono = 5.0
        self.wall = 1_699_999_990.0
        self.asked = 0
        self.error: ExchangeError | None = None
        self.asleep_while_asked = 0.0
        self.clock = ExchangeClock(
            self.ask, ttl_s=TTL_S, monotonic=lambda: self.mono, wall=lambda: self.wall
        )

    def ask(self) -> int:
        self.asked += 1
        told = int(self.true * 1000)
        self.sleep(self.asleep_while_asked)
        self.asleep_while_asked = 0.0
        if self.error is not None:
            raise self.error
        return told

    def run(self, seconds: float) -> None:
        self.mono += seconds
        self.sleep(seconds)

    def sleep(self, seconds: float) -> None:
        """A suspended machine: its monotonic clock stands still."""
        self.true += seconds
        self.wall += seconds

    @property
    def is_right(self) -> bool:
        return self.clock.now() == int(self.true * 1000)


@pytest.fixture
def clocks() -> Clocks:
    made = Clocks()
    assert made.is_right
    return made


def test_a_measurement_is_used_while_both_clocks_agree(clocks: Clocks) -> None:
    clocks.run(TTL_S - 1)
    clocks.wall += 0.9  # slewed
    assert clocks.is_right
    assert clocks.asked == 1


@pytest.mark.parametrize("seconds", [1.5, 1800.0])
def test_after_a_sleep_the_exchange_is_asked_anew(clocks: Clocks, seconds: float) -> None:
    clocks.sleep(seconds)
    assert clocks.is_right
    assert clocks.is_right
    assert clocks.asked == 2


@pytest.mark.parametrize("seconds", [-3600.0, 3600.0])
def test_a_wall_clock_that_was_set_costs_one_question(clocks: Clocks, seconds: float) -> None:
    clocks.wall += seconds
    assert clocks.is_right
    assert clocks.is_right
    assert clocks.asked == 2


def test_no_time_is_guessed_while_the_exchange_is_silent_after_a_sleep(clocks: Clocks) -> None:
    clocks.error = Unreachable(Fault.NETWORK, "no route")
    clocks.sleep(1800)
    for _ in range(2):
        with pytest.raises(Unreachable, match="no route"):
            clocks.clock.now()
        clocks.run(RETRY_S / 2)
    clocks.error = None
    assert clocks.is_right


def test_without_a_sleep_an_old_measurement_outlives_the_silence(clocks: Clocks) -> None:
    clocks.error = Unreachable(Fault.NETWORK, "no route")
    clocks.run(TTL_S + 1)
    assert clocks.is_right
    assert clocks.is_right
    assert clocks.asked == 2


def test_a_sleep_while_the_exchange_is_asked_is_no_measurement(clocks: Clocks) -> None:
    clocks.clock.forget()
    clocks.asleep_while_asked = 1800.0
    with pytest.raises(Unreachable) as caught:
        clocks.clock.now()
    assert caught.value.fault is Fault.CLOCK
    assert clocks.is_right


def test_a_sleep_in_a_routine_question_makes_it_ask_again(clocks: Clocks) -> None:
    clocks.run(TTL_S + 1)
    clocks.asleep_while_asked = 1800.0
    assert clocks.is_right
    assert clocks.asked == 3
