"""The configuration of a test exchange and where its candle files lie."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
DEFAULT_API_KEY = "defaultTestExchangeKey0000000000000000000000000000000000000000AA"
DEFAULT_SECRET = "defaultTestExchangeSecret0000000000000000000000000000000000000BB"


def _symbol(
    base: str, quote: str, tick: str, step: str, price: str, notional: str
) -> dict[str, Any]:
    return {
        "symbol": base + quote,
        "base": base,
        "quote": quote,
        "tick_size": tick,
        "step_size": step,
        "price": price,
        "min_notional": notional,
    }


def _contract(symbol: str, tick: str, step: str) -> dict[str, Any]:
    filters = {"tick_size": tick, "step_size": step, "min_qty": step}
    return {"symbol": symbol, **filters, "max_qty": "1000000", "min_notional": "5"}


DEFAULT_CONFIG: dict[str, Any] = {
    "seed": 1,
    "spread": "0",
    "symbols": [
        _symbol("BTC", "USDT", "0.01", "0.00001", "30000", "5"),
        _symbol("ETH", "USDT", "0.01", "0.0001", "2000", "5"),
        _symbol("BNB", "USDT", "0.01", "0.001", "300", "5"),
        _symbol("XRP", "USDT", "0.0001", "0.1", "0.6", "5") | {"max_qty": "9222449"},
        _symbol("ETH", "BTC", "0.00001", "0.0001", "0.07", "0.0001"),
    ],
    "fee": {"maker": "0.001", "taker": "0.001", "mode": "default", "bnb_price": "300"},
    "futures": {
        "symbols": [
            _contract("BTCUSDT", "0.1", "0.001"),
            _contract("ETHUSDT", "0.01", "0.001"),
            _contract("BNBUSDT", "0.01", "0.01"),
            _contract("XRPUSDT", "0.0001", "0.1"),
        ],
        "fee": {"maker": "0.0002", "taker": "0.0005", "mode": "quote", "bnb_price": "300"},
        "funding_rate": "0.0001",
        "funding_hours": 8,
        "liquidation_fee": "0.0125",
    },
    "clock": {"now_ms": None, "running": False, "rate": None, "auth": "exchange"},
    "accounts": [
        {
            "name": "default",
            "api_key": DEFAULT_API_KEY,
            "secret": DEFAULT_SECRET,
            "balances": {"USDT": "10000"},
        }
    ],
}


def market_data_file(name: str) -> Path | None:
    """The path of a candle file: `name` itself if it exists, else in MARKET_DATA_DIR, else None."""
    folder = Path(os.environ.get("MARKET_DATA_DIR", "../shared/data"))
    for path in (ROOT / name, ROOT / folder / name):
        if path.is_file():
            return path
    return None


def complete(config: Mapping[str, Any] | None) -> dict[str, Any]:
    """`config` over DEFAULT_CONFIG; "fee", "futures" and "clock" are merged key by key."""
    given = dict(config or {})
    unknown = set(given) - set(DEFAULT_CONFIG)
    if unknown:
        raise ValueError(f"unknown configuration: {', '.join(sorted(unknown))}")
    merged = DEFAULT_CONFIG | given
    for part in ("fee", "futures", "clock"):
        merged[part] = DEFAULT_CONFIG[part] | dict(given.get(part, {}))
    futures = merged["futures"]
    futures["fee"] = DEFAULT_CONFIG["futures"]["fee"] | dict(futures["fee"])
    return merged


def replay_config(
    file: str, *, symbol: str = "BTCUSDT", now_ms: int | None = None, **more: Any
) -> dict[str, Any]:
    """DEFAULT_CONFIG with the candles of `file` for `symbol` and a standing clock at `now_ms`.

    Where the file is absent, the generator takes its place. `more` are further configuration keys.
    """
    symbols = [
        entry | {"file": file} if entry["symbol"] == symbol else entry
        for entry in DEFAULT_CONFIG["symbols"]
    ]
    return complete({"symbols": symbols, "clock": {"now_ms": now_ms}, **more})
