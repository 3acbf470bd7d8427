"""The forks of a tick: what each case does to orders, commands and the decision that is told."""

import logging
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded

from bots import invariants, lease, reconcile, tick
from bots.models import Account, ApiKey, BotConfig, BotState, Command, User
from tests.engine.bench import Bench, D
from tests.engine.conftest import Maker
from tests.engine.exchange import ScriptedExchange
from tests.engine.market import Market
from tests.engine.test_entries import LIMIT, waiting
from tests.engine.test_lease import expire
from tests.engine.test_protect import protected, protection
from tests.engine.test_reconcile import age_comparison
from trading.exchange import Can, Fault, Unreachable, Unusable
from trading.market import OrderStatus, PositionReport

NETWORK = Unreachable(Fault.NETWORK, "connection refused", sent=False)
STALE = Unusable(Fault.STALE_DATA, "newest candle closed 900 s ago")
FALLBACK: dict[str, Any] = {"entry_timeout_seconds": 60, "entry_fallback": "market"}


def told(b: Bench, **how: Any) -> tuple[str, str]:
    """Tick; return the action and the gate that decided."""
    found = b.tick(**how)
    assert found is not None
    return found.action, found.gate


@pytest.fixture
def day_old_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Comparisons with the exchange are due by their age alone."""
    monkeypatch.setattr(reconcile, "STARTED", Market().at - timedelta(days=1))


@pytest.fixture
def perpetual(alice: User, settings: Any, day_old_worker: None) -> Bench:
    """A live bot that trades a perpetual both ways, at four times its money."""
    settings.LIVE_TRADING_ENABLED = True
    account = Account.objects.create(owner=alice, exchange="binance", mode="live", label="f")
    market = {"position_type": "futures", "symbol": "BTC/USDT:USDT", "leverage": 4}
    b = Bench(alice, start=False, mode="live", account=account, direction="both", **market)
    b.exchange = ScriptedExchange(b.market, can=frozenset({Can.FUTURES}))
    b.start()
    return b


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no time pass within a tick."""
    monkeypatch.setattr(lease, "time", SimpleNamespace(monotonic=lambda: 1000.0))


# -- how a tick ends -------------------------------------------------------------------------------
def test_whoever_asks_for_a_tick_gets_one_unless_only_a_due_one_is_wanted(bench: Maker) -> None:
    b = bench()
    assert told(b) == told(b, after=0) == ("hold", "no_signal")
    assert tick.run(b.bot.pk, world=b.world, only_if_due=True) is None


def test_a_tick_that_was_taken_over_is_no_failure(
    bench: Maker, caplog: pytest.LogCaptureFixture
) -> None:
    b = bench()
    exchange = b.scripted()

    def take_over() -> None:
        expire(b)
        assert tick.run(b.bot.pk, b.world) is not None

    exchange.on_place = take_over
    b.market.trend = "up"
    assert b.tick() is None
    ours = [record for record in caplog.records if record.name == "bots.tick"]
    assert [(one.levelno, "took over" in one.getMessage()) for one in ours] == [
        (logging.WARNING, True)
    ]


