"""The candle chart of a bot: its data for the script, and the table for everybody."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import translation

from bots import candles
from bots.charting import chart_of
from bots.models import ApiToken, BotConfig, BotState, Fill, User
from tests.pages.builders import (
    HOSTILE,
    bot_of,
    filled,
    holding,
    market,
    sign_in,
    state_of,
    text_of,
)
from trading.market import Candles

MINUTE = 60_000
#: When the newest of forty candles opened.
LAST = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LAST_MS = round(LAST.timestamp() * 1000)


def put(count: int = 40, *, last: int = LAST_MS, close: float = 66510.5) -> Candles:
    """Store candles of BTC/USDT, a minute each."""
    rows = [
        (last - (count - 1 - n) * MINUTE, 66500.12, 66520.0, 66490.010000001, close, 1.5)
        for n in range(count)
    ]
    made = Candles.from_rows("BTC/USDT", "1m", rows)
    candles.store(candles.key_of("simulated", "paper", "BTC/USDT", "1m"), made)
    return made


@pytest.fixture
def bot(alice: User, client: Client) -> BotConfig:
    """A bot in position on a market with candles; alice is signed in."""
    market()
    put()
    found = bot_of(alice)
    state_of(found, "running", "in_position", "trade", **holding(take_profit_price=Decimal(68000)))
    sign_in(client, alice)
    return found


def ask(client: Client, bot: BotConfig, **query: Any) -> Any:
    return client.get(f"/bots/{bot.pk}/candles/", query)


def test_the_chart_gets_candles_and_levels_on_the_markets_tick(
    bot: BotConfig, client: Client
) -> None:
    answer = ask(client, bot)
    told = answer.json()
    assert answer["Cache-Control"].startswith("max-age=0")
    assert (len(told["candles"]), told["count"], told["places"]) == (40, 40, 2)
    assert told["candles"][-1] == [LAST_MS, 66500.12, 66520.0, 66490.01, 66510.5, 1.5]
    assert [tuple(level.values()) for level in told["levels"]] == [
        ("entry", "Entry", "Entry", "66500.12"),
        ("stop", "Stop loss", "SL", "65170.11"),
        ("target", "Take profit", "TP", "68000.00"),
        ("last", "Last price", "Last", "67120.55"),
    ]
    assert told["fills"] == []


def test_only_what_opened_since_then_is_told(bot: BotConfig, client: Client) -> None:
    told = ask(client, bot, since=LAST_MS - 2 * MINUTE).json()
    assert [row[0] for row in told["candles"]] == [LAST_MS - n * MINUTE for n in (2, 1, 0)]
    assert (told["count"], told["oldest"]) == (40, LAST_MS - 39 * MINUTE)
    assert ask(client, bot, since=LAST_MS + 1).json()["candles"] == []
    for nonsense in ("-1", "x", "1e3", "٣", "9" * 40):
        assert len(ask(client, bot, since=nonsense).json()["candles"]) == 40


def test_nothing_new_is_204_and_each_piece_of_news_is_not(
    bot: BotConfig, client: Client, django_assert_max_num_queries: Any
) -> None:
    def version() -> str:
        return str(ask(client, bot).json()["v"])

    had = version()
    with django_assert_max_num_queries(5):
        assert ask(client, bot, v=had).status_code == 204
    with django_assert_max_num_queries(8):
        ask(client, bot)
    # A tick that found the same is no news to the chart, though the state row was written.
    BotState.objects.filter(pk=bot.pk).update(failures=0)
    assert ask(client, bot, v=had).status_code == 204
    versions = [had]
    BotState.objects.filter(pk=bot.pk).update(stop_loss_price=Decimal(65000))
    versions.append(version())
    put(2, last=LAST_MS + MINUTE)
    versions.append(version())
    filled(bot, "buy", "0.0015", "66500.12", at=LAST)
    versions.append(version())
    BotConfig.objects.filter(pk=bot.pk).update(timeframe="5m")
    versions.append(version())
    assert len(set(versions)) == len(versions)


def test_the_fills_of_an_order_are_one_mark_in_their_candle(bot: BotConfig, client: Client) -> None:
    first = filled(bot, "buy", "0.002", "66500", at=LAST + timedelta(seconds=61))
    part = {
        field: getattr(first, field)
        for field in ("order", "bot", "account", "symbol", "side", "fee", "fee_currency")
    }
    part |= {"fee_quote": 0, "trading_day": first.trading_day}
    late = LAST + timedelta(seconds=70)
    Fill.objects.create(
        **part, trade_id="x", price=66530, amount=Decimal("0.001"), quote=1, at=late
    )
    filled(bot, "sell", "0.001", "66400", at=LAST - timedelta(seconds=1))
    filled(bot, "sell", "0.001", "66400", at=LAST - timedelta(hours=2))
    sold, bought = ask(client, bot).json()["fills"]
    assert (bought["bar"], bought["side"]) == (LAST_MS + MINUTE, "buy")
    assert bought["price"] == "66510.00"
    assert bought["text"] == "buy 0.00300 BTC @ 66,510.00"
    assert (sold["bar"], sold["side"]) == (LAST_MS - MINUTE, "sell")


def test_a_flat_bot_has_no_levels_but_the_last_price(bot: BotConfig, client: Client) -> None:
    flat = {"in_position": False, "position_side": "", "current_position_size": 0}
    BotState.objects.filter(pk=bot.pk).update(**flat, stop_loss_price=Decimal(1))
    assert [level["kind"] for level in ask(client, bot).json()["levels"]] == ["last"]
    BotState.objects.filter(pk=bot.pk).update(last_price=None)
    assert ask(client, bot).json()["levels"] == []


def test_a_market_that_is_not_known_shows_prices_as_they_were_seen(
    alice: User, client: Client
) -> None:
    put(3, close=66510.125)
    bot = bot_of(alice)
    sign_in(client, alice)
    told = ask(client, bot).json()
    assert (told["places"], told["candles"][0][4], told["levels"]) == (3, 66510.125, [])
    assert chart_of(bot, None).bars[0].low == Decimal("66490.010000001")


def test_nobody_else_gets_a_bots_chart(bot: BotConfig, mallory: User, client: Client) -> None:
    sign_in(client, mallory)
    assert ask(client, bot).status_code == 404
    assert ask(client, bot, table="").status_code == 404
    client.logout()
    assert ask(client, bot).status_code == 302


def test_the_page_has_the_newest_candles_and_fills_as_a_table(
    bot: BotConfig, client: Client
) -> None:
    filled(bot, "buy", "0.0015", "66500.12", at=LAST)
    page = client.get(f"/bots/{bot.pk}/")
    body = page.content.decode()
    table = body[body.index('id="candle-table"') :]
    assert table.count("66,490.01") == 20
    assert table.index("12:00") < table.index("11:59")
    assert "0.00150 BTC" in table
    label = re.search(r'role="img" aria-label="([^"]+)"', body)
    assert label is not None
    assert label[1] == (
        "Candles of BTC/USDT, 1m, from 1 Mar 11:21 to 1 Mar 12:00. Entry 66,500.12,"
        " Stop loss 65,170.11, Take profit 68,000.00, Last price 67,120.55"
    )
    assert "TradingView Lightweight Charts™" in body
    assert "https://www.tradingview.com/" in body


def test_a_gap_is_said_in_the_table(bot: BotConfig, client: Client) -> None:
    put(3, last=LAST_MS + 10 * MINUTE)
    text = text_of(ask(client, bot, table=""))
    assert "No candles were seen from 1 Mar 12:01 to 1 Mar 12:08" in text
    assert text.count("No candles were seen") == 1


def test_without_candles_one_sentence_says_so(alice: User, client: Client) -> None:
    bot = bot_of(alice, name=HOSTILE)
    sign_in(client, alice)
    page = client.get(f"/bots/{bot.pk}/")
    assert "No candles yet: they come with the bot's ticks." in text_of(page).replace("&#x27;", "'")
    assert b'role="img"' not in page.content
    told = ask(client, bot).json()
    assert (told["candles"], told["count"], told["oldest"]) == ([], 0, None)
    with translation.override("en"):
        assert told["label"] == "Candles of BTC/USDT: none yet."


def test_the_chart_is_loaded_on_a_bots_page_alone(bot: BotConfig, client: Client) -> None:
    assert b"lightweight-charts" in client.get(f"/bots/{bot.pk}/").content
    for path in ("/", f"/bots/{bot.pk}/orders/", "/performance/", "/help/"):
        assert b"lightweight-charts" not in client.get(path).content, path


def test_the_api_tells_the_same_in_exact_numbers(
    bot: BotConfig, alice: User, mallory: User, client: Client
) -> None:
    filled(bot, "buy", "0.0015", "66500.12", at=LAST)
    path = f"/api/v1/bots/{bot.pk}/candles"
    headers = {"Authorization": f"Bearer {ApiToken.issue(alice, 'script')}"}
    client.logout()
    told = client.get(path, {"since": LAST_MS}, headers=headers).json()
    assert told["candles"] == [
        {
            "at": "2026-03-01T12:00:00Z",
            "open": "66500.12",
            "high": "66520",
            "low": "66490.01",
            "close": "66510.5",
            "volume": "1.5",
        }
    ]
    assert (told["symbol"], told["timeframe"], told["count"]) == ("BTC/USDT", "1m", 40)
    assert told["levels"]["stop"] == "65170.11"
    assert told["levels"]["liquidation"] is None
    (mark,) = told["fills"]
    assert (mark["side"], mark["price"], mark["amount"]) == ("buy", "66500.12", "0.0015")
    assert mark["candle_at"] == "2026-03-01T12:00:00Z"
    again = client.get(path, {"version": told["version"]}, headers=headers)
    assert (again.status_code, again.content) == (204, b"")
    foreign = {"Authorization": f"Bearer {ApiToken.issue(mallory, 'script')}"}
    assert client.get(path, headers=foreign).status_code == 404
    assert client.get(path, {"since": "-1"}, headers=headers).status_code == 422
