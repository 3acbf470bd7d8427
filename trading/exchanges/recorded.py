"""A feed made from recorded candles, for replay: tests, benchmarks, backtest."""

from collections.abc import Callable, Iterable, Sequence

from trading.market import Rules


class ReplayClock:
    """A clock that is set by hand: `clock.at = ms`, read by calling it."""

    def __init__(self, at: int) -> None:
        self.at = at

    def __call__(self) -> int:
        return self.at


class RecordedFeed:
    """Implements trading.exchange.Feed for one symbol; rows (time ms, o, h, l, c, volume)."""

    name = "recorded"

    def __init__(
        self,
        rows: Iterable[Sequence[float]],
        symbol: str,
        rules: Rules,
        clock: Callable[[], int],
        *,
        timeframe: str = "1m",
    ) -> None:
        raise NotImplementedError
