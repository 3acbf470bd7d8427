"""An offline market whose candles and prices are a pure function of seed, symbol and time.

The logarithm of a price is a walk by midpoint displacement: a coarse grid of hashed values, each
finer grid halfway between its neighbours plus a smaller hashed step (Fournier, Fussell, Carpenter:
Computer rendering of stochastic models, 1982). Any stretch is computed by itself, in time linear
in its length, without state; longer candles read the same points, so all timeframes agree.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256
from math import exp, pi, sin, sqrt

from trading.exchange import Fault, Unusable
from trading.market import TIMEFRAMES, Candles, Quote, Rules

KNOT_MS = 30_000  # the price is drawn every 30 s and moves straight in between
PAGE = 5_000  # candles that are told at once
LEVELS = 16  # grids: from 30 s up to 30 s * 2**16, about 23 days
MASK = (1 << 64) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One simulated market: where its price lives and how far it moves.

    `decimals` of the price and of the amount; `step` is the size of the shortest random step as
    a fraction of the price; `wave` and `wave_ms` add a sine of that height and period.
    """

    price: float
    decimals: int
    amount_decimals: int
    step: float = 0.0003
    wave: float = 0.0
    wave_ms: int = 3_600_000
    volume: float = 10.0
    active: bool = True


MODELS: Mapping[str, Model] = {
    "BTC/USDT": Model(price=64_000, decimals=2, amount_decimals=5, step=0.00022, volume=12),
    "ETH/USDT": Model(price=3_200, decimals=2, amount_decimals=4, volume=180),
    "BNB/USDT": Model(price=580, decimals=2, amount_decimals=3, volume=90),
    "SOL/USDT": Model(price=150, decimals=2, amount_decimals=3, step=0.0004, volume=900),
    "XRP/USDT": Model(price=0.55, decimals=4, amount_decimals=1, step=0.0004, volume=90_000),
    "ADA/USDT": Model(price=0.45, decimals=4, amount_decimals=1, step=0.0004, volume=80_000),
    "DOGE/USDT": Model(price=0.14, decimals=5, amount_decimals=0, step=0.0005, volume=300_000),
    "AVAX/USDT": Model(price=28, decimals=3, amount_decimals=2, step=0.0004, volume=2_000),
    # For showing what a bot does: a tide that turns every day and can be followed, signals every
    # few minutes, none at all, a market that is halted.
    "TIDE/USDT": Model(
        price=50, decimals=3, amount_decimals=3, step=0.0004, wave=0.025, wave_ms=172_800_000
    ),
    "WAVE/USDT": Model(
        price=100, decimals=3, amount_decimals=3, step=0.0001, wave=0.004, wave_ms=480_000
    ),
    "CALM/USDT": Model(price=1, decimals=2, amount_decimals=2, step=0.0, volume=50_000),
    "HALT/USDT": Model(price=10, decimals=3, amount_decimals=2, active=False),
}


