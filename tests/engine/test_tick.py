"""One tick: what it decides, what it writes, and how it fails."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.fernet import Fernet

from bots import control, tick
from bots.lifecycle import FATAL, RUNNING_REASONS, TRANSIENT, Reason, reason_of
from bots.messages import EXPLANATIONS
from bots.models import Account, ApiKey, BotConfig, BotState, Fill, User
from tests.engine.bench import Bench, D, make_bot
from tests.engine.conftest import Maker
from tests.engine.market import Market
from trading.exchange import (
    ExchangeError,
    Fault,
    Refused,
    Rejected,
    Unreachable,
    Unusable,
)

NETWORK = Unreachable(Fault.NETWORK, "connection refused", sent=False)


# -- the way of a good bot ------------------------------------------------------------------------
def test_the_first_good_tick_makes_a_starting_bot_run(bench: Maker) -> None:
    b = bench()
    b.tick()
    state = b.state
    assert b.where == ("running", "no_signal", "trade")
    assert (state.last_run_at, state.last_ok_at) == (b.market.at, b.market.at)
    assert (state.lease_until, state.tick_started_at) == (None, None)
    assert (state.last_price, state.last_price_at) == (D(100), b.market.at)
    assert (b.events[-1].move, b.events[-1].via, b.events[-1].by) == ("run", "tick", None)


def test_a_signal_buys_once_however_long_it_lasts(bench: Maker) -> None:
    b = bench()
    b.market.trend = "up"
    for _ in range(10):
        b.tick()
    assert [order.side for order in b.orders] == ["buy"]
    assert b.where == ("running", "in_position", "trade")
    assert b.state.daily_trades_count == 1


def test_buy_hold_sell_is_one_round_with_its_reasons(bench: Maker) -> None:
    b = bench()
    b.enter()
    assert b.where == ("running", "entered", "trade")
    b.tick()
    assert b.where == ("running", "in_position", "trade")
    b.market.trend = "down"
    b.tick()
    assert b.where == ("running", "exited", "trade")
    assert [(o.side, o.purpose, o.reason) for o in b.orders] == [
        ("buy", "entry", "signal"),
        ("sell", "exit", "signal"),
    ]
    assert not b.state.in_position
    assert b.state.stop_loss_price is None


def test_exits_come_before_entries(bench: Maker) -> None:
    b = bench(stop_loss_perc=D(2))
    b.enter()
    b.market.trend, b.market.price = "up", D(90)
    b.tick()
    assert [(o.side, o.reason) for o in b.orders] == [("buy", "signal"), ("sell", "stop_loss")]


def test_a_bot_without_duty_or_state_is_not_ticked(alice: User) -> None:
    never = make_bot(alice)
    assert tick.run(never.pk) is None
    stopped = Bench(alice)
    stopped.stop()
    assert stopped.tick() is None
    assert stopped.decisions == []
    assert tick.run(999_999) is None


def test_equal_decisions_in_a_row_collapse_into_one_with_a_count(bench: Maker) -> None:
    b = bench()
    for _ in range(5):
        b.tick()
    (row,) = b.decisions
    assert (row.action, row.gate, row.count) == ("hold", "no_signal", 5)
    assert (row.last_at - row.first_at).total_seconds() == 240
    assert row.numbers["why"] == "ema_rsi.no_trend"
    b.market.trend = "up"
    b.tick()
    b.market.trend = "flat"
    b.tick()
    assert [(d.action, d.count) for d in b.decisions] == [("hold", 5), ("enter", 1), ("hold", 1)]
    assert b.decisions[1].order == b.order
    assert b.decisions[-1].fence == b.state.fence == 7


# -- orders that fail -----------------------------------------------------------------------------
def test_a_rejected_order_is_no_trade(bench: Maker) -> None:
    b = bench()
    b.scripted().refuse = Rejected(Fault.ORDER_REJECTED, "percent price filter")
    b.tick()
    b.enter()
    state = b.state
    assert (b.order.status, b.order.is_settled) == ("rejected", True)
    assert (state.in_position, state.daily_trades_count, state.daily_pnl) == (False, 0, 0)
    assert not Fill.objects.filter(bot=b.bot).exists()
    assert b.where == ("waiting", "order_rejected", "trade")
    assert "percent price filter" in state.last_error_message


def test_not_enough_funds_says_need_and_have_and_sends_nothing(bench: Maker) -> None:
    b = bench(position_size_fixed=D(50_000))
    b.enter()
    assert b.orders == []
    assert b.where == ("waiting", "insufficient_funds", "trade")
    assert "need 50075.025" in b.state.last_error_message
    assert "have 10000" in b.state.last_error_message


def test_slippage_and_the_paper_fee_are_counted_before_an_order_is_sent(
    bench: Maker, settings: Any
) -> None:
    settings.PAPER_FEE_PERC, settings.PAPER_SLIPPAGE_PERC = D("0.3"), D("0.2")
    b = bench(position_size_fixed=D(9970))
    b.enter()
    assert b.orders == []
    assert b.where == ("waiting", "insufficient_funds", "trade")
    # 99.7 BTC at 100.2, and 0.3 % of that; at the market's own fee it would be 9979.97.
    assert "need 10019.91" in b.state.last_error_message
    assert "have 10000" in b.state.last_error_message


def test_an_entry_below_the_minimum_is_not_raised_to_it(bench: Maker) -> None:
    b = bench(position_size_fixed=D(4))
    b.enter()
    assert b.orders == []
    assert b.where == ("waiting", "below_minimum", "trade")


def test_a_halted_market_holds_the_bot_up_and_heals(bench: Maker) -> None:
    b = bench()
    b.market.market = replace(b.market.market, active=False)
    b.tick()
    assert b.where == ("waiting", "market_halted", "trade")
    b.market.market = replace(b.market.market, active=True)
    b.tick()
    assert b.where == ("running", "no_signal", "trade")
    assert b.state.last_error_message == ""


def test_nothing_is_sent_late_in_a_tick(bench: Maker, settings: Any) -> None:
    b = bench()
    b.tick()
    settings.TICK_SEND_MARGIN_SECONDS = settings.TICK_DEADLINE_SECONDS + 1
    b.market.trend = "up"
    b.tick()
    assert b.orders == []
    assert b.where == ("waiting", "network", "trade")


# -- daily limits ---------------------------------------------------------------------------------
def test_a_limit_pauses_when_flat_and_not_before(bench: Maker) -> None:
    b = bench(max_daily_trades=1, stop_loss_perc=D(5))
    b.enter()
    b.tick()
    assert b.where == ("running", "in_position", "trade")
    assert b.is_active
    b.market.price = D(90)
    b.tick()
    assert b.order.reason == "stop_loss"
    b.market.trend, b.market.price = "up", D(100)
    b.tick()
    assert b.where == ("paused", "max_daily_trades", "none")
    assert not b.is_active
    assert len(b.orders) == 2
    assert b.tick() is None


def test_a_pause_clears_the_error_that_a_good_tick_clears(bench: Maker) -> None:
    b = bench(max_daily_trades=1)
    BotState.objects.filter(pk=b.bot.pk).update(daily_trades_count=1, last_error_message="old")
    b.tick()
    assert b.where == ("paused", "max_daily_trades", "none")
    assert b.state.last_error_message == ""


# -- failures -------------------------------------------------------------------------------------
TRANSIENT_ERRORS = [
    Unreachable(Fault.NETWORK, "timed out"),
    Unreachable(Fault.MAINTENANCE, "be back soon"),
    Unreachable(Fault.RATE_LIMIT, "slow down", retry_after=30),
    Unreachable(Fault.BAD_ANSWER, "<html>"),
    Unreachable(Fault.CLOCK, "timestamp outside of recvWindow"),
    Unusable(Fault.STALE_DATA, "newest candle closed 900 s ago"),
    Unusable(Fault.BROKEN_DATA, "a gap"),
    Unusable(Fault.MARKET_HALTED, "break"),
    Unusable(Fault.MARKET_UNKNOWN, "no such symbol"),
]
FATAL_ERRORS = [
    Refused(Fault.KEY_MISSING, "none"),
    Refused(Fault.KEY_UNDECRYPTABLE, "wrong FERNET_KEYS"),
    Refused(Fault.KEY_INVALID, "invalid api key"),
    Refused(Fault.KEY_RIGHTS, "may not trade"),
    Refused(Fault.CLIENT, "no such exchange"),
]


def by_fault(error: ExchangeError) -> str:
    return error.fault.value


def test_the_lists_name_every_fault_of_an_exchange() -> None:
    orders = {Fault.INSUFFICIENT_FUNDS, Fault.BELOW_MINIMUM, Fault.ORDER_REJECTED}
    named = {error.fault for error in [*TRANSIENT_ERRORS, *FATAL_ERRORS]}
    assert named | orders == set(Fault)
    assert {reason_of(error.fault) for error in TRANSIENT_ERRORS} <= TRANSIENT
    assert {reason_of(error.fault) for error in FATAL_ERRORS} <= FATAL


@pytest.mark.parametrize("error", TRANSIENT_ERRORS, ids=by_fault)
def test_a_transient_failure_is_error_before_the_first_good_tick(
    bench: Maker, error: ExchangeError
) -> None:
    b = bench()
    b.market.error = error
    found = b.tick()
    assert found is not None
    assert (found.action, found.gate) == ("failed", error.fault.value)
    assert b.where == ("error", error.fault.value, "trade")
    assert b.is_active
    message = b.state.last_error_message
    assert error.text in message
    assert str(EXPLANATIONS[Reason(error.fault.value)].what) in message
    b.market.error = None
    b.tick()
    assert b.where == ("running", "no_signal", "trade")
    assert b.state.last_error_message == ""
    assert any(error.text in event.why for event in b.events)


@pytest.mark.parametrize("error", TRANSIENT_ERRORS, ids=by_fault)
def test_later_it_waits_and_is_error_from_the_third_in_a_row(
    bench: Maker, error: ExchangeError
) -> None:
    b = bench()
    b.tick()
    b.market.error = error
    seen = []
    for _ in range(4):
        b.tick()
        seen.append(b.where[0])
    assert seen == ["waiting", "waiting", "error", "error"]
    assert b.state.failures == 4
    b.market.error = None
    b.tick()
    assert (b.where[0], b.state.failures, b.state.retry_at) == ("running", 0, None)


def test_the_time_that_an_exchange_asks_for_is_kept(bench: Maker) -> None:
    b = bench()
    b.market.error = Unreachable(Fault.RATE_LIMIT, "slow down", retry_after=30)
    b.tick()
    assert b.state.retry_at is not None
    assert (b.state.retry_at - b.market.at).total_seconds() == 30


@pytest.mark.parametrize("error", FATAL_ERRORS, ids=by_fault)
def test_a_fatal_failure_switches_a_flat_bot_off(bench: Maker, error: ExchangeError) -> None:
    b = bench()
    b.market.error = error
    b.tick()
    assert b.where == ("error", error.fault.value, "none")
    assert not b.is_active
    assert error.text in b.state.last_error_message
    assert b.tick() is None


@pytest.mark.parametrize("error", FATAL_ERRORS, ids=by_fault)
def test_a_fatal_failure_goes_on_watching_a_position(bench: Maker, error: ExchangeError) -> None:
    b = bench(stop_loss_perc=D(5))
    b.enter()
    b.market.error = error
    b.tick()
    assert b.where == ("error", error.fault.value, "exit")
    assert (b.state.wind_down, b.is_active) == ("after_exit", False)
    b.market.error = None
    b.market.trend = "up"
    b.tick()
    assert len(b.orders) == 1
    b.market.price = D(90)
    b.tick()
    assert b.order.reason == "stop_loss"
    assert b.where == ("error", error.fault.value, "none")


def break_strategy(b: Bench) -> None:
    BotConfig.objects.filter(pk=b.bot.pk).update(strategy="gone")


def break_params(b: Bench) -> None:
    BotConfig.objects.filter(pk=b.bot.pk).update(params={"ema_fast": 50, "ema_slow": 20})


def disable_owner(b: Bench) -> None:
    User.objects.filter(pk=b.owner.pk).update(is_active=False)


def disable_live(b: Bench) -> None:
    BotConfig.objects.filter(pk=b.bot.pk).update(mode="live")


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (break_strategy, "unknown_strategy"),
        (break_params, "bad_settings"),
        (disable_owner, "owner_inactive"),
        (disable_live, "live_disabled"),
    ],
)
def test_what_forbids_a_bot_to_trade_never_forbids_its_stop(
    bench: Maker, harm: Callable[[Bench], None], reason: str
) -> None:
    b = bench(stop_loss_perc=D(5))
    b.enter()
    b.scripted().holdings["BTC"] = D(2)
    harm(b)
    b.market.trend = "up"
    b.tick()
    assert b.where == ("error", reason, "exit")
    assert b.state.last_error_message
    b.tick()
    assert len(b.orders) == 1
    b.market.price = D(90)
    b.tick()
    assert b.order.reason == "stop_loss"
    assert b.where == ("error", reason, "none")


def test_an_unexpected_failure_is_recorded_and_names_no_detail(
    bench: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    b = bench()

    def explode(*_: object) -> None:
        raise ZeroDivisionError("secret=abc")

    monkeypatch.setattr(Market, "quote", explode)
    found = b.tick()
    assert found is not None
    assert b.where == ("error", "internal", "trade")
    assert "ZeroDivisionError" in b.state.last_error_message
    assert "abc" not in b.state.last_error_message
    assert b.state.tick_started_at is None


def test_every_reason_that_a_bot_can_show_is_explained() -> None:
    assert set(Reason) - {Reason.START} - RUNNING_REASONS == set(EXPLANATIONS)


# -- keys -----------------------------------------------------------------------------------------
def keyed_bot(owner: User, **values: Any) -> BotConfig:
    account = Account.objects.create(owner=owner, exchange="binance", mode="testnet", label="main")
    return make_bot(owner, mode="testnet", account=account, **values)


def run_once(bot: BotConfig) -> BotState:
    control.start(bot, by=bot.owner, via="page")
    assert tick.run(bot.pk) is not None
    return BotState.objects.get(pk=bot.pk)


def test_a_bot_without_a_key_says_so_and_is_off(alice: User) -> None:
    state = run_once(keyed_bot(alice))
    assert (state.status, state.reason, state.duty) == ("error", "api_key_missing", "none")
    assert "Add a key" in state.last_error_message


def test_a_bot_without_an_account_says_so_and_is_off(alice: User) -> None:
    state = run_once(make_bot(alice, mode="testnet"))
    assert (state.status, state.reason, state.duty) == ("error", "api_key_missing", "none")


def test_a_key_that_nobody_can_open_says_so(alice: User, settings: Any) -> None:
    bot = keyed_bot(alice)
    ApiKey.objects.create(account=bot.account, api_key="SECRET-ONE", secret_key="SECRET-TWO")
    settings.FERNET_KEYS = [Fernet.generate_key().decode()]
    state = run_once(bot)
    assert (state.status, state.reason, state.duty) == ("error", "api_key_decrypt_failed", "none")
    assert "SECRET" not in state.last_error_message


def test_a_key_that_may_withdraw_is_not_used(alice: User) -> None:
    bot = keyed_bot(alice)
    ApiKey.objects.create(
        account=bot.account,
        api_key="one",
        secret_key="two",
        check_fault="api_key_rights",
    )
    state = run_once(bot)
    assert (state.status, state.reason) == ("error", "api_key_rights")
    assert "must not withdraw" in state.last_error_message
