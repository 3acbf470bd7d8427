"""The pages of backtests: asking for one, while it runs, its result, several beside each other."""

import csv
import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from bots import portable
from bots.backtests import asking, results, running
from bots.models import BacktestData, BacktestRun, BotConfig, User
from tests.pages.builders import HTMX, bot_of, sign_in, text_of

MARKET = {"symbol": "WAVE/USDT", "timeframe": "5m", "exchange": "simulated", "strategy": "ema_rsi"}
COSTS = {"initial_capital": "1000", "fee_perc": "0.1", "slippage_perc": "0.05", "spread_perc": "0"}


@pytest.fixture
def bot(alice: User) -> BotConfig:
    return bot_of(alice, "Tried", **MARKET, position_size_perc=None, position_size_fixed=500)


@pytest.fixture
def site(alice: User, client: Client) -> Client:
    sign_in(client, alice)
    return client


def ask(site: Client, query: str, **values: Any) -> Any:
    return site.post(f"/backtests/new/?{query}", {**MARKET, "days": "3", **COSTS, **values})


def tried(site: Client, bot: BotConfig, **values: Any) -> BacktestRun:
    answer = ask(site, f"bot={bot.pk}", **values)
    assert answer.status_code == 302, text_of(answer)
    found = running.run(BacktestRun.objects.latest("pk").pk)
    assert found is not None
    return found


def test_one_is_asked_for_from_the_bots_page_and_waits(
    site: Client, bot: BotConfig, sent: Any, django_capture_on_commit_callbacks: Any
) -> None:
    assert f"/backtests/new/?bot={bot.pk}" in site.get(f"/bots/{bot.pk}/").content.decode()
    form = site.get(f"/backtests/new/?bot={bot.pk}")
    assert "With the settings of Tried" in text_of(form)
    with django_capture_on_commit_callbacks(execute=True):
        changes = {"timeframe": "15m", "fee_perc": "0,2", "initial_capital": "1500"}
        answer = ask(site, f"bot={bot.pk}", **changes)
    run = BacktestRun.objects.get()
    assert answer.url == f"/backtests/{run.pk}/"
    assert (asking.RUN, (run.pk,)) in sent
    assert (run.bot, run.origin, run.timeframe) == (bot, "bot", "15m")
    assert (run.assumed["fee_perc"], run.settings["initial_capital"]) == ("0.2", "1500")
    assert run.until - run.since == timedelta(days=3)
    assert "Waiting for a worker" in text_of(site.get(answer.url))


def test_the_form_tells_capital_and_each_limit_of_the_bot(site: Client, bot: BotConfig) -> None:
    limits = {"max_daily_loss_perc": 5, "daily_target_perc": 7, "max_drawdown_perc": 20}
    size = {"position_size_fixed": None, "position_size_perc": 100, "initial_capital": 1234}
    BotConfig.objects.filter(pk=bot.pk).update(**size, **limits, cooldown_minutes=15)
    page = site.get(f"/backtests/new/?bot={bot.pk}")
    # Also where an entry takes all of it: what a new paper account has besides pays the fee.
    assert page.context["form"]["initial_capital"].value() == "1234"
    text = text_of(page)
    names = ("Max daily loss, % 5", "Daily target, % 7", "Max drawdown, % 20")
    for told in (*names, "Position size, % of capital 100", "Cooldown after a loss, minutes 15"):
        assert told in text


def test_days_are_those_of_the_readers_zone(site: Client, alice: User, bot: BotConfig) -> None:
    alice.time_zone = "Europe/Istanbul"
    alice.save()
    today = timezone.now().date()
    first, last = today - timedelta(days=9), today - timedelta(days=3)
    ask(site, f"bot={bot.pk}", days="", since=first.isoformat(), until=last.isoformat())
    run = BacktestRun.objects.get()
    assert run.since.isoformat() == f"{first - timedelta(days=1)}T21:00:00+00:00"
    assert run.until.isoformat() == f"{last}T21:00:00+00:00"


