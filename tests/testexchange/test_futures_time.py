"""What time and the moving price bring about on the USDT-M side: stops, funding, liquidation."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import ccxt
import pytest

from tests.testexchange import ExchangeControl
from tests.testexchange.clients import NOON, PERP, FuturesTrader

MINUTE = 60_000
HOUR = 60 * MINUTE


def algo(bob: FuturesTrader, client_id: str) -> Any:
    return bob.fetch(client_id, trigger=True)


# Algo orders


@pytest.mark.parametrize(
    ("opens", "closes", "params", "at"),
    [
        ("buy", "sell", {"stopLossPrice": 19000}, 18990),
        ("buy", "sell", {"takeProfitPrice": 21000}, 21010),
        ("sell", "buy", {"stopLossPrice": 21000}, 21010),
        ("sell", "buy", {"triggerPrice": 21000}, 21000),
        ("sell", "buy", {"takeProfitPrice": 19000}, 18990),
    ],
)
def test_an_algo_order_becomes_an_order_at_its_price(
    bob: FuturesTrader,
    control: ExchangeControl,
    opens: str,
    closes: str,
    params: dict[str, Any],
    at: int,
) -> None:
    bob.order(opens, 0.1, "o-1")
    placed = bob.stop(closes, 0.1, "a-1", **params)
    assert (placed["status"], placed["clientOrderId"]) == ("open", "a-1")
    assert placed["triggerPrice"] == next(iter(params.values()))
    assert bob.ccxt.fetch_open_orders(PERP) == []
    waiting = bob.ccxt.fetch_open_orders(PERP, params={"trigger": True})
    assert [o["clientOrderId"] for o in waiting] == ["a-1"]
    with pytest.raises(ccxt.OrderNotFound):
        bob.fetch("a-1")
    control.set_price("BTCUSDT", at)
    done = algo(bob, "a-1")
    assert (done["status"], done["info"]["algoStatus"]) == ("closed", "FINISHED")
    assert (done["info"]["actualQty"], D(done["info"]["actualPrice"])) == ("0.10000000", D(at))
    order = bob.ccxt.fetch_order(done["info"]["actualOrderId"], PERP)
    assert (order["status"], order["average"], order["reduceOnly"]) == ("closed", at, True)
    assert bob.position() is None


def test_an_algo_order_is_cancelled_by_its_client_id(bob: FuturesTrader) -> None:
    bob.order("buy", 0.1, "o-1")
    bob.stop("sell", 0.1, "a-1", stopLossPrice=19000)
    bob.stop("sell", 0.1, "a-2", takeProfitPrice=21000)
    with pytest.raises(ccxt.BaseError, match="-4116"):
        bob.stop("sell", 0.1, "a-1", stopLossPrice=18000)
    named = {"trigger": True, "clientOrderId": "a-1"}
    answer = bob.ccxt.cancel_order(None, PERP, named)
    assert (answer["info"]["code"], answer["clientOrderId"]) == ("200", "a-1")
    assert algo(bob, "a-1")["status"] == "canceled"
    with pytest.raises(ccxt.OrderNotFound, match="-2011"):
        bob.ccxt.cancel_order(None, PERP, named)
    bob.ccxt.cancel_all_orders(PERP, {"trigger": True})
    assert algo(bob, "a-2")["status"] == "canceled"
    listed = bob.ccxt.fetch_orders(PERP, params={"trigger": True})
    assert [o["clientOrderId"] for o in listed] == ["a-1", "a-2"]


def test_a_stop_left_behind_is_rejected_when_it_is_triggered(
    bob: FuturesTrader, control: ExchangeControl
) -> None:
    bob.order("buy", 0.1, "o-1")
    bob.stop("sell", 0.1, "a-1", stopLossPrice=19000)
    bob.order("sell", 0.1, "o-2", reduceOnly=True)
    assert algo(bob, "a-1")["status"] == "open"
    control.set_price("BTCUSDT", 18000)
    assert algo(bob, "a-1")["status"] == "rejected"
    assert bob.position() is None
    assert [o["clientOrderId"] for o in bob.truth()["orders"]] == ["o-1", "o-2"]


def test_close_position_takes_whatever_is_there(
    bob: FuturesTrader, control: ExchangeControl
) -> None:
    bob.order("buy", 0.1, "o-1")
    bob.ccxt.create_order(
        PERP, "market", "sell", None, None, {"stopLossPrice": 19000, "closePosition": True}
    )
    bob.order("buy", 0.2, "o-2")
    control.set_price("BTCUSDT", 18900)
    assert bob.position() is None
    assert D(bob.truth()["trades"][-1]["qty"]) == D("0.3")


def test_a_stop_limit_rests_beyond_its_limit_and_a_mark_stop_ignores_the_last_price(
    bob: FuturesTrader, control: ExchangeControl
) -> None:
    bob.order("buy", 0.2, "o-1")
    params = {"stopLossPrice": 19000, "clientAlgoId": "a-1", "reduceOnly": True}
    bob.ccxt.create_order(PERP, "limit", "sell", 0.1, 18950, params)
    bob.stop("sell", 0.1, "a-2", stopLossPrice=19000, workingType="MARK_PRICE")
    control.set_mark("BTCUSDT", 20000)
    control.set_price("BTCUSDT", 18900)
    assert algo(bob, "a-1")["info"]["algoStatus"] == "TRIGGERED"
    assert algo(bob, "a-2")["status"] == "open"
    assert [o["price"] for o in bob.ccxt.fetch_open_orders(PERP)] == [18950]
    control.set_price("BTCUSDT", 18960)
    assert algo(bob, "a-1")["info"]["algoStatus"] == "FINISHED"
    control.set_mark("BTCUSDT", 19000)
    assert algo(bob, "a-2")["status"] == "closed"


def test_an_algo_order_at_once_is_refused(bob: FuturesTrader) -> None:
    bob.order("buy", 0.1, "o-1")
    with pytest.raises(ccxt.BaseError, match="-2021"):
        bob.stop("sell", 0.1, "a-1", stopLossPrice=20000)
    with pytest.raises(ccxt.OrderNotFound):
        algo(bob, "a-1")


# Funding


def test_funding_is_paid_at_full_hours_of_the_exchange_clock(
    bob: FuturesTrader, control: ExchangeControl
) -> None:
    bob.order("buy", 0.1, "o-1")
    control.set_price("BTCUSDT", 21000)
    control.advance(4 * HOUR - 1)
    assert bob.ccxt.fetch_funding_history(PERP) == []
    control.advance(1)
    [paid] = bob.ccxt.fetch_funding_history(PERP)
    assert (paid["amount"], paid["timestamp"]) == (-0.21, NOON + 4 * HOUR)
    control.set_funding_rate("BTCUSDT", "-0.0002")
    control.advance(16 * HOUR)
    history = bob.ccxt.fetch_funding_history(PERP)
    assert [entry["amount"] for entry in history] == [-0.21, 0.42, 0.42]
    assert len({entry["id"] for entry in history}) == 3
    assert bob.wallet() == D(10000) - 1 + D("0.63")
    control.set_funding_rate("BTCUSDT", "0.0001")
    since = bob.ccxt.fetch_funding_history(PERP, NOON + 5 * HOUR)
    assert len(since) == 2


# Liquidation


@pytest.mark.parametrize(
    ("side", "beyond", "forced"), [("buy", D(-5), "SELL"), ("sell", D(5), "BUY")]
)
def test_a_position_is_closed_by_force_where_its_margin_ends(
    bob: FuturesTrader, control: ExchangeControl, side: str, beyond: D, forced: str
) -> None:
    bob.order(side, 0.1, "o-1")
    bob.order("buy", 0.1, "l-1", 17000)
    limit = D(str(bob.position()["liquidationPrice"]))
    sign = 1 if side == "sell" else -1
    assert limit == pytest.approx(D((20000 + sign * 2000) / (1 + sign * 0.004)), abs=D("0.01"))
    tick = D("0.1")
    near = limit // tick * tick - beyond
    control.set_price("BTCUSDT", near)
    assert bob.position() is not None
    control.set_price("BTCUSDT", near + 2 * beyond)
    assert bob.position() is None
    order = bob.truth()["orders"][-1]
    assert order["clientOrderId"].startswith("autoclose-")
    assert (order["side"], order["status"], order["reduceOnly"]) == (forced, "FILLED", True)
    assert bob.fetch("l-1")["status"] == "canceled"
    [trade] = [t for t in bob.ccxt.fetch_my_trades(PERP) if t["order"] == str(order["orderId"])]
    assert float(trade["info"]["realizedPnl"]) < -150
    [charge] = bob.income("INSURANCE_CLEAR")
    # All of the margin of 200 is gone, in loss, commission and liquidation fee, and no more.
    assert charge < 0
    assert bob.wallet() == D(10000) - 1 - 200
    assert len(bob.ccxt.fapiprivate_get_forceorders({"symbol": "BTCUSDT"})) == 1


def test_a_gap_beyond_bankruptcy_costs_no_more_than_the_margin(
    bob: FuturesTrader, control: ExchangeControl
) -> None:
    bob.order("buy", 0.1, "o-1")
    control.set_price("BTCUSDT", 15000)
    assert bob.position() is None
    assert bob.wallet() == D(10000) - 1 - 200
    assert D(bob.truth()["trades"][-1]["price"]) == 18000


def test_a_stop_on_the_way_comes_before_the_liquidation(
    bob: FuturesTrader, control: ExchangeControl
) -> None:
    bob.order("buy", 0.1, "o-1")
    bob.stop("sell", 0.1, "a-1", stopLossPrice=19000)
    control.set_price("BTCUSDT", 18100)
    assert bob.income("INSURANCE_CLEAR") == []
    assert algo(bob, "a-1")["status"] == "closed"
    assert bob.wallet() == D(10000) - 1 - 190 - D("0.905")


def test_a_position_that_a_stop_has_turned_is_not_liquidated_for_the_old_one(
    bob: FuturesTrader, control: ExchangeControl
) -> None:
    bob.order("buy", 0.1, "o-1")
    bob.stop("sell", 0.2, "a-1", stopLossPrice=19000, reduceOnly=False)
    control.set_price("BTCUSDT", 18000)
    position = bob.position()
    assert (position["side"], position["contracts"], position["entryPrice"]) == (
        "short",
        0.1,
        18000,
    )
    assert [o["clientOrderId"] for o in bob.truth()["orders"]] == ["o-1", "a-1"]


def test_candles_bring_stops_liquidations_and_funding_in_their_order(
    bob: FuturesTrader, control: ExchangeControl
) -> None:
    control.clear_price("BTCUSDT")
    bob.ccxt.set_leverage(125, PERP)
    bob.order("buy", 0.1, "o-1")
    control.advance(3 * 24 * HOUR)
    truth = bob.truth()
    [forced] = [t for t in truth["trades"] if t["clientOrderId"].startswith("autoclose-")]
    assert NOON < forced["time"] < NOON + 3 * 24 * HOUR
    funded = [r["time"] for r in truth["income"][bob.name] if r["incomeType"] == "FUNDING_FEE"]
    assert all(time <= forced["time"] for time in funded)
    assert len(funded) == (forced["time"] - 1) // (8 * HOUR) - NOON // (8 * HOUR)
    total = sum(D(record["income"]) for record in truth["income"][bob.name])
    assert total == bob.wallet()
