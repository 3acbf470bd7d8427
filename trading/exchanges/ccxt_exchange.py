"""Exchanges through ccxt: the only file that imports it, and only when first used."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """An API key in the clear. Lives in one process, shows nothing of itself."""

    api_key: str = field(repr=False)
    secret: str = field(repr=False)
    passphrase: str = field(default="", repr=False)


class CcxtFeed:
    """Public market data of one ccxt exchange (Feed). Shared by all bots of a process."""

    name: str  # the ccxt id
    key: str  # "binance:spot:live" plus the api base, if one is set

    def __init__(
        self,
        exchange_id: str,
        *,
        mode: str = "live",  # live | testnet; paper uses live
        market_type: str = "spot",
        api_base: str | None = None,  # replaces scheme and host of the REST addresses
        timeout_s: float = 8.0,  # connect and read
        markets_ttl_s: float = 900.0,
    ) -> None:
        raise NotImplementedError


class CcxtExchange:
    """One account (Exchange), on top of the feed of its exchange and mode."""

    fence_ms: int | None

    def __init__(
        self, feed: CcxtFeed, credentials: Credentials, *, recv_window_ms: int = 5000
    ) -> None:
        raise NotImplementedError


def shared_feed(
    exchange_id: str,
    *,
    mode: str = "live",
    market_type: str = "spot",
    api_base: str | None = None,
    timeout_s: float = 8.0,
    markets_ttl_s: float = 900.0,
) -> CcxtFeed:
    """Return this process's feed for these arguments; Refused(CLIENT) for an unknown exchange."""
    raise NotImplementedError


def preload() -> None:
    """Import ccxt now: called in the worker's parent, so that its children share the memory."""
    raise NotImplementedError
