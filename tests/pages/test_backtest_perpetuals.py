"""Backtests on perpetuals as users meet them: form, run, result, the API, no paper bot."""

import csv
import re
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from bots.backtests import past, plans, results, running, trials
from bots.models import BacktestRun, BotConfig, User
from tests.doors.client import Caller
from tests.pages.builders import bot_of, sign_in, text_of
from tests.perpetual import MARKET, PERP, Silent, kept_perpetual
from trading import backtest
from trading.archive import Told
from trading.market import TIMEFRAMES

ASKED = {"days": "10", "initial_capital": "1000", "fee_perc": "0.05", "slippage_perc": "0.05"}


@pytest.fixture
def bot(alice: User, settings: Any, tmp_path: Path, monkeypatch: Any) -> BotConfig:
    """Return a futures bot whose market's candles are kept: those of the simulated WAVE/USDT."""
    settings.DATA_DIR = tmp_path
    monkeypatch.setattr(past, "feed_of", lambda *_args: Silent())
    return kept_perpetual(alice)


@pytest.fixture
def site(alice: User, client: Client) -> Client:
    sign_in(client, alice)
    return client


def tried(site: Client, bot: BotConfig, **values: Any) -> BacktestRun:
    form = {**MARKET, **ASKED, "spread_perc": "0", "funding_perc": "0.02", **values}
    answer = site.post(f"/backtests/new/?bot={bot.pk}", form)
    assert answer.status_code == 302, text_of(answer)
    found = running.run(BacktestRun.objects.latest("pk").pk)
    assert found is not None
    assert found.status == "done", (found.fault, found.error)
    return found


def test_a_futures_bot_is_tried_both_ways_and_all_of_it_is_told(
    site: Client, bot: BotConfig
) -> None:
    run = tried(site, bot, leverage="10")
    told, figures = run.assumed, run.summary
    assert (told["maintenance_perc"], told["funding_perc"]) == ("2.5", "0.02")
    assert (run.settings["leverage"], run.settings["direction"]) == (10, "both")
    kept = results.load(run)
    assert kept is not None
    # What is kept is what the engine says, on the same candles.
    plan = replace(plans.plan_of_run(run), candles=past.candles_of(bot, *span(run), print).candles)
    assert plan.terms.rates.told == ()
    result = backtest.run(plan)
    assert kept.orders == result.orders
    assert kept.funding == result.funding
    trades = kept.folded().trades
    assert {trade.side for trade in trades} == {"long", "short"}
    money = {name: Decimal(figures[name]) for name in ("gross", "fees", "funding", "net", "value")}
    assert money["gross"] - money["fees"] + money["funding"] == money["net"]
    assert kept.points[-1].value == round(money["value"], 8)
    assert figures["payments"] == figures["payments_assumed"] == len(kept.funding) > 5
    page = text_of(site.get(f"/backtests/{run.pk}/"))
    assert "isolated, leverage 10" in page
    assert f"0.02 % in 8 hours where no rate is known: {len(kept.funding)} of" in page
    assert "have a rate that is assumed" in page
    rows = csv.DictReader(StringIO(site.get(f"/backtests/{run.pk}/days.csv").content.decode()))
    paid = sum(Decimal(row["funding"]) for row in rows)
    assert paid == money["funding"]


