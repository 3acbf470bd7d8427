"""The search over an exchange's markets, the watch-list, and the page of one market."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone, translation

from bots import candles, markets
from bots.models import Market, User, Watch
from bots.models.fields import words
from tests.pages.builders import bot_of, market, sign_in, text_of
from trading.market import TIMEFRAMES, Candles

BASES = ["BTC", "ETH", "BNB", "XRP", "BCH", "BIT", "BTCST", "ETHFI", "WBTC", "1000SATS"]
BASES += ["INJ", "USDC", "ICP", "IOTA", "BRK.B", "币安人生"]


@pytest.fixture(autouse=True)
def _signed_in(alice: User, client: Client) -> None:
    sign_in(client, alice)


def _list(bases: list[str], quotes: tuple[str, ...], **values: Any) -> None:
    rules = {"amount_step": Decimal("0.001"), "price_tick": Decimal("0.01")}
    rows = [
        Market(symbol=f"{base}/{quote}", base=base, quote=quote, **{**PLACE, **rules, **values})
        for base in bases
        for quote in quotes
        if base != quote
    ]
    pairs = Counter(row.base for row in rows)
    for row in rows:
        row.pairs = pairs[row.base]
    Market.objects.bulk_create(rows, batch_size=500)


PLACE = {"exchange": "simulated", "mode": "paper"}


@pytest.fixture
def listed(db: None) -> None:
    _list(BASES, ("EUR", "USDT", "BTC"))


def _found(text: str, count: int = 3) -> list[str]:
    rows = markets.search(markets.listed("simulated", "paper", "spot"), text)
    return [row.symbol for row in rows[:count]]


@pytest.mark.usefixtures("listed")
@pytest.mark.parametrize(
    "text",
    ["btc usdt", "BTC/USDT", "btcusdt", "btc-usdt", " Btc_Usdt ", "usdt btc", "BTC/USDT:USDT"],
)
def test_every_way_to_write_a_pair_finds_it_first(text: str) -> None:
    assert _found(text, 1) == ["BTC/USDT"]


@pytest.mark.usefixtures("listed")
@pytest.mark.parametrize(
    ("text", "first"),
    [
        # The whole base with USDT, its other quotes, then bases that begin so, then that hold it.
        ("btc", ["BTC/USDT", "BTC/EUR", "BTCST/USDT", "BTCST/BTC", "BTCST/EUR", "WBTC/USDT"]),
        ("et", ["ETH/USDT", "ETHFI/USDT", "ETH/BTC", "ETH/EUR"]),
        ("sats", ["1000SATS/USDT", "1000SATS/BTC", "1000SATS/EUR"]),
        ("btc us", ["BTC/USDT", "BTCST/USDT", "WBTC/USDT"]),
        ("brk.b", ["BRK.B/USDT", "BRK.B/BTC", "BRK.B/EUR"]),
        ("brkb/usdt", ["BRK.B/USDT"]),
        ("币安", ["币安人生/USDT", "币安人生/BTC", "币安人生/EUR"]),
        ("nothing", []),
        ("%", None),
        ("'; --", None),
    ],
)
def test_the_best_finds_come_first(text: str, first: list[str] | None) -> None:
    if first is None:
        # Nothing but signs is nothing that was typed.
        assert _found(text) == _found("")
    else:
        assert _found(text, max(len(first), 1)) == first


@pytest.mark.usefixtures("listed")
@pytest.mark.parametrize("text", ["bit", "BIT", "bıt", "BİT", "bi̇t", "Bİt"])
def test_a_turkish_i_finds_what_a_latin_one_does(text: str) -> None:
    with translation.override("tr"):
        assert _found(text, 1) == ["BIT/USDT"]


@pytest.mark.usefixtures("db")
def test_a_halted_market_comes_after_an_equal_one_that_trades() -> None:
    _list(["SOL"], ("USDT",), is_tradable=False)
    _list(["SOL"], ("EUR",))
    assert _found("sol") == ["SOL/EUR", "SOL/USDT"]


def test_words_are_capitals_without_dots_and_signs() -> None:
    assert words("btc/usdt İı-é") == ["BTC", "USDT", "II", "E"]


@pytest.mark.usefixtures("db")
def test_paper_bots_choose_from_the_live_list_where_only_that_is_known() -> None:
    market("ETH/USDT", exchange="binance", mode="live")
    assert markets.resolve(["ethusdt"], "binance", "paper", "spot") == {"ethusdt": "ETH/USDT"}
    assert markets.resolve(["ethusdt"], "binance", "testnet", "spot") == {"ethusdt": "ETHUSDT"}


def test_a_typed_list_is_split_into_symbols() -> None:
    text = "btc usdt, ETH/USDT SOL/USDT;\nbtc usdt\n, "
    assert markets.split(text) == ["btc usdt", "ETH/USDT", "SOL/USDT"]


@pytest.fixture
def five_thousand(db: None) -> None:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    bases = [f"{a}{b}{c}" for a in letters for b in letters for c in letters][:2500]
    _list(bases, ("USDT", "BTC"), min_notional=5)


@pytest.mark.usefixtures("five_thousand")
def test_the_page_asks_few_questions_however_long_the_list(client: Client, alice: User) -> None:
    for row in Market.objects.filter(symbol__startswith="AB")[:40]:
        Watch.put(alice, row, on=True)
    client.get("/markets/")
    for query in ("", "?q=abc", "?q=abc+usdt&watched=1", "?page=7"):
        with CaptureQueriesContext(connection) as asked:
            assert client.get(f"/markets/{query}").status_code == 200
        assert len(asked) <= 9, [row["sql"][:90] for row in asked]
    with CaptureQueriesContext(connection) as asked:
        body = client.get("/markets/suggest/?exchange=simulated&symbol=abc").content.decode()
    assert body.count("<li") == 2
    assert len(asked) <= 4


def _symbols(client: Client, query: str = "") -> list[str]:
    return [row.market.symbol for row in client.get(f"/markets/{query}").context["page"]]


@pytest.mark.usefixtures("listed")
def test_the_watched_come_first_and_pressing_twice_does_no_harm(
    client: Client, alice: User, mallory: User
) -> None:
    row = Market.objects.get(symbol="INJ/USDT")
    Watch.put(mallory, Market.objects.get(symbol="ICP/USDT"), on=True)
    for _ in range(2):
        answer = client.post(f"/markets/{row.pk}/watch/", {"on": "1", "next": "/markets/?q=i"})
        assert (answer.status_code, answer.url) == (302, "/markets/?q=i")
    assert list(alice.watches.values_list("market__symbol", flat=True)) == ["INJ/USDT"]
    assert _symbols(client)[0] == "INJ/USDT"
    assert _symbols(client, "?watched=1") == ["INJ/USDT"]
    for _ in range(2):
        client.post(f"/markets/{row.pk}/watch/", {"on": "0"})
    assert not alice.watches.exists()
    assert mallory.watches.count() == 1
    assert "You watch no market here yet." in text_of(client.get("/markets/?watched=1"))


def test_the_star_leads_to_no_other_site(client: Client) -> None:
    row = market()
    answer = client.post(f"/markets/{row.pk}/watch/", {"on": "1", "next": "https://evil.example/"})
    assert answer.url == f"/markets/{row.pk}/"
    assert client.post("/markets/999/watch/", {"on": "1"}).status_code == 404


def test_the_list_shows_rules_and_how_many_of_ones_own_bots_trade_there(
    client: Client, alice: User, mallory: User
) -> None:
    market("ETH/USDT", min_notional=7)
    market("HALT/USDT", is_tradable=False)
    bot_of(alice, "One", symbol="ETH/USDT")
    bot_of(alice, "Two", symbol="ETH/USDT")
    bot_of(mallory, "Hers", symbol="ETH/USDT")
    answer = client.get("/markets/")
    rows = {row.market.symbol: row for row in answer.context["page"]}
    assert (rows["ETH/USDT"].bots, rows["HALT/USDT"].bots) == (2, 0)
    text = text_of(answer)
    assert "7.00 USDT" in text
    assert "0.1 %" in text
    assert "halted" in text
    assert f'href="/markets/{rows["ETH/USDT"].market.pk}/"' in answer.content.decode()


def test_the_usual_place_is_where_most_of_ones_bots_trade(client: Client, alice: User) -> None:
    market("BTC/USDT")
    market("SOL/USDT", exchange="binance")
    assert _symbols(client) == ["BTC/USDT"]
    bot_of(alice, exchange="binance", symbol="SOL/USDT")
    assert _symbols(client) == ["SOL/USDT"]
    assert _symbols(client, "?exchange=simulated") == ["BTC/USDT"]
    assert _symbols(client, "?exchange=../evil&mode=nope&position_type=x") == ["SOL/USDT"]


def test_a_list_that_is_missing_or_old_is_asked_for(
    client: Client, sent: list[tuple[str, tuple[object, ...]]]
) -> None:
    text = text_of(client.get("/markets/?exchange=kraken&mode=paper"))
    assert "The markets of kraken have not been read yet. A worker was asked for them." in text
    assert sent == [("bots.tasks.refresh_markets", ("kraken", "paper"))]
    text = text_of(client.get("/markets/?exchange=kraken&mode=paper&position_type=futures"))
    assert "Futures are traded in live mode only." in text
    assert len(sent) == 1


def test_a_fresh_list_is_not_asked_for(
    client: Client, sent: list[tuple[str, tuple[object, ...]]]
) -> None:
    row = market()
    client.get("/markets/")
    assert sent == []
    Market.objects.filter(pk=row.pk).update(as_of=timezone.now() - timedelta(days=2))
    client.get("/markets/")
    assert sent == [("bots.tasks.refresh_markets", ("simulated", "paper"))]


def test_a_market_tells_its_rules_in_plain_words(
    client: Client, alice: User, mallory: User
) -> None:
    row = market("ETH/USDT", min_amount=Decimal("0.01"))
    bot_of(alice, "My own", symbol="ETH/USDT")
    bot_of(mallory, "Somebody's", symbol="ETH/USDT")
    text = text_of(client.get(f"/markets/{row.pk}/"))
    assert "An order is worth at least 5.00 USDT." in text
    assert "An order is of at least 0.01 ETH." in text
    assert "Amounts go in steps of 0.00001 ETH" in text
    assert "Prices go in ticks of 0.01 USDT." in text
    assert "Paper trades cost 0.1 %" in text
    assert "My own" in text
    assert "Somebody" not in text


def test_strangers_see_no_market_and_each_star_wants_a_token(alice: User) -> None:
    row = market()
    strict = Client(enforce_csrf_checks=True)
    assert strict.get(f"/markets/{row.pk}/").url.startswith("/accounts/login/")
    sign_in(strict, alice)
    assert strict.post(f"/markets/{row.pk}/watch/", {"on": "1"}).status_code == 403
    assert strict.get(f"/markets/{row.pk}/watch/").status_code == 405
    assert not Watch.objects.exists()


NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def _store(symbol: str, timeframe: str, closes: list[float], end: datetime = NOW) -> None:
    """Store candles that each open at the close before and are one wide around it."""
    length, last = TIMEFRAMES[timeframe], round(end.timestamp() * 1000)
    first = last - len(closes) * length
    rows = [
        (first + at * length, closes[max(at - 1, 0)], close + 1, close - 1, close, 1.0)
        for at, close in enumerate(closes)
    ]
    key = candles.key_of("simulated", "paper", symbol, timeframe)
    candles.store(key, Candles.from_rows(symbol, timeframe, rows))


def test_prices_come_from_stored_candles_with_their_age_and_the_days_change(
    client: Client,
) -> None:
    row = market("ETH/USDT")
    # A day of 15 minutes from 100 to 195, and an older one of which nothing counts.
    _store("ETH/USDT", "15m", [50.0] * 10 + [100.0 + at for at in range(96)])
    shown = client.get("/markets/").context["page"][0].price
    assert (shown.last, shown.at, len(shown.line)) == (Decimal(195), NOW, 96)
    # The day's first candle opened where the old one closed.
    assert (shown.change, shown.high, shown.low) == (Decimal(290), Decimal(196), Decimal(99))
    text = text_of(client.get(f"/markets/{row.pk}/"))
    assert "195.00 USDT" in text
    assert "+290.00 %" in text
    assert "candle closed" in text


def test_the_freshest_candle_tells_the_price_and_a_short_series_no_change(client: Client) -> None:
    market("ETH/USDT")
    _store("ETH/USDT", "15m", [100.0] * 97, NOW - timedelta(minutes=10))
    _store("ETH/USDT", "1m", [120.0] * 30)
    shown = client.get("/markets/").context["page"][0].price
    assert (shown.last, shown.at) == (Decimal(120), NOW)
    assert shown.change == Decimal(20)
    assert [point.price for point in shown.line][-2:] == [Decimal(100), Decimal(120)]
    market("SOL/USDT")
    _store("SOL/USDT", "1m", [7.0] * 30)
    found = {one.market.symbol: one.price for one in client.get("/markets/").context["page"]}
    assert found["SOL/USDT"].change is None
    assert client.get("/markets/?q=sol").status_code == 200


def test_a_day_with_its_beginning_missing_has_no_change(client: Client) -> None:
    row = market("ETH/USDT")
    _store("ETH/USDT", "15m", [100.0] * 20, NOW - timedelta(days=2))
    _store("ETH/USDT", "15m", [110.0] * 20)
    assert client.get("/markets/").context["page"][0].price.change is None
    assert client.get(f"/markets/{row.pk}/").status_code == 200


def test_a_market_without_candles_says_how_to_get_them(
    client: Client, sent: list[tuple[str, tuple[object, ...]]]
) -> None:
    row = market("ETH/USDT")
    page = f"/markets/{row.pk}/"
    assert "Press the star and a worker reads them" in text_of(client.get(page))
    client.post(f"{page}watch/", {"on": "1"})
    assert sent == [("bots.tasks.refresh_watched", ("simulated", "live", "spot"))]
    assert "A worker reads them within a few minutes." in text_of(client.get(page))
    client.post(f"{page}watch/", {"on": "0"})
    assert len(sent) == 1