def test_templates_and_presets_are_tried_too_and_a_run_once_more(
    site: Client, alice: User, bot: BotConfig
) -> None:
    template = portable.keep(alice, "Recipe", bot)
    ask(site, f"template={template.pk}")
    ask(site, "preset=careful", strategy="macd")
    recipe, preset = BacktestRun.objects.order_by("pk")
    assert (recipe.origin, recipe.name, recipe.bot) == ("template", "Recipe", None)
    assert (preset.origin, preset.name) == ("preset", "Careful")
    assert (preset.settings["stop_loss_perc"], preset.settings["strategy"]) == ("1", "macd")
    again = site.get(f"/backtests/new/?run={recipe.pk}")
    assert "With what was tried as Recipe" in text_of(again) or "template Recipe" in text_of(again)


@pytest.mark.parametrize(
    ("values", "says", "status"),
    [
        ({"days": ""}, "Say how many days", 422),
        ({"fee_perc": "99"}, "Between 0 and 50.", 422),
        ({"symbol": "NONE/USDT"}, "not simulated", 422),
        ({"timeframe": "1m", "days": "900"}, "candles of 1m; at most", 422),
        ({"timeframe": "1h"}, "within the 120 seconds that entries wait", 422),
        ({}, "Give a spread, or a distance from the market", 422),
    ],
)
def test_what_cannot_be_tried_is_said_in_the_form(
    site: Client, bot: BotConfig, values: Any, says: str, status: int
) -> None:
    if "spread" in says or "entries wait" in says:
        BotConfig.objects.update(entry_type="post_only")
    answer = ask(site, f"bot={bot.pk}", **values)
    assert answer.status_code == status
    assert says in text_of(answer)
    assert not BacktestRun.objects.exists()


def test_a_bot_whose_entries_rest_says_how_long_they_wait(site: Client, bot: BotConfig) -> None:
    path = f"/backtests/new/?bot={bot.pk}"
    assert "patience" not in text_of(site.get(path))
    BotConfig.objects.update(entry_type="limit", entry_timeout_seconds=100)
    page = site.get(path)
    assert "patience, seconds" in text_of(page)
    assert 'name="entry_timeout_seconds" value="100"' in page.content.decode()
    assert ask(site, f"bot={bot.pk}", timeframe="1h", entry_timeout_seconds="4").status_code == 422
    ask(site, f"bot={bot.pk}", timeframe="1h", entry_timeout_seconds="3600")
    run = BacktestRun.objects.get()
    assert run.settings["entry_timeout_seconds"] == 3600
    bot.refresh_from_db()
    assert bot.entry_timeout_seconds == 100


def test_too_many_are_refused_and_what_was_typed_stays(
    site: Client, bot: BotConfig, settings: Any
) -> None:
    settings.BACKTESTS_OPEN_PER_USER = 1
    ask(site, f"bot={bot.pk}")
    answer = ask(site, f"bot={bot.pk}", slippage_perc="0.07")
    assert answer.status_code == 409
    assert "1 backtests under way" in text_of(answer)
    assert 'value="0.07"' in answer.content.decode()


def test_the_panel_tells_how_far_it_is_and_has_the_page_read_anew_at_the_end(
    site: Client, bot: BotConfig
) -> None:
    ask(site, f"bot={bot.pk}")
    run = BacktestRun.objects.get()
    now = timezone.now()
    told = {"status": "running", "stage": "signals", "progress": 61, "started_at": now}
    BacktestRun.objects.update(**told)
    page = site.get(f"/backtests/{run.pk}/").content.decode()
    token = re.search(r"panel/\?v=([\w-]+)", page)
    assert token is not None
    path = f"/backtests/{run.pk}/panel/"
    assert site.get(f"{path}?v={token[1]}", headers=HTMX).status_code == 204
    BacktestRun.objects.update(progress=62)
    changed = site.get(f"{path}?v={token[1]}", headers=HTMX)
    assert "62 % ·" in text_of(changed)
    assert "HX-Refresh" not in changed
    site.post(f"/backtests/{run.pk}/cancel/")
    assert "Being canceled" in text_of(site.get(path, headers=HTMX))
    BacktestRun.objects.update(status="canceled")
    assert site.get(f"{path}?v={token[1]}", headers=HTMX)["HX-Refresh"] == "true"
    assert site.get("/backtests/99999/panel/", headers=HTMX).status_code == 286


