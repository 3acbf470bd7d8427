"""Backtests that are asked for: frozen, claimed once, told of, bounded, never lost in silence."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from bots import control
from bots.backtests import asking, bounds, past, plans, results, running
from bots.backtests.asking import Wanted
from bots.backtests.figures import Tried
from bots.change import Refusal
from bots.models import BacktestData, BacktestRun, BotConfig, Market, User
from tests.trading.test_backtest import plan_of
from trading import backtest, strategies
from trading.archive import Part
from trading.backtest.signals import BUY, NONE
from trading.exchanges.simulated import SimulatedFeed
from trading.history import History
from trading.strategies.guarded import Guarded

FIELDS = {
    "name": "Tried",
    "symbol": "WAVE/USDT",
    "timeframe": "1m",
    "position_size_fixed": 100,
    "stop_loss_perc": 1,
}


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Collect the runs that would be queued."""
    queued: list[int] = []
    from bots import schedule

    def send(task: str, *args: int, expires: float = 60) -> bool:
        assert task == asking.RUN
        queued.extend(args)
        return True

    monkeypatch.setattr(schedule, "send", send)
    return queued


@pytest.fixture
def bot(alice: User) -> BotConfig:
    return control.create(alice, FIELDS)


def figures_of(run: BacktestRun) -> dict[str, Any]:
    found: dict[str, Any] = BacktestRun.objects.get(pk=run.pk).summary
    return found


def ask(bot: BotConfig, hours: float = 30, **wanted: Any) -> BacktestRun:
    until = wanted.pop("until", timezone.now())
    span = {"since": until - timedelta(hours=hours), "until": until}
    return asking.ask(bot.owner, bot, Wanted(**{**span, **wanted}), origin="bot", of=bot)


def held_only(first: float, last: float) -> Decimal:
    """Return in percent what buying at the first price came to, fee and slippage counted."""
    paid = Decimal(str(first)) * Decimal("1.0005") * Decimal("1.002")
    return (Decimal(str(last)) / paid - 1) * 100


