"""What may be written down before it is sent, and what an order says of itself."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db.models import F

from bots import intents
from bots.models import Account, BotState, Order, Outpaced
from tests.engine.bench import Bench, D
from tests.engine.intended import BUY, SELL, SIGNED, STOP, TARGET, change, claim, flags, intend
from trading.ladder import Rung
from trading.market import OrderType, Side
from trading.risk import Gate


# -- what may be written ---------------------------------------------------------------------------
def test_an_intent_says_all_that_was_decided(flat: Bench) -> None:
    held = claim(flat)
    decision = replace(BUY, order_type=OrderType.LIMIT, limit=D("98.5"), gate=Gate.COMMAND)
    order = intend(flat, held, decision)
    order.refresh_from_db()
    assert (order.side, order.type, order.purpose) == ("buy", "limit", "entry")
    assert (order.reason, order.amount, order.price) == ("command", D(2), D("98.5"))
    assert (order.expected_price, order.trigger, order.reduce_only) == (D(100), None, False)
    assert order.signed_at == datetime.fromtimestamp(SIGNED // 1000, UTC) + timedelta(
        milliseconds=123
    )
    assert order.request.signed_at == SIGNED
    assert (order.created_at, order.status, order.pair) == (held.started, "sent", "")
    assert (order.fence, order.run_epoch) == (held.state.fence, held.epoch)
    assert held.state.has_unsettled_orders
    # 5 USDT at least, at 100.
    assert order.dust == D("0.05")


def test_an_intent_to_leave_says_so(holding: Bench) -> None:
    held = claim(holding)
    order = intend(holding, held, replace(SELL, reduce_only=True))
    assert (order.purpose, order.side, order.reduce_only) == ("exit", "sell", True)
    assert order.dust == D("0.05")
    assert flags(holding) == (True, False)


@pytest.mark.parametrize("missing", ["side", "amount", "price"])
def test_a_decision_without_an_order_writes_none(flat: Bench, missing: str) -> None:
    held = claim(flat)
    with pytest.raises(ValueError, match="signal"):
        intend(flat, held, replace(BUY, **{missing: None}))  # type: ignore[arg-type]
    assert not Order.objects.exists()


LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
#: What others may have done to the row between a tick's look and its order.
TAKEN: list[dict[str, Any]] = [
    {"run_epoch": F("run_epoch") + 1},
    {"fence": F("fence") + 1},
    {"lease_until": LONG_AGO},
    {"has_unsettled_orders": True},
    {"has_protection": True},
]


@pytest.mark.parametrize(
    "meanwhile",
    [
        *TAKEN,
        {"duty": "exit", "status": "stopped", "reason": "by_owner"},
        {"in_position": True, "position_side": "long", "entry_price": D(1)},
        {"counter_day": LONG_AGO.date()},
        {"daily_trades_count": 1},
    ],
    ids=lambda one: next(iter(one)),
)
def test_an_entry_that_comes_too_late_is_not_written(
    flat: Bench, meanwhile: dict[str, Any]
) -> None:
    held = claim(flat)
    change(flat, **meanwhile)
    with pytest.raises(Outpaced):
        intend(flat, held)
    assert not Order.objects.exists()


@pytest.mark.parametrize(
    "meanwhile",
    [*TAKEN, {"in_position": False, "position_side": ""}],
    ids=lambda one: next(iter(one)),
)
@pytest.mark.parametrize("protects", [True, False])
def test_no_order_leaves_a_position_that_another_has_dealt_with(
    holding: Bench, meanwhile: dict[str, Any], protects: bool
) -> None:
    held = claim(holding)
    change(holding, **meanwhile)
    write: dict[bool, Callable[[], object]] = {
        True: lambda: intents.write_protection(
            held, [STOP], holding.market.market, signed_at=SIGNED
        ),
        False: lambda: intend(holding, held, SELL),
    }
    with pytest.raises(Outpaced):
        write[protects]()
    assert Order.objects.count() == 1


TAKEN_FROM_RUNGS = [one for one in TAKEN if "has_protection" not in one]


@pytest.mark.parametrize(
    ("side", "meanwhile"),
    [
        *[(side, one) for side in Side for one in TAKEN_FROM_RUNGS],
        (Side.BUY, {"duty": "exit", "status": "stopped", "reason": "by_owner"}),
        (Side.BUY, {"counter_day": LONG_AGO.date()}),
        (Side.SELL, {"has_protection": True}),
        (Side.SELL, {"in_position": False, "position_side": ""}),
    ],
    ids=str,
)
def test_a_rung_that_comes_too_late_is_not_written(
    holding: Bench, side: Side, meanwhile: dict[str, Any]
) -> None:
    held, before = claim(holding), Order.objects.count()
    change(holding, **meanwhile)
    rung = Rung(level=1, side=side, price=D(90), amount=D(1))
    with pytest.raises(Outpaced):
        intents.write_rung(held, rung, holding.market.market, signed_at=SIGNED)
    assert Order.objects.count() == before


@pytest.mark.parametrize(
    "meanwhile",
    [
        {"duty": "exit", "status": "stopped", "reason": "by_owner", "wind_down": "close"},
        {"counter_day": LONG_AGO.date()},
        {"daily_trades_count": 7},
    ],
    ids=lambda one: next(iter(one)),
)
def test_a_position_may_be_left_whatever_the_day_and_the_duty(
    holding: Bench, meanwhile: dict[str, Any]
) -> None:
    held = claim(holding)
    change(holding, **meanwhile)
    intend(holding, held, SELL)
    assert flags(holding) == (True, False)


def test_a_bot_without_duty_leaves_its_position_alone(holding: Bench) -> None:
    held = claim(holding)
    change(holding, duty="none", status="stopped", reason="by_owner")
    with pytest.raises(Outpaced):
        intend(holding, held, SELL)


def test_the_limits_of_an_account_hold_entries_back_and_no_exit(
    flat: Bench, holding: Bench
) -> None:
    Account.objects.update(max_daily_loss=D(1))
    BotState.objects.update(daily_pnl=D(-5))
    with pytest.raises(Outpaced, match="daily loss"):
        intend(flat, claim(flat))
    intend(holding, claim(holding), SELL)
    assert (flags(flat), flags(holding)) == ((False, False), (True, False))


def test_an_order_ends_the_command_that_asked_for_it(flat: Bench) -> None:
    command = flat.command("enter")
    held = claim(flat)
    order = intend(flat, held, command=command)
    command.refresh_from_db()
    assert (command.status, command.order, command.ended_at) == ("done", order, held.started)


# -- protection ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("symbol", "count", "shares_name"),
    [
        ("BTC/USDT", 2, True),
        ("BTC/USDT", 1, False),
        ("BTC/USDT:USDT", 2, False),
        ("BTC/USDT:USDT", 1, False),
    ],
)
def test_a_pair_of_spot_shares_a_name(
    holding: Bench, symbol: str, count: int, shares_name: bool
) -> None:
    held = claim(holding)
    rules = replace(holding.market.market, symbol=symbol)
    written = intents.write_protection(held, [STOP, TARGET][:count], rules, signed_at=SIGNED)
    assert holding.orders[1:] == written
    name = written[0].client_order_id if shares_name else ""
    assert [order.pair for order in written] == [name] * count
    assert {order.reduce_only for order in written} == {":" in symbol}
    assert flags(holding) == (True, True)
    assert (held.state.has_unsettled_orders, held.state.has_protection) == (True, True)


def test_a_protective_order_says_what_it_stands_for(holding: Bench) -> None:
    held = claim(holding)
    rules = holding.market.market
    _stop, order = intents.write_protection(held, [STOP, TARGET], rules, signed_at=SIGNED)
    assert (order.side, order.type, order.purpose) == ("sell", "target", "protect")
    assert (order.reason, order.amount, order.price) == ("take_profit", D(2), None)
    assert (order.trigger, order.expected_price) == (D(110), D(110))
    assert order.dust == D("0.045454545454545455")  # 5 USDT at 110
    assert order.request.signed_at == SIGNED
