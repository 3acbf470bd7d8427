"""Whatever happens to orders, stops, lists and contracts, no amount is made or lost."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any
from urllib.parse import urlencode

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.testexchange import oco
from tests.testexchange.clients import NOON
from tests.testexchange.errors import ApiError
from tests.testexchange.exchange import Exchange
from tests.testexchange.messages import Request

KEY = {"api_key": "k" * 64, "secret": "secret"}
DEPOSITS = {"USDT": D(5000), "BTC": D("0.25"), "BNB": D("0.003")}
HOUR = 3_600_000
PRICES = st.integers(18_000, 22_000)
LOTS = st.integers(1, 400)
SIDES = st.sampled_from(["BUY", "SELL"])
STOPS = st.sampled_from(["STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT"])
ALGOS = st.sampled_from(["STOP_MARKET", "STOP", "TAKE_PROFIT_MARKET", "TAKE_PROFIT"])
COMMON = [
    st.tuples(st.just("order"), SIDES, st.sampled_from(["MARKET", "LIMIT"]), LOTS, PRICES),
    st.tuples(st.just("cancel"), st.integers(1, 20)),
    st.tuples(st.just("price"), PRICES),
    st.tuples(st.just("plan"), st.integers(1, 99), st.booleans()),
]
SPOT = st.one_of(
    *COMMON,
    st.tuples(st.just("stop"), SIDES, STOPS, LOTS, PRICES, PRICES),
    st.tuples(st.just("oco"), SIDES, LOTS, PRICES, PRICES, st.booleans()),
)
FUTURES = st.one_of(
    *COMMON,
    st.tuples(st.just("stop"), SIDES, ALGOS, LOTS, PRICES, PRICES),
    st.tuples(st.just("reduce"), SIDES, LOTS),
    st.tuples(st.just("hours"), st.integers(1, 30)),
    st.tuples(st.just("leverage"), st.integers(1, 125)),
)
#: Orders to the last lot and cent.
FINE = st.one_of(
    st.tuples(
        st.just("order"),
        st.sampled_from(["BUY", "SELL"]),
        st.sampled_from(["MARKET", "GTC", "IOC", "FOK"]),
        st.integers(1, 40_000),
        st.integers(1_800_000, 2_200_000),
    ),
    st.tuples(st.just("cancel"), st.integers(1, 20)),
    st.tuples(st.just("price"), st.integers(1_800_000, 2_200_000)),
    st.tuples(st.just("plan"), st.integers(1, 99), st.integers(0, 9)),
)


def request(path: str, **form: Any) -> Request:
    given_ = {name: str(value) for name, value in form.items() if value is not None}
    return Request(method="POST", path=path, query="", body=urlencode(given_), headers={})


def spot_exchange(mode: str) -> Exchange:
    """One with alice's deposits, fees in that mode, and prices that do not come out even."""
    exchange = Exchange(
        {
            "clock": {"now_ms": NOON},
            "fee": {"mode": mode, "maker": "0.00123", "taker": "0.00177"},
            "spread": "0.0003",
            "accounts": [{"name": "alice", "balances": DEPOSITS, **KEY}],
        }
    )
    exchange.markets["BTCUSDT"].explicit_price = D(20000)
    return exchange


def spot_step(exchange: Exchange, step: tuple[Any, ...]) -> None:
    key, market = exchange.accounts.keys[KEY["api_key"]], exchange.markets["BTCUSDT"]
    kind, *rest = step
    common: dict[str, Any] = {"symbol": "BTCUSDT"}
    if kind in ("order", "stop"):
        side, type_, lots, price, *stop = rest
        limit = type_.endswith("LIMIT")
        common |= {"side": side, "type": type_, "quantity": lots * D("0.001")}
        common |= {"price": price, "timeInForce": "GTC"} if limit else {}
        common |= {"stopPrice": stop[0]} if stop else {}
        exchange.place(request("api/v3/order", **common), key)
    elif kind == "oco":
        side, lots, above, below, limited = rest
        stop, target = ("below", "above") if side == "SELL" else ("above", "below")
        prices = {"above": above, "below": below}
        common |= {"side": side, "quantity": lots * D("0.001"), f"{target}Type": "LIMIT_MAKER"}
        common |= {f"{target}Price": prices[target], f"{stop}StopPrice": prices[stop]}
        common[f"{stop}Type"] = "STOP_LOSS_LIMIT" if limited else "STOP_LOSS"
        if limited:
            common |= {f"{stop}Price": prices[stop] - 50, f"{stop}TimeInForce": "GTC"}
        oco.place(exchange, request("api/v3/orderList/oco", **common), key)
    elif kind == "cancel":
        exchange.cancel(exchange.accounts.by_name["alice"], "BTCUSDT", rest[0], "")
    elif kind == "price":
        market.explicit_price = D(rest[0])
    else:
        market.fill_plans = [plan(*rest)]


