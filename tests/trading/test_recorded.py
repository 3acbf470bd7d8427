"""Replay of recorded candles: nothing from the future, nothing that the candles do not hold."""

from decimal import Decimal

import pytest

from tests.trading.feeds import MINUTE, RULES, SYMBOL, rows
from trading.exchange import Fault, Unusable
from trading.exchanges.recorded import RecordedFeed, ReplayClock
from trading.market_data import check_candles

HOUR = 60 * MINUTE


@pytest.fixture
def replay():
    """A feed over 3,000 real minutes, its clock and its rows."""
    recorded = rows(3000)
    clock = ReplayClock(int(recorded[0][0]))
    return RecordedFeed(recorded, SYMBOL, RULES, clock), clock, recorded


def test_only_closed_candles_are_seen(replay):
    feed, clock, recorded = replay
    assert len(feed.candles(SYMBOL, "1m", 200)) == 0
    clock.advance(MINUTE - 1)
    assert len(feed.candles(SYMBOL, "1m", 200)) == 0
    clock.advance(1)
    assert feed.candles(SYMBOL, "1m", 200).close == (recorded[0][4],)
    clock.advance(1000 * MINUTE)
    window = feed.candles(SYMBOL, "1m", 200)
    assert window.times[-1] + MINUTE == clock.at
    assert window.high == tuple(row[2] for row in recorded[801:1001])


def test_the_price_walks_through_the_candle_and_stays_inside(replay):
    feed, clock, recorded = replay
    for row in recorded[:200]:
        prices = []
        for second in range(60):
            clock.at = int(row[0]) + second * 1000
            quote = feed.quote(SYMBOL)
            assert quote.bid == quote.ask == quote.last
            assert quote.last % RULES.price_tick == 0
            prices.append(quote.last)
        assert prices[0] == Decimal(repr(row[1]))
        assert Decimal(repr(row[3])) == min(prices)
        assert Decimal(repr(row[2])) == max(prices)


def test_the_price_is_the_same_each_time(replay):
    feed, clock, _ = replay
    clock.advance(77 * MINUTE + 12_345)
    assert feed.quote(SYMBOL) == feed.quote(SYMBOL)


def test_outside_the_recording_there_is_no_price(replay):
    feed, clock, recorded = replay
    for at in (int(recorded[0][0]) - 1, int(recorded[-1][0]) + MINUTE):
        clock.at = at
        with pytest.raises(Unusable) as caught:
            feed.quote(SYMBOL)
        assert caught.value.fault is Fault.STALE_DATA


@pytest.mark.parametrize(("timeframe", "minutes"), [("5m", 5), ("15m", 15), ("1h", 60)])
def test_longer_candles_are_made_of_the_recorded_ones(replay, timeframe, minutes):
    feed, clock, recorded = replay
    clock.advance(2000 * MINUTE + 30_000)
    window = feed.candles(SYMBOL, timeframe, 20)
    check_candles(window, clock.at)
    by_time = {int(row[0]): row for row in recorded}
    for number, opened in enumerate(window.times):
        part = [by_time[opened + n * MINUTE] for n in range(minutes)]
        assert window.open[number] == part[0][1]
        assert window.high[number] == max(row[2] for row in part)
        assert window.low[number] == min(row[3] for row in part)
        assert window.close[number] == part[-1][4]
        assert window.volume[number] == pytest.approx(sum(row[5] for row in part))


def test_a_candle_of_which_a_part_is_missing_is_left_out():
    recorded = rows(3000)[7:130]  # begins and ends inside an hour
    clock = ReplayClock(int(recorded[-1][0]) + 2 * HOUR)
    window = RecordedFeed(recorded, SYMBOL, RULES, clock).candles(SYMBOL, "1h", 10)
    assert window.times == (int(rows(1)[0][0]) + HOUR,)


def test_other_symbols_and_shorter_timeframes_are_not_invented(replay):
    feed, _, recorded = replay
    slow = RecordedFeed(recorded[::5], SYMBOL, RULES, ReplayClock(0), timeframe="5m")
    for call in (
        lambda: feed.quote("ETH/USDT"),
        lambda: feed.rules("ETH/USDT"),
        lambda: feed.candles("ETH/USDT", "1m", 5),
        lambda: slow.candles(SYMBOL, "1m", 5),
    ):
        with pytest.raises(Unusable) as caught:
            call()
        assert caught.value.fault is Fault.MARKET_UNKNOWN
