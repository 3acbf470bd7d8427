"""A Binance-compatible spot exchange over HTTP, in its own process, for tests with the real ccxt.

``python -m tests.testexchange --port 0`` runs it by hand; tests use two classes::

    with TestExchange(config={"clock": {"now_ms": 1678320000000}}) as exchange:
        exchange.url                     # "http://127.0.0.1:PORT"
        exchange.api_base                # "binance=http://127.0.0.1:PORT", for EXCHANGE_API_BASE
        exchange.install(ccxt_instance)  # points urls["api"] of a ccxt binance at it
        exchange.control.set_price("BTCUSDT", "20000")

Process (it ends with its parent, even when that is killed)::

    TestExchange(*, config: Mapping[str, Any] | None = None, port: int = 0,
                 start_timeout: float = 15.0)
    .start() -> TestExchange     .stop(timeout: float = 5.0) -> None     .kill() -> None   # SIGKILL
    .url -> str   .port -> int   .pid -> int   .api_base -> str   .control -> ExchangeControl
    .install(exchange: ccxt binance) -> None       context manager: start() and stop()
    stop() then start() listens on the same port again, with the configuration but an empty state.

``config`` (JSON; every key has a default, see ``settings.py``)::

    {"seed": 1, "spread": "0",           # whole spread as a fraction of the price
     "symbols": [{"symbol": "BTCUSDT", "base": "BTC", "quote": "USDT", "tick_size": "0.01",
                  "step_size": "0.00001", "min_qty": "0.00001", "max_qty": "9000",
                  "min_notional": "5",
                  "price": "30000",      # level around which the generator moves
                  "file": "BTCUSDT-1m-2023-03.csv.gz"}],  # in MARKET_DATA_DIR; absent: generator
     "fee": {"maker": "0.001", "taker": "0.001", "mode": "default" | "bnb" | "quote",
             "bnb_price": "300"},        # BNB in the quote currency
     "clock": {"now_ms": 1678320000000, "running": false, "auth": "exchange" | "wall"},
     "accounts": [{"name": "alice", "api_key": "...", "secret": "...",
                   "balances": {"USDT": "10000"}, "permissions": {...}}]}

Without "clock" real time runs. "auth" says which clock `GET time` answers and timestamps are
checked against: the exchange's own (default) or, during a replay of the past, the wall clock.
DEFAULT_CONFIG has BTCUSDT, ETHUSDT, XRPUSDT, BNBUSDT, ETHBTC on the generator and one account
"default" with DEFAULT_API_KEY, DEFAULT_SECRET and 10000 USDT.
``replay_config(file, *, symbol="BTCUSDT", now_ms=None, **more)`` gives one for a candle file.

Control (amounts and prices: Decimal, int or str; times: ms since 1970; symbols as "BTCUSDT")::

    ExchangeControl(url: str, timeout: float = 10.0)
    .set_time(now_ms, *, running=False, auth=None) -> int     .advance(ms) -> int
    .real_time() -> int    .now() -> int
    .set_skew(ms)                          # shifts `time` and the timestamp checks only
    .set_price(symbol, price)   .clear_price(symbol)   .price(symbol) -> Decimal
    .set_spread(fraction)       .set_fee(*, maker=, taker=, mode=, bnb_price=)
    .add_account(name, *, api_key, secret, balances=None, permissions=None)  # or a further key
    .set_balance(account, asset, free)
    .balances(account="default") -> {asset: {"free": Decimal, "locked": Decimal}}
    .revoke_key(api_key)        .restore_key(api_key)
    .set_permissions(api_key, *, canTrade=, enableReading=, enableWithdrawals=, ipRestrict=,
                     enableFutures=)
    .halt(symbol)   .resume(symbol)   .delist(symbol)   .list_symbol(symbol)
    .set_fill_plan(symbol, parts, *, times=1)   # [{"part": "0.4", "slip": "0.001"}], see engine.py
    .fill_order(client_id, quantity, price=None) -> dict  # one more fill of an open order, as maker
    .add_fault(action, *, path="*", method=None, params=None, api_key=None, times=1, after=0,
               when="before", **details) -> int           # see faults.py; times=None: always
    .remove_fault(fault_id)   .clear_faults()   .faults() -> [rule with "hits"]
    .refuse(on=True)                       # every market connection is reset at once
    .truth() -> Truth    .orders(account=None)   .trades(account=None)
    .requests(since=0) -> [dict]           .reset_log()   # forgets the request log only

``Truth`` is a dict: now_ms, orders and trades (Binance's field names plus "account"), balances,
deposits, house (the counterparty: for each asset all balances + house = all deposits), weights
(used weight by minute), requests (seq, at_ms, method, path, params, signature, api_key, headers,
status, code, fault), all in order, numbers as strings.
"""

from tests.testexchange.client import ControlError, ExchangeControl
from tests.testexchange.process import TestExchange
from tests.testexchange.settings import (
    DEFAULT_API_KEY,
    DEFAULT_CONFIG,
    DEFAULT_SECRET,
    market_data_file,
    replay_config,
)

__all__ = [
    "DEFAULT_API_KEY",
    "DEFAULT_CONFIG",
    "DEFAULT_SECRET",
    "ControlError",
    "ExchangeControl",
    "TestExchange",
    "market_data_file",
    "replay_config",
]
