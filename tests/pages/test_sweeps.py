"""Sweeps: asked for in the form, tried set by set, drawn as a map, and one set tried whole."""

import csv
import re
from decimal import Decimal
from itertools import product
from typing import Any

import pytest
from django.test import Client

from bots.backtests import asking, running, trials
from bots.models import BacktestData, BacktestRun, BotConfig, User
from tests.doors.client import Caller
from tests.pages.builders import bot_of, sign_in, text_of

MARKET = {"symbol": "WAVE/USDT", "timeframe": "5m", "exchange": "simulated", "strategy": "ema_rsi"}
COSTS = {"initial_capital": "1000", "fee_perc": "0.1", "slippage_perc": "0.05", "spread_perc": "0"}
#: Sets with 55 and 60 look at more candles than those with 50; a fast one of 50 is refused.
FAST = {"vary_1": "ema_rsi:ema_fast", "from_1": "10", "to_1": "50", "step_1": "20"}
SLOW = {"vary_2": "ema_rsi:ema_slow", "from_2": "50", "to_2": "60", "step_2": "5"}
STOP = {"vary_1": "bot:stop_loss_perc", "from_1": "0", "to_1": "1,5"}


@pytest.fixture
def bot(alice: User) -> BotConfig:
    limits = {"max_daily_trades": None, "max_daily_loss_perc": None}
    size = {"position_size_perc": None, "position_size_fixed": 500}
    return bot_of(alice, "Tried", **MARKET, **limits, **size)


@pytest.fixture
def site(alice: User, client: Client) -> Client:
    sign_in(client, alice)
    return client


def ask(site: Client, bot: BotConfig, **values: Any) -> Any:
    return site.post(f"/backtests/new/?bot={bot.pk}", {**MARKET, "days": "3", **COSTS, **values})


def swept(site: Client, bot: BotConfig, **values: Any) -> BacktestRun:
    answer = ask(site, bot, **values)
    assert answer.status_code == 302, text_of(answer)
    found = running.run(BacktestRun.objects.latest("pk").pk)
    assert found is not None
    assert (found.status, found.fault, found.error) == ("done", "", "")
    return found


def test_each_set_comes_to_what_its_own_backtest_comes_to(site: Client, bot: BotConfig) -> None:
    run = swept(site, bot, **FAST, **SLOW)
    found = trials.load(run)
    assert found is not None
    tried = {(one.chosen["ema_fast"], one.chosen["ema_slow"]) for one in found}
    assert tried == set(product(("10", "30", "50"), ("50", "55", "60"))) - {("50", "50")}
    assert (run.summary["sets"], run.summary["refused"]) == (8, 1)
    assert run.summary["window"] == 240
    assert sum(one.trades for one in found) > 20
    for one in found:
        answer = site.post(f"/backtests/{run.pk}/try/", {"set": one.number})
        single = running.run(BacktestRun.objects.latest("pk").pk)
        assert single is not None
        assert answer.url == f"/backtests/{single.pk}/"
        assert (single.kind, single.since, single.until) == ("single", run.since, run.until)
        assert single.settings["params"] == {
            **bot.params,
            **{k: int(v) for k, v in one.chosen.items()},
        }
        figures = single.summary
        assert (figures["trades"], figures["wins"]) == (one.trades, one.wins)
        for name in ("value", "fees", "net", "percent"):
            assert abs(Decimal(figures[name]) - getattr(one, name)) < Decimal("0.000001")
        holds = (Decimal(one["hold_percent"]) for one in (figures, run.summary))
        assert abs(next(holds) - next(holds)) < Decimal("0.000001")
    best = trials.best_first(found)[0]
    assert best.value == max(one.value for one in found)
    assert run.summary["chosen"] == best.chosen
    assert Decimal(run.summary["value"]) == best.value


def test_two_numbers_are_a_map_with_the_best_set_marked(site: Client, bot: BotConfig) -> None:
    run = swept(site, bot, **FAST, **SLOW)
    found = trials.load(run) or []
    page = site.get(f"/backtests/{run.pk}/").content.decode()
    table = page[page.index('<table class="heat">') : page.index("</table>")]
    assert re.findall(r'<th scope="col" class="num">(\d+)', table) == ["50", "55", "60"]
    assert re.findall(r'<th scope="row" class="num">(\d+)', table) == ["10", "30", "50"]
    assert len(re.findall(r'<td class="num [dun]\d?( best)?"', table)) == 9
    assert len(re.findall(r'<td class="num n">-</td>', table)) == 1
    assert table.count("★") == 1
    best = trials.best_first(found)[0]
    text = f"{abs(best.percent):.2f} %"
    assert re.search(rf'best">.*?</span> [+−]?{re.escape(text)}</td>', table)
    assert page.count(">Run as a backtest<") == 8
    assert "fitted to it" in page
    shown = site.get(f"/backtests/{run.pk}/?show=trades").content.decode()
    for one in found:
        assert re.search(rf'<td class="num s\d( best)?">.*{one.trades}</td>', shown)
    rows = list(csv.DictReader(site.get(f"/backtests/{run.pk}/sets.csv").content.decode().split()))
    assert [row["ema_fast"] for row in rows] == [one.chosen["ema_fast"] for one in found]
    assert [Decimal(row["net"]) for row in rows] == [one.net for one in found]
    # Beside results of one set it is listed, and not compared with them.
    assert "the best of 8 sets" in text_of(site.get("/backtests/"))
    assert "Tick two or more" in text_of(site.get(f"/backtests/compare/?run={run.pk}"))
    assert site.get(f"/backtests/{run.pk}/trades.csv").status_code == 404
    assert site.post(f"/backtests/{run.pk}/try/", {"set": 8}).status_code == 404
    assert 'value="20"' in site.get(f"/backtests/new/?run={run.pk}").content.decode()