def test_the_result_tells_figures_trades_months_and_what_it_assumes(
    site: Client, bot: BotConfig
) -> None:
    run = tried(site, bot)
    page = site.get(f"/backtests/{run.pk}/")
    text = text_of(page)
    assert (run.status, run.summary["missing"]) == ("done", 0)
    for words in (
        "Net profit",
        "Buy and hold",
        "Max drawdown",
        "Month by month",
        "Slippage 0.05 %",
    ):
        assert words in text
    assert f"Closed trades {run.summary['trades']}" in text
    assert f"{run.summary['candles']} × 5m" in text
    chart = site.get(f"/backtests/{run.pk}/candles/").json()
    kept = results.load(run)
    assert kept is not None
    assert (chart["count"], len(chart["fills"])) == (len(kept.bars), len(kept.orders))
    assert site.get(f"/backtests/{run.pk}/candles/?v={chart['v']}").status_code == 204
    assert "<table>" in site.get(f"/backtests/{run.pk}/candles/?table").content.decode()


def test_the_result_tells_how_entries_that_rest_are_judged(site: Client, bot: BotConfig) -> None:
    BotConfig.objects.update(entry_type="post_only", entry_timeout_seconds=400)
    run = tried(site, bot, spread_perc="0.02")
    text = text_of(site.get(f"/backtests/{run.pk}/"))
    sent, filled = (run.summary[f"entries_{what}"] for what in ("sent", "filled"))
    assert 0 < filled <= sent
    for words in (
        f"Entry orders filled {filled} of {sent}",
        "filled whole at their price when a candle comes to it within 400 s",
        "sent anew while the signal stands",
        "entries as limit orders",
        "Entry order limit, never taking",
    ):
        assert words in text


def test_the_files_add_up_to_the_result(site: Client, bot: BotConfig) -> None:
    run = tried(site, bot)
    sums = {}
    for what, column in (("trades", "pnl"), ("days", "result"), ("months", "result")):
        answer = site.get(f"/backtests/{run.pk}/{what}.csv")
        assert (
            answer["Content-Disposition"] == f'attachment; filename="backtest-{run.pk}-{what}.csv"'
        )
        rows = list(csv.DictReader(answer.content.decode().splitlines()))
        sums[what] = sum(Decimal(row[column]) for row in rows)
    assert sums["days"] == sums["months"] == Decimal(run.summary["realised"])
    kept = results.load(run)
    assert kept is not None
    assert sums["trades"] == sum(trade.pnl for trade in kept.folded().trades)


def test_gaps_and_an_early_end_are_told(site: Client, bot: BotConfig) -> None:
    run = tried(site, bot)
    BacktestRun.objects.update(
        summary={**run.summary, "missing": 7, "gaps": 2, "ended": "max_drawdown"}
    )
    text = text_of(site.get(f"/backtests/{run.pk}/"))
    assert "7 candles are missing (2 gaps)" in text
    assert "The bot switched itself off before the end" in text


def copy_of(run: BacktestRun) -> BacktestRun:
    packed, copy = run.data.packed, BacktestRun.objects.get(pk=run.pk)
    copy.pk = None
    copy.save()
    BacktestData.objects.create(run=copy, packed=packed)
    return copy


