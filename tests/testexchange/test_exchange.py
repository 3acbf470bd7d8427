"""The test exchange as the real ccxt sees it: candles, prices, trading, refusals."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal as D
from itertools import pairwise

import ccxt
import pytest

from tests.testexchange import (
    DEFAULT_API_KEY,
    DEFAULT_SECRET,
    ControlError,
    ExchangeControl,
    TestExchange,
    replay_config,
)
from tests.testexchange.clients import NOON, SYMBOL, Trader, client_of, get

MINUTE = 60_000


@pytest.fixture(scope="module")
def server() -> Iterator[TestExchange]:
    with TestExchange(config=replay_config("BTCUSDT-1m-2023-03.csv.gz", now_ms=NOON)) as running:
        yield running


# Market data


def test_markets_have_the_precision_and_limits_of_the_filters(server: TestExchange) -> None:
    client = client_of(server, DEFAULT_API_KEY, DEFAULT_SECRET)
    market = client.load_markets()[SYMBOL]
    assert market["precision"] == {
        "amount": 1e-05,
        "price": 0.01,
        "base": 1e-08,
        "quote": 1e-08,
    }
    assert market["limits"]["amount"]["min"] == 1e-05
    assert market["limits"]["cost"]["min"] == 5
    assert market["active"] is True
    assert market["spot"] is True


def test_candles_aggregate_exactly_and_the_last_one_is_still_open(
    alice: Trader, control: ExchangeControl
) -> None:
    control.clear_price("BTCUSDT")
    minutes = alice.ccxt.fetch_ohlcv(SYMBOL, "1m", limit=1000)
    assert [row[0] for row in minutes] == [NOON - (999 - i) * MINUTE for i in range(1000)]
    for timeframe, size in (("5m", 5), ("15m", 15), ("1h", 60)):
        last, still_open = alice.ccxt.fetch_ohlcv(SYMBOL, timeframe, limit=2)
        group = minutes[-1 - size : -1]
        assert last[0] == group[0][0]
        assert last[1:5] == [
            group[0][1],
            max(r[2] for r in group),
            min(r[3] for r in group),
            group[-1][4],
        ]
        assert last[5] == float(sum(D(str(r[5])) for r in group))
        assert still_open[0] == NOON
    assert minutes[-1][1:] == [*[minutes[-1][1]] * 4, 0.0]


def test_an_open_candle_of_an_hour_holds_its_minutes_so_far(
    server: TestExchange, control: ExchangeControl
) -> None:
    control.clear_price("BTCUSDT")
    control.set_time(NOON + 7 * MINUTE + 30_000)
    query = f"symbol=BTCUSDT&startTime={NOON}&interval="
    [hour] = json.loads(get(server, "api/v3/klines", query + "1h")[2])
    minutes = json.loads(get(server, "api/v3/klines", query + "1m")[2])
    assert len(minutes) == 8
    columns = [[D(row[i]) for row in minutes] for i in range(1, 6)]
    merged = [columns[0][0], max(columns[1]), min(columns[2]), columns[3][-1], sum(columns[4])]
    assert [D(value) for value in hour[1:6]] == merged
    assert hour[8] == sum(row[8] for row in minutes)


def test_candles_from_a_start_time_on_come_in_order_and_end_now(
    server: TestExchange, control: ExchangeControl
) -> None:
    query = f"symbol=BTCUSDT&interval=1m&startTime={NOON - 3 * MINUTE}&endTime={NOON + MINUTE}"
    rows = json.loads(get(server, "api/v3/klines", query)[2])
    assert [row[0] for row in rows] == [NOON - 3 * MINUTE, NOON - 2 * MINUTE, NOON - MINUTE, NOON]
    assert rows[0][6] == rows[0][0] + MINUTE - 1
    assert all(len(row) == 12 for row in rows)
    first = json.loads(get(server, "api/v3/klines", query + "&limit=2")[2])
    assert first == rows[:2]


def test_the_price_runs_from_open_over_the_extremes_to_close(
    server: TestExchange, control: ExchangeControl
) -> None:
    control.clear_price("BTCUSDT")
    control.set_time(NOON + MINUTE)
    query = f"symbol=BTCUSDT&interval=1m&startTime={NOON}&limit=2"
    done, following = json.loads(get(server, "api/v3/klines", query)[2])
    opened, high, low, close = (D(value) for value in done[1:5])
    rising = close >= opened
    seen = [
        control.price("BTCUSDT")
        for ms in (0, 20_000, 40_000)
        if control.set_time(NOON + ms) is not None
    ]
    assert seen == [opened, low if rising else high, high if rising else low]
    control.set_time(NOON + 20_000)
    partial = json.loads(get(server, "api/v3/klines", query)[2])[0]
    assert D(partial[2 if not rising else 3]) == seen[1] == D(partial[4])
    assert D(partial[3 if not rising else 2]) == opened
    assert 0 < D(partial[5]) < D(done[5])
    assert D(following[1]) == D(following[4])


def test_an_explicit_price_shows_in_tickers_and_in_the_open_candle(
    alice: Trader, control: ExchangeControl
) -> None:
    control.set_price("BTCUSDT", "12345.67")
    ticker = alice.ccxt.fetch_ticker(SYMBOL)
    assert (ticker["last"], ticker["bid"], ticker["ask"]) == (12345.67, 12345.67, 12345.67)
    before, still_open = alice.ccxt.fetch_ohlcv(SYMBOL, "1m", limit=2)
    assert (still_open[4], still_open[3]) == (12345.67, 12345.67)
    assert before[4] > 20000
    control.set_spread("0.001")
    ticker = alice.ccxt.fetch_ticker(SYMBOL)
    assert (ticker["bid"], ticker["ask"]) == (12339.49, 12351.85)


def test_the_generator_is_a_pure_function_of_seed_symbol_and_time() -> None:
    charts = []
    for seed in (5, 5, 6):
        config = {"seed": seed, "clock": {"now_ms": NOON}}
        with TestExchange(config=config) as other:
            query = "symbol=ETHUSDT&interval=5m&limit=50"
            charts.append(json.loads(get(other, "api/v3/klines", query)[2]))
    assert charts[0] == charts[1] != charts[2]
    prices = [[D(value) for value in row[1:5]] for row in charts[0]]
    assert all(low <= min(o, c) <= max(o, c) <= high for o, high, low, c in prices)
    assert all(a[3] == b[0] for a, b in pairwise(prices))


# Trading


def test_a_market_buy_and_sell_are_booked_to_the_last_decimal(
    alice: Trader, control: ExchangeControl
) -> None:
    order = alice.buy(0.12345, "b-1")
    assert (order["status"], order["filled"], order["average"]) == ("closed", 0.12345, 20000)
    assert order["fees"] == [{"currency": "BTC", "cost": 0.00012345}]
    wallet = alice.wallet()
    assert wallet["USDT"]["free"] == D("7531.00000000")
    assert wallet["BTC"]["free"] == D("0.12332655")

    control.set_price("BTCUSDT", "21234.56")
    sold = alice.sell(0.12332, "s-1")
    assert sold["cost"] == 2618.6459392
    wallet = alice.wallet()
    assert wallet["BTC"]["free"] == D("0.00000655")
    assert wallet["USDT"]["free"] == D("7531") + D("2618.6459392") - D("2.61864593")
    fees = [t["fee"] for t in alice.ccxt.fetch_my_trades(SYMBOL)]
    assert fees == [
        {"currency": "BTC", "cost": 0.00012345},
        {"currency": "USDT", "cost": 2.61864593},
    ]


def test_fees_are_taken_in_bnb_while_there_is_enough_of_it(
    alice: Trader, control: ExchangeControl
) -> None:
    control.set_fee(mode="bnb", bnb_price="270", taker="0.00075")
    control.set_balance(alice.name, "BNB", "0.01")
    alice.buy(0.1, "b-1")
    alice.buy(0.1, "b-2")
    trades = alice.true_trades()
    assert [(t["commissionAsset"], t["commission"]) for t in trades] == [
        ("BNB", "0.00555555"),
        ("BTC", "0.00007500"),
    ]
    assert alice.wallet()["BNB"]["free"] == D("0.00444445")


def test_fees_in_quote_are_needed_beside_the_price(alice: Trader, control: ExchangeControl) -> None:
    control.set_fee(mode="quote", taker="0.001")
    with pytest.raises(ccxt.InsufficientFunds):
        alice.buy(0.5, "b-1")
    alice.buy(0.4, "b-2")
    wallet = alice.wallet()
    assert (wallet["USDT"]["free"], wallet["BTC"]["free"]) == (D(1992), D("0.4"))


def test_a_buy_by_cost_spends_at_most_that_in_whole_lots(
    alice: Trader, control: ExchangeControl
) -> None:
    control.set_price("BTCUSDT", "19999.99")
    order = alice.ccxt.create_market_buy_order_with_cost(SYMBOL, 100, {"newClientOrderId": "b-1"})
    assert order["filled"] == 0.005
    assert alice.wallet()["USDT"]["free"] == D("9900.00005")


def test_market_orders_cross_half_of_the_spread(alice: Trader, control: ExchangeControl) -> None:
    control.set_spread("0.002")
    assert alice.buy(0.1, "b-1")["average"] == 20020
    sold = alice.sell(0.05, "s-1")
    assert sold["average"] == 19980


def test_a_limit_order_locks_rests_and_fills_when_the_price_comes(
    alice: Trader, control: ExchangeControl
) -> None:
    order = alice.limit("buy", 0.2, 19000, "l-1")
    assert order["status"] == "open"
    assert alice.wallet()["USDT"] == {"free": D(6200), "locked": D(3800)}
    assert [o["clientOrderId"] for o in alice.ccxt.fetch_open_orders(SYMBOL)] == ["l-1"]
    control.set_price("BTCUSDT", "18990")
    filled = alice.order("l-1")
    assert (filled["status"], filled["average"]) == ("closed", 19000)
    assert alice.true_trades()[0]["isMaker"] is True
    assert alice.wallet()["USDT"] == {"free": D(6200), "locked": D(0)}


def test_a_limit_order_fills_at_the_ms_at_which_the_candles_reach_it(
    alice: Trader, control: ExchangeControl
) -> None:
    control.clear_price("BTCUSDT")
    target = control.price("BTCUSDT") - 20
    alice.limit("buy", 0.1, float(target), "l-1")
    control.advance(6 * 60 * MINUTE)
    [trade] = alice.true_trades()
    assert NOON < trade["time"] <= NOON + 6 * 60 * MINUTE
    control.set_time(trade["time"])
    assert control.price("BTCUSDT") <= target
    control.set_time(trade["time"] - 1)
    assert control.price("BTCUSDT") > target


def test_time_in_force_and_post_only_decide_what_rests(
    alice: Trader, control: ExchangeControl
) -> None:
    far = alice.limit("buy", 0.1, 19000, "ioc-far", timeInForce="IOC")
    assert (far["status"], far["filled"]) == ("expired", 0)
    control.set_fill_plan("BTCUSDT", [{"part": "0.5"}], times=2)
    ioc = alice.limit("buy", 0.1, 20000, "ioc", timeInForce="IOC")
    assert (ioc["status"], ioc["filled"]) == ("expired", 0.05)
    fok = alice.limit("buy", 0.1, 20000, "fok", timeInForce="FOK")
    assert (fok["status"], fok["filled"]) == ("expired", 0)
    with pytest.raises(ccxt.OrderImmediatelyFillable):
        alice.limit("buy", 0.1, 20001, "maker", postOnly=True)
    assert alice.limit("buy", 0.1, 19999, "maker", postOnly=True)["status"] == "open"


def test_a_partial_fill_is_canceled_with_exactly_what_was_filled(
    alice: Trader, control: ExchangeControl
) -> None:
    control.set_fill_plan("BTCUSDT", [{"part": "0.3"}, {"part": "0.1", "slip": "0.001"}])
    order = alice.limit("buy", 0.1, 20010, "l-1")
    assert (order["status"], order["filled"], order["cost"]) == ("open", 0.04, 800.1)
    control.fill_order("l-1", "0.01", "20005")
    canceled = alice.ccxt.cancel_order(order["id"], SYMBOL)
    assert canceled["status"] == "canceled"
    done = alice.order("l-1")
    assert (done["status"], done["filled"], done["cost"]) == ("canceled", 0.05, 1000.15)
    assert alice.wallet()["USDT"] == {"free": D("8999.85"), "locked": D(0)}
    with pytest.raises(ControlError):
        control.fill_order("l-1", "0.01")


# Refusals


def test_a_wrong_secret_an_unknown_and_a_revoked_key_are_refused(
    server: TestExchange, alice: Trader, control: ExchangeControl
) -> None:
    with pytest.raises(ccxt.AuthenticationError) as wrong:
        client_of(server, alice.key, "another").fetch_balance()
    with pytest.raises(ccxt.AuthenticationError) as unknown:
        client_of(server, "k" * 64, "secret").fetch_balance()
    with pytest.raises(ccxt.AuthenticationError) as malformed:
        client_of(server, "no/key", "secret").fetch_balance()
    control.revoke_key(alice.key)
    with pytest.raises(ccxt.AuthenticationError) as revoked:
        alice.ccxt.fetch_balance()
    assert ["-1022" in str(wrong.value), "-2015" in str(unknown.value)] == [True, True]
    assert ["-2014" in str(malformed.value), "-2015" in str(revoked.value)] == [True, True]
    control.restore_key(alice.key)
    assert alice.ccxt.fetch_balance()["USDT"]["free"] == 10000


def test_a_changed_parameter_breaks_the_signature(server: TestExchange, alice: Trader) -> None:
    params = f"symbol=BTCUSDT&timestamp={NOON}"
    assert get(server, "api/v3/openOrders", params, key=alice.key)[0] == 200
    seen = server.control.requests()[-1]
    forged = get(
        server,
        "api/v3/openOrders",
        f"symbol=ETHUSDT&timestamp={NOON}",
        key=alice.key,
        signature=seen["signature"],
    )
    assert (forged[0], json.loads(forged[2])["code"]) == (400, -1022)


def test_timestamps_too_old_or_new_are_refused(alice: Trader, control: ExchangeControl) -> None:
    for shift in (-10_001, 1000):
        with pytest.raises(ccxt.InvalidNonce):
            alice.ccxt.fetch_balance({"timestamp": NOON + shift})
    for shift in (-10_000, 999):
        assert alice.ccxt.fetch_balance({"timestamp": NOON + shift})["USDT"]["free"] == 10000
    control.set_skew(90_000)
    with pytest.raises(ccxt.InvalidNonce):
        alice.ccxt.fetch_balance({"timestamp": NOON})
    assert alice.ccxt.fetch_time() == NOON + 90_000


def test_the_receive_window_is_checked_again_before_matching(
    alice: Trader, control: ExchangeControl
) -> None:
    control.set_time(NOON, running=True)
    control.add_fault("hang", path="api/v3/order", seconds=0.4)
    with pytest.raises(ccxt.InvalidNonce):
        alice.buy(0.1, "late", recvWindow=300)
    assert alice.true_orders() == []
    control.add_fault("hang", path="api/v3/order", seconds=0.4)
    assert alice.buy(0.1, "in-time", recvWindow=5000)["status"] == "closed"


def test_filters_refuse_what_does_not_fit(alice: Trader) -> None:
    assert "PRICE_FILTER" in alice.refusal(quantity="1", price="20000.001")
    assert "LOT_SIZE" in alice.refusal(quantity="0.000001", price="20000")
    assert "LOT_SIZE" in alice.refusal(quantity="0.100001", price="20000")
    assert "NOTIONAL" in alice.refusal(quantity="0.0001", price="20000")
    assert "-1111" in alice.refusal(quantity="0.1000000001", price="20000")
    assert "-1100" in alice.refusal(quantity="many", price="20000")
    assert "-1102" in alice.refusal(quantity="0.1")
    assert "-1013" in alice.refusal(quantity="-1", price="20000")
    assert "-1115" in alice.refusal(quantity="1", price="20000", timeInForce="GTD")
    assert "-1116" in alice.refusal(quantity="1", price="20000", type="ICEBERG")
    assert "-1121" in alice.refusal(quantity="1", price="20000", symbol="NOPEUSDT")


def test_missing_funds_and_unknown_orders_have_their_codes(alice: Trader) -> None:
    with pytest.raises(ccxt.InsufficientFunds):
        alice.buy(0.50001, "b-1")
    assert alice.server.control.requests()[-1]["code"] == -2010
    with pytest.raises(ccxt.InsufficientFunds):
        alice.limit("sell", 0.1, 30000, "l-1")
    with pytest.raises(ccxt.OrderNotFound, match="-2013"):
        alice.order("b-1")
    with pytest.raises(ccxt.OrderNotFound, match="-2011"):
        alice.ccxt.cancel_order("12345678", SYMBOL)
    assert alice.ccxt.fetch_balance()["USDT"]["free"] == 10000


def test_a_client_id_may_be_repeated_only_once_its_order_is_done(
    alice: Trader, control: ExchangeControl
) -> None:
    first = alice.limit("buy", 0.1, 19000, "same")
    with pytest.raises(ccxt.InvalidOrder, match="Duplicate order sent"):
        alice.limit("buy", 0.1, 18000, "same")
    control.set_price("BTCUSDT", "18999")
    second = alice.limit("buy", 0.1, 18000, "same")
    assert second["id"] != first["id"]
    assert alice.order("same")["id"] == second["id"]


def test_a_halted_market_and_a_delisted_symbol_take_no_orders(
    server: TestExchange, alice: Trader, control: ExchangeControl
) -> None:
    control.halt("XRPUSDT")
    onlooker = client_of(server, DEFAULT_API_KEY, DEFAULT_SECRET)
    assert onlooker.load_markets()["XRP/USDT"]["active"] is False
    with pytest.raises(ccxt.BaseError, match="Market is closed"):
        alice.ccxt.create_order("XRP/USDT", "market", "buy", 100)
    control.resume("XRPUSDT")
    assert alice.ccxt.create_order("XRP/USDT", "market", "buy", 100)["status"] == "closed"
    control.delist("XRPUSDT")
    assert "XRP/USDT" not in onlooker.load_markets(reload=True)
    with pytest.raises(ccxt.BadSymbol, match="-1121"):
        alice.ccxt.fetch_ticker("XRP/USDT")
    control.list_symbol("XRPUSDT")


def test_a_key_shows_its_rights_and_may_be_kept_from_trading(
    alice: Trader, control: ExchangeControl
) -> None:
    control.set_permissions(alice.key, canTrade=False, enableWithdrawals=True, ipRestrict=True)
    rights = alice.ccxt.sapi_get_account_apirestrictions()
    assert rights["enableWithdrawals"] is True
    assert rights["ipRestrict"] is True
    assert rights["enableSpotAndMarginTrading"] is False
    with pytest.raises(ccxt.BaseError, match="-2015"):
        alice.buy(0.1, "b-1")


def test_accounts_do_not_see_each_other(
    server: TestExchange, alice: Trader, control: ExchangeControl
) -> None:
    control.add_account("mallory", api_key="m" * 64, secret="other", balances={"USDT": "5"})
    mallory = client_of(server, "m" * 64, "other")
    mine = alice.limit("buy", 0.1, 19000, "mine")
    for attempt in (mallory.fetch_order, mallory.cancel_order):
        with pytest.raises(ccxt.OrderNotFound):
            attempt(mine["id"], SYMBOL)
    assert mallory.fetch_open_orders(SYMBOL) == []
    assert mallory.fetch_balance()["total"] == {"USDT": 5}
