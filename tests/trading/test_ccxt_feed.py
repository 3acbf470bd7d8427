"""The real ccxt for market data and rules, and what neither it nor we may give away."""

import logging
import pickle
import subprocess
import sys
from decimal import ROUND_DOWN, Decimal, getcontext, localcontext

import pytest

from tests.testexchange import TestExchange
from tests.trading.accounts import SYMBOL, Trader, fault_of, feed_of, new_trader
from trading.exchange import Fault, Refused, Unusable
from trading.exchanges.ccxt_exchange import CcxtFeed, Credentials, shared_feed
from trading.market_data import MarketData, check_candles, check_quote

ORDER = "api/v3/order"


def test_rules_come_from_the_markets_filters(trader: Trader, server):
    rules = trader.feed.rules(SYMBOL)
    assert (rules.base, rules.quote, rules.active) == ("BTC", "USDT", True)
    assert (rules.amount_step, rules.price_tick) == (Decimal("0.00001"), Decimal("0.01"))
    assert (rules.min_amount, rules.max_amount) == (Decimal("0.00001"), Decimal(9000))
    assert (rules.min_notional, rules.taker_fee) == (Decimal(5), Decimal("0.001"))
    assert set(trader.feed.symbols()) >= {SYMBOL, "ETH/USDT"}


def test_a_halted_market_is_inactive_and_a_delisted_one_unknown(trader: Trader, server):
    feed = feed_of(server, markets_ttl_s=0)
    server.control.halt("BTCUSDT")
    assert not feed.rules(SYMBOL).active
    server.control.resume("BTCUSDT")
    assert feed.rules(SYMBOL).active
    server.control.delist("BTCUSDT")
    for call in ((feed.rules, SYMBOL), (feed.rules, "NOSUCH/USDT")):
        error = fault_of(*call)
        assert isinstance(error, Unusable)
        assert error.fault is Fault.MARKET_UNKNOWN


def test_markets_are_loaded_once_and_shared_by_all_accounts(trader: Trader, server):
    feed = feed_of(server)
    traders = [new_trader(server, feed) for _ in range(3)]
    server.control.reset_log()
    for one in traders:
        one.exchange.balance()
        one.exchange.place(one.request())
    paths = [request["path"] for request in server.control.requests()]
    assert paths.count("api/v3/exchangeInfo") == 1
    assert paths.count("api/v3/time") == 1
    assert {path for path in paths if path.startswith("sapi")} == set()
    raws = [one.exchange._client.raw for one in traders]
    assert raws[0].markets is raws[1].markets is raws[2].markets


@pytest.mark.parametrize("timeframe", ["1m", "5m", "1h"])
def test_candles_are_closed_and_pass_the_checks(trader: Trader, timeframe):
    window = trader.feed.candles(SYMBOL, timeframe, 50)
    assert len(window) == 50
    check_candles(window, trader.feed.now())
    assert all(isinstance(cell, float) for cell in window.close + window.volume)


def test_the_open_candle_is_dropped_by_the_exchanges_clock(trader: Trader, server):
    with TestExchange(config={"clock": {"now_ms": 1_678_320_059_000}}) as paused:
        feed = feed_of(paused, time_ttl_s=0)
        assert feed.candles(SYMBOL, "1m", 10).times[-1] == 1_678_319_940_000
        paused.control.advance(1_000)
        assert feed.candles(SYMBOL, "1m", 10).times[-1] == 1_678_320_000_000
        five = feed.candles(SYMBOL, "5m", 3)
        assert five.times[-1] + 300_000 <= 1_678_320_060_000 < five.times[-1] + 600_000


def test_long_windows_are_read_in_pages(trader: Trader):
    window = trader.feed.candles(SYMBOL, "1m", 2_300)
    assert len(window) == 2_300
    check_candles(window, trader.feed.now())
    assert trader.feed.candles(SYMBOL, "1m", 999).times[0] == window.times[-999]