def fine_step(exchange: Exchange, step: tuple[Any, ...]) -> None:
    key, market = exchange.accounts.keys[KEY["api_key"]], exchange.markets["BTCUSDT"]
    kind, *rest = step
    if kind == "order":
        side, type_, lots, cents = rest
        common = {"symbol": "BTCUSDT", "side": side, "quantity": lots * D("0.00001")}
        if type_ == "MARKET":
            common |= {"type": type_}
        else:
            common |= {"type": "LIMIT", "timeInForce": type_, "price": D(cents) / 100}
        exchange.place(request("api/v3/order", **common), key)
    elif kind == "cancel":
        exchange.cancel(exchange.accounts.by_name["alice"], "BTCUSDT", rest[0], "")
    elif kind == "price":
        market.explicit_price = D(rest[0]) / 100
    else:
        part = {"part": D(rest[0]) / 100, "slip": D(rest[1]) / 1000}
        market.fill_plans = [[part, part | {"part": D(1 - part["part"]) / 2}]]


def plan(percent: int, follows: bool) -> list[dict[str, Any]]:
    part = {"part": D(percent) / 100, "slip": D("0.001")}
    return [part, {"part": D(0), "slip": D(0), "follows": True}] if follows else [part]


def run(exchange: Exchange, steps: list[tuple[Any, ...]], take: Any) -> set[int]:
    """Carries out all steps; the codes with which the exchange refused some."""
    codes: set[int] = set()
    for step in steps:
        try:
            take(exchange, step)
        except ApiError as error:
            codes.add(error.code)
        exchange.settle()
    return codes


@settings(max_examples=150, deadline=None, database=None)
@given(
    mode=st.sampled_from(["default", "bnb", "quote"]),
    steps=st.lists(FINE, min_size=5, max_size=40),
)
def test_no_amount_is_ever_made_or_lost(mode: str, steps: list[tuple[Any, ...]]) -> None:
    exchange = spot_exchange(mode)
    assert run(exchange, steps, fine_step) <= {-1013, -2010, -2011}
    account, engine = exchange.accounts.by_name["alice"], exchange.engine
    expected = dict(DEPOSITS)
    for trade in engine.trades:
        sign = 1 if trade.order.side == "BUY" else -1
        expected["BTC"] += sign * trade.quantity
        expected["USDT"] -= sign * trade.quote_quantity
        expected[trade.commission_asset] -= trade.commission
    for asset, total in expected.items():
        balance = account.balance(asset)
        assert balance.free + balance.locked == total
        assert total + engine.house.get(asset, D(0)) == DEPOSITS[asset]
        assert balance.free >= 0
        locks = [engine.lock_for(order, order.remaining) for order in engine.open.values()]
        assert balance.locked == sum((amount for name, amount in locks if name == asset), D(0))
    for order in engine.orders.values():
        mine = [trade for trade in engine.trades if trade.order is order]
        assert order.executed == sum((trade.quantity for trade in mine), D(0))
        assert (order.status == "FILLED") == (order.executed == order.quantity)
    ids = [trade.trade_id for trade in engine.trades]
    assert ids == sorted(set(ids))


