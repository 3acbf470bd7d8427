"""A futures account through the real ccxt: settings, positions, funding, rights."""

from decimal import Decimal as D
from typing import Any

import pytest

from tests.trading.accounts import fault_of
from tests.trading.futures_accounts import SYMBOL
from tests.trading.futures_accounts import FuturesTrader as Trader
from trading.exchange import Fault, Refused, Rejected, Unreachable
from trading.exchanges.ccxt_exchange import (
    CcxtExchange,
    CcxtFeed,
    CcxtFutures,
    Credentials,
    open_account,
)
from trading.market import OrderStatus, Side

HOUR = 3_600_000


@pytest.fixture
def trader(futures_trader: Trader) -> Trader:
    return futures_trader


def test_preparing_sets_mode_margin_and_leverage_and_may_be_repeated(trader: Trader, server):
    for _ in range(2):
        trader.exchange.prepare(SYMBOL, 7)
    report = trader.exchange.position(SYMBOL)
    assert (report.leverage, report.is_isolated, report.amount) == (7, True, 0)
    trader.exchange.prepare(SYMBOL, 3)
    assert trader.exchange.position(SYMBOL).leverage == 3


def test_what_stands_against_preparing_is_a_rejection(trader: Trader, server):
    trader.exchange.place(trader.request())
    error = fault_of(trader.exchange.prepare, SYMBOL, 3)  # the position is in cross margin
    assert isinstance(error, Rejected)
    too_much = fault_of(trader.exchange.prepare, SYMBOL, 126)
    assert isinstance(too_much, Rejected)


@pytest.mark.parametrize("path", ["fapi/v1/leverage", "fapi/v1/marginType"])
@pytest.mark.parametrize("action", ["html", "null", "close"])
def test_a_setting_without_an_answer_is_not_taken_for_set(trader: Trader, server, path, action):
    server.control.add_fault(action, path=path, method="POST")
    assert isinstance(fault_of(trader.exchange.prepare, SYMBOL, 3), Unreachable)


def test_another_leverage_in_the_answer_is_not_believed(trader: Trader, server):
    body = {"symbol": "BTCUSDT", "leverage": 20, "maxNotionalValue": "1"}
    server.control.add_fault("http", path="fapi/v1/leverage", status=200, body=body)
    assert fault_of(trader.exchange.prepare, SYMBOL, 3).fault is Fault.BAD_ANSWER


@pytest.mark.parametrize(("side", "sign"), [(Side.BUY, 1), (Side.SELL, -1)])
def test_a_position_long_and_short_and_back(trader: Trader, side, sign):
    trader.exchange.prepare(SYMBOL, 5)
    request = trader.request(side)
    report = trader.exchange.place(request)
    assert (report.status, report.filled, report.average) == (OrderStatus.FILLED, D("0.1"), 20_000)
    (fill,) = report.fills
    assert (fill.quote, fill.fee, fill.fee_currency) == (D(2000), D(1), "USDT")
    assert trader.found(request) == report
    position = trader.exchange.position(SYMBOL)
    assert (position.amount, position.entry_price) == (sign * D("0.1"), 20_000)
    assert position.mark_price
    assert position.liquidation_price
    assert (position.liquidation_price < 20_000) == (sign > 0)
    usdt = trader.exchange.balance()["USDT"]
    assert usdt.used == 400
    assert usdt.total == 10_000 - fill.fee
    other = Side.SELL if side is Side.BUY else Side.BUY
    trader.exchange.place(trader.request(other, reduce_only=True))
    flat = trader.exchange.position(SYMBOL)
    assert (flat.amount, flat.entry_price, flat.liquidation_price) == (0, None, None)


def test_funding_is_told_with_its_sign(trader: Trader, server):
    start = trader.exchange.now() // (8 * HOUR) * 8 * HOUR
    server.control.set_time(start + HOUR, running=True)
    trader.exchange._feed.clock.forget()
    server.control.set_funding_rate("BTCUSDT", "0.0001")
    trader.exchange.place(trader.request())
    server.control.advance(8 * HOUR)
    trader.exchange._feed.clock.forget()
    (paid,) = trader.exchange.funding(SYMBOL, start)
    assert (paid.amount, paid.currency, paid.symbol) == (D("-0.2"), "USDT", SYMBOL)
    assert paid.at == start + 8 * HOUR
    server.control.set_funding_rate("BTCUSDT", "-0.0003")
    server.control.advance(8 * HOUR)
    trader.exchange._feed.clock.forget()
    received = trader.exchange.funding(SYMBOL, paid.at + 1)
    assert [payment.amount for payment in received] == [D("0.6")]
    assert received[0].funding_id != paid.funding_id
    assert len(trader.exchange.funding(SYMBOL, start)) == 2


