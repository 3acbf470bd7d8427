"""An order whose answer is lost stays unknown, is looked up, and is never sent twice."""

import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from bots import control, invariants
from bots.lease import Outcome
from bots.models import BotConfig, Fill, Order, User
from tests.doors.client import Caller
from tests.testexchange import ExchangeControl
from tests.whole.api import state_of
from tests.whole.conftest import MakeBot

Tick = Callable[[int], Outcome | None]

#: The order is accepted and filled; what comes back is no believable answer, or nothing.
LOST: dict[str, dict[str, Any]] = {
    "an HTML page": {"action": "html"},
    "502 after acceptance": {"action": "http", "status": 502},
    "503 with Binance's words": {"action": "error", "code": -1008, "status": 503},
    "status unknown (-1007)": {"action": "error", "code": -1007, "status": 408},
    "longer than the timeout": {"action": "hang", "seconds": 2},
    "a closed connection": {"action": "close"},
    "half an answer": {"action": "cut"},
    "half a JSON": {"action": "truncated"},
    "nothing": {"action": "empty"},
    "null": {"action": "null"},
    "a list": {"action": "list"},
    "somebody else's order": {"action": "other_order"},
}
#: The exchange never takes the order, and does not say so.
NEVER: dict[str, dict[str, Any]] = {
    "an HTML page": {"action": "html"},
    "502 before acceptance": {"action": "http", "status": 502},
    "late, so that its time is refused": {"action": "hang", "seconds": 2.1},
}


@pytest.fixture
def unknown(
    exchange: ExchangeControl, live_bot: MakeBot, tick_now: Tick, alice: User
) -> Callable[..., BotConfig]:
    """Make a bot whose forced entry met a fault."""

    def make(*, when: str, action: str, **details: Any) -> BotConfig:
        bot = live_bot()
        control.command(bot, "enter", by=alice, via="api")
        order = {"path": "api/v3/order", "method": "POST", "when": when}
        exchange.add_fault(action, **order, **details)
        tick_now(bot.pk)
        return bot

    return make


def sent(exchange: ExchangeControl, order: Order) -> int:
    """Return how often the order reached the exchange."""
    name = order.client_order_id
    posts = [row for row in exchange.requests() if row["method"] == "POST"]
    return sum(row["params"].get("newClientOrderId") == name for row in posts)


def known(exchange: ExchangeControl, order: Order) -> list[dict[str, Any]]:
    name = order.client_order_id
    return [row for row in exchange.orders() if row["clientOrderId"] == name]


@pytest.mark.parametrize("name", LOST)
def test_an_accepted_order_without_an_answer_is_adopted_once(
    name: str,
    exchange: ExchangeControl,
    unknown: Callable[..., BotConfig],
    tick_now: Tick,
    as_alice: Caller,
) -> None:
    bot = unknown(when="after", **LOST[name])
    state, order = state_of(as_alice, bot.pk), Order.objects.get()
    assert state["text"] == "waiting (order unknown)"
    assert (state["has_unsettled_orders"], state["in_position"]) == (True, False)
    assert order.client_order_id in state["last_error_message"]
    assert (order.status, order.fills.count()) == ("unknown", 0)
    refused = as_alice.post(f"/bots/{bot.pk}/enter")
    assert (refused.status, refused.body["reason"]) == (409, "order_unknown")

    tick_now(bot.pk)
    tick_now(bot.pk)
    order.refresh_from_db()
    assert (order.status, order.is_settled) == ("filled", True)
    there = known(exchange, order)
    assert (len(there), sent(exchange, order)) == (1, 1)
    fills = Fill.objects.filter(order=order)
    assert sum(fill.amount for fill in fills) == Decimal(there[0]["executedQty"])
    state = state_of(as_alice, bot.pk)
    assert (state["status"], state["in_position"]) == ("running", True)
    assert (state["daily_trades_count"], state["last_error_message"]) == (1, "")
    control.stop(bot, by=None, via="command")
    assert invariants.check() == []


@pytest.mark.parametrize("name", NEVER)
def test_an_order_that_was_never_taken_is_given_up_after_the_fence(
    name: str,
    exchange: ExchangeControl,
    unknown: Callable[..., BotConfig],
    tick_now: Tick,
    as_alice: Caller,
    settings: Any,
) -> None:
    bot = unknown(when="before", **NEVER[name])
    order = Order.objects.get()
    assert order.status == "unknown"
    settings.ORDER_FENCE_SECONDS = 60  # within the fence "not found" proves nothing
    tick_now(bot.pk)
    order.refresh_from_db()
    assert (order.status, order.not_found) == ("unknown", 0)
    settings.ORDER_FENCE_SECONDS = 2.2
    left = order.signed_at.timestamp() + 2.3 - time.time()
    time.sleep(max(left, 0))
    seen = []
    for _ in range(3):
        tick_now(bot.pk)
        order.refresh_from_db()
        seen.append((order.not_found, order.status))
    assert seen == [(1, "unknown"), (2, "abandoned"), (2, "abandoned")]
    assert (known(exchange, order), sent(exchange, order)) == ([], 1)
    state = state_of(as_alice, bot.pk)
    assert (state["status"], state["in_position"]) == ("running", False)
    assert (state["daily_trades_count"], Order.objects.count()) == (0, 1)
    control.stop(bot, by=None, via="command")
    assert invariants.check() == []


def test_an_order_that_surely_never_left_is_given_up_at_once(
    exchange: ExchangeControl, unknown: Callable[..., BotConfig], as_alice: Caller
) -> None:
    bot = unknown(when="before", action="rate_limit", retry_after=2)
    order = Order.objects.get()
    assert (order.status, order.is_settled) == ("abandoned", True)
    assert known(exchange, order) == []
    assert state_of(as_alice, bot.pk)["reason"] == "rate_limit"


def test_while_an_order_is_unknown_the_exchange_cannot_be_made_to_take_another(
    exchange: ExchangeControl,
    unknown: Callable[..., BotConfig],
    tick_now: Tick,
    alice: User,
) -> None:
    bot = unknown(when="after", action="html")
    exchange.add_fault("http", path="api/v3/order", method="GET", times=None, status=503)
    for _ in range(3):
        tick_now(bot.pk)
    with pytest.raises(control.Refusal):
        control.command(bot, "exit", by=alice, via="api")
    assert len(known(exchange, Order.objects.get())) == 1
    assert Order.objects.count() == 1
    exchange.clear_faults()
    tick_now(bot.pk)
    assert Order.objects.get().status == "filled"


def test_partial_fills_then_the_rest_are_booked_as_they_come(
    exchange: ExchangeControl, live_bot: MakeBot, tick_now: Tick, alice: User, as_alice: Caller
) -> None:
    exchange.set_fill_plan("BTCUSDT", [{"part": "0.25"}, {"part": "0.35", "slip": "0.0007"}])
    bot = live_bot()
    control.command(bot, "enter", by=alice, via="api")
    tick_now(bot.pk)
    order = Order.objects.get()
    there = known(exchange, order)[0]
    assert there["status"] == "EXPIRED"
    assert order.filled == Decimal(there["executedQty"]) < order.amount
    assert order.fills.count() == 2
    tick_now(bot.pk)
    state = state_of(as_alice, bot.pk)
    bought = sum(fill.amount - fill.fee_base for fill in Fill.objects.all())
    assert Decimal(state["current_position_size"]) == bought
    control.stop(bot, by=None, via="command")
    assert invariants.check() == []
