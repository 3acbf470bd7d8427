"""One set of settings on many markets: what is refused, what it may cost, all or none."""

from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from bots import control
from bots.models import BotConfig, Market, User
from bots.views import many
from tests.pages.builders import bot_of, form_of, market, sign_in, text_of

NEW = "/bots/new/"


@pytest.fixture(autouse=True)
def _signed_in(alice: User, client: Client) -> None:
    sign_in(client, alice)


@pytest.fixture
def listed(db: None) -> list[Market]:
    small = market("ADA/USDT", min_notional=Decimal(1))
    return [market("BTC/USDT"), market("ETH/USDT"), market("SOL/EUR"), small]


def _post(client: Client, **changes: Any) -> Any:
    data = {"name": "Wave", "max_daily_loss_perc": "2", **changes}
    return client.post(NEW, form_of(client, NEW) | data)


@pytest.mark.usefixtures("listed")
def test_the_preview_makes_nothing_and_sums_up_each_currency(client: Client) -> None:
    answer = _post(client, more_symbols="ethusdt, sol eur; BTC/USDT")
    assert answer.status_code == 200
    assert not BotConfig.objects.exists()
    assert [row.name for row in answer.context["rows"]] == [
        "Wave BTC/USDT",
        "Wave ETH/USDT",
        "Wave SOL/EUR",
    ]
    text = text_of(answer)
    assert "1 bot with 1,000.00 EUR of capital; its entry takes 100.00 EUR." in text
    assert "2 bots with 2,000.00 USDT of capital together" in text
    assert "Worst day of all: −40.00 USDT." in text
    assert "Worst day of all: −20.00 EUR." in text


@pytest.mark.usefixtures("listed")
def test_what_a_market_refuses_is_said_and_not_offered(client: Client) -> None:
    fixed = {"position_size_perc": "", "position_size_fixed": "3.20"}
    answer = _post(client, symbol="ADA/USDT", more_symbols="ETH/USDT, NOPE/USDT, xyz", **fixed)
    refused = [row.is_refused for row in answer.context["rows"]]
    assert refused == [False, True, True, True]
    text = text_of(answer)
    assert "This market takes at least 5.00 USDT; you entered 3.20." in text
    assert "NOPE/USDT is not in this exchange" in text
    assert "Write it as BASE/QUOTE" in text
    body = answer.content.decode()
    assert 'value="ADA/USDT" checked' in body
    assert 'value="ETH/USDT" disabled' in body
    assert [total.count for total in answer.context["totals"]] == [1]


@pytest.mark.usefixtures("listed")
def test_the_ticked_ones_are_made_at_once_and_stay_stopped(client: Client, alice: User) -> None:
    symbols = {"symbol": "BTC/USDT", "more_symbols": "ETH/USDT, ADA/USDT"}
    answer = _post(client, **symbols, confirm="1", pick=["BTC/USDT", "ADA/USDT"])
    assert (answer.status_code, answer.url) == (302, "/?q=Wave")
    bots = list(alice.bots.select_related("account").order_by("symbol"))
    assert [(bot.name, bot.symbol) for bot in bots] == [
        ("Wave ADA/USDT", "ADA/USDT"),
        ("Wave BTC/USDT", "BTC/USDT"),
    ]
    assert not any(bot.is_active or bot.state_or_none for bot in bots)
    assert len({bot.account_id for bot in bots}) == 2
    assert "2 bots were created." in text_of(client.get("/"))


@pytest.mark.usefixtures("listed")
def test_a_second_press_makes_no_second_set(client: Client, alice: User) -> None:
    symbols = {"symbol": "BTC/USDT", "more_symbols": "ETH/USDT"}
    confirmed = {**symbols, "confirm": "1", "pick": ["BTC/USDT", "ETH/USDT"]}
    assert _post(client, **confirmed).status_code == 302
    again = _post(client, **confirmed)
    assert again.status_code == 422
    assert "You already have a bot of this name." in text_of(again)
    assert alice.bots.count() == 2


@pytest.mark.usefixtures("listed")
def test_one_that_is_refused_meanwhile_means_none_is_made(client: Client, alice: User) -> None:
    bot_of(alice, "Wave ETH/USDT", symbol="ETH/USDT")
    symbols = {"symbol": "BTC/USDT", "more_symbols": "ETH/USDT"}
    answer = _post(client, **symbols, confirm="1", pick=["BTC/USDT", "ETH/USDT"])
    assert answer.status_code == 422
    assert "Nothing was made: a picked symbol is refused by now." in text_of(answer)
    assert alice.bots.count() == 1
    none = _post(client, **symbols, confirm="1")
    assert "Nothing was made: pick at least one symbol." in text_of(none)
    assert alice.bots.count() == 1


