"""The exchange as the engine sees it, and the ways in which it fails.

The type of an error carries the decision: `Unreachable` (ask again later; for an order: outcome
unknown unless `sent` is False), `Rejected` (a clear no to this one request), `Refused` (the
account: switch the bot off), `Unusable` (an answer came, but no order may be built on it).
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from trading.market import (
    Candles,
    FundingReport,
    Holding,
    KeyRights,
    OrderReport,
    OrderRequest,
    PositionReport,
    Quote,
    Rules,
)


class Fault(StrEnum):
    """What went wrong, in the words that bot reasons use (bots.lifecycle.Reason has each one)."""

    NETWORK = "network"
    MAINTENANCE = "maintenance"
    RATE_LIMIT = "rate_limit"
    BAD_ANSWER = "bad_answer"
    STALE_DATA = "stale_data"
    BROKEN_DATA = "broken_data"
    MARKET_HALTED = "market_halted"
    MARKET_UNKNOWN = "market_unknown"
    CLOCK = "clock"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    BELOW_MINIMUM = "below_minimum"
    ORDER_REJECTED = "order_rejected"
    KEY_MISSING = "api_key_missing"
    KEY_UNDECRYPTABLE = "api_key_decrypt_failed"
    KEY_INVALID = "api_key_invalid"
    KEY_RIGHTS = "api_key_rights"
    CLIENT = "client_init_failed"


class ExchangeError(Exception):
    """A failure of the exchange. `text` is scrubbed of keys, signatures and signed addresses."""

    def __init__(self, fault: Fault, text: str, *, retry_after: float | None = None) -> None:
        super().__init__(f"{fault}: {text}")
        self.fault = fault
        self.text = text
        self.retry_after = retry_after  # seconds the exchange asked us to be silent


class Unreachable(ExchangeError):
    """No answer that can be believed. `sent` is False when surely nothing reached the exchange."""

    def __init__(
        self, fault: Fault, text: str, *, sent: bool = True, retry_after: float | None = None
    ) -> None:
        super().__init__(fault, text, retry_after=retry_after)
        self.sent = sent


class Rejected(ExchangeError):
    """A clear no to this one request: nothing was executed and nothing will be."""


class Refused(ExchangeError):
    """A clear no to the account or to our use of it; trying again will not help."""


class Unusable(ExchangeError):
    """Market data that no order may be built on: missing, stale, gaps, NaN, non-positive."""


class Feed(Protocol):
    """Public market data of one exchange. Every method may raise ExchangeError."""

    name: str
    key: str  # feeds with equal keys give equal answers, so their data may be shared

    def now(self) -> int:
        """Return the exchange's time, Unix ms (our clock plus the measured offset)."""
        ...

    def symbols(self) -> Mapping[str, Rules]:
        """Return the rules of all markets, keyed by symbol (`BTC/USDT`)."""
        ...

    def rules(self, symbol: str) -> Rules:
        """Return one market's rules; Unusable(MARKET_UNKNOWN) if the exchange has no such one."""
        ...

    def candles(self, symbol: str, timeframe: str, count: int) -> Candles:
        """Return the newest `count` closed candles (fewer if the exchange has no more)."""
        ...

    def quote(self, symbol: str) -> Quote:
        """Return the current bid, ask and last price."""
        ...


class Can(StrEnum):
    """What an account offers beyond market orders and limit orders."""

    STOP = "stop"  # stop and target orders that rest at the exchange
    PAIR = "pair"  # a stop and a target of which one cancels the other (spot: they share the coins)
    FUTURES = "futures"


class Exchange(Feed, Protocol):
    """One account on one exchange."""

    can: frozenset[Can]

    #: True when "not found" becomes final: after this long past signed_at the exchange cannot
    #: accept the request any more. None: absence proves nothing.
    fence_ms: int | None

    def place(self, request: OrderRequest) -> OrderReport:
        """Send one order, once. Rejected, Refused, or Unreachable (see `sent`)."""
        ...

    def place_pair(
        self, stop: OrderRequest, target: OrderRequest
    ) -> tuple[OrderReport, OrderReport]:
        """Send a stop and a target that cancel each other, once; fails as `place` does, as one."""
        ...

    def find(self, request: OrderRequest, exchange_order_id: str = "") -> OrderReport | None:
        """Look an order up by client order id, with its fills; None: the exchange has none."""
        ...

    def cancel(self, request: OrderRequest, exchange_order_id: str = "") -> None:
        """Ask for cancellation; Rejected when there is nothing to cancel."""
        ...

    def open_orders(self, symbol: str) -> Sequence[OrderReport]:
        """Return every order that rests in the market, ours or not; without fills."""
        ...

    def history(self, symbol: str, since: int) -> Sequence[OrderReport]:
        """Return every order made since then (Unix ms), ours or not, oldest first; no fills."""
        ...

    def balance(self) -> Mapping[str, Holding]:
        """Return the holdings that are not zero, keyed by currency."""
        ...

    def cost_margin(self, rules: Rules, ask: Decimal) -> Decimal:
        """Return the fraction of its value at `ask` that a market buy costs at most on top."""
        ...

    def rights(self) -> KeyRights:
        """Return what the key may do; Refused(KEY_INVALID) when the exchange refuses it."""
        ...

    def prepare(self, symbol: str, leverage: int) -> None:
        """Futures: one-way mode, isolated margin, this leverage; what is so already is fine."""
        ...

    def position(self, symbol: str) -> PositionReport:
        """Futures: return the account's position in the market; amount 0 when flat."""
        ...

    def funding(self, symbol: str, since: int) -> Sequence[FundingReport]:
        """Futures: return funding and liquidation charges since then (Unix ms), oldest first."""
        ...
