"""The markets of one exchange, loaded once per process and shared by all its clients."""

import threading
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from trading.exchange import Fault, Unreachable, Unusable
from trading.market import Rules

#: ccxt's precision modes (ccxt.DECIMAL_PLACES, ccxt.TICK_SIZE): digits, or the step itself.
DECIMAL_PLACES, TICK_SIZE = 2, 4


class Markets:
    """What one ccxt client loaded, as rules, for `ttl_s` seconds by our own clock.

    3,000 markets cost 0.6 s and 32 MB: other clients of the exchange take them over by
    `share_with` (nine attributes, no memory). `load` asks the exchange and may raise.
    """

    def __init__(
        self,
        client: Any,
        load: Callable[[], None],
        *,
        market_type: str,
        ttl_s: float,
        monotonic: Callable[[], float],
    ) -> None:
        self._client = client
        self._load = load
        self._market_type = market_type
        self._ttl_s = ttl_s
        self._monotonic = monotonic
        self._lock = threading.RLock()
        self._loaded_at: float | None = None
        self._rules: Mapping[str, Rules] = {}

    def rules(self) -> Mapping[str, Rules]:
        """Return the rules of all markets, at most `ttl_s` old. May raise ExchangeError."""
        with self._lock:
            now = self._monotonic()
            if self._loaded_at is None or now - self._loaded_at >= self._ttl_s:
                self._load()
                self._rules = rules_of(self._client, self._market_type)
                self._loaded_at = now
            return self._rules

    def of(self, symbol: str) -> Rules:
        """Return one market's rules; Unusable(MARKET_UNKNOWN) if the exchange has it no more."""
        return self._pick(self.rules(), symbol)

    def known(self, symbol: str) -> Rules:
        """Return one market's rules of whatever age: enough to ask about an order already sent."""
        with self._lock:
            if symbol in self._rules:
                return self._rules[symbol]
            return self.of(symbol)

    def share_with(self, client: Any) -> None:
        """Give a client of the same exchange the markets, as they are now."""
        with self._lock:
            if self._loaded_at is None:
                self.rules()
            if client.markets is not self._client.markets:
                client.set_markets_from_exchange(self._client)

    def _pick(self, rules: Mapping[str, Rules], symbol: str) -> Rules:
        if symbol not in rules:
            raise Unusable(Fault.MARKET_UNKNOWN, f"{self._client.id} has no market {symbol}")
        return rules[symbol]


def rules_of(client: Any, market_type: str) -> Mapping[str, Rules]:
    """Return the rules of a loaded client's markets of this type (spot, swap), keyed by symbol."""
    found = {}
    for symbol, market in client.markets.items():
        if market.get("type") == market_type and not market.get("inverse"):
            found[symbol] = market_rules(market, client.precisionMode)
    if not found:
        text = f"{client.id} answered without a single {market_type} market"
        raise Unreachable(Fault.BAD_ANSWER, text)
    return found


def market_rules(market: Mapping[str, Any], precision_mode: int) -> Rules:
    """Return ccxt's market as rules. Limits that it leaves out, or gives as zero, do not bind.

    Amounts of contracts become base currency, by the size of one contract.
    """
    size = _positive(market.get("contractSize")) or Decimal(1)
    limits, precision = market.get("limits") or {}, market.get("precision") or {}
    ours, at_market = limits.get("amount") or {}, limits.get("market") or {}
    most = [limit for side in (ours, at_market) if (limit := _positive(side.get("max")))]
    least = [_positive(side.get("min")) or Decimal(0) for side in (ours, at_market)]
    return Rules(
        symbol=market["symbol"],
        base=market["base"],
        quote=market["quote"],
        active=market.get("active") is not False,
        amount_step=_step(precision.get("amount"), precision_mode) * size,
        price_tick=_step(precision.get("price"), precision_mode),
        min_amount=max(least) * size,
        max_amount=min(most) * size if most else None,
        min_notional=_positive((limits.get("cost") or {}).get("min")) or Decimal(0),
        taker_fee=_fee(market.get("taker")),
        maker_fee=_fee(market.get("maker")),
    )


def _positive(value: object) -> Decimal | None:
    found = _decimal(value)
    return found if found is not None and found > 0 else None


def _decimal(value: object) -> Decimal | None:
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def _step(value: object, precision_mode: int) -> Decimal:
    found = _decimal(value)
    if found is not None and precision_mode == DECIMAL_PLACES:
        return Decimal(1).scaleb(-int(found))
    if found is not None and precision_mode == TICK_SIZE and found > 0:
        return found.normalize()
    return Decimal("0.00000001")


def _fee(value: object) -> Decimal:
    found = _decimal(value)
    return Decimal("0.001") if found is None else found