class SimulatedFeed:
    """Implements trading.exchange.Feed. `clock` returns Unix ms; equal seeds, equal markets."""

    name = "simulated"

    def __init__(self, seed: int, clock: Callable[[], int]) -> None:
        self.key = f"simulated:{seed}"
        self._seed = seed
        self._clock = clock

    def now(self) -> int:
        """Return what the clock says."""
        return self._clock()

    def symbols(self) -> Mapping[str, Rules]:
        """Return the rules of all simulated markets."""
        return {symbol: _rules(symbol, model) for symbol, model in MODELS.items()}

    def rules(self, symbol: str) -> Rules:
        """Return one market's rules; Unusable(MARKET_UNKNOWN) if it is not simulated."""
        return _rules(symbol, _model(symbol))

    def candles(self, symbol: str, timeframe: str, count: int) -> Candles:
        """Return the newest `count` closed candles."""
        length = TIMEFRAMES[timeframe]
        start = (self._clock() // length - count) * length
        return Candles.from_rows(symbol, timeframe, self._rows(symbol, timeframe, start, count))

    def past(self, symbol: str, timeframe: str, since: int) -> list[tuple[float, ...]]:
        """Return a page of closed candles that opened at `since` (Unix ms) or later."""
        length = TIMEFRAMES[timeframe]
        first, end = -(-since // length), self._clock() // length
        count = max(min(end - first, PAGE), 0)
        return self._rows(symbol, timeframe, first * length, count)

    def _rows(self, symbol: str, timeframe: str, start: int, count: int) -> list[tuple[float, ...]]:
        model, length = _model(symbol), TIMEFRAMES[timeframe]
        end, per = start + count * length, length // KNOT_MS
        ticks = self._ticks(symbol, model, start // KNOT_MS, end // KNOT_MS)
        scale, salt = 10**model.decimals, _salt(self._seed, symbol, timeframe)
        rows: list[tuple[float, ...]] = []
        for number in range(count):
            inside = ticks[number * per : (number + 1) * per + 1]
            time = start + number * length
            busy = 0.5 + _hashed(salt, time) / 2 + abs(inside[-1] - inside[0]) / inside[0] * 50
            rows.append(
                (
                    time,
                    inside[0] / scale,
                    # Bid and ask are a tick away from the price, and belong to the candle too.
                    (max(inside) + 1) / scale,
                    (min(inside) - 1) / scale,
                    inside[-1] / scale,
                    round(model.volume * busy * length / 60_000, 4),
                )
            )
        return rows

    def quote(self, symbol: str) -> Quote:
        """Return the price now, with bid and ask one tick below and above it."""
        model, now = _model(symbol), self._clock()
        knot, rest = divmod(now, KNOT_MS)
        before, after = self._ticks(symbol, model, knot, knot + 1)
        tick = Decimal(1).scaleb(-model.decimals)
        last = (before + (after - before) * rest // KNOT_MS) * tick
        return Quote(symbol=symbol, bid=last - tick, ask=last + tick, last=last, at=now)

    def _ticks(self, symbol: str, model: Model, first: int, last: int) -> list[int]:
        """Return the price, in ticks, at the knots `first` to `last` (knot 0 is 1970-01-01)."""
        salt = _salt(self._seed, symbol)
        walk = _walk(salt, first, last, model.step) if model.step else [0.0] * (last - first + 1)
        level, turn = model.price * 10**model.decimals, 2 * pi * KNOT_MS / model.wave_ms
        if not model.wave:
            return [round(level * exp(value)) for value in walk]
        return [
            round(level * exp(value + model.wave * sin(turn * knot)))
            for knot, value in enumerate(walk, first)
        ]


def _walk(salt: int, first: int, last: int, step: float) -> list[float]:
    """Return the walk at the knots `first` to `last`: coarse grid first, halved level by level."""
    low, high = first >> LEVELS, (last >> LEVELS) + 1
    size = step * sqrt(2**LEVELS)
    values = [size * _hashed(salt + LEVELS, at) for at in range(low, high + 1)]
    for level in range(LEVELS - 1, -1, -1):
        size = step * sqrt(2**level)
        fine_low, fine_high = first >> level, (last >> level) + 1
        finer = []
        for at in range(fine_low, fine_high + 1):
            left = values[(at >> 1) - low]
            middle = (left + values[(at >> 1) + 1 - low]) / 2 if at & 1 else left
            finer.append(middle + size * _hashed(salt + level, at))
        values, low = finer, fine_low
    return values[: last - first + 1]


def _hashed(salt: int, at: int) -> float:
    """Return a number in [-1, 1) that depends on nothing but its arguments (splitmix64)."""
    mixed = (salt * 0x9E3779B97F4A7C15 + at * 0xBF58476D1CE4E5B9) & MASK
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & MASK
    return (mixed ^ (mixed >> 31)) / 2**63 - 1


def _salt(seed: int, *words: str) -> int:
    # hash() differs from process to process.
    return int.from_bytes(sha256(repr((seed, *words)).encode()).digest()[:8])


def _model(symbol: str) -> Model:
    if symbol not in MODELS:
        raise Unusable(Fault.MARKET_UNKNOWN, f"{symbol} is not simulated")
    return MODELS[symbol]


def _rules(symbol: str, model: Model) -> Rules:
    base, quote = symbol.split("/")
    step = Decimal(1).scaleb(-model.amount_decimals)
    return Rules(
        symbol=symbol,
        base=base,
        quote=quote,
        active=model.active,
        amount_step=step,
        price_tick=Decimal(1).scaleb(-model.decimals),
        min_amount=step,
        max_amount=step * 10**9,
        min_notional=Decimal(5),
        taker_fee=Decimal("0.001"),
        maker_fee=Decimal("0.001"),
    )
