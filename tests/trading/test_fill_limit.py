"""What a limit order gets on paper: at its limit or better, as a taker or as a maker."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.trading.values import RULES, D, quote
from trading.fills import crosses, fill_limit
from trading.market import FillReport, OrderRequest, OrderType, Quote, Side

QUOTE = quote("99.99", "100.01")
SLIPPAGE, TAKER, MAKER = D("0.0005"), D("0.001"), D("0.0002")


def request(side: Side, price: str | None, kind: OrderType = OrderType.LIMIT) -> OrderRequest:
    return OrderRequest(
        client_order_id="bs0010000100000000",
        symbol="BTC/USDT",
        side=side,
        type=kind,
        amount=D(2),
        price=None if price is None else D(price),
        signed_at=1,
    )


def filled(
    side: Side, price: str, seen: Quote = QUOTE, *, is_resting: bool = False
) -> FillReport | None:
    return fill_limit(
        request(side, price), seen, SLIPPAGE, TAKER, MAKER, RULES, 7, is_resting=is_resting
    )


def test_a_limit_that_crosses_pays_the_taker_fee_at_the_quote_with_slippage() -> None:
    # 100.01 x 1.0005 = 100.060005, up to the tick
    assert filled(Side.BUY, "105") == FillReport(
        trade_id="bs0010000100000000-1",
        price=D("100.07"),
        amount=D(2),
        quote=D("200.14"),
        fee=D("0.20014"),
        fee_currency="USDT",
        at=7,
    )
    sale = filled(Side.SELL, "95")
    assert sale is not None
    assert (sale.price, sale.quote, sale.fee) == (D("99.94"), D("199.88"), D("0.19988"))


def test_slippage_never_goes_beyond_the_limit() -> None:
    for side, limit in ((Side.BUY, "100.02"), (Side.SELL, "99.98")):
        fill = filled(side, limit)
        assert fill is not None
        assert fill.price == D(limit)


@pytest.mark.parametrize(
    ("side", "price", "is_filled"),
    [
        (Side.BUY, "100", False),
        (Side.BUY, "100.01", True),
        (Side.BUY, "100.02", True),
        (Side.SELL, "100", False),
        (Side.SELL, "99.99", True),
        (Side.SELL, "99.98", True),
    ],
)
@pytest.mark.parametrize("is_resting", [True, False])
def test_a_limit_just_below_at_and_above_the_market(
    side: Side, price: str, is_filled: bool, is_resting: bool
) -> None:
    assert crosses(request(side, price), QUOTE) is is_filled
    assert (filled(side, price, is_resting=is_resting) is not None) is is_filled


@pytest.mark.parametrize(
    ("side", "seen"), [(Side.BUY, quote("90", "91")), (Side.SELL, quote("110", "111"))]
)
def test_what_rested_is_filled_at_its_limit_and_pays_the_maker_fee(side: Side, seen: Quote) -> None:
    fill = filled(side, "100", seen, is_resting=True)
    assert fill is not None
    assert (fill.price, fill.quote, fill.fee) == (D(100), D(200), D("0.04"))


def test_a_post_only_order_that_crosses_is_seen_before_it_is_taken() -> None:
    assert crosses(request(Side.BUY, "100.01", OrderType.POST_ONLY), QUOTE)
    assert not crosses(request(Side.BUY, "100", OrderType.POST_ONLY), QUOTE)


def test_an_order_without_a_limit_is_an_error() -> None:
    with pytest.raises(ValueError, match="has no limit price"):
        crosses(request(Side.BUY, None), QUOTE)


@given(
    side=st.sampled_from(Side),
    limit=st.decimals("0.01", "1000", places=2),
    bid=st.decimals("0.01", "1000", places=2),
    wide=st.decimals("0", "5", places=2),
    slippage=st.decimals("0", "0.1", places=4),
    is_resting=st.booleans(),
)
def test_a_fill_is_never_worse_than_its_limit(
    side: Side, limit: D, bid: D, wide: D, slippage: D, is_resting: bool
) -> None:
    one = replace(request(side, str(limit)), amount=D("0.7"))
    seen = quote(str(bid), str(bid + wide))
    fill = fill_limit(one, seen, slippage, TAKER, MAKER, RULES, 7, is_resting=is_resting)
    if fill is None:
        assert seen.ask > limit if side is Side.BUY else seen.bid < limit
        return
    assert fill.price <= limit if side is Side.BUY else fill.price >= limit
    assert Fraction(fill.price) % Fraction(RULES.price_tick) == 0
    assert Fraction(fill.quote) == Fraction(fill.price) * Fraction(fill.amount)
    assert fill.fee == fill.quote * (MAKER if is_resting else TAKER)
