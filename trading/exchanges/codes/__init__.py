"""What each exchange's error codes mean for an order, as data: one module an exchange."""

from collections.abc import Callable, Mapping

from trading.exchanges.codes import binance, bybit, kraken, kucoin, okx
from trading.exchanges.codes.verdicts import UNKNOWN_EXCHANGE, Table

TABLES: Mapping[str, Callable[[str], Table]] = {
    "binance": lambda market_type: binance.SPOT if market_type == "spot" else binance.FUTURES,
    "bybit": lambda market_type: bybit.TABLE,
    "kraken": lambda market_type: kraken.TABLE,
    "kucoin": lambda market_type: kucoin.TABLE,
    "okx": lambda market_type: okx.TABLE,
}


def table_of(exchange_id: str, market_type: str) -> Table:
    """Return the table of an exchange (market type spot or swap); an empty one if we have none."""
    make = TABLES.get(exchange_id)
    return make(market_type) if make else UNKNOWN_EXCHANGE
