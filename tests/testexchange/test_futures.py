"""The USDT-M side as the real ccxt sees it: positions, margins, orders, refusals, transfers."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import ccxt
import pytest

from tests.testexchange import ControlError, ExchangeControl, TestExchange
from tests.testexchange.clients import NOON, PERP, FuturesTrader, Trader

MINUTE = 60_000


# Market data


def test_contracts_follow_the_spot_price_unless_they_have_their_own(
    bob: FuturesTrader, control: ExchangeControl
) -> None:
    market = bob.ccxt.market(PERP)
    assert (market["swap"], market["linear"], market["contractSize"]) == (True, True, 1)
    assert (market["precision"]["amount"], market["precision"]["price"]) == (0.001, 0.1)
    assert market["limits"]["cost"]["min"] == 5
    control.set_price("BTCUSDT", "20100.57")
    assert bob.ccxt.fetch_ticker(PERP)["last"] == 20100.5
    assert bob.ccxt.fetch_ohlcv(PERP, "1m", limit=2)[-1][4] == 20100.5
    control.set_price("BTCUSDT", "20200", futures=True)
    assert bob.ccxt.fetch_ticker(PERP)["last"] == 20200
    assert control.price("BTCUSDT") == D("20100.57")
    control.set_mark("BTCUSDT", "20150")
    rate = bob.ccxt.fetch_funding_rate(PERP)
    assert (rate["markPrice"], rate["fundingRate"]) == (20150, 0.0001)
    assert rate["fundingTimestamp"] == NOON + 4 * 60 * MINUTE
    assert bob.ccxt.fetch_bids_asks([PERP])[PERP]["ask"] == 20200


# Settings


def test_margin_mode_and_position_mode_say_when_nothing_changes(bob: FuturesTrader) -> None:
    with pytest.raises(ccxt.MarginModeAlreadySet, match="-4046"):
        bob.ccxt.set_margin_mode("isolated", PERP)
    with pytest.raises(ccxt.BaseError, match="-4059"):
        bob.ccxt.set_position_mode(False, PERP)
    bob.order("buy", 0.1, "o-1")
    with pytest.raises(ccxt.BaseError, match="-4048"):
        bob.ccxt.set_margin_mode("cross", PERP)
    with pytest.raises(ccxt.BaseError, match="-4068"):
        bob.ccxt.set_position_mode(True, PERP)
    with pytest.raises(ccxt.BaseError, match="-4161"):
        bob.ccxt.set_leverage(5, PERP)
    with pytest.raises(ccxt.BadRequest):
        bob.ccxt.set_leverage(126, PERP)
    assert bob.ccxt.set_leverage(20, PERP)["leverage"] == 20
    assert bob.ccxt.fetch_leverage(PERP)["longLeverage"] == 20
    assert bob.ccxt.fetch_margin_mode(PERP)["marginMode"] == "isolated"
    bob.order("sell", 0.1, "o-2", reduceOnly=True)
    bob.ccxt.set_position_mode(True, PERP)
    with pytest.raises(ccxt.BaseError, match="-4061"):
        bob.order("buy", 0.1, "o-3")


def test_a_key_without_the_right_to_futures_is_refused(
    server: TestExchange, bob: FuturesTrader, control: ExchangeControl, alice: Trader
) -> None:
    control.set_permissions(bob.key, enableFutures=False, permitsUniversalTransfer=False)
    with pytest.raises(ccxt.BaseError, match="-2015"):
        bob.order("buy", 0.1, "o-1")
    with pytest.raises(ccxt.BaseError, match="-1002"):
        alice.ccxt.transfer("USDT", 1, "spot", "linear")
    assert bob.truth()["orders"] == []


# Positions


def test_a_long_is_opened_added_to_and_closed_to_the_last_decimal(
    bob: FuturesTrader, control: ExchangeControl
) -> None:
    order = bob.order("buy", 0.1, "o-1")
    assert (order["status"], order["filled"], order["average"]) == ("closed", 0.1, 20000)
    control.set_price("BTCUSDT", 21000)
    bob.order("buy", 0.2, "o-2")
    position = bob.position()
    assert (position["side"], position["contracts"]) == ("long", 0.3)
    assert position["entryPrice"] == pytest.approx(20666.66666667)
    assert position["unrealizedPnl"] == 100
    assert position["collateral"] == 720
    assert position["info"]["isolatedWallet"] == "620.00000000"
    control.set_price("BTCUSDT", 22000)
    bob.order("sell", 0.3, "o-3", reduceOnly=True)
    assert bob.position() is None
    fees = D("1") + D("2.1") + D("3.3")
    assert bob.wallet() == D(10000) + D(400) - fees
    trades = bob.ccxt.fetch_my_trades(PERP)
    assert [D(t["info"]["realizedPnl"]) for t in trades] == [0, 0, 400]
    assert [t["fee"] for t in trades][-1] == {"currency": "USDT", "cost": 3.3}
    assert sum(bob.income("REALIZED_PNL")) == 400
    assert sum(bob.income("COMMISSION")) == -fees


def test_a_partial_exit_gives_its_share_of_the_margin_back(
    bob: FuturesTrader, control: ExchangeControl
) -> None:
    bob.order("buy", 0.4, "o-1")
    control.set_price("BTCUSDT", 21000)
    bob.order("sell", 0.1, "o-2", reduceOnly=True)
    position = bob.position()["info"]
    assert (position["isolatedWallet"], position["isolatedMargin"]) == (
        "600.00000000",
        "900.00000000",
    )
    assert bob.ccxt.fetch_balance()["USDT"]["free"] == 10000 - 4 + 100 - 1.05 - 600


def test_a_large_position_is_liquidated_by_its_own_bracket(bob: FuturesTrader) -> None:
    bob.ccxt.set_leverage(20, PERP)
    bob.order("buy", 5, "o-1")
    limit = (D(100_000) - 5000 - 50) / (5 * (1 - D("0.005")))
    assert D(str(bob.position()["liquidationPrice"])) == pytest.approx(limit, abs=D("0.00001"))
    tiers = bob.ccxt.fetch_leverage_tiers([PERP])[PERP]
    assert (tiers[1]["maxNotional"], tiers[1]["maintenanceMarginRate"]) == (600_000, 0.005)
    with pytest.raises(ccxt.BaseError, match="-4028"):
        bob.ccxt.set_leverage(101, PERP)


def test_a_short_earns_when_the_price_falls_and_flips_when_overbought(
    bob: FuturesTrader, control: ExchangeControl
) -> None:
    bob.order("sell", 0.1, "o-1")
    control.set_price("BTCUSDT", 19000)
    position = bob.position()
    assert (position["side"], position["unrealizedPnl"]) == ("short", 100)
    assert position["info"]["positionAmt"] == "-0.10000000"
    bob.order("buy", 0.15, "o-2")
    position = bob.position()
    assert (position["side"], position["contracts"], position["entryPrice"]) == (
        "long",
        0.05,
        19000,
    )
    assert position["info"]["isolatedWallet"] == "95.00000000"
    assert bob.wallet() == D(10000) + 100 - D("1") - D("1.425")


def test_fees_are_taken_in_bnb_from_the_futures_wallet(
    bob: FuturesTrader, control: ExchangeControl
) -> None:
    control.set_fee(futures=True, mode="bnb", bnb_price="250", taker="0.00045")
    control.deposit_futures(bob.name, "BNB", "0.005")
    bob.order("buy", 0.1, "o-1")
    bob.order("buy", 0.1, "o-2")
    trades = bob.truth()["trades"]
    assert [(t["commissionAsset"], t["commission"]) for t in trades] == [
        ("BNB", "0.00360000"),
        ("USDT", "0.90000000"),
    ]


def test_the_balance_shows_what_positions_and_orders_use(
    bob: FuturesTrader, control: ExchangeControl
) -> None:
    bob.order("buy", 0.1, "o-1")
    bob.order("buy", 0.2, "o-2", 19000)
    balance = bob.ccxt.fetch_balance()
    assert balance["USDT"]["free"] == 10000 - 1 - 200 - 380
    assert balance["USDT"]["total"] == 9999
    bob.ccxt.cancel_order(None, PERP, {"clientOrderId": "o-2"})
    assert bob.ccxt.fetch_balance()["USDT"]["free"] == 9799
    control.set_price("BTCUSDT", 20500)
    assert bob.ccxt.fetch_balance()["USDT"]["total"] == 10049


def test_crossed_positions_draw_on_the_whole_wallet(
    server: TestExchange, control: ExchangeControl, request: pytest.FixtureRequest
) -> None:
    carol = FuturesTrader(server, f"carol-{request.node.name}", isolated=False)
    carol.order("buy", 1, "o-1")
    position = carol.position()
    assert position["marginMode"] == "cross"
    # (20000 - wallet of 9990) / (1 - 0.004)
    assert position["liquidationPrice"] == pytest.approx(10010 / 0.996, abs=0.01)
    control.set_price("BTCUSDT", 19000)
    assert carol.ccxt.fetch_balance()["USDT"]["free"] == 9990 - 950 - 1000


# Orders


def test_limit_orders_rest_fill_and_are_found(bob: FuturesTrader, control: ExchangeControl) -> None:
    order = bob.order("buy", 0.1, "l-1", 19000)
    assert (order["status"], order["id"]) == ("open", bob.fetch("l-1")["id"])
    assert [o["clientOrderId"] for o in bob.ccxt.fetch_open_orders(PERP)] == ["l-1"]
    with pytest.raises(ccxt.BaseError, match="-4116"):
        bob.order("buy", 0.1, "l-1", 19000)
    control.set_price("BTCUSDT", 18990)
    filled = bob.fetch("l-1")
    assert (filled["status"], filled["average"], filled["cost"]) == ("closed", 19000, 1900)
    assert bob.truth()["trades"][0]["maker"] is True
    with pytest.raises(ccxt.OrderNotFound, match="-2011"):
        bob.ccxt.cancel_order(order["id"], PERP)
    with pytest.raises(ccxt.OrderNotFound, match="-2013"):
        bob.fetch("l-2")
    control.advance(MINUTE)
    bob.order("buy", 0.1, "l-3", 18000)
    assert [o["clientOrderId"] for o in bob.ccxt.fetch_orders(PERP, NOON + 1)] == ["l-3"]
    bob.ccxt.cancel_all_orders(PERP)
    assert bob.fetch("l-3")["status"] == "canceled"


def test_post_only_ioc_and_fok_decide_what_rests(
    bob: FuturesTrader, control: ExchangeControl
) -> None:
    with pytest.raises(ccxt.BaseError, match="-5022"):
        bob.order("buy", 0.1, "p-1", 20001, postOnly=True)
    assert bob.order("buy", 0.1, "p-1", 19999, postOnly=True)["postOnly"] is True
    control.set_fill_plan("BTCUSDT", [{"part": "0.5"}], times=2, futures=True)
    ioc = bob.order("buy", 0.1, "i-1", 20000, timeInForce="IOC")
    assert (ioc["status"], ioc["filled"]) == ("expired", 0.05)
    fok = bob.order("buy", 0.1, "f-1", 20000, timeInForce="FOK")
    assert (fok["status"], fok["filled"]) == ("expired", 0)


def test_partial_fills_wait_and_may_be_reported_late(
    bob: FuturesTrader, control: ExchangeControl
) -> None:
    control.set_fill_plan("BTCUSDT", [{"part": "0.3"}], futures=True)
    assert bob.order("buy", 0.1, "l-1", 20010)["filled"] == 0.03
    control.fill_order("l-1", "0.01", futures=True)
    canceled = bob.ccxt.cancel_order(None, PERP, {"clientOrderId": "l-1"})
    assert (canceled["status"], canceled["filled"]) == ("canceled", 0.04)
    with pytest.raises(ControlError):
        control.fill_order("l-1", "0.01", futures=True)
    control.fill_order("l-1", "0.02", late=True, futures=True)
    assert bob.fetch("l-1")["filled"] == 0.06
    assert bob.position()["contracts"] == 0.06


def test_reduce_only_never_opens_and_ends_with_the_position(bob: FuturesTrader) -> None:
    with pytest.raises(ccxt.BaseError, match="-2022"):
        bob.order("sell", 0.1, "r-1", reduceOnly=True)
    bob.order("buy", 0.1, "o-1")
    bob.order("sell", 0.1, "r-2", 21000, reduceOnly=True)
    assert bob.order("sell", 0.3, "r-3", reduceOnly=True)["filled"] == 0.1
    assert bob.position() is None
    assert bob.fetch("r-2")["status"] == "expired"


def test_what_does_not_fit_has_its_code(bob: FuturesTrader) -> None:
    assert "-4014" in bob.refusal(quantity="0.1", price="20000.05")
    assert "-1111" in bob.refusal(quantity="0.1001", price="20000")
    assert "-4164" in bob.refusal(quantity="0.001", price="4000")
    assert "-2019" in bob.refusal(quantity="6", price="20000")
    assert "-1116" in bob.refusal(quantity="1", price="20000", type="ICEBERG")
    assert "-4120" in bob.refusal(quantity="1", type="STOP_MARKET", stopPrice="19000")
    assert "-1121" in bob.refusal(quantity="1", price="20000", symbol="NOPEUSDT")
    assert "-1102" in bob.refusal(quantity="1")
    assert "-4061" in bob.refusal(quantity="1", price="20000", positionSide="LONG")
    assert bob.truth()["orders"] == []


def test_the_receive_window_is_checked_again_before_matching(
    bob: FuturesTrader, control: ExchangeControl
) -> None:
    control.set_time(NOON, rate=1)
    control.add_fault("hang", path="fapi/v1/order", seconds=0.4)
    with pytest.raises(ccxt.InvalidNonce):
        bob.order("buy", 0.1, "late", recvWindow=300)
    assert bob.truth()["orders"] == []


# Transfers


def test_a_transfer_moves_funds_between_the_wallets(bob: FuturesTrader) -> None:
    moved = bob.ccxt.transfer("USDT", 2500.5, "spot", "linear")
    assert moved["id"] is not None
    assert bob.wallet() == D("12500.5")
    assert bob.control.balances(bob.name)["USDT"]["free"] == D("7499.5")
    bob.ccxt.transfer("USDT", 100, "linear", "spot")
    assert bob.wallet() == D("12400.5")
    with pytest.raises(ccxt.BaseError, match="-5013"):
        bob.ccxt.transfer("USDT", 20000, "spot", "linear")
    bob.order("buy", 1, "o-1")
    with pytest.raises(ccxt.BaseError, match="-5013"):
        bob.ccxt.transfer("USDT", 12000, "linear", "spot")
    since = {"fromAccount": "spot", "toAccount": "linear"}
    rows = bob.ccxt.fetch_transfers("USDT", None, None, since)
    assert [(row["amount"], row["toAccount"]) for row in rows] == [(2500.5, "linear")]


def test_lists_go_on_from_an_id_or_a_time_and_else_end_with_the_newest(
    alice: Trader, bob: FuturesTrader
) -> None:
    for number in range(3):
        alice.buy(0.01, f"b-{number}")
        bob.order("buy", 0.01, f"b-{number}")
    for lists, first_id, id_of in (
        (alice.ccxt.private_get_allorders, "orderId", "orderId"),
        (alice.ccxt.private_get_mytrades, "fromId", "id"),
        (bob.ccxt.fapiprivate_get_allorders, "orderId", "orderId"),
        (bob.ccxt.fapiprivate_get_usertrades, "fromId", "id"),
    ):

        def ids(lists: Any = lists, id_of: str = id_of, **params: int) -> list[int]:
            return [int(row[id_of]) for row in lists({"symbol": "BTCUSDT", **params})]

        one, two, three = ids()
        assert ids(limit=2) == [two, three]
        assert ids(limit=2, startTime=NOON) == [one, two]
        assert ids(limit=1, **{first_id: two}) == [two]
        assert ids(**{first_id: two}) == [two, three]