def test_a_run_comes_to_what_the_engine_says_and_keeps_all_of_it(
    bot: BotConfig, sent: list[int], django_capture_on_commit_callbacks: Any, monkeypatch: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        until = timezone.now().replace(second=0, microsecond=0)
        bot.initial_capital = Decimal(500)
        run = ask(bot, fee_perc=Decimal("0.2"), until=until)
    assert sent == [run.pk]
    # What is tried is what was asked for, whatever becomes of the bot.
    control.edit(bot, {"stop_loss_perc": 50, "timeframe": "1h"}, by=None, via="test")
    monkeypatch.setattr(running, "SLICE", 500)
    done = running.run(run.pk)
    assert done is not None
    assert (done.status, done.progress, done.fault) == ("done", 100, "")
    bot.stop_loss_perc, bot.timeframe = Decimal(1), "1m"
    window = figures_of(run)["window"]
    since, until = past.ms(run.since) - window * 60_000, past.ms(run.until)
    candles = past.simulated("WAVE/USDT", "1m", since, until, lambda _share: None).candles
    plan = plans.plan_of(bot, candles, costs=plans.costs_of(run))
    plain = backtest.run(plan)
    report = backtest.report(plan, plain)
    kept, figures = results.load(done), done.summary
    assert kept is not None
    assert len(kept.orders) > 10
    assert kept.orders == plain.orders
    assert (figures["candles"], figures["warmed"], len(candles)) == (1800, window, 1800 + window)
    # As a bot that is started then, it may trade on the first candle.
    assert kept.bars[0][0] == past.ms(run.since)
    hold = held_only(candles.open[window], candles.close[-1])
    assert abs(Decimal(figures["hold_percent"]) - hold) < Decimal("0.01")
    assert Decimal(figures["value"]) == report.value
    assert Decimal(figures["net"]) == Decimal(figures["value"]) - 500
    assert figures["trades"] == report.summary.trades == len(kept.folded().trades)
    # At the last bar the account is worth what the report says, before its first order its funds.
    assert kept.points[-1].value == round(report.value, 8)
    assert all(one.value == 500 for one in kept.points if one.at <= kept.orders[0].at)
    assert abs(kept.points[0].value - 500) < 5
    assert len(kept.bars) == 1800
    assert done.assumed["rules"]["price_tick"] == "0.001"
    assert 0 < Decimal(figures["exposure"]) < 100
    assert Decimal(figures["drawdown"]) > 0


def test_a_message_that_comes_twice_tries_nothing_twice(bot: BotConfig, sent: list[int]) -> None:
    run = ask(bot, hours=3)
    assert running.run(run.pk) is not None
    assert running.run(run.pk) is None
    assert BacktestRun.objects.get().attempts == 1


def test_the_next_one_waits_for_its_turn(bot: BotConfig, sent: list[int]) -> None:
    first, second = ask(bot, hours=3), ask(bot, hours=3)
    BacktestRun.objects.filter(pk=first.pk).update(status="running", seen_at=timezone.now())
    assert running.run(second.pk) is None
    BacktestRun.objects.filter(pk=first.pk).update(status="queued")
    running.run(first.pk)
    assert sent == [second.pk]


def test_one_that_waits_is_canceled_at_once_and_one_that_runs_at_the_next_look(
    bot: BotConfig, sent: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting, run = ask(bot), ask(bot)
    assert asking.cancel(waiting).status == "canceled"
    assert running.run(waiting.pk) is None
    told: list[tuple[str, int]] = []
    beat = running.Held.beat

    def beating(held: running.Held) -> None:
        beat(held)
        told.append((held.stage, held.progress))
        if held.stage == "signals":
            asking.cancel(held.run)

    monkeypatch.setattr(running, "PACE", 0)
    monkeypatch.setattr(running, "SLICE", 500)
    monkeypatch.setattr(running.Held, "beat", beating)
    done = running.run(run.pk)
    assert done is not None
    assert (done.status, done.is_unwanted, done.summary) == ("canceled", True, {})
    assert {stage for stage, _progress in told} == {"candles", "signals"}
    assert not BacktestData.objects.exists()
    with pytest.raises(Refusal, match="ended already"):
        asking.cancel(done)


def test_a_run_whose_worker_is_gone_is_tried_once_more_and_then_told(
    bot: BotConfig, sent: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ask(bot, hours=3)
    silent = timezone.now() - timedelta(seconds=1000)

    def die(held: running.Held) -> None:
        BacktestRun.objects.filter(pk=run.pk).update(seen_at=silent)
        raise KeyboardInterrupt

    for attempt, status in ((1, "queued"), (2, "failed")):
        monkeypatch.setattr(running, "_try", die)
        with pytest.raises(KeyboardInterrupt):
            running.run(run.pk)
        assert running.recover() == 1
        run.refresh_from_db()
        assert (run.status, run.attempts) == (status, attempt)
    assert run.fault == "lost"
    assert running.recover() == 0


def test_a_worker_that_was_taken_for_dead_writes_nothing(
    bot: BotConfig, sent: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, really = ask(bot, hours=3), running._try

    def slow(held: running.Held) -> None:
        # Meanwhile the sweep gave it to another worker.
        BacktestRun.objects.filter(pk=run.pk).update(holder="another")
        really(held)

    monkeypatch.setattr(running, "_try", slow)
    found = running.run(run.pk)
    assert found is not None
    assert (found.status, found.holder, found.summary) == ("running", "another", {})
    assert not BacktestData.objects.exists()


def test_a_run_ends_with_its_time(bot: BotConfig, sent: list[int], settings: Any) -> None:
    settings.BACKTEST_SECONDS = -1
    done = running.run(ask(bot, hours=24).pk)
    assert done is not None
    assert (done.status, done.fault) == ("failed", "time")


def test_a_run_that_wants_too_much_memory_ends_and_its_worker_goes_on(
    bot: BotConfig, sent: list[int], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.BACKTEST_MEMORY_MB = 32
    # In one piece: smaller ones may still fit into what the process has freed before.
    monkeypatch.setattr(running, "_try", lambda _held: bytearray(256 * 1024 * 1024))
    done = running.run(ask(bot, hours=24).pk)
    assert done is not None
    assert (done.status, done.fault) == ("failed", "memory")
    assert bytearray(256 * 1024 * 1024)  # the bound has gone with it


def test_a_long_reckoning_is_looked_at_now_and_then() -> None:
    looks: list[float] = []

    def look() -> None:
        looks.append(time.monotonic())
        if len(looks) == 3:
            raise running.Canceled

    def reckon() -> None:
        with bounds.every(0.02, look):
            until = time.monotonic() + 5
            while time.monotonic() < until:
                pass

    with pytest.raises(running.Canceled):
        reckon()
    assert len(looks) == 3


def test_an_owner_has_limits_and_others_do_not_feel_them(
    bot: BotConfig, bob: User, sent: list[int], settings: Any
) -> None:
    settings.BACKTESTS_OPEN_PER_USER, settings.BACKTESTS_PER_DAY = 2, 3
    runs = [ask(bot, hours=3), ask(bot, hours=3)]
    with pytest.raises(Refusal, match="2 backtests under way"):
        ask(bot, hours=3)
    for run in runs:
        asking.cancel(run)
    asking.cancel(ask(bot, hours=3))
    with pytest.raises(Refusal, match="3 backtests in 24 hours"):
        ask(bot, hours=3)
    assert ask(control.create(bob, FIELDS), hours=3).status == "queued"


def test_the_oldest_ended_ones_go(bot: BotConfig, sent: list[int], settings: Any) -> None:
    settings.BACKTESTS_KEPT = 1
    old, fresh = ask(bot, hours=3), ask(bot, hours=3)
    for run in (old, fresh):
        asking.cancel(run)
    BacktestRun.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(days=2))
    latest = ask(bot, hours=3)
    assert set(BacktestRun.objects.values_list("pk", flat=True)) == {fresh.pk, latest.pk}


def test_results_sizes_and_limits_are_percentages_of_one_capital(
    bot: BotConfig, sent: list[int]
) -> None:
    """Five times the capital is five times the money, and the same in percent."""
    bot.position_size_fixed, bot.position_size_perc = None, Decimal(50)
    bot.max_daily_loss_perc = Decimal(3)
    until = timezone.now().replace(second=0, microsecond=0)
    found = []
    for capital in (4_000, 20_000):
        bot.initial_capital = Decimal(capital)
        run = running.run(ask(bot, until=until).pk)
        assert run is not None
        # The account has what a new paper account has: no less is there to be spent.
        assert run.assumed["funds"] == str(max(capital, 10_000))
        found.append(
            {
                name: Decimal(str(run.summary[name]))
                for name in ("percent", "drawdown_percent", "net", "orders", "capital")
            }
        )
    small, large = found
    assert (small["capital"], large["capital"]) == (4_000, 20_000)
    assert small["orders"] == large["orders"] > 10
    assert abs(small["percent"] - large["percent"]) < Decimal("0.01")
    assert abs(small["drawdown_percent"] - large["drawdown_percent"]) < Decimal("0.01")
    assert abs(5 * small["net"] - large["net"]) < 1


def test_the_largest_part_that_was_lost_need_not_be_the_most_money() -> None:
    """1,000 falls to 600, grows to 10,000 and falls to 9,500: that is 40 %, and 500 in money."""
    rows = [(10, 10, 10, 10), (10, 10, 6, 6), (6, 100, 6, 100), (100, 100, 95, 95)]
    plan = plan_of(rows, position_size_fixed=Decimal(1000))
    begin = plan.candles.times[0]
    tried = Tried(
        plan=plan,
        result=backtest.run(plan, bytes([BUY, NONE, NONE, NONE])),
        past=History(candles=plan.candles, gaps=(), repeated=0),
        since=begin,
    )
    fall = tried.fall
    assert (round(fall.percent, 2), round(fall.amount, 2)) == (40, 500)
    assert [(at - begin) // 3_600_000 for at in (fall.peak, fall.trough)] == [1, 2]


@pytest.mark.parametrize(
    ("bot_says", "wanted", "field"),
    [
        ({}, {"hours": -1}, "until"),
        ({}, {"hours": 24 * 500}, "since"),
        ({}, {"fee_perc": Decimal(51)}, "fee_perc"),
        ({}, {"slippage_perc": Decimal("NaN")}, "slippage_perc"),
        ({"initial_capital": Decimal(0)}, {}, "initial_capital"),
        ({"params": {"ema_fast": 9000}}, {}, "params"),
        ({"strategy": "gone"}, {}, "strategy"),
        ({"stop_loss_perc": Decimal(500)}, {}, "stop_loss_perc"),
        ({"position_size_fixed": None}, {}, None),
        ({"symbol": "NONE/USDT"}, {}, None),
        ({"entry_type": "post_only", "entry_timeout_seconds": 300}, {}, None),
        ({"entry_type": "limit", "entry_timeout_seconds": 5}, {}, None),
    ],
)
def test_what_cannot_be_tried_is_refused_at_once(
    bot: BotConfig, bot_says: dict[str, Any], wanted: dict[str, Any], field: str | None
) -> None:
    for name, value in bot_says.items():
        setattr(bot, name, value)
    with pytest.raises(ValidationError) as refused:
        ask(bot, **wanted)
    if field is not None:
        assert field in refused.value.message_dict
    assert not BacktestRun.objects.exists()


@pytest.mark.parametrize("strategy", ["dca", "grid"])
def test_a_ladder_is_tried_too(bot: BotConfig, sent: list[int], strategy: str) -> None:
    bot.strategy, bot.params, bot.take_profit_perc = strategy, {}, Decimal(1)
    done = running.run(ask(bot, hours=30).pk)
    assert done is not None
    assert (done.status, done.fault, done.error) == ("done", "", "")
    kept = results.load(done)
    assert kept is not None
    assert kept.points[-1].value == round(Decimal(done.summary["value"]), 8)
    assert 0 <= Decimal(done.summary["exposure"]) <= 100


def test_candles_come_from_the_files_and_where_those_are_full_it_is_said(
    bot: BotConfig, sent: list[int], settings: Any, tmp_path: Path
) -> None:
    settings.DATA_DIR, bot.exchange = tmp_path, "binance"
    rules = {"base": "WAVE", "quote": "USDT", "amount_step": "0.001", "price_tick": "0.001"}
    now = timezone.now().replace(second=0, microsecond=0)
    Market.objects.create(exchange="binance", mode="live", symbol=bot.symbol, as_of=now, **rules)
    candles = SimulatedFeed(1, lambda: past.ms(now)).candles(bot.symbol, "1m", 600)
    gone = candles.cut(0, 500), candles.cut(510, 600)
    for part in gone:
        asked = ((candles.times[0], past.ms(now)),)
        past.archive().add(past.series_of(bot), Part(candles=part, asked=asked))
    done = running.run(ask(bot, hours=3, until=now).pk)
    assert done is not None
    assert (done.status, done.summary["missing"], done.summary["gaps"]) == ("done", 10, 1)
    settings.HISTORY_MAX_MB = 0
    full = running.run(ask(bot, hours=20, until=now).pk)
    assert full is not None
    assert (full.status, full.fault) == ("failed", "candles")
    assert "an operator has to make room" in full.error


def test_while_an_exchange_is_waited_for_a_run_can_be_canceled() -> None:
    def tell(_share: float) -> None:
        raise running.Canceled

    begun = time.monotonic()
    with pytest.raises(running.Canceled):
        past.Patient(tell).sleep(30)
    assert time.monotonic() - begun < 5


def test_a_slow_strategy_is_looked_at_while_it_is_asked(
    bot: BotConfig, sent: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    watched: list[bool] = []
    asked: list[bool] = []
    real = backtest.actions

    @contextmanager
    def every(_seconds: float, _look: Any) -> Iterator[None]:
        watched.append(True)
        yield
        watched.pop()

    def actions(*given: Any) -> bytes:
        asked.append(bool(watched))
        return real(*given)

    monkeypatch.setattr(bounds, "every", every)
    monkeypatch.setattr(backtest, "actions", actions)
    running.run(ask(bot).pk)
    assert asked
    assert all(asked)


@pytest.mark.parametrize("kind", [running.Canceled, running.Outlived, running.Lost])
def test_no_strategy_of_others_keeps_a_run_from_being_ended(
    kind: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    strategy = strategies.get("ema_rsi")
    guarded = Guarded(strategy)

    def interrupted(*_given: Any) -> None:
        try:
            raise kind
        except Exception:
            return

    monkeypatch.setattr(type(strategy), "signal", interrupted)
    feed = SimulatedFeed(1, lambda: 1_772_316_000_000)
    with pytest.raises(kind):
        guarded.signal(feed.candles("WAVE/USDT", "1m", 100), strategies.clean(strategy, {}))


def test_one_that_was_canceled_meanwhile_lets_the_next_one_go(
    bot: BotConfig, sent: list[int]
) -> None:
    first, second = ask(bot), ask(bot)
    asking.cancel(first)
    assert running.run(first.pk) is None
    assert sent == [second.pk]


def test_the_days_limit_counts_what_was_deleted(
    bot: BotConfig, sent: list[int], settings: Any
) -> None:
    settings.BACKTESTS_PER_DAY = 2
    for _number in range(2):
        asking.delete(asking.cancel(ask(bot)))
    with pytest.raises(Refusal) as refused:
        ask(bot)
    assert refused.value.reason == "too_many_today"
