"""The simulated market: a pure function of seed, symbol and time, consistent with itself."""

import subprocess
import sys
from decimal import Decimal

import pytest

import trading.strategies as strategies
from trading.exchange import Fault, Unusable
from trading.exchanges.recorded import ReplayClock
from trading.exchanges.simulated import MODELS, SimulatedFeed
from trading.market import TIMEFRAMES
from trading.market_data import MarketData, check_candles, check_quote
from trading.strategies.base import Action

MINUTE = 60_000
MIDNIGHT = 1_790_035_200_000  # 2026-09-22T00:00Z
SYMBOLS = sorted(MODELS)


def feed_at(at: int = MIDNIGHT + 12_345_678, seed: int = 7) -> SimulatedFeed:
    return SimulatedFeed(seed, ReplayClock(at))


@pytest.mark.parametrize("symbol", SYMBOLS)
@pytest.mark.parametrize("timeframe", ["1m", "3m", "5m", "15m", "30m", "1h"])
def test_candles_and_quotes_pass_the_checks(symbol, timeframe):
    feed = feed_at()
    window = feed.candles(symbol, timeframe, 60)
    assert len(window) == 60
    assert window.times[-1] + TIMEFRAMES[timeframe] <= feed.now()
    assert feed.now() < window.times[-1] + 2 * TIMEFRAMES[timeframe]
    check_candles(window, feed.now())
    check_quote(feed.quote(symbol), feed.now())


def test_another_process_sees_the_same_market():
    feed = feed_at()
    code = (
        "from trading.exchanges.simulated import SimulatedFeed as F;"
        f"f = F(7, lambda: {feed.now()});"
        "print(f.candles('BTC/USDT', '1m', 5).close, f.quote('ETH/USDT').last)"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    expected = f"{feed.candles('BTC/USDT', '1m', 5).close} {feed.quote('ETH/USDT').last}"
    assert out.stdout.strip() == expected


def test_seed_and_symbol_make_different_markets():
    closes = {feed_at(seed=seed).candles("BTC/USDT", "1m", 10).close for seed in range(20)}
    assert len(closes) == 20
    moves = set()
    for symbol in ("BTC/USDT", "ETH/USDT", "BNB/USDT"):
        window = feed_at().candles(symbol, "1m", 30)
        moves.add(tuple(b > a for a, b in zip(window.open, window.close, strict=True)))
    assert len(moves) == 3


@pytest.mark.parametrize("symbol", ["BTC/USDT", "DOGE/USDT", "WAVE/USDT"])
def test_a_candle_does_not_depend_on_when_or_with_how_many_others_it_is_asked_for(symbol):
    early, late = feed_at(MIDNIGHT + 200 * MINUTE), feed_at(MIDNIGHT + 700 * MINUTE)
    window = late.candles(symbol, "1m", 550)
    first = early.candles(symbol, "1m", 50)
    assert window.times[:50] == first.times
    for name in ("open", "high", "low", "close", "volume"):
        assert getattr(window, name)[:50] == getattr(first, name)


@pytest.mark.parametrize("timeframe", ["3m", "5m", "15m", "30m", "1h", "4h", "1d"])
def test_longer_candles_hold_their_minutes(timeframe):
    feed = feed_at(MIDNIGHT + 2 * TIMEFRAMES["1d"])
    per = TIMEFRAMES[timeframe] // MINUTE
    window = feed.candles("BTC/USDT", timeframe, 2)
    minutes = feed.candles("BTC/USDT", "1m", 2 * per)
    for number in range(2):
        part = slice(number * per, (number + 1) * per)
        assert window.times[number] == minutes.times[part][0]
        assert window.open[number] == minutes.open[part][0]
        assert window.close[number] == minutes.close[part][-1]
        assert window.high[number] == max(minutes.high[part])
        assert window.low[number] == min(minutes.low[part])


@pytest.mark.parametrize("symbol", ["BTC/USDT", "XRP/USDT", "WAVE/USDT", "CALM/USDT"])
def test_the_finished_candle_contains_every_quote_of_its_minute(symbol):
    clock = ReplayClock(MIDNIGHT)
    feed = SimulatedFeed(3, clock)
    quotes = []
    for _ in range(5 * 60):
        quotes.append(feed.quote(symbol))
        clock.advance(1_000)
    window = feed.candles(symbol, "1m", 5)
    for quote in quotes:
        at = (quote.at - MIDNIGHT) // MINUTE
        low, high = (Decimal(repr(column[at])) for column in (window.low, window.high))
        assert low <= quote.bid < quote.last < quote.ask <= high
        if quote.at % MINUTE == 0:
            assert quote.last == Decimal(repr(window.open[at]))


def test_prices_lie_on_the_tick_and_move():
    clock = ReplayClock(MIDNIGHT)
    feed = SimulatedFeed(3, clock)
    seen = set()
    for _ in range(60):
        quote = feed.quote("BTC/USDT")
        seen.add(quote.last)
        for price in (quote.bid, quote.ask, quote.last):
            assert price % feed.rules("BTC/USDT").price_tick == 0
        clock.advance(5_000)
    assert len(seen) > 30


def test_a_price_stays_in_the_neighbourhood_of_its_model_for_years():
    clock = ReplayClock(MIDNIGHT)
    feed = SimulatedFeed(11, clock)
    for _ in range(300):
        price = feed.quote("BTC/USDT").last
        assert 0.5 < float(price) / MODELS["BTC/USDT"].price < 2
        clock.advance(5 * TIMEFRAMES["1d"])


def test_the_halted_market_says_so_and_an_unknown_one_is_refused():
    feed = feed_at()
    assert [s for s, rules in feed.symbols().items() if not rules.active] == ["HALT/USDT"]
    for call in (feed.rules, feed.quote, lambda symbol: feed.candles(symbol, "1m", 5)):
        with pytest.raises(Unusable) as caught:
            call("NONE/USDT")
        assert caught.value.fault is Fault.MARKET_UNKNOWN


def actions(symbol: str, minutes: int) -> list[Action]:
    strategy = strategies.get("ema_rsi")
    values = strategies.clean(strategy, {})
    window = feed_at().candles(symbol, "1m", 200 + minutes)
    clock = ReplayClock(window.times[200])
    feed = SimulatedFeed(7, clock)
    seen = []
    for _ in range(minutes):
        seen.append(strategy.signal(feed.candles(symbol, "1m", 200), values).action)
        clock.advance(MINUTE)
    return seen


def test_the_wave_gives_signals_every_few_minutes_and_the_calm_gives_none():
    seen, entries, holding = actions("WAVE/USDT", 60), 0, False
    for action in seen:
        if action is Action.BUY and not holding:
            holding, entries = True, entries + 1
        elif action is Action.SELL:
            holding = False
    assert entries >= 5
    assert set(actions("CALM/USDT", 30)) == {Action.NONE}


def test_the_simulated_market_works_through_market_data():
    clock = ReplayClock(MIDNIGHT)
    feed, data = SimulatedFeed(1, clock), MarketData()
    for _ in range(20):
        window = data.candles(feed, "BTC/USDT", "1m", 200)
        assert window.times[-1] == clock.at // MINUTE * MINUTE - MINUTE
        assert data.quote(feed, "BTC/USDT").at == clock.at
        clock.advance(17_000)
    assert SimulatedFeed(1, clock).key == feed.key != SimulatedFeed(2, clock).key
