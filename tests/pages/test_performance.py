"""The performance pages: figures that open their fills, filters in the address, charts, CSV."""

import csv
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html import unescape
from io import StringIO
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from bots import control
from bots.models import BotConfig, BotState, Fill, Funding, User
from bots.templatetags.show import money
from tests.pages.builders import HOSTILE, bot_of, filled, market, sign_in, state_of, text_of

D = Decimal
NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)


@pytest.fixture(autouse=True)
def _signed_in(alice: User, client: Client) -> None:
    sign_in(client, alice)


def ago(days: int, hours: float = 0) -> datetime:
    return NOON - timedelta(days=days, hours=hours)


def traded_bot(owner: User, name: str = "Dip buyer", **values: Any) -> BotConfig:
    """Ten days: a target, two stops (one after two days), a sale by hand, an open position."""
    bot = bot_of(owner, name, **values)
    rows = [
        ("buy", "1", "100", 40, "signal"),
        ("sell", "1", "110.333333333333333333", 40, "take_profit"),
        ("buy", "1", "100", 9, "signal"),
        ("sell", "0.5", "98", 9, "stop_loss"),
        ("sell", "0.5", "97", 7, "stop_loss"),
        ("buy", "1", "90", 3, "signal"),
        ("sell", "1", "88", 3, "stop_loss"),
        ("buy", "1", "90", 1, "command"),
        ("sell", "1", "95", 1, "command"),
        ("buy", "2", "95", 0, "signal"),
        ("sell", "1", "99", 0, "take_profit"),
    ]
    for number, (side, amount, price, days, reason) in enumerate(rows):
        at = ago(days, hours=(len(rows) - number) / 10)
        filled(bot, side, amount, price, at=at, reason=reason)
    return bot


def fund(bot: BotConfig, amount: str, days: int) -> None:
    Funding.objects.create(
        bot=bot,
        account=bot.account,
        symbol=bot.symbol,
        funding_id=f"f{bot.pk}-{days}",
        amount=D(amount),
        at=ago(days),
        trading_day=ago(days).date(),
    )


# -- Figures and the fills behind them ------------------------------------------------------------
LINK = re.compile(r'<a href="(/[^"#]*fills/[^"#]*)(?:#funding)?">(.*?)</a>', re.S)


