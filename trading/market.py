"""The values every engine shares: frozen, keyword-only, money in Decimal, instants in Unix ms."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Context, Decimal
from enum import StrEnum

#: ccxt's names of the candle lengths we trade on, and their length in milliseconds.
TIMEFRAMES: Mapping[str, int] = {
    "1m": 60_000,
    "3m": 180_000,
    "5m": 300_000,
    "15m": 900_000,
    "30m": 1_800_000,
    "1h": 3_600_000,
    "4h": 14_400_000,
    "1d": 86_400_000,
}


#: Wide enough that no product of two stored numbers loses a digit.
EXACT = Context(prec=76, rounding=ROUND_HALF_EVEN)
QUANTUM = Decimal(1).scaleb(-18)


def quantize(value: Decimal) -> Decimal:
    """Round to the 18 decimals that every stored amount has, half to even."""
    return value.quantize(QUANTUM, context=EXACT)


class Side(StrEnum):
    BUY = "buy"
    SELL = "sell"


class OrderType(StrEnum):
    """POST_ONLY is a limit order that is refused where it would trade at once.

    STOP and TARGET rest at the exchange until the price reaches their `trigger`: a stop when it
    moves against the position, a target when it moves with it; then they trade at market, a
    target with a `price` at that limit.
    """

    MARKET = "market"
    LIMIT = "limit"
    POST_ONLY = "post_only"
    STOP = "stop"
    TARGET = "target"


class OrderStatus(StrEnum):
    """SENT -> OPEN -> PARTIAL -> a final one, or SENT -> UNKNOWN -> one of those; forward only."""

    SENT = "sent"
    UNKNOWN = "unknown"
    OPEN = "open"
    PARTIAL = "partial"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    ABANDONED = "abandoned"

    @property
    def is_final(self) -> bool:
        return self in FINAL

    def may_become(self, new: "OrderStatus") -> bool:
        """Whether an order in this status may move to `new`; a final one never moves."""
        return self == new or (not self.is_final and RANK[new] > RANK[self])


FINAL = frozenset(
    {
        OrderStatus.FILLED,
        OrderStatus.CANCELED,
        OrderStatus.EXPIRED,
        OrderStatus.REJECTED,
        OrderStatus.ABANDONED,
    }
)
RANK: Mapping[OrderStatus, int] = {
    OrderStatus.SENT: 0,
    OrderStatus.UNKNOWN: 1,
    OrderStatus.OPEN: 2,
    OrderStatus.PARTIAL: 3,
    **dict.fromkeys(FINAL, 4),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Candles:
    """Closed candles of one market, oldest first, one column a tuple.

    `times` are opening instants in Unix ms. Prices and volumes are floats: they feed indicator
    arithmetic only. A price that becomes an order or a stop comes from a Quote, in Decimal.
    """

    symbol: str
    timeframe: str
    times: tuple[int, ...]
    open: tuple[float, ...]
    high: tuple[float, ...]
    low: tuple[float, ...]
    close: tuple[float, ...]
    volume: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.times)

    def cut(self, first: int, end: int) -> "Candles":
        """Return the candles from place `first` up to, but without, place `end`."""
        return Candles(
            symbol=self.symbol,
            timeframe=self.timeframe,
            times=self.times[first:end],
            open=self.open[first:end],
            high=self.high[first:end],
            low=self.low[first:end],
            close=self.close[first:end],
            volume=self.volume[first:end],
        )

    def last(self, count: int) -> "Candles":
        """Return the newest `count` candles (all of them when there are fewer)."""
        return self.cut(max(len(self) - count, 0), len(self))

    @classmethod
    def from_rows(cls, symbol: str, timeframe: str, rows: Iterable[Iterable[float]]) -> "Candles":
        """Build from rows (time ms, open, high, low, close, volume), oldest first."""
        columns = tuple(zip(*rows, strict=True)) or ((),) * 6
        return cls(
            symbol=symbol,
            timeframe=timeframe,
            times=tuple(int(time) for time in columns[0]),
            open=columns[1],
            high=columns[2],
            low=columns[3],
            close=columns[4],
            volume=columns[5],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """The price of a market at one instant (`at`: Unix ms of the exchange), in quote currency."""

    symbol: str
    bid: Decimal
    ask: Decimal
    last: Decimal
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What a market accepts. Amounts are base currency, notionals and prices quote currency."""

    symbol: str
    base: str
    quote: str
    active: bool = True
    amount_step: Decimal = Decimal("0.00000001")
    price_tick: Decimal = Decimal("0.00000001")
    min_amount: Decimal = Decimal(0)
    max_amount: Decimal | None = None
    min_notional: Decimal = Decimal(0)
    taker_fee: Decimal = Decimal("0.001")  # a fraction: 0.001 is 0.1 %
    maker_fee: Decimal = Decimal("0.001")

    def floor_amount(self, amount: Decimal) -> Decimal:
        """Round a base amount down to the step: nothing ever silently raises a size."""
        return floor_to(amount, self.amount_step)

    def dust_below(self, price: Decimal) -> Decimal:
        """Return the base amount below which a holding cannot be sold at `price`."""
        least = max(self.amount_step, self.min_amount)
        if self.min_notional and price > 0:
            least = max(least, self.min_notional / price)
        return least