@pytest.mark.parametrize("defect", ["gap", "duplicate", "nan", "negative", "zero", "empty"])
def test_bad_candles_do_not_get_through(trader: Trader, server, defect):
    server.control.add_fault("klines", path="api/v3/klines", defect=defect)
    error = fault_of(MarketData().candles, trader.feed, SYMBOL, "1m", 50)
    assert isinstance(error, Unusable)
    assert error.fault in (Fault.BROKEN_DATA, Fault.STALE_DATA)


def test_old_candles_are_stale(trader: Trader, server):
    since = trader.feed.now() - 600_000
    server.control.add_fault("klines", path="api/v3/klines", defect="stale", since_ms=since)
    error = fault_of(MarketData().candles, trader.feed, SYMBOL, "1m", 50)
    assert error.fault is Fault.STALE_DATA


def test_a_quote_is_exact(trader: Trader, server):
    server.control.set_price("BTCUSDT", "20000.01")
    server.control.set_spread("0.001")
    quote = trader.feed.quote(SYMBOL)
    server.control.set_spread("0")
    check_quote(quote, trader.feed.now())
    assert quote.last == Decimal("20000.01")
    assert quote.bid < quote.last < quote.ask


def test_an_unknown_exchange_mode_or_address_is_refused():
    for arguments in (
        {"exchange_id": "nosuchexchange"},
        {"exchange_id": "binance", "mode": "paper"},
        {"exchange_id": "binance", "api_base": "ftp://example.invalid"},
    ):
        error = fault_of(lambda a=arguments: CcxtFeed(**a))
        assert isinstance(error, Refused)
        assert error.fault is Fault.CLIENT


def test_one_feed_serves_the_process(server):
    one = shared_feed("binance", api_base=server.url)
    assert one is shared_feed("binance", api_base=server.url)
    test = shared_feed("binance", mode="testnet", api_base=server.url)
    assert one.key != test.key


def everything(error: BaseException | None) -> str:
    """Return all that a log or a page could show of an error."""
    if error is None:
        return ""
    chained = everything(error.__cause__) + everything(error.__context__)
    return f"{error!r} {error} {vars(error)} {error.args} {chained}"


def test_no_error_tells_key_secret_or_signature(trader: Trader, server, caplog):
    caplog.set_level(logging.DEBUG)
    request = trader.request()
    server.control.add_fault("hang", path="api/v3/account", seconds=1.5)
    server.control.add_fault(
        "http", path=ORDER, method="POST", status=400,
        body={"code": -1100, "msg": f"bad {trader.key} &signature={'ab' * 32} {trader.secret}"},
    )  # fmt: skip
    server.control.add_fault("close", path=ORDER, method="GET")
    server.control.add_fault("html", path="sapi/*")
    errors = [
        fault_of(trader.exchange.balance),
        fault_of(trader.exchange.place, request),
        fault_of(trader.exchange.find, request),
        fault_of(trader.exchange.rights),
    ]
    trader.exchange.place(request)
    trader.exchange.find(request)
    shown = " ".join(everything(error) for error in errors) + caplog.text
    shown += repr(trader.exchange) + str(trader.exchange) + repr(trader.feed)
    assert "urllib3" in caplog.text  # what may be logged was
    secrets = [trader.key, trader.secret, "ab" * 32]
    secrets += [r["signature"] for r in server.control.requests() if r["signature"]]
    assert len(secrets) > 6
    for secret in secrets:
        assert secret not in shown
    assert "signature=" not in shown.replace("signature=[...]", "")


def test_credentials_show_and_export_nothing():
    credentials = Credentials(api_key="canary-key", secret="canary-secret", passphrase="canary-pw")
    assert "canary" not in f"{credentials!r} {credentials}"
    with pytest.raises(TypeError):
        pickle.dumps(credentials)


def test_ccxt_leaves_our_rounding_alone(trader: Trader):
    with localcontext() as context:
        context.rounding = ROUND_DOWN
        trader.exchange.place(trader.request())
        assert getcontext().rounding == ROUND_DOWN


def test_ccxt_is_imported_on_first_use_only():
    code = (
        "import sys, trading.exchanges.ccxt_exchange as e;"
        "assert not {'ccxt', 'requests'} & set(sys.modules);"
        "e.preload();"
        "assert 'ccxt' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
