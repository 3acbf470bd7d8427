"""X2, X3, X4, X5: what an order's answer may be, and what is made of each."""

import threading
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from bots import control
from bots.lease import Outcome
from bots.models import BotConfig, Fill, Order, User
from tests.doors.client import Caller
from tests.faults import stage
from tests.faults.stage import Traps
from tests.testexchange import ExchangeControl, TestExchange
from tests.whole.api import state_of
from tests.whole.conftest import MakeBot
from tests.whole.ledger import our_orders

pytestmark = pytest.mark.long(seconds=20)

Tick = Callable[[int], Outcome | None]
POST = {"path": "api/v3/order", "method": "POST"}
#: Longer than the fence: "not found" is proof then, and the exchange's clock is what counts.
PAST_FENCE_MS = 3_000


@pytest.fixture
def exchange(exchange: ExchangeControl) -> Any:
    yield exchange
    exchange.real_time()


@pytest.fixture
def answered(
    exchange: ExchangeControl, live_bot: MakeBot, tick_now: Tick
) -> Callable[..., BotConfig]:
    """Make a bot whose forced entry met a fault."""

    def make(*, when: str, action: str, **details: Any) -> BotConfig:
        bot = live_bot()
        stage.ask(bot, "enter")
        exchange.add_fault(action, when=when, **POST, **details)
        tick_now(bot.pk)
        return bot

    return make


def assert_adopted_once(
    bot: BotConfig, exchange: ExchangeControl, tick_now: Tick, api: Caller
) -> None:
    """The order is there though nobody was told: unknown, never "filled 0", then found."""
    state, order = state_of(api, bot.pk), Order.objects.get()
    assert state["text"] == "waiting (order unknown)"
    assert (state["has_unsettled_orders"], state["in_position"]) == (True, False)
    assert order.client_order_id in state["last_error_message"]
    assert (order.status, order.fills.count()) == ("unknown", 0)
    refused = api.post(f"/bots/{bot.pk}/enter")
    assert (refused.status, refused.body["reason"]) == (409, "order_unknown")
    tick_now(bot.pk)
    tick_now(bot.pk)
    order.refresh_from_db()
    assert (order.status, order.is_settled) == ("filled", True)
    state = state_of(api, bot.pk)
    assert (state["status"], state["in_position"]) == ("running", True)
    assert (state["daily_trades_count"], state["last_error_message"]) == (1, "")
    assert len(our_orders(exchange)) == Order.objects.count() == 1
    stop_and_check(bot, exchange)


def assert_given_up(bot: BotConfig, exchange: ExchangeControl, tick_now: Tick, api: Caller) -> None:
    """The order is not there: within the fence that proves nothing, twice after it does."""
    order, seen = Order.objects.get(), []
    assert order.status == "unknown"
    for wait in (0, PAST_FENCE_MS, 0, 0):
        if wait:
            exchange.advance(wait)
        tick_now(bot.pk)
        order.refresh_from_db()
        seen.append((order.not_found, order.status))
    assert seen == [(0, "unknown"), (1, "unknown"), (2, "abandoned"), (2, "abandoned")]
    assert our_orders(exchange) == {}
    state = state_of(api, bot.pk)
    assert (state["status"], state["in_position"]) == ("running", False)
    assert (state["daily_trades_count"], Order.objects.count()) == (0, 1)
    stop_and_check(bot, exchange)


def stop_and_check(bot: BotConfig, exchange: ExchangeControl) -> None:
    control.stop(bot, by=None, via="command")
    stage.assert_books_agree(exchange)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("when", ["before", "after"])
def test_X2_a_5xx_answer_is_unknown_and_resolved_right(
    when: str,
    status: int,
    exchange: ExchangeControl,
    answered: Callable[..., BotConfig],
    tick_now: Tick,
    as_alice: Caller,
) -> None:
    bot = answered(when=when, action="http", status=status)
    judge = assert_adopted_once if when == "after" else assert_given_up
    judge(bot, exchange, tick_now, as_alice)


@pytest.mark.parametrize(("code", "status"), [(-1006, 400), (-1007, 408), (-1008, 503)])
def test_X2_the_exchanges_own_words_for_unknown_are_believed(
    code: int,
    status: int,
    exchange: ExchangeControl,
    answered: Callable[..., BotConfig],
    tick_now: Tick,
    as_alice: Caller,
) -> None:
    bot = answered(when="after", action="error", code=code, status=status)
    assert_adopted_once(bot, exchange, tick_now, as_alice)


#: The exchange has the order; the connection does not bring its answer.
BROKEN = {
    "no answer in time": {"action": "hang", "seconds": 2},
    "a closed connection": {"action": "close"},
    "half an answer": {"action": "cut"},
}


@pytest.mark.parametrize("name", BROKEN)
def test_X3_a_connection_that_breaks_after_acceptance_leaves_the_order_unknown(
    name: str,
    exchange: ExchangeControl,
    answered: Callable[..., BotConfig],
    tick_now: Tick,
    as_alice: Caller,
) -> None:
    bot = answered(when="after", **BROKEN[name])
    assert_adopted_once(bot, exchange, tick_now, as_alice)


