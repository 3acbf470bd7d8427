"""Eighteen mistakes of an earlier system of this kind: one test each."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from celery import current_app
from django.db import connection

from bench.mistakes import MISTAKES
from bots import control, invariants, reset, schedule, tick
from bots.lease import Outcome
from bots.models import (
    ApiKey,
    BotConfig,
    BotState,
    Command,
    DayStats,
    Decision,
    Fill,
    Order,
    StateEvent,
    User,
)
from bots.world import World
from botsite.platform.bootstrap import ROOT
from tests.doors.client import Caller
from tests.testexchange import ExchangeControl
from tests.trading.candles import MINUTE, START
from tests.trading.feeds import RULES, SYMBOL
from tests.whole.api import state_of
from tests.whole.conftest import MakeBot
from trading.exchanges.recorded import RecordedFeed, ReplayClock
from trading.market_data import MarketData

Tick = Callable[[int], Outcome | None]
ORDER = {"path": "api/v3/order", "method": "POST"}


@pytest.fixture
def enter(tick_now: Tick) -> Callable[[BotConfig], Order]:
    """Open a position by force; returns its order."""

    def run(bot: BotConfig) -> Order:
        control.command(bot, "enter", by=bot.owner, via="api")
        tick_now(bot.pk)
        return Order.objects.filter(bot=bot, purpose="entry").latest("pk")

    return run


def leave(bot: BotConfig, tick_now: Tick) -> Order:
    control.command(bot, "exit", by=bot.owner, via="api")
    tick_now(bot.pk)
    return Order.objects.filter(bot=bot, purpose="exit").latest("pk")


def tomorrow(bot: BotConfig) -> None:
    reset.daily_reset(BotState.objects.get(pk=bot.pk).counter_day + timedelta(days=1), spread=0)


def is_on(bot: BotConfig) -> bool:
    return BotConfig.objects.get(pk=bot.pk).is_active


@pytest.mark.django_db(transaction=True)
def test_01_the_lock_holds_until_trading_is_over(
    exchange: ExchangeControl, live_bot: MakeBot, tick_now: Tick
) -> None:
    bot = live_bot()
    exchange.add_fault("hang", path="api/v3/ticker/*", seconds=0.8)

    def first() -> None:
        try:
            tick_now(bot.pk)
        finally:
            connection.close()

    thread = threading.Thread(target=first)
    thread.start()
    while not exchange.faults()[0]["hits"]:
        pass
    assert tick.run(bot.pk, World(data=MarketData())) is None
    thread.join()
    assert BotState.objects.get(pk=bot.pk).fence == 1


def test_02_the_reset_wakes_nobody_that_was_not_on(
    exchange: ExchangeControl, live_bot: MakeBot, tick_now: Tick
) -> None:
    stopped, never, broken = live_bot(), live_bot(start=False), live_bot()
    control.stop(stopped, by=None, via="command")
    ApiKey.objects.all().delete()
    tick_now(broken.pk)
    tomorrow(stopped)
    assert [is_on(bot) for bot in (stopped, never, broken)] == [False, False, False]
    assert not BotState.objects.filter(pk=never.pk).exists()
    assert schedule.scheduled() == {}


def test_03_a_pause_switches_the_bot_off_and_the_reset_on_again(
    exchange: ExchangeControl, live_bot: MakeBot, tick_now: Tick, enter: Callable[..., Order]
) -> None:
    bot = live_bot(max_daily_trades=1)
    enter(bot)
    leave(bot, tick_now)
    tick_now(bot.pk)
    assert BotState.objects.get(pk=bot.pk).text == "paused (max daily trades reached)"
    assert (is_on(bot), schedule.scheduled()) == (False, {})
    assert tick_now(bot.pk) is None
    tomorrow(bot)
    assert (is_on(bot), list(schedule.scheduled())) == (True, [bot.pk])
    tick_now(bot.pk)
    assert BotState.objects.get(pk=bot.pk).status == "running"


def test_04_todays_counters_are_todays(
    exchange: ExchangeControl, live_bot: MakeBot, tick_now: Tick, enter: Callable[..., Order]
) -> None:
    bot = live_bot()
    enter(bot)
    leave(bot, tick_now)
    old = BotState.objects.get(pk=bot.pk)
    assert (old.daily_trades_count, old.daily_pnl < 0) == (1, True)
    tomorrow(bot)
    enter(bot)
    new = BotState.objects.get(pk=bot.pk)
    assert (new.daily_trades_count, new.daily_pnl) == (1, 0)
    days = dict(DayStats.objects.values_list("day", "trades"))
    assert days == {old.counter_day: 1, new.counter_day: 1}
    assert invariants.check() == []


def test_05_without_data_there_is_no_price_and_no_order(
    exchange: ExchangeControl, live_bot: MakeBot, tick_now: Tick, alice: User
) -> None:
    bot = live_bot()
    tick_now(bot.pk)
    before = len(exchange.orders())
    exchange.add_fault("empty", path="api/v3/klines", times=None)
    exchange.add_fault("empty", path="api/v3/ticker/*", times=None)
    control.command(bot, "enter", by=alice, via="api")
    for _ in range(2):
        tick_now(bot.pk)
    assert BotState.objects.get(pk=bot.pk).text == "waiting (bad answer)"
    assert (len(exchange.orders()), Order.objects.count()) == (before, 0)


def test_06_a_refused_order_is_no_trade(
    exchange: ExchangeControl, live_bot: MakeBot, enter: Callable[..., Order], as_alice: Caller
) -> None:
    words = "Account has insufficient balance for requested action."
    exchange.add_fault("error", code=-2010, msg=words, **ORDER)
    bot = live_bot()
    assert enter(bot).status == "rejected"
    state = state_of(as_alice, bot.pk)
    assert (state["in_position"], state["daily_trades_count"]) == (False, 0)
    assert state["reason"] == "insufficient_funds"
    assert as_alice.get(f"/bots/{bot.pk}/trades").body["count"] == 0


@pytest.mark.parametrize(("price", "gate"), [("19599", "stop_loss"), ("20601", "take_profit")])
def test_07_stop_and_target_lie_on_their_own_sides(
    exchange: ExchangeControl,
    live_bot: MakeBot,
    tick_now: Tick,
    enter: Callable[..., Order],
    price: str,
    gate: str,
) -> None:
    bot = live_bot(stop_loss_perc=Decimal(2), take_profit_perc=Decimal(3))
    enter(bot)
    state = BotState.objects.get(pk=bot.pk)
    assert (state.stop_loss_price, state.take_profit_price) == (19_600, 20_600)
    tick_now(bot.pk)
    resting = {order.type: order for order in Order.objects.filter(purpose="protect")}
    assert {kind: (order.side, order.trigger) for kind, order in resting.items()} == {
        "stop": ("sell", 19_600),
        "target": ("sell", 20_600),
    }
    exchange.set_price("BTCUSDT", price)
    tick_now(bot.pk)
    sold = Order.objects.get(purpose="protect", filled__gt=0)
    assert (sold.side, sold.reason, sold.status) == ("sell", gate, "filled")
    other = Order.objects.filter(purpose="protect").exclude(pk=sold.pk).get()
    assert (other.status, other.filled) == ("expired", 0)
    there = {row["clientOrderId"]: row["type"] for row in exchange.orders()}
    assert there[resting["stop"].client_order_id].startswith("STOP_LOSS")
    assert there[resting["target"].client_order_id].startswith("TAKE_PROFIT")
    assert not BotState.objects.get(pk=bot.pk).in_position


def test_08_while_the_signal_lasts_one_position_is_bought(alice: User) -> None:
    closes = [20_000.0 + number * 3 - (number % 3) * 4 for number in range(400)]
    rows = [(START + n * MINUTE, c, c + 1, c - 1, c, 1.0) for n, c in enumerate(closes)]
    clock = ReplayClock(START + 300 * MINUTE + 1000)
    feed = RecordedFeed(rows, SYMBOL, RULES, clock)
    world = World(
        clock=lambda: datetime.fromtimestamp(clock() / 1000, UTC), data=MarketData(), feed=feed
    )
    values = {
        "name": "Rising",
        "exchange": "binance",
        "symbol": SYMBOL,
        "position_size_fixed": 500,
        "params": {"rsi_overbought": "99"},
    }
    bot = control.create(alice, values)
    control.start(bot, by=alice, via="api")
    seen = []
    for _ in range(20):
        found = tick.run(bot.pk, world)
        assert found is not None
        seen.append(str(found.gate))
        clock.advance(MINUTE)
    assert seen == ["signal"] + ["in_position"] * 19
    assert Order.objects.filter(bot=bot).count() == 1


def test_09_profit_counts_quantity_and_both_fees(
    exchange: ExchangeControl, live_bot: MakeBot, tick_now: Tick, enter: Callable[..., Order]
) -> None:
    exchange.set_fee(mode="quote")
    bot = live_bot(position_size_fixed=Decimal(4000))
    enter(bot)
    exchange.set_price("BTCUSDT", "21000")
    leave(bot, tick_now)
    # 0.2 BTC bought at 20000 and sold at 21000, 0.1 % of each taken.
    assert BotState.objects.get(pk=bot.pk).daily_pnl == Decimal("191.8")


def test_10_an_order_is_posted_once_under_its_own_name(
    exchange: ExchangeControl, live_bot: MakeBot, tick_now: Tick, enter: Callable[..., Order]
) -> None:
    since = max((row["seq"] for row in exchange.requests()), default=0)
    exchange.add_fault("http", status=503, times=None, **ORDER)
    order = enter(bot := live_bot())
    for _ in range(3):
        tick_now(bot.pk)
    posts = [row for row in exchange.requests(since) if row["method"] == "POST"]
    assert [row["params"]["newClientOrderId"] for row in posts] == [order.client_order_id]


def test_11_an_exit_that_fails_is_told_and_tried_again(
    exchange: ExchangeControl,
    live_bot: MakeBot,
    tick_now: Tick,
    enter: Callable[..., Order],
    as_alice: Caller,
) -> None:
    bot = live_bot(stop_loss_perc=Decimal(2), protect_on_exchange=False)
    enter(bot)
    exchange.set_price("BTCUSDT", "19000")
    exchange.add_fault("error", code=-2010, msg="Market is closed.", **ORDER)
    tick_now(bot.pk)
    state = state_of(as_alice, bot.pk)
    assert (state["in_position"], state["reason"]) == (True, "market_halted")
    assert "Market is closed" in state["last_error_message"]
    tick_now(bot.pk)
    assert not state_of(as_alice, bot.pk)["in_position"]
    exits = Order.objects.filter(purpose="exit").order_by("pk")
    assert [order.status for order in exits] == ["rejected", "filled"]


def test_12_a_ticks_message_is_gone_before_the_tick_begins() -> None:
    current_app.loader.import_default_modules()
    task = current_app.tasks[schedule.RUN_BOT]
    assert (task.acks_late, task.reject_on_worker_lost) == (False, None)
    assert not hasattr(task, "autoretry_for") or not task.autoretry_for
    assert current_app.conf.worker_prefetch_multiplier == 1


def test_13_timeframe_and_interval_reach_the_exchange_and_the_schedule(
    exchange: ExchangeControl, live_bot: MakeBot, tick_now: Tick
) -> None:
    bot = live_bot(timeframe="15m", check_interval_seconds=37, params={"ema_slow": 60})
    since = max((row["seq"] for row in exchange.requests()), default=0)
    tick_now(bot.pk)
    asked = [row["params"] for row in exchange.requests(since) if "klines" in row["path"]]
    assert {row["interval"] for row in asked} == {"15m"}
    assert int(asked[0]["limit"]) >= 240
    assert schedule.scheduled() == {bot.pk: 37}


def test_14_another_users_key_is_no_key(key: ApiKey, mallory: User, scaled: Any) -> None:
    body = {
        "name": "Theirs",
        "exchange": "binance",
        "mode": "live",
        "symbol": "BTC/USDT",
        "position_size_fixed": "100",
    }
    for named in ({"api_key": key.pk}, {"account": key.account_id}):
        answer = Caller(mallory).post("/bot-configs", {**body, **named})
        assert answer.status == 422
        assert next(iter(named)) in str(answer.body)
    assert not BotConfig.objects.exists()


@pytest.mark.parametrize(
    "field", ["status", "is_active", "daily_pnl", "daily_trades_count", "in_position", "duty"]
)
def test_15_status_counters_and_trades_are_not_the_clients_to_write(
    field: str, live_bot: MakeBot, as_alice: Caller
) -> None:
    bot = live_bot()
    before = BotState.objects.filter(pk=bot.pk).values().get()
    refused = as_alice.patch(f"/bot-configs/{bot.pk}", {field: 1})
    assert (refused.status, field in str(refused.body)) == (422, True)
    closed = [f"bots/{bot.pk}/{name}" for name in ("trades", "orders", "events", "days")]
    for path in [*closed, f"bot-states/{bot.pk}"]:
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            answer = as_alice.http.generic(method, f"/api/v1/{path}", headers=as_alice.headers)
            assert answer.status_code == 405, path
    assert BotState.objects.filter(pk=bot.pk).values().get() == before


def test_16_a_missing_key_ends_the_starting_with_the_first_tick(
    exchange: ExchangeControl, live_bot: MakeBot, tick_now: Tick, as_alice: Caller
) -> None:
    bot = live_bot()
    assert state_of(as_alice, bot.pk)["status"] == "pending"
    ApiKey.objects.all().delete()
    tick_now(bot.pk)
    assert state_of(as_alice, bot.pk)["text"] == "error (api key missing)"


def test_17_an_error_is_shown_and_leaves_a_trace(
    exchange: ExchangeControl, live_bot: MakeBot, tick_now: Tick, as_alice: Caller
) -> None:
    bot = live_bot()
    exchange.add_fault("http", status=503, times=None)
    tick_now(bot.pk)
    exchange.clear_faults()
    told = state_of(as_alice, bot.pk)["last_error_message"]
    assert "503" in told
    tick_now(bot.pk)
    assert state_of(as_alice, bot.pk)["last_error_message"] == ""
    why = [row["why"] for row in as_alice.get(f"/bots/{bot.pk}/events").body["items"]]
    assert told in why
    failed = Decision.objects.get(bot=bot, action="failed")
    assert failed.message == told


def test_18_nothing_is_deleted_under_an_open_position_and_history_never(
    exchange: ExchangeControl,
    live_bot: MakeBot,
    tick_now: Tick,
    enter: Callable[..., Order],
    as_alice: Caller,
    key: ApiKey,
) -> None:
    bot = live_bot()
    enter(bot)
    assert as_alice.delete(f"/bot-configs/{bot.pk}").status == 409
    assert as_alice.delete(f"/api-keys/{key.pk}").status == 409
    leave(bot, tick_now)
    control.stop(bot, by=bot.owner, via="api")
    assert as_alice.delete(f"/bot-configs/{bot.pk}").status == 204
    assert as_alice.delete(f"/api-keys/{key.pk}").status == 204
    assert as_alice.get(f"/bot-configs/{bot.pk}").status == 404
    assert Order.objects.filter(bot=bot).count() == 2
    assert Fill.objects.filter(bot=bot, account=key.account).count() == 2
    assert StateEvent.objects.filter(bot=bot).exists()
    assert Command.objects.filter(bot=bot).count() == 2
    assert invariants.check() == []


@pytest.mark.parametrize("name", [name for name, _ in MISTAKES])
def test_each_mistake_can_still_be_put_back(name: str) -> None:
    """`make mistakes` replaces exact text: a change of the code has to take it along."""
    for edit in dict(MISTAKES)[name]:
        assert (ROOT / edit.path).read_text(encoding="utf-8").count(edit.old) == 1, edit.path