def floor_to(value: Decimal, step: Decimal) -> Decimal:
    """Round `value` down to a multiple of `step` (> 0)."""
    # Python's 28 digits could round a wide quotient up to the next step.
    return EXACT.multiply(EXACT.divide_int(value, step), step)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRequest:
    """One order as it will be sent; `signed_at` (Unix ms, exchange time) is part of the fence.

    `price` is the limit price of LIMIT and POST_ONLY, `trigger` that of STOP and TARGET, both quote
    currency. `reduce_only` (futures): the order may shrink a position, never open or turn one.
    """

    client_order_id: str
    symbol: str
    side: Side
    type: OrderType
    amount: Decimal
    price: Decimal | None = None
    trigger: Decimal | None = None
    reduce_only: bool = False
    signed_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FillReport:
    """One execution as the exchange tells it: base amount, quote value, fee in its own currency."""

    trade_id: str
    price: Decimal
    amount: Decimal
    quote: Decimal
    fee: Decimal
    fee_currency: str
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderReport:
    """What the exchange says of one order now. `fills` may lag behind `filled` (base amount).

    `type`, `price` and `trigger` (quote currency) are told of orders found in lists, where the
    exchange names them.
    """

    client_order_id: str
    exchange_order_id: str
    symbol: str
    side: Side
    status: OrderStatus
    amount: Decimal
    filled: Decimal
    average: Decimal | None
    at: int
    fills: tuple[FillReport, ...] = ()
    type: OrderType | None = None
    price: Decimal | None = None
    trigger: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """Units of one currency in an account."""

    free: Decimal = Decimal(0)
    used: Decimal = Decimal(0)

    @property
    def total(self) -> Decimal:
        return self.free + self.used


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionReport:
    """A futures position as the exchange tells it; `amount` is base units, negative when short.

    `entry_price`, `mark_price` and `liquidation_price` are quote currency.
    """

    symbol: str
    amount: Decimal
    entry_price: Decimal | None = None
    mark_price: Decimal | None = None
    liquidation_price: Decimal | None = None
    leverage: int | None = None
    is_isolated: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingReport:
    """One funding payment of a perpetual: `amount` in `currency`, positive when received.

    `is_penalty`: no funding, but what a liquidation cost beside the fee of its order.
    """

    funding_id: str
    symbol: str
    amount: Decimal
    currency: str
    at: int
    is_penalty: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRights:
    """What a key may do on its exchange; None where the exchange does not tell."""

    may_trade: bool | None = None
    may_trade_futures: bool | None = None
    may_withdraw: bool | None = None
    ip_bound: bool | None = None
    notes: Mapping[str, str] = field(default_factory=dict)