def row(**changes: str) -> dict[str, str]:
    """Return a line of the answer about positions."""
    flat = {
        "symbol": "BTCUSDT",
        "positionSide": "BOTH",
        "positionAmt": "0",
        "entryPrice": "0",
        "markPrice": "20000",
        "liquidationPrice": "0",
    }
    return flat | changes


@pytest.mark.parametrize(
    "rows",
    [
        "null",
        {},
        [],
        [7],
        [row(symbol="ETHUSDT")],
        [row(positionAmt="x")],
        [row(positionAmt="NaN")],
        [row(entryPrice="-1")],
        [row(positionSide="LONG")],
        [row(), row()],
        [row(), row(positionSide="SHORT", positionAmt="-1")],
    ],
    ids=str,
)
def test_a_position_that_is_not_told_is_not_flat(trader: Trader, server, rows):
    fault = {"path": "fapi/v2/positionRisk", "status": 200}
    idle = [row(), row(positionSide="LONG"), row(positionSide="SHORT")]
    server.control.add_fault("http", **fault, body=idle)
    assert trader.position() == 0
    server.control.add_fault("http", **fault, body=rows)
    error = fault_of(trader.exchange.position, SYMBOL)
    assert isinstance(error, Unreachable)
    assert error.fault is Fault.BAD_ANSWER


def test_more_payments_than_a_page_are_read_page_by_page(trader: Trader, server):
    def payments(first: int, count: int, *, step: int = 1) -> list[dict[str, Any]]:
        return [
            {"symbol": "BTCUSDT", "incomeType": "FUNDING_FEE", "income": "-0.1", "asset": "USDT",
             "time": 1_000_000 + number * step, "tranId": number}
            for number in range(first, first + count)
        ]  # fmt: skip

    for body in (payments(0, 1000), payments(999, 7)):
        server.control.add_fault("http", path="fapi/v1/income", status=200, body=body)
    told = trader.exchange.funding(SYMBOL, 1)
    assert [paid.funding_id for paid in told] == [str(number) for number in range(1006)]
    at_once = payments(0, 1000, step=0)
    server.control.add_fault("http", path="fapi/v1/income", status=200, body=at_once, times=2)
    assert fault_of(trader.exchange.funding, SYMBOL, 1).fault is Fault.BAD_ANSWER


@pytest.mark.parametrize("body", ["null", {}, {"assets": None}, []])
def test_an_answer_without_wallets_is_not_an_empty_account(trader: Trader, server, body):
    server.control.add_fault("http", path="fapi/v3/account", status=200, body=body)
    assert isinstance(fault_of(trader.exchange.balance), Unreachable)


def test_rights_are_those_on_futures(trader: Trader, server):
    assert trader.exchange.rights().may_trade is True
    server.control.set_permissions(trader.key, enableFutures=False)
    assert trader.exchange.rights().may_trade is False
    error = fault_of(trader.exchange.balance)
    assert isinstance(error, Refused)
    server.control.set_permissions(trader.key, enableFutures=True)


def test_the_futures_testnet_is_refused_in_plain_words(server):
    for base in (None, server.url):
        error = fault_of(
            lambda base=base: CcxtFeed("binance", mode="testnet", market_type="swap", api_base=base)
        )
        assert isinstance(error, Refused)
        assert error.fault is Fault.CLIENT
        assert "futures testnet" in error.text


def test_futures_of_another_exchange_are_refused(server):
    feed = CcxtFeed("okx", market_type="swap", api_base=server.url)
    error = fault_of(lambda: open_account(feed, Credentials(api_key="k", secret="s")))
    assert isinstance(error, Refused)
    assert error.fault is Fault.CLIENT
    assert "okx" in error.text


def test_the_account_is_of_the_kind_of_its_feed(server, futures_feed, feed):
    key = Credentials(api_key="k", secret="s")
    assert type(open_account(futures_feed, key)) is CcxtFutures
    assert type(open_account(feed, key)) is CcxtExchange