def plain(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", text)).strip().lstrip("▲▼")


def shown(client: Client, path: str) -> dict[str, str]:
    """What the page of fills says that its fills add up to: label -> text."""
    body = client.get(path).content.decode()
    strip = re.search(r'<dl class="strip">(.*?)</dl>', body, re.S)
    assert strip, path
    pairs = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", strip[1], re.S)
    return {plain(label): plain(text) for label, text in pairs}


def figures(body: str) -> list[tuple[str, str]]:
    """Each figure of a page that is money, and the address that it opens."""
    found = [(unescape(path), plain(text)) for path, text in LINK.findall(body)]
    return [(path, text) for path, text in found if re.fullmatch(r"[+−]?[\d,.]+( USDT)?", text)]


@pytest.mark.parametrize("is_overview", [True, False])
def test_each_result_on_a_page_is_what_its_fills_add_up_to(
    is_overview: bool, alice: User, client: Client
) -> None:
    bot = traded_bot(alice)
    if is_overview:
        traded_bot(alice, "Another")
    fund(bot, "-0.75", 2)
    path = "/performance/" if is_overview else f"/bots/{bot.pk}/performance/"
    opened: dict[str, dict[str, str]] = {}
    for query in ("", "?period=7", "?period=30&by=week", "?by=month"):
        response = client.get(path + query)
        means = _means(response.context, is_overview)
        checked = 0
        for address, text in figures(response.content.decode()):
            amount = text.removesuffix(" USDT")
            if address not in opened:
                opened[address] = shown(client, address)
            said = {value.removesuffix(" USDT") for value in opened[address].values()}
            if "until=" in address:
                assert f"−{amount}" in said, (address, text)
            elif amount in means or amount.isdigit():
                continue  # means and counts have a test of their own
            else:
                assert amount in said, (address, text, opened[address])
            checked += 1
        assert checked >= 9, query


def _means(context: Any, is_overview: bool) -> set[str]:
    """Every mean and factor of a page, as it is shown."""
    block = context["blocks"][0] if is_overview else context["figures"]
    averages = {block.summary.expectancy, block.summary.average_win, block.summary.average_loss}
    averages |= {row.expectancy for _reason, _label, row in block.exits}
    factors = [block.summary, *(row.report.summary for row in block.bot_rows)]
    return {f"{'−' if a < 0 else '+'}{money(abs(a))}" for a in averages if a} | {
        money(one.profit_factor) for one in factors if one.profit_factor
    }


def test_means_and_counts_open_the_trades_that_they_are_of(alice: User, client: Client) -> None:
    bot = traded_bot(alice)
    block = client.get(f"/bots/{bot.pk}/performance/").context["figures"]
    fills = f"/bots/{bot.pk}/fills/?trades="
    summary = block.summary
    for kind, count, mean in (
        ("won", summary.wins, summary.average_win),
        ("lost", summary.losses, summary.average_loss),
        ("all", summary.trades, summary.expectancy),
    ):
        selection = client.get(fills + kind).context["selection"]
        assert abs(selection.sums.realized - mean * count) < D("1e-15")
    assert (summary.trades, summary.wins, summary.losses) == (4, 2, 2)
    assert "50.0 %" in client.get(f"/bots/{bot.pk}/performance/").content.decode()


def test_the_fills_tab_honours_every_part_of_the_filter(alice: User, client: Client) -> None:
    bot = traded_bot(alice)

    def fills(query: str) -> list[tuple[str, Decimal]]:
        page = client.get(f"/bots/{bot.pk}/fills/?{query}").context["page"]
        return [(row["fill"].order.reason, row["fill"].price) for row in page]

    day = ago(3).date().isoformat()
    assert fills(f"from={day}&to={day}") == [("stop_loss", 88), ("signal", 90)]
    assert len(fills(f"from={day}")) == 6
    assert len(fills(f"to={day}")) == 7
    stops = [("stop_loss", 88), ("signal", 90), ("stop_loss", 97), ("stop_loss", 98)]
    assert fills("reason=stop_loss") == [*stops, ("signal", 100)]
    assert fills(f"reason=stop_loss&from={day}") == stops[:2]
    assert len(fills("trades=won")) == 4
    assert len(fills("trades=lost&reason=stop_loss")) == 5
    assert fills("trades=even") == []
    assert [price for _reason, price in fills("trades=open")] == [99, 95]
    first = Fill.objects.filter(bot=bot).order_by("pk")[0]
    assert len(fills(f"trade={first.pk}")) == 2
    assert fills("trade=9999999999999999999") == fills("reason=nonsense") == []


def test_what_is_no_filter_shows_the_whole_tab(alice: User, client: Client) -> None:
    bot = traded_bot(alice)
    for query in ("", "?from=yesterday&to=&trades=nice&trade=x&after=2026-01-01T00:00:00"):
        page = client.get(f"/bots/{bot.pk}/fills/{query}")
        assert page.context["page"].paginator.count == 11
        assert "selection" not in page.context


def test_a_filter_is_said_in_words_and_can_be_taken_away(alice: User, client: Client) -> None:
    bot = traded_bot(alice)
    text = text_of(client.get(f"/bots/{bot.pk}/fills/?reason=stop_loss&trades=lost&to=2030-01-02"))
    assert "until 2 Jan 2030 losing trades ended by: Stop loss Show all fills" in text
    alice.language = "tr"
    alice.save()
    text = text_of(client.get(f"/bots/{bot.pk}/fills/?reason=stop_loss&from=2030-01-02"))
    assert "2 Oca 2030 tarihinden beri kapanış nedeni: Zarar durdur" in text


def test_many_fills_are_paged_and_still_add_up(alice: User, client: Client) -> None:
    bot = bot_of(alice)
    for number in range(60):
        filled(bot, "sell" if number % 2 else "buy", "1", str(100 + number % 2))
    page = client.get(f"/bots/{bot.pk}/fills/?trades=all&page=2")
    assert len(page.context["page"]) == 10
    assert page.context["selection"].sums.realized == D(30) - D(6)
    assert "trades=all" in page.content.decode()


# -- Modes, currencies, bots ----------------------------------------------------------------------
def test_currencies_and_modes_are_never_mixed(alice: User, client: Client) -> None:
    filled(bot_of(alice, "one"), "buy", "1", "100", fee="1")
    filled(bot_of(alice, "two", symbol="ETH/BTC"), "buy", "1", "0.05", fee="0.001")
    fields = {"exchange": "binance", "mode": "testnet", "label": "main"}
    key = control.put_key(
        alice, via="page", **fields, api_key="alicekey1234", secret_key="alicesecret1"
    )
    real = bot_of(alice, "three", exchange="binance", mode="testnet", account=key.account)
    page = client.get("/performance/")
    assert (page.context["mode"], [b.currency for b in page.context["blocks"]]) == (
        "paper",
        ["BTC", "USDT"],
    )
    filled(real, "buy", "1", "100", fee="7")
    page = client.get("/performance/")
    assert page.context["mode"] == "testnet"
    assert [block.report.sums.fees for block in page.context["blocks"]] == [7]
    paper = client.get("/performance/?mode=paper")
    fees = {block.currency: block.report.sums.fees for block in paper.context["blocks"]}
    assert fees == {"USDT": 1, "BTC": D("0.001")}
    assert client.get("/performance/?mode=nonsense").context["mode"] == "testnet"
    behind = client.get("/performance/fills/?mode=paper&currency=BTC")
    assert [row["bot"].name for row in behind.context["page"]] == ["two"]


def test_a_deleted_bot_still_counts_and_its_fills_can_be_seen(alice: User, client: Client) -> None:
    bot = traded_bot(alice, "Gone")
    traded_bot(alice, "Here")
    BotState.objects.filter(pk=bot.pk).update(duty="none")
    client.post(f"/bots/{bot.pk}/delete/")
    body = client.get("/performance/").content.decode()
    assert "Gone" in body
    assert f"/bots/{bot.pk}/performance/" not in body
    (gone,) = [r for r in client.get("/performance/").context["blocks"][0].bot_rows if r.bot == bot]
    assert f"bot={bot.pk}" in body
    behind = client.get(f"/performance/fills/?mode=paper&currency=USDT&bot={bot.pk}")
    assert behind.context["selection"].sums == gone.report.sums
    assert client.get(f"/bots/{bot.pk}/performance/").status_code == 404


def test_any_number_of_bots_costs_the_same_few_queries(
    alice: User, client: Client, django_assert_max_num_queries: Any
) -> None:
    for number in range(20):
        filled(bot_of(alice, f"bot {number}"), "buy", "1", "100")
    with django_assert_max_num_queries(8):
        page = client.get("/performance/")
    assert len(page.context["blocks"][0].bot_rows) == 20


# -- What a page says -----------------------------------------------------------------------------
def test_without_fills_there_is_one_sentence_and_one_button(alice: User, client: Client) -> None:
    text = text_of(client.get("/performance/"))
    assert "You have no bots yet." in text
    assert "Make your first bot" in text
    bot = bot_of(alice)
    text = text_of(client.get("/performance/"))
    assert "Nothing was traded yet: the figures come with the first fills. To the bots" in text
    text = text_of(client.get(f"/bots/{bot.pk}/performance/"))
    assert "Nothing was traded yet: the figures come with the first fills. To the bot" in text
    filled(bot, "buy", "1", "100", at=ago(20))
    for path in ("/performance/", f"/bots/{bot.pk}/performance/"):
        text = text_of(client.get(f"{path}?period=7"))
        assert "Nothing was traded in this period. Show all time" in text
        assert "Nothing was traded" not in text_of(client.get(path))


def test_a_turkish_page_has_turkish_words_numbers_and_dates(alice: User, client: Client) -> None:
    alice.language = "tr"
    alice.save()
    bot = bot_of(alice)
    filled(bot, "buy", "1", "1000", at=datetime(2026, 3, 2, 10, tzinfo=UTC))
    at = datetime(2026, 3, 3, 10, tzinfo=UTC)
    filled(bot, "sell", "1", "2234.56", at=at, reason="take_profit")
    text = text_of(client.get(f"/bots/{bot.pk}/performance/?by=week"))
    for words in ("Kazanma oranı 100,0 %", "Kâr faktörü zarar yok", "+1.234,36 USDT", "Kâr al"):
        assert words in text
    assert "2026, 10. hafta" in text
    assert "3 Mar 10:00:00" in text


def test_charts_are_svg_with_plain_numbers_and_a_table_twin(alice: User, client: Client) -> None:
    alice.language = "tr"
    alice.save()
    bot = traded_bot(alice)
    page = client.get(f"/bots/{bot.pk}/performance/?period=30")
    body = page.content.decode()
    figures = page.context["figures"]
    assert body.count('role="img"') == 2
    assert body.count("Tablo olarak") == 2
    for numbers in re.findall(r'(?:points|x|y|x1|y1|width|height)="([^"]*)"', body):
        assert re.fullmatch(r"(-?[\d.]+%?(,-?[\d.]+)?( |$))+", numbers), numbers
    points = figures.report.points
    assert [row.value for row in figures.equity_rows] == [point.value for point in points]
    assert points[-1].value == figures.report.sums.total
    assert len(figures.bars.bars) == 30
    assert sum(bar.title != "" for bar in figures.bars.bars) == len(figures.report.days)


def test_a_long_history_is_drawn_by_week_or_month_and_tabled_day_by_day(
    alice: User, client: Client
) -> None:
    bot = bot_of(alice)
    for number in range(200):
        filled(bot, "sell" if number % 2 else "buy", "1", "100", at=ago(799 - number * 4))
    page = client.get(f"/bots/{bot.pk}/performance/")
    figures = page.context["figures"]
    assert figures.bar_unit == "month"
    assert len(figures.rows) + figures.hidden_rows == 200
    assert len(figures.rows) == 14
    assert "Show 186 more" in text_of(page)
    every = client.get(f"/bots/{bot.pk}/performance/?rows=all").context["figures"]
    assert len(every.rows) == 200
    assert client.get(f"/bots/{bot.pk}/performance/?period=90").context["figures"].bar_unit == "day"


def test_a_day_is_the_readers_trading_day(alice: User, client: Client) -> None:
    alice.time_zone = "Pacific/Kiritimati"
    alice.save()
    bot = bot_of(alice)
    row = filled(bot, "buy", "1", "100")
    today = timezone.localtime(row.at, alice.zone).date()
    Fill.objects.filter(pk=row.pk).update(trading_day=today - timedelta(days=6))
    page = f"/bots/{bot.pk}/performance/?period=7"
    assert not client.get(page).context["figures"].is_empty
    Fill.objects.filter(pk=row.pk).update(trading_day=today - timedelta(days=7))
    assert client.get(page).context["figures"].is_empty


# -- CSV ------------------------------------------------------------------------------------------
def rows_of(client: Client, path: str) -> list[dict[str, str]]:
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/csv; charset=utf-8; header=present"
    assert re.fullmatch(r'attachment; filename="[a-z0-9-]+\.csv"', answer["Content-Disposition"])
    text = answer.content.decode()
    assert text.count("\r\n") == text.count("\n")
    return list(csv.DictReader(StringIO(text, newline="")))


def test_the_files_have_every_digit_and_times_in_utc(alice: User, client: Client) -> None:
    alice.language = "tr"
    alice.time_zone = "Europe/Istanbul"
    alice.save()
    bot = traded_bot(alice, "Ünlü, bot")
    fund(bot, "-0.123456789012345678", 2)
    trades = rows_of(client, f"/bots/{bot.pk}/performance/trades.csv")
    assert [row["exit_reason"] for row in trades] == [
        *("take_profit", "stop_loss", "stop_loss", "command"),
    ]
    assert trades[0]["pnl"] == "10.133333333333333333"
    assert trades[0]["bot"] == "Ünlü, bot"
    assert trades[0]["opened_at"] == ago(40, hours=1.1).isoformat().replace("+00:00", "Z")
    fills = rows_of(client, f"/bots/{bot.pk}/performance/fills.csv")
    assert [row["kind"] for row in fills] == ["fill"] * 11 + ["funding"]
    assert fills[-1]["realized"] == "-0.123456789012345678"
    days = rows_of(client, f"/bots/{bot.pk}/performance/days.csv")
    total = client.get(f"/bots/{bot.pk}/performance/").context["figures"].report.sums.total
    assert sum(D(row["result"]) for row in days) == total
    assert sum(D(row["realized"]) for row in fills) == total
    assert sum(int(row["trades_closed"]) for row in days) == len(trades)


def test_the_files_follow_the_filter_and_the_mode(alice: User, client: Client) -> None:
    bot = traded_bot(alice)
    other = bot_of(alice, "Other", symbol="ETH/BTC")
    filled(other, "buy", "1", "0.05")
    stops = rows_of(client, f"/bots/{bot.pk}/performance/fills.csv?reason=stop_loss")
    assert sum(D(row["realized"]) for row in stops) == D("-2.8") + D("-2.2")
    assert len(rows_of(client, f"/bots/{bot.pk}/performance/trades.csv?period=7")) == 2
    assert len(rows_of(client, "/performance/fills.csv")) == 12
    assert len(rows_of(client, "/performance/fills.csv?currency=BTC")) == 1
    assert rows_of(client, "/performance/days.csv?mode=paper")[0]["mode"] == "paper"
    assert len(rows_of(client, f"/performance/fills.csv?bot={other.pk}&currency=BTC")) == 1


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@sum", "\t=1", HOSTILE[:80]])
def test_no_text_of_a_file_is_a_formula(name: str, alice: User, client: Client) -> None:
    bot = bot_of(alice, "Plain")
    BotConfig.objects.filter(pk=bot.pk).update(name=name)
    filled(bot, "buy", "1", "100", fee="-0.1")
    filled(bot, "sell", "1", "90", reason="=cmd")
    (row,) = rows_of(client, f"/bots/{bot.pk}/performance/trades.csv")
    assert row["bot"] == (name if name == HOSTILE[:80] else f"'{name}")
    assert row["exit_reason"] == "'=cmd"
    assert row["pnl"].startswith("-1")
    assert rows_of(client, f"/bots/{bot.pk}/performance/fills.csv")[0]["fee"] == "-0.1"


def test_the_fills_page_writes_amounts_to_the_markets_steps(alice: User, client: Client) -> None:
    market()
    bot = bot_of(alice)
    state_of(bot, "running", "no_signal", "trade")
    filled(bot, "buy", "0.5", "64000.5")
    text = text_of(client.get(f"/bots/{bot.pk}/fills/?trades=open"))
    assert "0.50000" in text
    assert "64,000.50" in text