def test_up_to_five_are_compared(site: Client, bot: BotConfig, settings: Any) -> None:
    run = tried(site, bot, days="2")
    runs = [run, *(copy_of(run) for _number in range(5))]
    query = "&".join(f"run={run.pk}" for run in runs)
    page = site.get(f"/backtests/compare/?{query}&run=x")
    assert page.content.decode().count('<polyline points="0,5') == 5
    assert "At most 5 are compared: 1 was left out." in text_of(page)
    assert "Tick two or more" in text_of(site.get("/backtests/compare/"))
    listed = site.get("/backtests/").content.decode()
    assert listed.count('type="checkbox" name="run"') == 6


def test_a_paper_bot_is_made_and_started_with_what_was_tried(
    site: Client, alice: User, bot: BotConfig
) -> None:
    run = tried(site, bot, timeframe="15m")
    answer = site.post(f"/backtests/{run.pk}/paper/")
    made = alice.bots.latest("pk")
    assert answer.url == f"/bots/{made.pk}/"
    assert (made.name, made.mode, made.timeframe) == ("Tried paper", "paper", "15m")
    assert made.position_size_fixed == bot.position_size_fixed
    assert made.account_id not in (None, bot.account_id)
    assert made.state.status == "pending"


def test_an_ended_one_is_deleted_and_one_that_runs_is_not(site: Client, bot: BotConfig) -> None:
    ask(site, f"bot={bot.pk}")
    run = BacktestRun.objects.get()
    site.post(f"/backtests/{run.pk}/delete/")
    assert BacktestRun.objects.exists()
    site.post(f"/backtests/{run.pk}/cancel/")
    assert site.post(f"/backtests/{run.pk}/delete/").url == "/backtests/"
    assert not BacktestRun.objects.exists()


def test_the_last_day_is_the_last_one_that_was_asked_for(
    site: Client, alice: User, bot: BotConfig
) -> None:
    alice.time_zone = "Europe/Istanbul"
    alice.save()
    today = timezone.localdate(timezone=alice.zone)
    first, last = today - timedelta(days=12), today - timedelta(days=3)
    days = {"days": "", "since": first.isoformat(), "until": last.isoformat()}
    run = tried(site, bot, timeframe="1h", **days)
    shown = f"{day(first)} – {day(last)}"
    page = site.get(f"/backtests/{run.pk}/")
    assert shown in text_of(page)
    assert shown in text_of(site.get("/backtests/"))
    rows = [timezone.localtime(row["at"], alice.zone) for row in page.context["report"].curve_rows]
    assert [row.date() for row in rows] == [last - timedelta(days=n) for n in range(10)]
    assert {(row.hour, row.minute) for row in rows} == {(23, 59)}


def day(at: Any) -> str:
    return f"{at.day} {at:%b %Y}"


def test_days_may_be_counted_back_from_the_last_one(site: Client, bot: BotConfig) -> None:
    last = timezone.now().date() - timedelta(days=20)
    ask(site, f"bot={bot.pk}", until=last.isoformat())
    run = BacktestRun.objects.get()
    assert run.until.isoformat() == f"{last + timedelta(days=1)}T00:00:00+00:00"
    assert run.until - run.since == timedelta(days=3)


@pytest.mark.parametrize(
    ("days", "status"),
    [
        ({"since": "2026-01-01", "until": "9999-12-31"}, 302),
        ({"until": "0001-01-02"}, 422),
        ({"since": "0001-01-01"}, 422),
    ],
)
def test_no_day_is_too_far_away_to_be_answered(
    site: Client, bot: BotConfig, days: dict[str, str], status: int
) -> None:
    assert ask(site, f"bot={bot.pk}", timeframe="1h", **days).status_code == status


def test_what_switched_a_bot_off_is_said_in_words(site: Client, bot: BotConfig) -> None:
    BotConfig.objects.update(max_drawdown_perc=Decimal("0.1"), stop_loss_perc=1)
    run = tried(site, bot, days="20")
    assert run.summary["ended"] == "max_drawdown"
    page = text_of(site.get(f"/backtests/{run.pk}/"))
    assert "The bot switched itself off before the end: Drawdown limit." in page
