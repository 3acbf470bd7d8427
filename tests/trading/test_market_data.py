"""Market data: what may feed an order, and how seldom the exchange is asked for it."""

import threading
import time
from dataclasses import replace
from decimal import Decimal

import pytest

from tests.trading.feeds import MINUTE, RULES, SYMBOL, CountedFeed
from trading.exchange import ExchangeError, Fault, Unreachable, Unusable
from trading.exchanges.recorded import RecordedFeed, ReplayClock
from trading.market import Candles, Quote
from trading.market_data import MarketData, check_candles, check_quote

START = 1_700_000_040_000
NAN, INF = float("nan"), float("inf")


class HandClock:
    """Our own monotonic clock, in seconds, set by hand."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


def candles(*edits: tuple[int, int, float], count: int = 10) -> Candles:
    """Return `count` sound candles, with single cells (row, column, value) replaced."""
    rows = [[START + n * MINUTE, 10.0, 11.0, 9.0, 10.5, 5.0] for n in range(count)]
    for row, column, value in edits:
        rows[row][column] = value
    return Candles.from_rows(SYMBOL, "1m", rows)


NOW = START + 10 * MINUTE


def test_sound_candles_pass():
    check_candles(candles(), NOW)
    check_candles(candles((4, 1, 11.0), (5, 4, 9.0), (6, 5, 0.0)), NOW)


@pytest.mark.parametrize(
    "edits",
    [
        pytest.param([(5, 0, START + 6 * MINUTE)], id="duplicate"),
        pytest.param([(5, 0, START + 4 * MINUTE)], id="earlier than the one before"),
        pytest.param([(9, 0, START + 10 * MINUTE)], id="gap"),
        pytest.param([(0, 0, START - MINUTE)], id="gap after the first"),
        *(pytest.param([(5, c, NAN)], id=f"NaN in column {c}") for c in range(1, 6)),
        *(pytest.param([(5, c, INF)], id=f"infinity in column {c}") for c in range(1, 6)),
        pytest.param([(5, 3, -INF)], id="minus infinity"),
        pytest.param([(5, 2, INF), (6, 2, -INF)], id="infinities that cancel out"),
        pytest.param([(5, 3, 0.0)], id="a price of zero"),
        pytest.param([(5, 3, -9.0)], id="a negative price"),
        pytest.param([(5, 5, -1.0)], id="a negative volume"),
        pytest.param([(5, 2, 8.0)], id="high below low"),
        pytest.param([(5, 2, 10.2)], id="high below close"),
        pytest.param([(5, 1, 8.5)], id="open below low"),
        pytest.param([(5, 4, 11.5)], id="close above high"),
    ],
)
def test_broken_candles_are_refused(edits):
    with pytest.raises(Unusable) as caught:
        check_candles(candles(*edits), NOW)
    assert caught.value.fault is Fault.BROKEN_DATA


def test_candles_off_the_grid_and_of_uneven_columns_are_refused():
    shifted = Candles.from_rows(
        SYMBOL, "1m", [[START + 7 + n * MINUTE, 10.0, 11.0, 9.0, 10.5, 5.0] for n in range(3)]
    )
    for wrong in (shifted, replace(candles(), volume=(5.0,) * 9)):
        with pytest.raises(Unusable) as caught:
            check_candles(wrong, NOW)
        assert caught.value.fault is Fault.BROKEN_DATA


def test_a_candle_that_has_not_closed_is_refused():
    with pytest.raises(Unusable, match="not closed"):
        check_candles(candles(), NOW - 2_000)


def test_candles_are_stale_two_timeframes_after_the_newest_closed():
    check_candles(candles(), NOW + 2 * MINUTE)
    with pytest.raises(Unusable) as caught:
        check_candles(candles(), NOW + 2 * MINUTE + 1)
    assert caught.value.fault is Fault.STALE_DATA


def test_no_candles_at_all_are_stale():
    with pytest.raises(Unusable) as caught:
        check_candles(Candles.from_rows(SYMBOL, "1m", []), NOW)
    assert caught.value.fault is Fault.STALE_DATA


def quote(bid: str = "10", ask: str = "10.1", last: str = "10") -> Quote:
    return Quote(symbol=SYMBOL, bid=Decimal(bid), ask=Decimal(ask), last=Decimal(last), at=NOW)


@pytest.mark.parametrize(
    "wrong",
    [
        quote(bid="0"),
        quote(ask="-1"),
        quote(last="0"),
        quote(bid="NaN"),
        quote(last="Infinity"),
        quote(bid="10.2"),
    ],
)
def test_broken_quotes_are_refused(wrong):
    with pytest.raises(Unusable) as caught:
        check_quote(wrong)
    assert caught.value.fault is Fault.BROKEN_DATA


def test_a_quote_goes_stale():
    check_quote(quote(ask="10"), NOW + 600_000)
    with pytest.raises(Unusable) as caught:
        check_quote(quote(), NOW + 600_001)
    assert caught.value.fault is Fault.STALE_DATA


def test_a_candle_is_fetched_once_for_all_bots_until_the_next_one_closes():
    feed, data = CountedFeed(), MarketData()
    for _ in range(1000):
        window = data.candles(feed, SYMBOL, "1m", 200)
        feed.clock.advance(59)  # 59 s in all
    assert feed.asked["candles"] == 1
    assert len(window) == 200
    assert data.candles(feed, SYMBOL, "1m", 50).times == window.times[-50:]
    assert feed.asked["candles"] == 1
    feed.clock.advance(1_000)
    assert data.candles(feed, SYMBOL, "1m", 200).times[-1] == window.times[-1] + MINUTE
    assert feed.asked["candles"] == 2


def test_a_longer_window_is_fetched_and_then_serves_the_shorter_one():
    feed, data = CountedFeed(), MarketData()
    data.candles(feed, SYMBOL, "1m", 50)
    assert len(data.candles(feed, SYMBOL, "1m", 300)) == 300
    assert len(data.candles(feed, SYMBOL, "1m", 50)) == 50
    assert feed.asked["candles"] == 2


def test_a_market_with_few_candles_is_not_asked_again_and_again():
    feed = CountedFeed(at=int(CountedFeed().rows[0][0]) + 20 * MINUTE)
    data = MarketData()
    for _ in range(10):
        assert len(data.candles(feed, SYMBOL, "1m", 200)) == 20
    assert feed.asked["candles"] == 1


def test_markets_and_timeframes_are_kept_apart():
    feed, other, data = CountedFeed(), CountedFeed(), MarketData()
    one = data.candles(feed, SYMBOL, "1m", 10)
    five = data.candles(feed, SYMBOL, "5m", 10)
    data.candles(other, SYMBOL, "1m", 10)
    assert (one.timeframe, five.timeframe) == ("1m", "5m")
    assert (feed.asked["candles"], other.asked["candles"]) == (2, 1)


def test_a_late_candle_is_asked_for_once_a_second_and_goes_stale():
    feed, data = CountedFeed(), MarketData()
    feed.override = data.candles(feed, SYMBOL, "1m", 200)
    feed.clock.advance(MINUTE)
    for _ in range(100):
        data.candles(feed, SYMBOL, "1m", 200)
        feed.clock.advance(100)  # 10 s in all
    assert 9 <= feed.asked["candles"] - 1 <= 11
    feed.clock.advance(2 * MINUTE)
    with pytest.raises(Unusable) as caught:
        data.candles(feed, SYMBOL, "1m", 200)
    assert caught.value.fault is Fault.STALE_DATA


@pytest.mark.parametrize(
    ("column", "value"), [("close", NAN), ("low", -1.0), ("high", 0.5), ("volume", INF)]
)
@pytest.mark.parametrize("row", [0, 150, 199])
def test_a_later_fetch_is_checked_as_strictly_as_the_first(row, column, value):
    feed, data = CountedFeed(), MarketData()
    data.candles(feed, SYMBOL, "1m", 200)
    feed.clock.advance(MINUTE)
    sound = feed.inner.candles(SYMBOL, "1m", 200)
    cells = list(getattr(sound, column))
    cells[row] = value
    feed.override = replace(sound, **{column: tuple(cells)})
    with pytest.raises(Unusable) as caught:
        data.candles(feed, SYMBOL, "1m", 200)
    assert caught.value.fault is Fault.BROKEN_DATA


def test_a_gap_after_known_candles_is_found():
    feed, data = CountedFeed(), MarketData()
    first = data.candles(feed, SYMBOL, "1m", 200)
    feed.clock.advance(2 * MINUTE)
    later = feed.inner.candles(SYMBOL, "1m", 200)
    names = ("times", "open", "high", "low", "close", "volume")
    kept = {name: getattr(first, name)[2:] + getattr(later, name)[-1:] for name in names}
    feed.override = replace(first, **kept)
    with pytest.raises(Unusable) as caught:
        data.candles(feed, SYMBOL, "1m", 200)
    assert caught.value.fault is Fault.BROKEN_DATA


def test_what_failed_the_check_is_never_served_later():
    clock = HandClock()
    feed, data = CountedFeed(), MarketData(monotonic=clock)
    feed.override = quote(bid="0")
    for _ in range(3):
        with pytest.raises(Unusable):
            data.quote(feed, SYMBOL)
    clock.at += 3
    feed.override = None
    assert data.quote(feed, SYMBOL).bid > 0


def test_a_quote_is_shared_for_its_time_to_live_by_the_feeds_clock():
    feed, data = CountedFeed(), MarketData(price_ttl_s=2)
    first = data.quote(feed, SYMBOL)
    feed.clock.advance(1_999)
    assert data.quote(feed, SYMBOL) is first
    feed.clock.advance(1)
    assert data.quote(feed, SYMBOL).at == feed.clock.at
    feed.clock.advance(-500)  # an exchange's clock that was set back
    assert data.quote(feed, SYMBOL).at == feed.clock.at
    assert feed.asked["quote"] == 3


def test_rules_are_shared_and_looked_at_again():
    feed, data = CountedFeed(), MarketData(markets_ttl_s=60)
    assert data.rules(feed, SYMBOL) is data.rules(feed, SYMBOL)
    feed.override = replace(RULES, active=False)
    feed.clock.advance(60_000)
    assert not data.rules(feed, SYMBOL).active
    assert feed.asked["rules"] == 2


def test_a_dead_exchange_is_asked_by_one_bot_only():
    clock = HandClock()
    feed, data = CountedFeed(), MarketData(failure_ttl_s=2, monotonic=clock)
    feed.error = Unreachable(Fault.NETWORK, "connection refused")
    for _ in range(100):
        for call in (data.quote, data.rules):
            with pytest.raises(Unreachable) as caught:
                call(feed, SYMBOL)
            assert caught.value.fault is Fault.NETWORK
    assert sum(feed.asked.values()) == 1
    clock.at += 2
    feed.error = None
    assert data.quote(feed, SYMBOL).bid > 0
    assert data.rules(feed, SYMBOL) == RULES


def test_a_failure_of_one_market_leaves_the_others_alone():
    feed, data = CountedFeed(), MarketData()
    feed.error = Unusable(Fault.MARKET_UNKNOWN, "no such market")
    with pytest.raises(Unusable):
        data.rules(feed, "GONE/USDT")
    feed.error = None
    assert data.rules(feed, SYMBOL) == RULES


def test_the_whole_feed_is_silent_for_as_long_as_the_exchange_asks():
    clock = HandClock()
    feed, other = CountedFeed(), CountedFeed()
    data = MarketData(failure_ttl_s=2, monotonic=clock)
    feed.error = Unreachable(Fault.RATE_LIMIT, "429", sent=False, retry_after=30)
    with pytest.raises(Unreachable):
        data.quote(feed, SYMBOL)
    feed.error = None
    clock.at += 29
    with pytest.raises(Unreachable) as caught:
        data.candles(feed, SYMBOL, "1m", 200)
    assert caught.value.fault is Fault.RATE_LIMIT
    assert caught.value.retry_after == pytest.approx(1)
    assert not caught.value.sent
    assert data.quote(other, SYMBOL).bid > 0  # other exchanges go on
    clock.at += 1
    assert len(data.candles(feed, SYMBOL, "1m", 200)) == 200
    assert (feed.asked["quote"], feed.asked["candles"]) == (1, 1)


def test_a_remembered_failure_is_a_fresh_exception_each_time():
    feed, data = CountedFeed(), MarketData()
    feed.error = Unusable(Fault.MARKET_UNKNOWN, "no such market")
    seen: list[ExchangeError] = []
    for _ in range(3):
        with pytest.raises(Unusable) as caught:
            data.rules(feed, SYMBOL)
        seen.append(caught.value)
    assert len({id(error) for error in seen}) == 3
    assert {error.fault for error in seen} == {Fault.MARKET_UNKNOWN}


def test_memory_is_bounded():
    feed, data = CountedFeed(), MarketData(max_entries=10)
    for timeframe in ("1m", "3m", "5m"):
        data.candles(feed, SYMBOL, timeframe, 10)
    feeds = [CountedFeed(600) for _ in range(20)]
    for one in feeds:
        data.quote(one, SYMBOL)
    data.quote(feeds[-1], SYMBOL)
    data.quote(feeds[0], SYMBOL)
    assert feeds[-1].asked["quote"] == 1
    assert feeds[0].asked["quote"] == 2


def test_threads_that_share_a_market_fetch_it_once():
    feed, data = CountedFeed(), MarketData()
    fetch = feed.inner.candles

    def slow(symbol: str, timeframe: str, count: int) -> Candles:
        time.sleep(0.05)
        return fetch(symbol, timeframe, count)

    feed.inner.candles = slow  # type: ignore[method-assign]
    threads = [
        threading.Thread(target=data.candles, args=(feed, SYMBOL, "1m", 200)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert feed.asked["candles"] == 1


def test_a_replay_sees_each_candle_and_only_closed_ones():
    feed = CountedFeed(400)
    clock = ReplayClock(int(feed.rows[0][0]))
    recorded, data = RecordedFeed(feed.rows, SYMBOL, RULES, clock), MarketData()
    for number in range(200, 400):
        clock.at = int(feed.rows[number][0])
        window = data.candles(recorded, SYMBOL, "1m", 200)
        assert window.times == tuple(int(row[0]) for row in feed.rows[number - 200 : number])
        assert window.close[-1] == feed.rows[number - 1][4]
        assert data.quote(recorded, SYMBOL).last == Decimal(repr(feed.rows[number][1]))
