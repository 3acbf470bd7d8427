"""An offline market whose candles and prices are a pure function of seed, symbol and time."""

from collections.abc import Callable


class SimulatedFeed:
    """Implements trading.exchange.Feed. `clock` returns Unix ms. name and key: "simulated"."""

    name = "simulated"

    def __init__(self, seed: int, clock: Callable[[], int]) -> None:
        raise NotImplementedError
