"""What a market order gets on paper."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trading.values import RULES, D, quote
from trading.execution import fill_market
from trading.market import FillReport, OrderRequest, OrderType, Side

QUOTE = quote("99.99", "100.01")


def request(side: Side, amount: str = "2") -> OrderRequest:
    return OrderRequest(
        client_order_id="bs0010000100000000",
        symbol="BTC/USDT",
        side=side,
        type=OrderType.MARKET,
        amount=D(amount),
        signed_at=1,
    )


def test_a_buy_pays_the_ask_with_slippage_rounded_up_and_the_fee() -> None:
    fill = fill_market(request(Side.BUY), QUOTE, D("0.0005"), D("0.001"), RULES, at=7)
    # 100.01 x 1.0005 = 100.060005
    assert fill == FillReport(
        trade_id="bs0010000100000000-1",
        price=D("100.07"),
        amount=D(2),
        quote=D("200.14"),
        fee=D("0.20014"),
        fee_currency="USDT",
        at=7,
    )


def test_a_sale_gets_the_bid_with_slippage_rounded_down() -> None:
    fill = fill_market(request(Side.SELL), QUOTE, D("0.0005"), D("0.001"), RULES, at=7)
    # 99.99 x 0.9995 = 99.940005
    assert (fill.price, fill.quote, fill.fee) == (D("99.94"), D("199.88"), D("0.19988"))


@pytest.mark.parametrize(("side", "price"), [(Side.BUY, "100.01"), (Side.SELL, "99.99")])
def test_without_slippage_the_quoted_price_is_met(side: Side, price: str) -> None:
    fill = fill_market(request(side), QUOTE, D(0), D(0), RULES, at=7)
    assert (fill.price, fill.fee) == (D(price), D(0))


def test_nothing_is_sold_for_nothing() -> None:
    lowest = quote("0.01", "0.02")
    fill = fill_market(request(Side.SELL), lowest, D("0.01"), D(0), RULES, at=7)
    assert fill.price == D("0.01")


@given(
    side=st.sampled_from(Side),
    price=st.decimals("1", "1000000", places=8),
    slippage=st.decimals("0", "0.1", places=4),
    tick=st.sampled_from([D("1e-8"), D("0.05"), D("0.3"), D(1)]),
)
def test_rounding_is_always_against_the_taker(side: Side, price: D, slippage: D, tick: D) -> None:
    rules = replace(RULES, price_tick=tick)
    fill = fill_market(request(side), quote(str(price)), slippage, D("0.001"), rules, at=7)
    assert Fraction(fill.price) % Fraction(tick) == 0
    if side is Side.BUY:
        exact = Fraction(price) * (1 + Fraction(slippage))
        assert exact <= Fraction(fill.price) < exact + Fraction(tick)
    else:
        exact = Fraction(price) * (1 - Fraction(slippage))
        assert (
            Fraction(fill.price) == tick or exact - Fraction(tick) < Fraction(fill.price) <= exact
        )