@pytest.mark.usefixtures("listed")
def test_a_failure_half_way_takes_the_first_ones_back(
    client: Client, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = control.create

    def second_fails(owner: User, values: Any) -> BotConfig:
        if values["symbol"] == "ETH/USDT":
            raise ValidationError({"symbol": "not this one"})
        return create(owner, values)

    monkeypatch.setattr(control, "create", second_fails)
    symbols = {"symbol": "BTC/USDT", "more_symbols": "ETH/USDT"}
    answer = _post(client, **symbols, confirm="1", pick=["BTC/USDT", "ETH/USDT"])
    assert "Nothing was made: not this one" in text_of(answer)
    assert alice.bots.count() == 0


@pytest.mark.usefixtures("listed")
def test_back_keeps_what_was_typed(client: Client) -> None:
    answer = _post(client, more_symbols="ETH/USDT", stop_loss_perc="3", back="1")
    form = answer.context["form"]
    assert (form["more_symbols"].value(), form["stop_loss_perc"].value()) == ("ETH/USDT", "3")
    assert not BotConfig.objects.exists()


@pytest.mark.usefixtures("db")
def test_fifty_at_once_and_no_query_for_each(client: Client) -> None:
    symbols = [f"C{number:02}/USDT" for number in range(many.MOST + 2)]
    for symbol in symbols:
        market(symbol)
    with CaptureQueriesContext(connection) as asked:
        data = {"symbol": symbols[0], "more_symbols": ",".join(symbols[1:])}
        answer = _post(client, **data)
    refused = [row.symbol for row in answer.context["rows"] if row.is_refused]
    assert refused == symbols[many.MOST :]
    assert "At most 50 bots are made at once." in text_of(answer)
    # The checks of the database's own constraints are savepoints and single values.
    tables = [row["sql"][:110] for row in asked if '"bots_' in row["sql"]]
    assert len(tables) <= 18, tables


def test_markets_that_were_picked_fill_the_form(client: Client, listed: list[Market]) -> None:
    pks = "&".join(f"market={row.pk}" for row in listed[:2])
    other = market("DOGE/USDT", exchange="binance", mode="live")
    data = form_of(client, f"{NEW}?{pks}&market={other.pk}&market=x")
    assert (data["symbol"], data["more_symbols"]) == ("BTC/USDT", "ETH/USDT")
    # Paper by default: whoever looks at real markets has not said real money.
    data = form_of(client, f"{NEW}?market={other.pk}")
    assert (data["exchange"], data["mode"], data["symbol"]) == ("binance", "paper", "DOGE/USDT")


@pytest.mark.usefixtures("listed")
def test_a_symbol_may_be_typed_in_any_way(client: Client, alice: User) -> None:
    assert _post(client, symbol="ethusdt").status_code == 302
    assert alice.bots.get().symbol == "ETH/USDT"
    answer = client.get("/bots/check/?exchange=simulated&symbol=eth+usdt&position_size_fixed=1")
    assert "at least 5.00 USDT" in text_of(answer)


@pytest.mark.parametrize(
    ("size", "more", "left"),
    [
        ("5.10", "&stop_loss_perc=3", "4.95"),
        ("5.10", "&stop_loss_perc=1", None),
        # The nearest stop counts, and a trailing one only while it is on.
        ("5.10", "&stop_loss_perc=3&trailing_stop_perc=1&trailing_stop_active=on", None),
        ("5.10", "&stop_loss_perc=3&trailing_stop_perc=1", "4.95"),
        ("5.00", "", None),
        ("5.00", "&taker", "4.99"),
    ],
)
def test_an_entry_that_could_not_be_sold_at_its_stop_is_refused(
    client: Client, size: str, more: str, left: str | None
) -> None:
    market(taker_fee=Decimal("0.002") if "taker" in more else Decimal(0))
    query = f"exchange=simulated&symbol=BTC/USDT&initial_capital=100&position_size_fixed={size}"
    text = text_of(client.get(f"/bots/check/?{query}{more}"))
    told = f"At its stop an entry is worth {left} USDT, its fee taken off: less than the 5.00"
    assert (told in text) is (left is not None)
    assert ("At its stop" in text) is (left is not None)


def test_an_edit_has_one_symbol_and_says_when_it_works(alice: User, client: Client) -> None:
    bot = bot_of(alice)
    path = f"/bots/{bot.pk}/settings/"
    page = client.get(path)
    assert "more_symbols" not in page.context["form"].fields
    assert "This bot is running." not in text_of(page)
    control.start(bot, by=alice, via="page")
    text = text_of(client.get(path))
    assert "What you save counts from its next tick (one every 1 min)" in text


def test_a_preset_marks_what_it_filled_without_scripts(client: Client) -> None:
    body = client.get(f"{NEW}?preset=bold").content.decode()
    marked = [part.split('name="')[1].split('"')[0] for part in body.split(" filled")[1:]]
    assert {"stop_loss_perc", "max_daily_trades", "position_size_perc"} <= set(marked)
    assert "symbol" not in marked
