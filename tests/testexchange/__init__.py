"""A Binance-compatible exchange (spot and USDT-M perpetuals) over HTTP, in its own process, for
tests with the real ccxt.

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
     "futures": {"symbols": [{"symbol": "BTCUSDT", "tick_size": "0.1", "step_size": "0.001",
                              "min_qty": "0.001", "max_qty": "1000000", "min_notional": "5"}],
                 "fee": {"maker": "0.0002", "taker": "0.0005", "mode": "quote", ...},
                 "funding_rate": "0.0001", "funding_hours": 8, "liquidation_fee": "0.0125"},
     "clock": {"now_ms": 1678320000000, "running": false, "rate": null,
               "auth": "exchange" | "wall"},
     "accounts": [{"name": "alice", "api_key": "...", "secret": "...",
                   "balances": {"USDT": "10000"}, "futures_balances": {"USDT": "1000"},
                   "permissions": {...}}]}

Without "clock" real time runs. "auth" says which clock `GET time` answers and timestamps are
checked against: the exchange's own (default) or, during a replay of the past, the wall clock.
A contract follows the price of the spot market of its symbol unless one of its own is set; a key
needs the permission enableFutures (off unless given), for transfers permitsUniversalTransfer.
DEFAULT_CONFIG has BTCUSDT, ETHUSDT, XRPUSDT, BNBUSDT, ETHBTC on the generator and one account
"default" with DEFAULT_API_KEY, DEFAULT_SECRET and 10000 USDT.
``replay_config(file, *, symbol="BTCUSDT", now_ms=None, **more)`` gives one for a candle file.

Control (amounts and prices: Decimal, int or str; times: ms since 1970; symbols as "BTCUSDT")::

    ExchangeControl(url: str, timeout: float = 10.0)
    .set_time(now_ms, *, running=False, auth=None, rate=None) -> int
    .set_rate(rate) -> int      .advance(ms) -> int     .real_time() -> int     .now() -> int
    .set_skew(ms)                          # shifts `time` and the timestamp checks only
    .set_price(symbol, price, *, futures=False)    .clear_price(symbol, *, futures=False)
    .price(symbol, *, futures=False) -> Decimal
    .set_mark(symbol, price | None)        .set_funding_rate(symbol, rate)
    .set_spread(fraction)       .set_fee(*, futures=False, maker=, taker=, mode=, bnb_price=)
    .set_limits(**limits)                  # see limits.py; nothing is enforced without
    .reset_limits()                        # the counters of weights and orders start anew
    .add_account(name, *, api_key, secret, balances=None, futures_balances=None,
                 permissions=None)         # or a further key of the account
    .set_balance(account, asset, free)     .deposit_futures(account, asset, amount)
    .balances(account="default") -> {asset: {"free": Decimal, "locked": Decimal}}
    .revoke_key(api_key)        .restore_key(api_key)
    .set_permissions(api_key, *, canTrade=, enableReading=, enableWithdrawals=, ipRestrict=,
                     enableFutures=, permitsUniversalTransfer=)
    .halt(symbol)   .resume(symbol)   .delist(symbol)   .list_symbol(symbol)   # all: futures=False
    .set_fill_plan(symbol, parts, *, times=1, rest="held" | "price", futures=False)
        # parts: [{"part": "0.4", "slip": "0.001"}], see engine.py
    .fill_order(client_id, quantity, price=None, *, late=False, futures=False) -> dict
        # one more fill, as maker, of an open order; late: of one already cancelled or expired
    .release_order(client_id, *, futures=False)            # a held rest follows the price again
    .add_fault(action, *, path="*", method=None, params=None, api_key=None, times=1, after=0,
               when="before", nth=None, **details) -> int  # see faults.py; times=None: always
    .script([{"action": ..., **as add_fault}]) -> [int]
    .release_fault(fault_id)    .remove_fault(fault_id)
    .clear_faults()             .faults() -> [rule with "hits"]
    .refuse(on=True)                       # every market connection is reset at once
    .truth() -> Truth    .orders(account=None)   .trades(account=None)   .futures(account=None)
    .order_posts() -> {client_id: {"received": int, "accepted": int}}
    .requests(since=0) -> [dict]           .reset_log()   # forgets the request log only

``Truth`` is a dict: now_ms, orders and trades (Binance's field names plus "account"), lists (OCO),
open_orders ({"spot", "futures", "algo"}), balances, deposits, house (the spot counterparty: for
each asset all balances + house = all deposits), futures (orders, algo_orders, trades; by account
positions, wallets, income; transfers, weights), weights (used weight by minute), order_posts and
requests (seq, at_ms, method, path, params, signature, api_key, headers, status, code, fault,
accepted), all in order, numbers as strings. A futures wallet is the sum of its income records.

Not there: hedge mode, trailing stops, multi-asset margin, order lists other than OCO, user data
streams; of several crossed positions each is liquidated as if it were the only one.
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