def span(run: BacktestRun) -> tuple[int, int]:
    length, window = TIMEFRAMES[run.timeframe], run.summary["window"]
    return (-(-past.ms(run.since) // length) - window) * length, past.ms(run.until)


def test_rates_that_are_kept_count_and_the_others_are_said(site: Client, bot: BotConfig) -> None:
    middle = past.ms(timezone.now() - timedelta(days=5)) // 28_800_000 * 28_800_000
    times = range(middle - 20 * 28_800_000, middle, 28_800_000)
    told = Told(rates=tuple((at, Decimal(0)) for at in times), asked=((times[0], middle),))
    past.rate_archive().add("binance", PERP, told)
    run = tried(site, bot, initial_capital="100000")
    figures, kept = run.summary, results.load(run)
    assert kept is not None
    assert 0 < figures["payments_assumed"] < figures["payments"]
    assert {paid.rate for paid in kept.funding if paid.at < middle} == {Decimal(0)}
    assert {paid.is_assumed for paid in kept.funding if paid.at >= middle} == {True}
    out = StringIO()
    call_command("backtest", str(bot.pk), "--days=10", "--capital=100000", stdout=out)
    found = re.search(r"in (\d+) payments, (\d+) of them at the assumed", out.getvalue())
    assert found is not None
    assert 0 < int(found[2]) < int(found[1])


def test_no_paper_bot_is_made_of_it(site: Client, bot: BotConfig) -> None:
    run = tried(site, bot)
    page = site.get(f"/backtests/{run.pk}/")
    assert "paper trades spot only" in text_of(page)
    assert f"/backtests/{run.pk}/paper/" not in page.content.decode()
    answer = site.post(f"/backtests/{run.pk}/paper/", follow=True)
    assert "Futures are not offered for paper bots yet." in text_of(answer)
    assert BotConfig.objects.count() == 1


def test_a_spot_bot_may_be_tried_there_and_terms_that_are_none_are_refused(
    site: Client, alice: User, bot: BotConfig
) -> None:
    spot = bot_of(alice, "Spot", position_size_perc=None, position_size_fixed=100)
    run = tried(site, spot, direction="short", leverage="3")
    assert (run.settings["position_type"], run.settings["leverage"]) == ("futures", 3)
    assert {order.futures for order in results.load(run).orders} == {True}  # type: ignore[union-attr]
    wrong = {"leverage": "21", "maintenance_perc": "100", "funding_perc": "-4"}
    for name, value in wrong.items():
        form = {**MARKET, **ASKED, "spread_perc": "0", name: value}
        answer = site.post(f"/backtests/new/?bot={bot.pk}", form)
        assert answer.status_code == 422
        assert name in answer.context["form"].errors


def test_a_sweep_says_of_how_many_times_no_rate_is_known(site: Client, bot: BotConfig) -> None:
    vary = {"vary_1": "bot:stop_loss_perc", "from_1": "1", "to_1": "2", "step_1": "1"}
    run = tried(site, bot, maintenance_perc="0.5", **vary)
    assert len(trials.load(run) or ()) == 2
    figures = run.summary
    # Ten days, less a candle at most.
    count = figures["payments"]
    assert count == figures["payments_assumed"]
    assert count in (29, 30)
    page = text_of(site.get(f"/backtests/{run.pk}/"))
    assert f"0.02 % in 8 hours where no rate is known: {count} of {count} times" in page
    site.post(f"/backtests/{run.pk}/try/", {"set": "1"})
    again = BacktestRun.objects.latest("pk")
    assert (again.kind, again.assumed["maintenance_perc"]) == ("single", "0.5")


def test_the_api_takes_the_terms(alice: User, bot: BotConfig) -> None:
    caller, body = Caller(alice), {"bot_config_id": bot.pk, "days": 3}
    asked = caller.post("/backtests", {**body, "maintenance_perc": "0.4", "funding_perc": "-0.01"})
    told = asked.body["assumed"]
    assert (told["maintenance_perc"], told["funding_perc"]) == ("0.4", "-0.01")
    assert running.run(asked.body["id"]) is not None
    figures = caller.get(f"/backtests/{asked.body['id']}").body["summary"]
    assert {"gross", "funding", "payments", "payments_assumed", "liquidations"} <= set(figures)
    assert caller.post("/backtests", {**body, "funding_perc": "9"}).status == 422


def test_the_command_tells_terms_and_parts(bot: BotConfig) -> None:
    out = StringIO()
    call_command("backtest", str(bot.pk), "--days=10", "--maintenance=0.4", stdout=out)
    text = out.getvalue()
    assert "isolated margin at leverage 5, liquidation by 0.4 % maintenance margin" in text
    assert "at the assumed rate; liquidations 0" in text