@settings(max_examples=150, deadline=None, database=None)
@given(
    mode=st.sampled_from(["default", "bnb", "quote"]),
    steps=st.lists(SPOT, min_size=5, max_size=30),
)
def test_stops_and_lists_lock_and_move_exactly(mode: str, steps: list[tuple[Any, ...]]) -> None:
    exchange = spot_exchange(mode)
    assert run(exchange, steps, spot_step) <= {-1013, -2010, -2011}
    account, engine = exchange.accounts.by_name["alice"], exchange.engine
    for asset, deposit in DEPOSITS.items():
        balance = account.balance(asset)
        assert balance.free >= 0
        assert balance.free + balance.locked + engine.house.get(asset, D(0)) == deposit
        locks = [
            order.locked
            for order in engine.open.values()
            if engine.lock_for(order, D(0))[0] == asset
        ]
        assert balance.locked == sum(locks, D(0))
    for order_list in exchange.lists:
        statuses = [order.status for order in order_list.orders]
        filled = [order for order in order_list.orders if order.executed]
        assert len(filled) <= 1
        assert statuses in (["NEW", "NEW"], ["CANCELED", "CANCELED"]) or "EXPIRED" in statuses
    for order in engine.orders.values():
        mine = [trade for trade in engine.trades if trade.order is order]
        assert order.executed == sum((trade.quantity for trade in mine), D(0))
        assert not (order.waits and order.executed)
        assert order.is_open or order.locked == 0


def futures_step(exchange: Exchange, step: tuple[Any, ...]) -> None:
    key, futures = exchange.accounts.keys[KEY["api_key"]], exchange.futures
    now_ms, owner = exchange.settle(), futures.engine.account(key.account)
    market = futures.markets["BTCUSDT"]
    kind, *rest = step
    common: dict[str, Any] = {"symbol": "BTCUSDT"}
    if kind == "reduce":
        common |= {"side": rest[0], "type": "MARKET", "quantity": rest[1] * D("0.001")}
        futures.place(request("fapi/v1/order", **common, reduceOnly="true"), key, now_ms)
    elif kind in ("order", "stop"):
        side, type_, lots, price, *stop = rest
        common |= {"side": side, "type": type_, "quantity": lots * D("0.001")}
        common |= {"price": price} if type_ in ("LIMIT", "STOP", "TAKE_PROFIT") else {}
        if stop:
            common |= {"algoType": "CONDITIONAL", "triggerPrice": stop[0]}
            futures.place_algo(request("fapi/v1/algoOrder", **common), key, now_ms)
        else:
            futures.place(request("fapi/v1/order", **common), key, now_ms)
    elif kind == "cancel":
        order = futures.engine.open.get(rest[0])
        if order is not None:
            futures.engine.close(order, "CANCELED", now_ms)
    elif kind == "price":
        market.explicit_price = D(rest[0])
    elif kind == "plan":
        market.fill_plans = [plan(*rest)]
    elif kind == "hours":
        exchange.clock.advance(rest[0] * HOUR)
    else:
        futures.set_leverage(owner.position(market), rest[0], now_ms)


@settings(max_examples=150, deadline=None, database=None)
@given(isolated=st.booleans(), steps=st.lists(FUTURES, min_size=5, max_size=30))
def test_contracts_move_only_what_trades_and_funding_say(
    isolated: bool, steps: list[tuple[Any, ...]]
) -> None:
    exchange = Exchange(
        {
            "clock": {"now_ms": NOON},
            "spread": "0.0003",
            "accounts": [{"name": "alice", "futures_balances": {"USDT": 1000}, **KEY}],
        }
    )
    market = exchange.futures.markets["BTCUSDT"]
    market.explicit_price = D(20000)
    engine = exchange.futures.engine
    owner = engine.account(exchange.accounts.by_name["alice"])
    position = owner.position(market)
    position.isolated = isolated
    allowed = {-2019, -2021, -2022, -4028, -4161, -4164}
    assert run(exchange, steps, futures_step) <= allowed
    assert sum(D(entry["income"]) for entry in owner.income) == owner.wallet["USDT"]
    signed = [t.quantity if t.order.side == "BUY" else -t.quantity for t in engine.trades]
    assert position.amount == sum(signed, D(0))
    assert position.margin >= 0
    assert (position.margin > 0) == (isolated and position.amount != 0)
    # What was paid and received for the contracts is what was earned and what is still open.
    cash = sum((-q * t.price for q, t in zip(signed, engine.trades, strict=True)), D(0))
    opened = position.value if position.amount > 0 else -position.value
    realized = sum((t.realized for t in engine.trades), D(0))
    assert abs(cash + opened - realized) <= D("0.00000001") * len(engine.trades)
    for order in engine.orders.values():
        mine = [trade.quantity for trade in engine.trades if trade.order is order]
        assert order.executed == sum(mine, D(0)) <= order.quantity
    for algo in engine.algos.values():
        assert (algo.status in ("TRIGGERED", "FINISHED")) == (algo.order is not None)