def test_X3_a_request_that_arrives_too_late_is_given_up(
    exchange: ExchangeControl,
    answered: Callable[..., BotConfig],
    tick_now: Tick,
    as_alice: Caller,
) -> None:
    bot = answered(when="before", action="hang", seconds=2.1)
    assert_given_up(bot, exchange, tick_now, as_alice)


def test_X3_a_refused_connection_has_sent_nothing(
    slate: None,
    market: TestExchange,
    live_bot: MakeBot,
    tick_now: Tick,
    as_alice: Caller,
    settings: Any,
    tmp_path: Path,
) -> None:
    """The exchange goes away between the intent and its request, and comes back empty."""
    settings.FAILPOINTS, traps = str(tmp_path), Traps(folder=tmp_path)
    bot = live_bot()
    traps.set("intent.after", bot, "hold")
    stage.ask(bot, "enter")
    thread = threading.Thread(target=lambda: (tick_now(bot.pk), connection.close()))
    thread.start()
    traps.wait_until_held("intent.after", bot)
    market.kill()
    try:
        traps.let_go("intent.after", bot)
        thread.join(timeout=20)
        order = Order.objects.get()
        assert (order.status, order.is_settled) == ("abandoned", True)
        assert state_of(as_alice, bot.pk)["reason"] == "network"
    finally:
        market.start()
    tick_now(bot.pk)
    state = state_of(as_alice, bot.pk)
    assert (state["status"], state["in_position"]) == ("running", False)
    stop_and_check(bot, market.control)


def test_X3_a_name_that_does_not_resolve_sends_nothing(
    live_bot: MakeBot, tick_now: Tick, as_alice: Caller, exchange: ExchangeControl, settings: Any
) -> None:
    bot = live_bot()
    tick_now(bot.pk)
    there, settings.EXCHANGE_API_BASE = settings.EXCHANGE_API_BASE, {"binance": "http://no.invalid"}
    stage.ask(bot, "enter")
    tick_now(bot.pk)
    assert state_of(as_alice, bot.pk)["reason"] == "network"
    assert not Order.objects.exists()
    settings.EXCHANGE_API_BASE = there
    tick_now(bot.pk)
    assert state_of(as_alice, bot.pk)["in_position"]
    stop_and_check(bot, exchange)


@pytest.mark.parametrize("body", ["html", "truncated", "empty", "list", "null", "other_order"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_X4_a_200_that_is_no_answer_is_unknown(
    when: str,
    body: str,
    exchange: ExchangeControl,
    answered: Callable[..., BotConfig],
    tick_now: Tick,
    as_alice: Caller,
) -> None:
    bot = answered(when=when, action=body)
    judge = assert_adopted_once if when == "after" else assert_given_up
    judge(bot, exchange, tick_now, as_alice)


def test_X4_while_an_order_is_unknown_no_other_is_sent(
    exchange: ExchangeControl, answered: Callable[..., BotConfig], tick_now: Tick, alice: User
) -> None:
    bot = answered(when="after", action="html")
    exchange.add_fault("http", path="api/v3/order", method="GET", times=None, status=503)
    for _ in range(3):
        tick_now(bot.pk)
    with pytest.raises(control.Refusal):
        stage.ask(bot, "exit")
    assert len(our_orders(exchange)) == Order.objects.count() == 1
    exchange.clear_faults()
    tick_now(bot.pk)
    assert Order.objects.get().status == "filled"
    stop_and_check(bot, exchange)


@pytest.mark.parametrize("heard", ["at once", "later"])
def test_X5_a_part_is_filled_and_the_rest_expires(
    heard: str, exchange: ExchangeControl, live_bot: MakeBot, tick_now: Tick, as_alice: Caller
) -> None:
    """Heard later: the order is known to have ended before its fills are."""
    exchange.set_fill_plan("BTCUSDT", [{"part": "0.25"}, {"part": "0.35", "slip": "0.0007"}])
    bot = live_bot()
    stage.ask(bot, "enter")
    if heard == "later":
        exchange.add_fault("html", when="after", **POST)
        exchange.add_fault("list", path="api/v3/myTrades", when="after")
        tick_now(bot.pk)
        tick_now(bot.pk)
        state, order = state_of(as_alice, bot.pk), Order.objects.get()
        assert (order.is_settled, order.fills.count()) == (False, 0)
        assert (state["has_unsettled_orders"], state["in_position"]) == (True, False)
    tick_now(bot.pk)
    order, there = Order.objects.get(), next(iter(our_orders(exchange).values()))
    assert (there["status"], order.status, order.is_settled) == ("EXPIRED", "expired", True)
    assert order.filled == Decimal(there["executedQty"]) < order.amount
    assert order.fills.count() == 2
    # What is sold is what was filled, less the fee that was taken from it.
    held = sum(fill.amount - fill.fee_base for fill in Fill.objects.all())
    assert Decimal(state_of(as_alice, bot.pk)["current_position_size"]) == held
    stage.ask(bot, "exit")
    tick_now(bot.pk)
    sold = stage.orders_of(bot)[-1]
    assert held - Decimal("0.00001") < sold.amount <= held
    assert not state_of(as_alice, bot.pk)["in_position"]
    stop_and_check(bot, exchange)
