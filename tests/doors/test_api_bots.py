"""What the API does with bots: the verbs, their refusals, and what the rows look like outside."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bots import control, schedule, tick
from bots.lifecycle import Duty, Reason, Status
from bots.models import BotConfig, BotState, Command, Comparison, Fill, Order, StateEvent, User
from tests.doors.client import PAPER, Caller
from tests.doors.content import make_key, resting_order, traded_bot


def test_a_start_answers_exactly_this_and_leaves_pending(
    as_alice: Caller, alice: User, bot: BotConfig
) -> None:
    assert as_alice.get(f"/bot-states/{bot.pk}").status == 404
    answer = as_alice.post(f"/bots/{bot.pk}/start")
    assert (answer.status, answer.body) == (
        200,
        {"message": "Bot started", "bot_config_id": bot.pk},
    )
    state = as_alice.get(f"/bot-states/{bot.pk}").body
    assert (state["status"], state["reason"], state["duty"]) == ("pending", "start", "trade")
    assert as_alice.get(f"/bot-configs/{bot.pk}").body["is_active"] is True
    event = StateEvent.objects.get(bot=bot)
    assert (event.by, event.via) == (alice, "api")


def test_starting_twice_does_no_harm(as_alice: Caller, bot: BotConfig) -> None:
    for _ in range(3):
        assert as_alice.post(f"/bots/{bot.pk}/start").status == 200
    assert StateEvent.objects.filter(bot=bot).count() == 1
    assert list(schedule.scheduled()) == [bot.pk]


def test_a_bot_that_cannot_start_says_why(as_alice: Caller) -> None:
    values = PAPER | {"mode": "live", "exchange": "binance", "symbol": "BTC/USDT"}
    bot_id = as_alice.post("/bot-configs", values).body["id"]
    answer = as_alice.post(f"/bots/{bot_id}/start")
    assert answer.status == 409
    assert answer.body["reason"] == "live_disabled"
    assert "LIVE_TRADING_ENABLED" in answer.body["detail"]


@pytest.mark.parametrize(
    ("body", "wind_down", "duty"),
    [
        (None, "leave", Duty.NONE),
        ({}, "leave", Duty.NONE),
        ({"position": "leave"}, "leave", Duty.NONE),
        ({"position": "close"}, "close", Duty.EXIT),
        ({"position": "after_exit"}, "after_exit", Duty.EXIT),
    ],
)
def test_stop_knows_three_ways(
    body: Any, wind_down: str, duty: str, as_alice: Caller, alice: User
) -> None:
    bot = traded_bot(alice)
    answer = as_alice.post(f"/bots/{bot.pk}/stop", body)
    assert (answer.status, answer.body) == (
        200,
        {"message": "Bot stopped", "bot_config_id": bot.pk, "duty": duty},
    )
    state = as_alice.get(f"/bot-states/{bot.pk}").body
    assert (state["status"], state["reason"]) == ("stopped", "by_owner")
    assert (state["wind_down"], state["is_unwatched"]) == (wind_down, duty == Duty.NONE)


def test_stopping_a_bot_that_never_started_is_no_error(as_alice: Caller, bot: BotConfig) -> None:
    assert as_alice.post(f"/bots/{bot.pk}/stop").body["duty"] is None
    assert as_alice.get(f"/bot-states/{bot.pk}").status == 404


def test_enter_and_exit_are_taken_by_the_next_tick(as_alice: Caller, bot: BotConfig) -> None:
    assert as_alice.post(f"/bots/{bot.pk}/enter").body["reason"] == "not_running"
    as_alice.post(f"/bots/{bot.pk}/start")
    assert as_alice.post(f"/bots/{bot.pk}/exit").body["reason"] == "flat"
    answer = as_alice.post(f"/bots/{bot.pk}/enter")
    assert (answer.status, answer.body["kind"], answer.body["status"]) == (202, "enter", "pending")
    again = as_alice.post(f"/bots/{bot.pk}/enter")
    assert (again.status, again.body["reason"]) == (409, "pending")
    tick.run(bot.pk)
    assert as_alice.get(f"/bot-states/{bot.pk}").body["in_position"] is True
    assert as_alice.post(f"/bots/{bot.pk}/enter").body["reason"] == "in_position"
    assert as_alice.post(f"/bots/{bot.pk}/exit").status == 202
    tick.run(bot.pk)
    assert as_alice.get(f"/bot-states/{bot.pk}").body["in_position"] is False
    assert Command.objects.filter(bot=bot, status=Command.Status.DONE).count() == 2


def test_an_entry_order_that_rests_can_be_cancelled(as_alice: Caller, bot: BotConfig) -> None:
    as_alice.post(f"/bots/{bot.pk}/start")
    path = f"/bots/{bot.pk}/cancel"
    assert as_alice.post(path).body["reason"] == "no_order"
    resting_order(bot)
    answer = as_alice.post(path)
    assert (answer.status, answer.body["kind"], answer.body["status"]) == (202, "cancel", "pending")
    assert as_alice.post(path).body["reason"] == "pending"
    order = as_alice.get(f"/bots/{bot.pk}/orders").body["items"][0]
    told = [order[name] for name in ("type", "purpose", "price", "trigger", "pair", "reduce_only")]
    assert told == ["limit", "entry", "64000.1", None, "", False]


def test_what_is_filled_of_a_resting_order_can_be_left(as_alice: Caller, alice: User) -> None:
    bot = traded_bot(alice)
    resting_order(bot, status="partial", filled=Decimal("0.001"))
    assert as_alice.post(f"/bots/{bot.pk}/enter").body["reason"] == "order_unknown"
    assert as_alice.post(f"/bots/{bot.pk}/exit").status == 202


def test_a_position_that_a_stop_left_can_be_closed_later(as_alice: Caller, alice: User) -> None:
    bot = traded_bot(alice)
    path = f"/bots/{bot.pk}/stop"
    as_alice.post(path)
    assert as_alice.post(f"/bots/{bot.pk}/exit").body["reason"] == "not_running"
    assert as_alice.post(path, {"position": "close"}).body["duty"] == "exit"
    tick.run(bot.pk)
    state = as_alice.get(f"/bot-states/{bot.pk}").body
    assert (state["in_position"], state["position_side"], state["duty"]) == (False, "", "none")


def test_a_state_tells_the_side_and_who_watches_the_stop(as_alice: Caller, alice: User) -> None:
    bot = traded_bot(alice)
    values = {"protection": "failed", "protection_message": "-2021 would trigger immediately"}
    BotState.objects.filter(pk=bot.pk).update(
        position_side="short", liquidation_price=Decimal("71000.5"), **values
    )
    state = as_alice.get(f"/bot-states/{bot.pk}").body
    assert state["position_side"] == "short"
    assert (state["protection"], state["liquidation_price"]) == ("failed", "71000.5")
    assert state["protection_message"] == "-2021 would trigger immediately"
    assert Decimal(state["profit"]) == BotState.objects.get(pk=bot.pk).profit


def test_the_ledger_can_be_read_to_the_last_digit(as_alice: Caller, alice: User) -> None:
    bot = traded_bot(alice)
    orders = as_alice.get(f"/bots/{bot.pk}/orders").body
    assert orders["count"] == 3
    newest, order = orders["items"][0], Order.objects.filter(bot=bot).latest("pk")
    fill = Fill.objects.get(order=order)
    assert newest["client_order_id"] == order.client_order_id
    assert (newest["status"], newest["side"], newest["type"]) == ("filled", "buy", "market")
    assert Decimal(newest["filled"]) == order.filled == fill.amount
    assert (Decimal(newest["fee"]), newest["fee_currency"]) == (fill.fee, fill.fee_currency)
    assert newest["created_at"].endswith("Z")
    trades = as_alice.get(f"/bots/{bot.pk}/trades").body["items"]
    assert [row["client_order_id"] for row in trades] == [
        row["client_order_id"] for row in orders["items"]
    ]
    pnl = sum(Decimal(row["realized_pnl"]) for row in trades)
    day = as_alice.get(f"/bots/{bot.pk}/days").body["items"][0]
    state = as_alice.get(f"/bot-states/{bot.pk}").body
    assert pnl != 0
    assert pnl == Decimal(day["pnl"]) == Decimal(state["daily_pnl"])
    assert (day["trades"], state["daily_trades_count"]) == (2, 2)
    events = as_alice.get(f"/bots/{bot.pk}/events").body["items"]
    assert (events[-1]["move"], events[-1]["by"]) == ("start", "alice")


def test_fees_in_two_currencies_are_told_in_the_quote_currency(
    as_alice: Caller, alice: User
) -> None:
    bot = traded_bot(alice)
    fill = Fill.objects.filter(bot=bot).latest("pk")
    twin = {f.name: getattr(fill, f.name) for f in Fill._meta.concrete_fields if f.name != "id"}
    twin |= {"trade_id": "other", "fee": Decimal("0.001"), "fee_currency": "BNB"}
    Fill.objects.create(**twin | {"fee_quote": Decimal("0.6")})
    order = as_alice.get(f"/bots/{bot.pk}/orders").body["items"][0]
    assert (Decimal(order["fee"]), order["fee_currency"]) == (
        fill.fee_quote + Decimal("0.6"),
        "USDT",
    )


def test_an_error_is_explained(as_alice: Caller) -> None:
    values = PAPER | {"mode": "testnet", "exchange": "binance", "symbol": "BTC/USDT"}
    bot_id = as_alice.post("/bot-configs", values).body["id"]
    as_alice.post(f"/bots/{bot_id}/start")
    tick.run(bot_id)
    state = as_alice.get(f"/bot-states/{bot_id}").body
    assert state["text"] == "error (api key missing)"
    assert set(state["explanation"]) == {"what", "now", "todo"}
    assert all(state["explanation"].values())
    assert state["last_error_message"]
    assert (state["duty"], as_alice.get(f"/bot-configs/{bot_id}").body["is_active"]) == (
        "none",
        False,
    )


def test_a_state_holds_every_field_of_the_contract(as_alice: Caller, alice: User) -> None:
    bot = traded_bot(alice)
    promised = (
        "status reason duty in_position entry_price current_position_size stop_loss_price"
        " take_profit_price trailing_stop_price max_price_since_entry daily_pnl daily_trades_count"
        " counter_day day_ends_at last_run_at last_error_message last_updated_at version"
    )
    state = as_alice.get(f"/bot-states/{bot.pk}").body
    assert set(promised.split()) <= set(state)
    assert isinstance(state["entry_price"], str)
    assert not {"fence", "lease_until", "run_epoch"} & set(state)


def test_lists_come_in_parts(as_alice: Caller, alice: User) -> None:
    for number in range(5):
        control.create(alice, {"name": f"b{number}", "symbol": "X/Y", "position_size_perc": 1})
    part = as_alice.get("/bot-configs?limit=2&offset=1").body
    assert ([row["name"] for row in part["items"]], part["count"]) == (["b1", "b2"], 5)
    assert as_alice.get("/bot-configs?offset=9").body == {"items": [], "count": 5}


def test_no_list_is_sent_whole(
    as_alice: Caller, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bots.api.pages.MAX_LIMIT", 2)
    for number in range(3):
        control.create(alice, {"name": f"b{number}", "symbol": "X/Y", "position_size_perc": 1})
    body = as_alice.get("/bot-configs?limit=1000000").body
    assert (len(body["items"]), body["count"]) == (2, 3)


def test_long_lists_need_no_more_queries(as_alice: Caller, alice: User) -> None:
    bot = traded_bot(alice)

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            for name in ("orders", "trades", "events", "days"):
                as_alice.get(f"/bots/{bot.pk}/{name}")
            as_alice.get("/bot-configs")
            as_alice.get("/api-keys")
        return len(captured)

    make_key(alice, "first")
    queries()
    few = queries()
    for number in range(3):
        control.command(bot, "exit" if number % 2 == 0 else "enter", by=alice, via="page")
        tick.run(bot.pk)
        make_key(alice, f"key {number}")
        control.create(alice, {"name": f"b{number}", "symbol": "X/Y", "position_size_perc": 1})
    assert queries() == few


def test_a_failure_inside_says_nothing_of_itself(
    as_alice: Caller, bot: BotConfig, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("inner words")

    monkeypatch.setattr(control, "start", broken)
    answer = as_alice.post(f"/bots/{bot.pk}/start")
    assert answer.status == 500
    assert "inner words" not in json.dumps(answer.body)
    assert any(record.exc_info for record in caplog.records)


def test_an_order_row_cannot_be_written_from_outside(as_alice: Caller, bot: BotConfig) -> None:
    for path in (f"/bots/{bot.pk}/orders", f"/bots/{bot.pk}/trades", f"/bot-states/{bot.pk}"):
        for method in ("PUT", "PATCH", "DELETE"):
            assert as_alice.http.generic(method, f"/api/v1{path}").status_code == 405
    assert BotState.objects.count() == 0


def test_a_bot_in_position_is_not_deleted(as_alice: Caller, alice: User) -> None:
    bot = traded_bot(alice)
    answer = as_alice.delete(f"/bot-configs/{bot.pk}")
    assert (answer.status, answer.body["reason"]) == (409, "in_position")


def test_a_deleted_bot_is_gone_but_its_ledger_stays(as_alice: Caller, alice: User) -> None:
    bot = traded_bot(alice)
    as_alice.post(f"/bots/{bot.pk}/stop", {"position": "close"})
    tick.run(bot.pk)
    answer = as_alice.delete(f"/bot-configs/{bot.pk}")
    assert (answer.status, answer.body) == (204, None)
    for path in (f"/bot-configs/{bot.pk}", f"/bot-states/{bot.pk}", f"/bots/{bot.pk}/orders"):
        assert as_alice.get(path).status == 404
    assert as_alice.post(f"/bots/{bot.pk}/start").status == 404
    assert Order.objects.filter(bot=bot).count() == 4
    state = BotState.objects.get(pk=bot.pk)
    assert (state.status, state.reason) == (Status.STOPPED, Reason.BY_OWNER)


def test_a_comparison_is_asked_for_and_its_result_is_part_of_the_state(
    as_alice: Caller, alice: User, bot: BotConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    queued: list[tuple[object, ...]] = []
    monkeypatch.setattr(schedule, "send", lambda *args, **_: queued.append(args) or True)
    account = make_key(alice).account
    BotConfig.objects.filter(pk=bot.pk).update(
        exchange="binance", mode="testnet", account=account, symbol="BTC/USDT"
    )
    refused = as_alice.post(f"/bots/{bot.pk}/reconcile")
    assert (refused.status, refused.body["reason"]) == (409, "not_started")
    as_alice.post(f"/bots/{bot.pk}/start")
    assert as_alice.get(f"/bot-states/{bot.pk}").body["comparison"] is None
    queued.clear()
    for _ in range(2):
        answer = as_alice.post(f"/bots/{bot.pk}/reconcile")
        body = {"message": "Comparison asked for", "bot_config_id": bot.pk}
        assert (answer.status, answer.body) == (202, body)
    assert queued == [("bots.tasks.reconcile", bot.pk)]
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    sides = {"ours": Decimal("0.5"), "there": Decimal("0.4"), "text": "they differ", "ok": False}
    Comparison.objects.create(account=account, symbol="BTC/USDT", as_of=at, **sides)
    assert as_alice.get(f"/bot-states/{bot.pk}").body["comparison"] == {
        "as_of": "2026-01-02T03:04:05Z",
        "ok": False,
        "ours": "0.5",
        "there": "0.4",
        "text": "they differ",
    }


def test_a_paper_bot_has_nothing_to_be_compared_with(as_alice: Caller, bot: BotConfig) -> None:
    as_alice.post(f"/bots/{bot.pk}/start")
    answer = as_alice.post(f"/bots/{bot.pk}/reconcile")
    assert (answer.status, answer.body["reason"]) == (409, "paper_bot")