def test_a_tick_that_runs_out_of_time_waits_as_for_a_slow_network(
    bench: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    b = bench()
    b.tick()

    def never(*_: object) -> None:
        raise SoftTimeLimitExceeded

    monkeypatch.setattr(Market, "quote", never)
    assert told(b) == ("failed", "network")
    assert b.where == ("waiting", "network", "trade")
    assert "ran out of time" in b.state.last_error_message


def test_an_entry_that_a_stop_overtook_is_told_as_outpaced(bench: Maker) -> None:
    b = bench()
    b.market.trend, b.market.on_look = "up", b.stop
    assert told(b) == ("blocked", "outpaced")
    assert b.orders == []


def test_the_first_tick_of_a_new_day_counts_from_nothing(bench: Maker) -> None:
    b = bench(max_daily_trades=1)
    BotState.objects.filter(pk=b.bot.pk).update(daily_trades_count=1)
    today, b.market.at = b.state.counter_day, b.state.day_ends_at
    b.market.trend = "up"
    assert told(b, after=0) == ("enter", "signal")
    assert (b.state.counter_day, b.state.daily_trades_count) == (today + timedelta(days=1), 1)


# -- nothing left to do ----------------------------------------------------------------------------
def test_a_bot_that_owes_nothing_ends_without_asking_anybody(bench: Maker) -> None:
    b = bench()
    off = {"status": "stopped", "reason": "by_owner", "duty": "exit"}
    BotState.objects.filter(pk=b.bot.pk).update(**off)
    b.market.error = NETWORK
    assert told(b) == ("hold", "duty_exit")
    assert b.where == ("stopped", "by_owner", "none")
    assert b.state.last_error_message == ""


def test_when_the_last_order_is_settled_no_price_is_needed_any_more(bench: Maker) -> None:
    b = bench()
    exchange = b.scripted()
    exchange.refuse = Unreachable(Fault.NETWORK, "read timed out")
    b.enter()
    b.stop()
    b.market.quote_error = NETWORK
    assert told(b) == ("blocked", "order_unknown")
    assert b.where[2] == "exit"
    assert told(b) == ("hold", "duty_exit")
    assert (b.order.status, b.where[2]) == ("abandoned", "none")
    assert b.state.last_error_message == ""


# -- comparing with the exchange -------------------------------------------------------------------
def test_a_position_that_agrees_is_held_on_and_not_compared_again_at_once(
    bench: Maker, day_old_worker: None
) -> None:
    b = bench()
    exchange = b.scripted()
    b.enter()
    age_comparison(b)
    assert told(b) == ("hold", "in_position")
    assert b.state.reconciled_at == b.market.at
    exchange.list_error, exchange.holdings["BTC"] = NETWORK, D(0)
    assert told(b) == ("hold", "in_position")
    age_comparison(b)
    assert told(b) == ("failed", "network")


def test_nothing_is_compared_while_an_entry_rests(bench: Maker, day_old_worker: None) -> None:
    b = waiting(bench)
    assert b.exchange is not None
    age_comparison(b)
    b.exchange.list_error = NETWORK
    assert told(b, after=5) == ("hold", "entry_resting")


@pytest.mark.parametrize("winds_down", [True, False])
def test_a_difference_keeps_no_bot_from_winding_down(perpetual: Bench, winds_down: bool) -> None:
    b = perpetual
    b.enter()
    assert b.exchange is not None
    b.exchange.positions[b.bot.symbol] = PositionReport(symbol=b.bot.symbol, amount=D("1.5"))
    if winds_down:
        b.stop("close")
    age_comparison(b)
    assert told(b) == (("exit", "closing") if winds_down else ("failed", "reconcile"))
    assert b.order.purpose == ("exit" if winds_down else "entry")


# -- what forbids a bot to trade -------------------------------------------------------------------
@pytest.mark.parametrize("now_of", [10_001, 10_002, 10_003])
def test_a_bot_leaves_an_account_that_became_somebody_elses(db: None, now_of: int) -> None:
    for pk in (10_001, 10_002, 10_003):
        User.objects.create_user(f"user {pk}", pk=pk)
    b = Bench(User.objects.get(pk=10_002))
    b.scripted()
    Account.objects.filter(bots=b.bot).update(owner_id=now_of)
    still_mine = now_of == 10_002
    assert told(b) == (("hold", "no_signal") if still_mine else ("failed", "api_key_missing"))


@pytest.mark.parametrize(
    ("may_withdraw", "may_trade", "fault", "gate"),
    [
        (False, True, "api_key_rights", "no_signal"),
        (False, False, "api_key_rights", "api_key_rights"),
        (False, None, "api_key_rights", "api_key_rights"),
        (True, True, "api_key_rights", "api_key_rights"),
        (None, True, "api_key_rights", "api_key_rights"),
        (True, False, "", "no_signal"),
    ],
)
@pytest.mark.parametrize("mode", ["paper", "testnet", "live"])
def test_a_refused_key_keeps_those_from_trading_who_would_use_it(
    bench: Maker,
    settings: Any,
    mode: str,
    may_withdraw: bool,
    may_trade: bool | None,
    fault: str,
    gate: str,
) -> None:
    settings.LIVE_TRADING_ENABLED = True
    b = bench()
    b.scripted()
    BotConfig.objects.filter(pk=b.bot.pk).update(mode=mode)
    account = Account.objects.get(bots=b.bot)
    secrets = {"api_key": "a", "secret_key": "b", "check_fault": fault}
    rights = {"may_trade": may_trade, "may_withdraw": may_withdraw}
    ApiKey.objects.create(account=account, **secrets, **rights)
    assert told(b)[1] == ("no_signal" if mode == "paper" else gate)


# -- commands --------------------------------------------------------------------------------------
def test_a_cancelled_entry_is_replaced_by_one_that_nobody_asked_for(bench: Maker) -> None:
    b = waiting(bench)
    command = b.command("cancel")
    b.tick(after=5)
    command.refresh_from_db()
    first, second = b.orders
    assert (first.status, first.cancel_reason) == ("canceled", "command")
    assert (second.status, second.reason) == ("open", "signal")
    assert (command.status, command.order) == ("done", None)


def test_a_cancel_waits_until_the_order_is_seen_to_have_ended(bench: Maker) -> None:
    b = waiting(bench)
    assert b.exchange is not None
    command = b.command("cancel")
    b.market.trend, b.exchange.visible = "flat", 0
    assert told(b, after=5) == ("blocked", "order_unknown")
    command.refresh_from_db()
    assert (b.order.status, command.status) == ("open", "pending")
    b.exchange.visible = None
    assert told(b, after=5) == ("hold", "no_signal")
    command.refresh_from_db()
    assert (b.order.status, command.status) == ("canceled", "done")


def test_a_cancel_of_an_order_that_was_filled_meanwhile_is_done(bench: Maker) -> None:
    b = waiting(bench)
    command = b.command("cancel")
    b.market.price = D(97)
    assert told(b, after=5) == ("hold", "in_position")
    command.refresh_from_db()
    assert (b.order.status, command.status, command.result) == ("filled", "done", "")


def test_a_command_whose_order_could_not_be_sent_waits_for_the_next_tick(
    bench: Maker, settings: Any
) -> None:
    b = bench()
    command = b.command("enter")
    margin = settings.TICK_SEND_MARGIN_SECONDS
    settings.TICK_SEND_MARGIN_SECONDS = settings.TICK_DEADLINE_SECONDS + 1
    assert told(b, after=1) == ("failed", "network")
    command.refresh_from_db()
    assert (command.status, b.orders) == ("pending", [])
    settings.TICK_SEND_MARGIN_SECONDS = margin
    assert told(b, after=1) == ("enter", "command")
    command.refresh_from_db()
    assert (command.status, command.order) == ("done", b.order)


@pytest.mark.parametrize(
    ("values", "gate"),
    [({"position_size_fixed": D(4)}, "below_minimum"), ({"max_spread_perc": D(1)}, "spread")],
)
def test_a_command_is_refused_with_the_gate_that_held_it_up(
    bench: Maker, values: dict[str, Any], gate: str
) -> None:
    b = bench(**values)
    b.market.ask = D(103)
    command = b.command("enter")
    assert told(b, after=1) == ("blocked", gate)
    command.refresh_from_db()
    assert (command.status, command.result) == (Command.Status.REFUSED, gate)


def test_an_exit_now_takes_the_resting_entry_back_and_is_no_refusal(bench: Maker) -> None:
    b = waiting(bench)
    assert b.exchange is not None
    b.exchange.fill(b.order.client_order_id, "0.5")
    b.tick(after=5)
    b.market.price = D(99)
    command = b.command("exit")
    assert told(b, after=5) == ("exit", "command")
    command.refresh_from_db()
    assert (command.status, command.order) == ("done", b.order)
    assert b.orders[0].cancel_reason == "command"


# -- what comes after a resting entry --------------------------------------------------------------
def test_an_entry_that_the_exchange_took_back_by_itself_waits_again(bench: Maker) -> None:
    b = waiting(bench, **FALLBACK)
    assert b.exchange is not None
    b.exchange._end(b.order.client_order_id, OrderStatus.CANCELED)
    b.tick(after=60)
    assert [(order.type, order.cancel_reason) for order in b.orders] == [
        ("limit", ""),
        ("limit", ""),
    ]


@pytest.mark.parametrize(
    ("seconds", "trend", "reason", "then"),
    [(5, "flat", "signal_gone", "limit"), (60, "up", "entry_timeout", "market")],
)
def test_only_an_entry_whose_time_was_over_is_followed_by_one_at_market(
    bench: Maker, seconds: int, trend: str, reason: str, then: str
) -> None:
    b = waiting(bench, **FALLBACK)
    exchange = b.exchange
    assert exchange is not None
    b.market.trend, exchange.visible = trend, 0
    assert told(b, after=seconds) == ("blocked", "order_unknown")
    assert (b.order.status, b.order.cancel_reason) == ("open", reason)
    b.market.trend, exchange.visible = "up", None
    b.tick(after=1)
    assert [order.type for order in b.orders] == ["limit", then]


def test_the_entry_at_market_comes_in_the_tick_that_gives_the_other_up(bench: Maker) -> None:
    b = waiting(bench, **FALLBACK)
    assert told(b, after=60) == ("enter", "signal")
    assert [order.type for order in b.orders] == ["limit", "market"]


def test_without_candles_a_flat_bot_fails_and_a_wanted_entry_rests_on(bench: Maker) -> None:
    b = bench(**LIMIT)
    b.scripted()
    b.market.candle_error = STALE
    assert told(b) == ("failed", "stale_data")
    b.market.candle_error = None
    b.command("enter")
    assert told(b, after=1) == ("enter", "command")
    b.market.candle_error = STALE
    assert told(b, after=5) == ("hold", "entry_resting")


# -- how much of the tick is left ------------------------------------------------------------------
@pytest.mark.parametrize(("late", "count"), [(0, 3), (1, 0)])
def test_what_is_sent_is_sent_while_the_margin_is_left(
    bench: Maker, settings: Any, clock: None, late: int, count: int
) -> None:
    settings.TICK_SEND_MARGIN_SECONDS = settings.TICK_DEADLINE_SECONDS + late
    b = protected(bench)
    assert len(b.orders) == count  # the entry, its stop and its target


def test_a_stop_that_came_too_late_for_its_tick_comes_with_the_next(
    bench: Maker, settings: Any
) -> None:
    b = protected(bench, can=frozenset())
    assert b.exchange is not None
    b.exchange.can = frozenset({Can.STOP, Can.PAIR})
    margin = settings.TICK_SEND_MARGIN_SECONDS
    settings.TICK_SEND_MARGIN_SECONDS = settings.TICK_DEADLINE_SECONDS + 1
    assert told(b) == ("hold", "in_position")
    assert protection(b) == []
    settings.TICK_SEND_MARGIN_SECONDS = margin
    b.tick()
    assert [order.status for order in protection(b)] == ["open", "open"]


# -- exits under protection ------------------------------------------------------------------------
def test_an_exit_frees_the_coins_and_sells_them_in_one_tick(bench: Maker) -> None:
    b = protected(bench)
    b.command("exit")
    assert told(b) == ("exit", "command")
    assert {order.status for order in protection(b)} == {"canceled"}
    assert (b.order.purpose, b.order.amount) == ("exit", D(2))
    assert not b.state.in_position


def test_nothing_is_sold_while_a_stop_may_still_sell_it(bench: Maker) -> None:
    b = protected(bench)
    assert b.exchange is not None
    b.command("exit")
    b.exchange.visible = 0
    assert told(b) == ("blocked", "order_unknown")
    assert [order.purpose for order in b.orders] == ["entry", "protect", "protect"]
    assert b.state.in_position


@pytest.mark.parametrize(
    ("share", "told_as"), [("1", ("exit", "stop_loss")), ("0.25", ("blocked", "outpaced"))]
)
def test_what_a_stop_sold_on_the_way_is_not_sold_again(
    bench: Maker, share: str, told_as: tuple[str, str]
) -> None:
    b = protected(bench)
    exchange, stop = b.exchange, protection(b)[0]
    assert exchange is not None
    b.market.trend = "down"
    exchange.on_cancel = lambda: exchange.fill(stop.client_order_id, share, price="95")
    assert told(b) == told_as
    b.tick()
    assert exchange.holdings["BTC"] == 0
    assert invariants.check() == []


# -- futures ---------------------------------------------------------------------------------------
def test_before_each_entry_the_exchange_is_told_the_leverage(perpetual: Bench) -> None:
    b = perpetual
    assert isinstance(b.exchange, ScriptedExchange)
    b.market.trend = "down"
    assert told(b) == ("enter", "signal")
    assert (b.state.position_side, b.exchange.prepared) == ("short", [("BTC/USDT:USDT", 4)])
    b.market.trend = "flat"
    b.command("exit")
    assert told(b) == ("exit", "command")
    assert len(b.exchange.prepared) == 1


def test_spot_has_no_leverage_to_tell(bench: Maker) -> None:
    b = bench()
    exchange = b.scripted()
    exchange.positions[b.bot.symbol] = PositionReport(symbol=b.bot.symbol, amount=D(1))
    b.enter()
    assert (b.state.in_position, exchange.prepared) == (True, [])


def test_nothing_is_opened_where_somebody_else_holds_a_position(perpetual: Bench) -> None:
    b, exchange = perpetual, perpetual.exchange
    assert exchange is not None
    foreign = PositionReport(symbol=b.bot.symbol, amount=D("-1"))
    b.market.trend = "up"
    b.market.on_look = lambda: exchange.positions.update({b.bot.symbol: foreign})
    assert told(b) == ("failed", "reconcile")
    assert "already holds -1 in BTC/USDT:USDT" in b.state.last_error_message
    assert b.orders == []
