"""A live bot's whole life: API, broker, worker, ccxt, exchange, ledger, and back."""

from decimal import Decimal
from typing import Any

import pytest

from bots import control, invariants, schedule
from bots.models import BotState, DayStats, Fill, Order
from tests.doors.client import Caller
from tests.testexchange import DEFAULT_API_KEY, DEFAULT_SECRET, ExchangeControl
from tests.whole.api import wait_for
from tests.whole.conftest import MakeBot
from tests.whole.ledger import assert_ledger_is_the_exchanges
from tests.whole.processes import Worker, wait_until

KEY = {
    "exchange": "binance",
    "mode": "live",
    "label": "main",
    "api_key": DEFAULT_API_KEY,
    "secret_key": DEFAULT_SECRET,
}
BOT = {
    "name": "Live",
    "exchange": "binance",
    "mode": "live",
    "symbol": "BTC/USDT",
    "position_size_fixed": "1000",
    "check_interval_seconds": 60,
}


def checked_key(api: Caller) -> dict[str, Any]:
    """Add the key; returns it as it is once a worker has checked it."""
    key = api.post("/api-keys", KEY)
    assert (key.status, key.body["is_valid"]) == (201, None)
    checked = f"/api-keys/{key.body['id']}"
    wait_until(lambda: api.get(checked).body["is_valid"])
    rights: dict[str, Any] = api.get(checked).body
    assert (rights["may_trade"], rights["may_withdraw"], rights["check_message"]) == (
        True,
        False,
        "",
    )
    balance = f"/api-keys/balance?api_key={key.body['id']}"
    wait_until(lambda: "USDT" in api.get(balance).body["spot"])
    return rights


def test_a_key_and_a_bot_go_from_the_api_to_the_exchange_and_back(
    worker: Worker, exchange: ExchangeControl, as_alice: Caller
) -> None:
    key = checked_key(as_alice)
    made = as_alice.post("/bot-configs", {**BOT, "api_key": key["id"]})
    assert made.status == 201
    bot_id = made.body["id"]
    assert as_alice.get(f"/bot-states/{bot_id}").status == 404
    started = as_alice.post(f"/bots/{bot_id}/start")
    assert (started.status, started.body) == (
        200,
        {"message": "Bot started", "bot_config_id": bot_id},
    )
    wait_for(as_alice, bot_id, status="running", reason="no_signal")
    moves = [row["new_status"] for row in as_alice.get(f"/bots/{bot_id}/events").body["items"]]
    assert moves == ["running", "pending"]

    assert as_alice.post(f"/bots/{bot_id}/enter").status == 202
    wait_for(as_alice, bot_id, in_position=True, has_unsettled_orders=False)
    assert as_alice.post(f"/bots/{bot_id}/enter").status == 409
    exchange.set_price("BTCUSDT", "20345.67")
    assert as_alice.post(f"/bots/{bot_id}/exit").status == 202
    state = wait_for(as_alice, bot_id, in_position=False, has_unsettled_orders=False)
    assert state["daily_trades_count"] == 1
    orders = as_alice.get(f"/bots/{bot_id}/orders").body["items"]
    assert [(row["side"], row["status"], row["reason"]) for row in orders] == [
        ("sell", "filled", "command"),
        ("buy", "filled", "command"),
    ]
    assert_ledger_is_the_exchanges(exchange)
    balance = f"/api-keys/balance?api_key={key['id']}"
    truth = {name: part["free"] for name, part in exchange.balances().items() if part["free"]}
    schedule.send("bots.tasks.refresh_balance", key["account"])

    def told() -> dict[str, Decimal]:
        return {name: Decimal(n) for name, n in as_alice.get(balance).body["spot"].items()}

    wait_until(lambda: told() == truth)
    assert as_alice.post(f"/bots/{bot_id}/stop").status == 200
    assert invariants.check() == []


@pytest.mark.parametrize("mode", ["default", "quote", "bnb"])
def test_orders_fees_counters_and_profit_agree_to_the_last_decimal(
    worker: Worker, exchange: ExchangeControl, as_alice: Caller, live_bot: MakeBot, mode: str
) -> None:
    exchange.set_balance("default", "BNB", 1)
    exchange.set_fee(mode=mode, taker="0.00075")
    bot = live_bot(check_interval_seconds=60)
    wait_for(as_alice, bot.pk, status="running")
    for price in ("20777.77", "19333.31"):
        exchange.set_fill_plan("BTCUSDT", [{"part": "0.37"}, {"part": "0.63", "slip": "0.0003"}])
        exchange.clear_price("BTCUSDT")
        as_alice.post(f"/bots/{bot.pk}/enter")
        wait_for(as_alice, bot.pk, in_position=True, has_unsettled_orders=False)
        exchange.set_price("BTCUSDT", price)
        as_alice.post(f"/bots/{bot.pk}/exit")
        wait_for(as_alice, bot.pk, in_position=False, has_unsettled_orders=False)
    assert_ledger_is_the_exchanges(exchange)
    before = {"USDT": Decimal(10_000), "BNB": Decimal(1)}
    after = {name: part["free"] for name, part in exchange.balances().items()}
    gained = after["USDT"] - before["USDT"] + (after["BNB"] - before["BNB"]) * Decimal("312.34")
    state = BotState.objects.get(pk=bot.pk)
    # What the base coin's fee left behind as dust is still the bot's, at what it cost.
    assert state.daily_pnl - state.position_cost == gained
    assert state.current_position_size == after.get("BTC", Decimal(0))
    day = DayStats.objects.get(bot=bot)
    assert (day.pnl, day.trades) == (state.daily_pnl, 2)
    assert day.fees == sum(fill.fee_quote for fill in Fill.objects.filter(bot=bot))
    assert invariants.check() == []


def test_only_our_own_short_client_ids_reach_the_exchange(
    worker: Worker, exchange: ExchangeControl, as_alice: Caller, live_bot: MakeBot
) -> None:
    since = exchange.requests()[-1]["seq"] if exchange.requests() else 0
    bot = live_bot()
    wait_for(as_alice, bot.pk, status="running")
    control.command(bot, "enter", by=bot.owner, via="api")
    wait_for(as_alice, bot.pk, in_position=True)
    posts = [row for row in exchange.requests(since) if row["method"] == "POST"]
    ids = [row["params"]["newClientOrderId"] for row in posts]
    assert ids == [Order.objects.get(bot=bot).client_order_id]
    assert len(ids[0]) == 18