def test_one_number_is_drawn_as_bars_and_zero_is_without_a_stop(
    site: Client, bot: BotConfig
) -> None:
    BotConfig.objects.update(max_daily_trades=3)  # each set by the functions that trade
    run = swept(site, bot, **STOP)
    assert run.vary == [{"name": "stop_loss_perc", "from": "0", "to": "1.5", "step": "0.5"}]
    page = site.get(f"/backtests/{run.pk}/").content.decode()
    table = page[page.index('<table class="heat bars">') : page.index("</table>")]
    assert re.findall(r'<th scope="row" class="num">([\d.]+)', table) == ["0", "0.5", "1", "1.5"]
    assert table.count("<rect") == 4
    # Three days are parts of four.
    assert 0 < max(one.trades for one in trials.load(run) or []) <= 3 * 4
    site.post(f"/backtests/{run.pk}/try/", {"set": 0})
    assert BacktestRun.objects.latest("pk").settings["stop_loss_perc"] is None


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({**STOP, "vary_1": ""}, "Say what is to be varied."),
        ({**STOP, "to_1": ""}, "Say from where to where."),
        ({**STOP, "from_1": "2"}, "must not be above the highest"),
        ({**STOP, "to_1": "900"}, "sets; a sweep tries 2 to 400"),
        ({**STOP, "to_1": "110", "step_1": "10"}, "loss, %"),
        ({**FAST, "strategy": "macd"}, "This belongs to another strategy."),
        ({**FAST, "from_1": "70", "to_1": "75", "step_1": ""}, "ema_fast"),
        ({**FAST, **SLOW, "vary_2": FAST["vary_1"]}, "two that differ"),
    ],
)
def test_what_no_sweep_can_try_is_said_in_the_form(
    site: Client, bot: BotConfig, values: Any, says: str
) -> None:
    answer = ask(site, bot, **values)
    assert answer.status_code == 422
    assert says in text_of(answer)
    assert not BacktestRun.objects.exists()


def test_it_tells_how_far_it_is_and_is_canceled_between_two_sets(
    site: Client, bot: BotConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(site, bot, **FAST, **SLOW)
    run = BacktestRun.objects.get()
    told: list[int] = []
    beat = running.Held.beat

    def beating(held: running.Held) -> None:
        beat(held)
        if held.stage == "sets":
            told.append(held.progress)
        if len(told) == 4:
            asking.cancel(held.run)

    monkeypatch.setattr(running, "PACE", 0)
    monkeypatch.setattr(running.Held, "beat", beating)
    done = running.run(run.pk)
    assert done is not None
    assert (done.status, done.summary) == ("canceled", {})
    assert told == [45, 51, 58, 65]
    assert not BacktestData.objects.exists()


def test_the_api_asks_for_a_sweep_and_tells_its_sets(alice: User, bot: BotConfig) -> None:
    caller = Caller(alice)
    vary = [{"name": "ema_fast", "from": "5", "to": "7", "step": "1"}]
    body = {"bot_config_id": bot.pk, "days": 1}
    wrong = caller.post("/backtests", {**body, "kind": "single", "vary": vary})
    assert (wrong.status, wrong.body["detail"][0]["loc"][-1]) == (422, "vary")
    assert caller.post("/backtests", {**body, "kind": "sweep"}).status == 422
    asked = caller.post("/backtests", {**body, "vary": vary})
    assert (asked.status, asked.body["kind"], asked.body["vary"]) == (201, "sweep", vary)
    running.run(asked.body["id"])
    told = caller.get(f"/backtests/{asked.body['id']}").body
    assert (told["status"], told["summary"]["sets"]) == ("done", 3)
    assert [one["chosen"] for one in told["sets"]] == [{"ema_fast": n} for n in ("5", "6", "7")]
    nets = [Decimal(one["net"]) for one in told["sets"]]
    assert Decimal(told["summary"]["net"]) == max(nets)
