"""Conditional orders, OCO lists and partial fills of the spot side, as the real ccxt sees them."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import ccxt
import pytest

from tests.testexchange import ControlError, ExchangeControl
from tests.testexchange.clients import NOON, SYMBOL, Trader

MINUTE = 60_000


@pytest.fixture
def owner(alice: Trader, control: ExchangeControl) -> Trader:
    """Alice with 1 BTC beside her USDT."""
    control.set_balance(alice.name, "BTC", 1)
    return alice


def conditional(
    trader: Trader, kind: str, side: str, client_id: str, price: float | None, **params: Any
) -> Any:
    given = {"newClientOrderId": client_id, **params}
    return trader.ccxt.create_order(SYMBOL, kind, side, 0.1, price, given)


TRIGGERS: dict[str, tuple[str, str, dict[str, Any], list[tuple[int, str]]]] = {
    # type, side, parameters, (price, status afterwards) in order
    "STOP_LOSS": ("market", "sell", {"stopLossPrice": 19000}, [(19001, "open"), (18950, "closed")]),
    "TAKE_PROFIT": (
        "market",
        "sell",
        {"takeProfitPrice": 21000},
        [(20999, "open"), (21050, "closed")],
    ),
    "STOP_LOSS buy": (
        "market",
        "buy",
        {"stopLossPrice": 21000},
        [(20999, "open"), (21000, "closed")],
    ),
    "TAKE_PROFIT buy": (
        "market",
        "buy",
        {"takeProfitPrice": 19000},
        [(19001, "open"), (18990, "closed")],
    ),
    "triggerPrice": ("market", "sell", {"triggerPrice": 19000}, [(18999, "closed")]),
}


@pytest.mark.parametrize("name", TRIGGERS)
def test_a_stop_sleeps_until_its_price_and_then_takes_the_market(
    owner: Trader, control: ExchangeControl, name: str
) -> None:
    kind, side, params, prices = TRIGGERS[name]
    placed = conditional(owner, kind, side, "s-1", None, **params)
    assert (placed["status"], placed["filled"]) == ("open", 0)
    trigger = next(iter(params.values()))
    assert placed["triggerPrice"] == trigger
    assert owner.order("s-1")["info"]["isWorking"] is False
    for price, status in prices:
        control.set_price("BTCUSDT", price)
        assert owner.order("s-1")["status"] == status
    [trade] = owner.true_trades()
    assert (D(trade["price"]), trade["isMaker"]) == (D(prices[-1][0]), False)
    assert owner.order("s-1")["info"]["isWorking"] is True
    assert all(balance["locked"] == 0 for balance in owner.wallet().values())


def test_a_stop_locks_what_it_would_sell_or_pay(owner: Trader) -> None:
    conditional(owner, "market", "sell", "s-1", None, stopLossPrice=19000)
    conditional(owner, "limit", "buy", "s-2", 21100, stopLossPrice=21000)
    wallet = owner.wallet()
    assert wallet["BTC"] == {"free": D("0.9"), "locked": D("0.1")}
    assert wallet["USDT"] == {"free": D(7890), "locked": D(2110)}
    canceled = owner.ccxt.cancel_order(None, SYMBOL, {"clientOrderId": "s-2"})
    assert canceled["status"] == "canceled"
    assert owner.wallet()["USDT"] == {"free": D(10000), "locked": D(0)}


def test_a_stop_limit_that_the_price_jumps_over_rests_at_its_limit(
    owner: Trader, control: ExchangeControl
) -> None:
    conditional(owner, "limit", "sell", "s-1", 18900, stopLossPrice=19000)
    control.set_price("BTCUSDT", 18500)
    resting = owner.order("s-1")
    assert (resting["status"], resting["info"]["isWorking"]) == ("open", True)
    control.set_price("BTCUSDT", 18910)
    done = owner.order("s-1")
    assert (done["status"], done["average"]) == ("closed", 18900)
    conditional(owner, "limit", "sell", "s-2", 18000, stopLossPrice=18500)
    control.set_price("BTCUSDT", 18490)
    assert owner.order("s-2")["average"] == 18490


def test_a_stop_fills_at_the_ms_at_which_the_candles_reach_it(
    owner: Trader, control: ExchangeControl
) -> None:
    control.clear_price("BTCUSDT")
    stop = control.price("BTCUSDT") - 20
    conditional(owner, "market", "sell", "s-1", None, stopLossPrice=float(stop))
    control.advance(24 * 60 * MINUTE)
    [trade] = owner.true_trades()
    assert NOON < trade["time"] < NOON + 24 * 60 * MINUTE
    control.set_time(trade["time"])
    assert control.price("BTCUSDT") == D(trade["price"]) <= stop
    control.set_time(trade["time"] - 1)
    assert control.price("BTCUSDT") > stop


def test_a_stop_beyond_the_price_or_the_funds_is_refused(owner: Trader) -> None:
    with pytest.raises(ccxt.InvalidOrder, match="would trigger immediately"):
        conditional(owner, "market", "sell", "s-1", None, stopLossPrice=20000)
    with pytest.raises(ccxt.InvalidOrder, match="would trigger immediately"):
        conditional(owner, "market", "buy", "s-1", None, takeProfitPrice=20000)
    with pytest.raises(ccxt.InsufficientFunds):
        owner.ccxt.create_order(SYMBOL, "market", "sell", 1.1, None, {"stopLossPrice": 19000})
    with pytest.raises(ccxt.InvalidOrder, match="PRICE_FILTER"):
        owner.ccxt.private_post_order(
            {"symbol": "BTCUSDT", "side": "SELL", "type": "STOP_LOSS", "quantity": "0.1"}
            | {"stopPrice": "19000.001"}
        )
    assert owner.true_orders() == []


def test_a_triggered_buy_without_enough_money_expires(
    alice: Trader, control: ExchangeControl
) -> None:
    alice.ccxt.create_order(
        SYMBOL, "market", "buy", 0.47, None, {"stopLossPrice": 21000, "newClientOrderId": "s-1"}
    )
    control.set_price("BTCUSDT", 22000)
    done = alice.order("s-1")
    assert (done["status"], done["filled"]) == ("expired", 0)
    assert alice.wallet()["USDT"] == {"free": D(10000), "locked": D(0)}


# OCO


def oco(trader: Trader, **changes: Any) -> Any:
    form = {
        "symbol": "BTCUSDT",
        "side": "SELL",
        "quantity": "0.1",
        "aboveType": "LIMIT_MAKER",
        "abovePrice": "21000",
        "aboveClientOrderId": "up",
        "belowType": "STOP_LOSS",
        "belowStopPrice": "19000",
        "belowClientOrderId": "down",
        "listClientOrderId": "both",
    }
    given = {name: value for name, value in (form | changes).items() if value is not None}
    return trader.ccxt.private_post_orderlist_oco(given)


def statuses(trader: Trader) -> dict[str, str]:
    return {order["clientOrderId"]: order["status"] for order in trader.true_orders()}


def test_an_oco_locks_once_and_shows_both_legs(owner: Trader) -> None:
    placed = oco(owner)
    assert [leg["clientOrderId"] for leg in placed["orders"]] == ["up", "down"]
    assert [leg["status"] for leg in placed["orderReports"]] == ["NEW", "NEW"]
    assert placed["listOrderStatus"] == "EXECUTING"
    assert owner.wallet()["BTC"] == {"free": D("0.9"), "locked": D("0.1")}
    legs = owner.ccxt.fetch_open_orders(SYMBOL)
    assert {leg["info"]["orderListId"] for leg in legs} == {placed["orderListId"]}
    shown = owner.ccxt.private_get_orderlist({"origClientOrderId": "both"})
    assert shown["orderListId"] == placed["orderListId"]
    assert len(owner.ccxt.private_get_openorderlist()) == 1


@pytest.mark.parametrize(("price", "filled", "at"), [(21500, "up", 21000), (18500, "down", 18500)])
def test_one_leg_of_an_oco_ends_the_other(
    owner: Trader, control: ExchangeControl, price: int, filled: str, at: int
) -> None:
    oco(owner)
    control.set_price("BTCUSDT", price)
    other = "down" if filled == "up" else "up"
    assert statuses(owner) == {filled: "FILLED", other: "EXPIRED"}
    [trade] = owner.true_trades()
    assert (D(trade["price"]), trade["clientOrderId"]) == (D(at), filled)
    assert owner.wallet()["BTC"] == {"free": D("0.9"), "locked": D(0)}
    assert owner.ccxt.private_get_orderlist({"origClientOrderId": "both"})["listOrderStatus"] == (
        "ALL_DONE"
    )


def test_a_part_of_one_leg_already_ends_the_other(owner: Trader, control: ExchangeControl) -> None:
    oco(owner)
    control.fill_order("up", "0.04")
    assert statuses(owner) == {"up": "PARTIALLY_FILLED", "down": "EXPIRED"}
    assert owner.wallet()["BTC"] == {"free": D("0.9"), "locked": D("0.06")}


@pytest.mark.parametrize("way", ["leg", "list", "all"])
def test_cancelling_any_part_of_an_oco_cancels_it_all(owner: Trader, way: str) -> None:
    placed = oco(owner)
    if way == "leg":
        owner.ccxt.cancel_order(None, SYMBOL, {"clientOrderId": "down"})
    elif way == "list":
        form = {"symbol": "BTCUSDT", "orderListId": placed["orderListId"]}
        answer = owner.ccxt.private_delete_orderlist(form)
        assert answer["listOrderStatus"] == "ALL_DONE"
    else:
        assert len(owner.ccxt.cancel_all_orders(SYMBOL)) == 1
    assert statuses(owner) == {"up": "CANCELED", "down": "CANCELED"}
    assert owner.wallet()["BTC"] == {"free": D(1), "locked": D(0)}
    with pytest.raises(ccxt.OrderNotFound, match="-2011"):
        owner.ccxt.private_delete_orderlist({"symbol": "BTCUSDT", "listClientOrderId": "both"})


def test_an_oco_to_buy_locks_for_its_dearer_leg(owner: Trader, control: ExchangeControl) -> None:
    oco(
        owner,
        side="BUY",
        aboveType="STOP_LOSS_LIMIT",
        aboveStopPrice="21000",
        abovePrice="21100",
        aboveTimeInForce="GTC",
        belowType="LIMIT_MAKER",
        belowPrice="19000",
        belowStopPrice=None,
    )
    assert owner.wallet()["USDT"] == {"free": D(7890), "locked": D(2110)}
    control.set_price("BTCUSDT", 18900)
    assert statuses(owner) == {"up": "EXPIRED", "down": "FILLED"}
    assert owner.wallet()["USDT"] == {"free": D(8100), "locked": D(0)}


def test_the_cheaper_leg_locks_its_own_need_once_it_stands_alone(
    owner: Trader, control: ExchangeControl
) -> None:
    oco(
        owner,
        side="BUY",
        aboveType="STOP_LOSS",
        aboveStopPrice="21000",
        abovePrice=None,
        belowType="LIMIT_MAKER",
        belowPrice="19000",
        belowStopPrice=None,
    )
    assert owner.wallet()["USDT"]["locked"] == 2100
    control.fill_order("down", "0.04")
    assert owner.wallet()["USDT"] == {"free": D(8100), "locked": D(1140)}


def test_candles_that_pass_both_legs_fill_only_the_first(
    owner: Trader, control: ExchangeControl
) -> None:
    control.clear_price("BTCUSDT")
    price = control.price("BTCUSDT")
    for number, distance in enumerate((5, 20, 50)):
        names = {"listClientOrderId": f"both-{number}"}
        names |= {"aboveClientOrderId": f"up-{number}", "belowClientOrderId": f"down-{number}"}
        oco(owner, abovePrice=str(price + distance), belowStopPrice=str(price - distance), **names)
    control.advance(3 * 24 * 60 * MINUTE)
    assert sorted(statuses(owner).values()) == ["EXPIRED"] * 3 + ["FILLED"] * 3
    assert sum(D(trade["qty"]) for trade in owner.true_trades()) == D("0.3")
    assert owner.wallet()["BTC"] == {"free": D("0.7"), "locked": D(0)}


def test_an_oco_with_its_legs_on_the_wrong_sides_is_refused(owner: Trader) -> None:
    with pytest.raises(ccxt.InvalidOrder, match="relationship of the prices"):
        oco(owner, abovePrice="19500")
    with pytest.raises(ccxt.InvalidOrder, match="relationship of the prices"):
        oco(owner, belowStopPrice="20500")
    with pytest.raises(ccxt.BaseError, match="-1116"):
        oco(owner, aboveType="STOP_LOSS")
    with pytest.raises(ccxt.BaseError, match="-1102"):
        oco(owner, belowStopPrice=None)
    with pytest.raises(ccxt.InsufficientFunds):
        oco(owner, quantity="1.1")
    oco(owner)
    with pytest.raises(ccxt.InvalidOrder, match="Duplicate order sent"):
        oco(owner, quantity="0.2")
    assert len(owner.true_orders()) == 2


def test_all_orders_start_at_a_time_or_an_id(owner: Trader, control: ExchangeControl) -> None:
    first = owner.limit("buy", 0.1, 19000, "l-1")
    control.advance(MINUTE)
    owner.limit("buy", 0.1, 19000, "l-2")
    shown = owner.ccxt.fetch_orders(SYMBOL, NOON + 1)
    assert [order["clientOrderId"] for order in shown] == ["l-2"]
    shown = owner.ccxt.fetch_orders(SYMBOL, None, None, {"orderId": first["id"]})
    assert [order["clientOrderId"] for order in shown] == ["l-1", "l-2"]
    owner.ccxt.cancel_all_orders(SYMBOL)
    assert set(statuses(owner).values()) == {"CANCELED"}
    with pytest.raises(ccxt.OrderNotFound):
        owner.ccxt.cancel_all_orders(SYMBOL)


# Partial fills


def test_the_rest_of_a_partial_fill_follows_the_price_once_it_moves(
    alice: Trader, control: ExchangeControl
) -> None:
    control.set_fill_plan("BTCUSDT", [{"part": "0.3"}], rest="price")
    assert alice.limit("buy", 0.1, 20010, "l-1")["filled"] == 0.03
    assert alice.order("l-1")["status"] == "open"
    control.set_price("BTCUSDT", 20020)
    assert alice.order("l-1")["filled"] == 0.03
    control.set_price("BTCUSDT", 20000)
    assert alice.order("l-1")["status"] == "closed"


def test_a_held_rest_waits_until_it_is_released(alice: Trader, control: ExchangeControl) -> None:
    control.set_fill_plan("BTCUSDT", [{"part": "0.3"}])
    alice.limit("buy", 0.1, 20010, "l-1")
    control.set_price("BTCUSDT", 19990)
    assert alice.order("l-1")["filled"] == 0.03
    control.release_order("l-1")
    assert alice.order("l-1")["status"] == "closed"


def test_a_fill_may_be_reported_after_the_cancel(alice: Trader, control: ExchangeControl) -> None:
    order = alice.limit("buy", 0.1, 19000, "l-1")
    canceled = alice.ccxt.cancel_order(order["id"], SYMBOL)
    assert canceled["filled"] == 0
    with pytest.raises(ControlError):
        control.fill_order("l-1", "0.04")
    control.advance(MINUTE)
    control.fill_order("l-1", "0.04", late=True)
    late = alice.order("l-1")
    assert (late["status"], late["filled"]) == ("canceled", 0.04)
    [trade] = alice.ccxt.fetch_my_trades(SYMBOL)
    assert (trade["timestamp"], trade["amount"]) == (NOON, 0.04)
    assert alice.wallet()["USDT"] == {"free": D(9240), "locked": D(0)}
