"""What orders get without an exchange: on paper, and in a backtest. Pure."""

from decimal import ROUND_CEILING, Decimal, localcontext

from trading.market import (
    EXACT,
    QUANTUM,
    FillReport,
    OrderRequest,
    Quote,
    Rules,
    Side,
    floor_to,
    quantize,
)
from trading.rounding import ceil_to


def buy_price(ask: Decimal, slippage: Decimal, rules: Rules) -> Decimal:
    """Return what a market buy pays on paper: `ask` x (1 + `slippage`), up to the next tick."""
    with localcontext(EXACT):
        return ceil_to(ask * (1 + slippage), rules.price_tick)


def sell_price(bid: Decimal, slippage: Decimal, rules: Rules) -> Decimal:
    """Return what a market sale gets on paper: `bid` x (1 - `slippage`), down to the tick."""
    with localcontext(EXACT):
        price = floor_to(bid * (1 - slippage), rules.price_tick)
        # One tick is the least price there is: nothing is sold for nothing.
        return max(price, rules.price_tick)


def cost_margin(ask: Decimal, slippage: Decimal, fee_rate: Decimal, rules: Rules) -> Decimal:
    """Return what slippage, up to the next tick, and the fee add to a buy at `ask`, a fraction."""
    with localcontext(EXACT):
        paid = buy_price(ask, slippage, rules) * (1 + fee_rate)
        return (paid / ask - 1).quantize(QUANTUM, ROUND_CEILING)


def fill_market(
    request: OrderRequest,
    quote: Quote,
    slippage: Decimal,
    fee_rate: Decimal,
    rules: Rules,
    at: int,
) -> FillReport:
    """Return the one fill that a market order gets on paper at `at` (Unix ms).

    Buys at ask x (1 + slippage), sells at bid x (1 - slippage), rounded to the tick against the
    taker; `slippage` and `fee_rate` are fractions (0.001 is 0.1 %). The fee is quote currency.
    """
    price = _taker_price(request.side, quote, slippage, rules)
    return _fill(request, price, fee_rate, rules, at)


def crosses(request: OrderRequest, quote: Quote) -> bool:
    """Whether a limit order would trade at once; a post-only order that does is refused."""
    limit = _limit(request)
    return quote.ask <= limit if request.side is Side.BUY else quote.bid >= limit


def fill_limit(
    request: OrderRequest,
    quote: Quote,
    slippage: Decimal,
    taker_fee: Decimal,
    maker_fee: Decimal,
    rules: Rules,
    at: int,
    *,
    is_resting: bool,
) -> FillReport | None:
    """Return the one fill that a limit order gets on paper at `at` (Unix ms), None: it rests.

    One that trades as it arrives is a taker: at the quote with slippage, never beyond its limit.
    One that rests is a maker: at its limit, as soon as the other side of the market comes there.
    `slippage` and both fees are fractions; the fee is quote currency.
    """
    if not crosses(request, quote):
        return None
    limit = _limit(request)
    if is_resting:
        return _fill(request, limit, maker_fee, rules, at)
    price = _taker_price(request.side, quote, slippage, rules)
    price = min(price, limit) if request.side is Side.BUY else max(price, limit)
    return _fill(request, price, taker_fee, rules, at)


def _limit(request: OrderRequest) -> Decimal:
    if request.price is None:
        raise ValueError(f"{request.type} order {request.client_order_id} has no limit price")
    return request.price


def _taker_price(side: Side, quote: Quote, slippage: Decimal, rules: Rules) -> Decimal:
    if side is Side.BUY:
        return buy_price(quote.ask, slippage, rules)
    return sell_price(quote.bid, slippage, rules)


def _fill(
    request: OrderRequest, price: Decimal, fee_rate: Decimal, rules: Rules, at: int
) -> FillReport:
    with localcontext(EXACT):
        value = quantize(price * request.amount)
        return FillReport(
            trade_id=f"{request.client_order_id}-1",
            price=price,
            amount=request.amount,
            quote=value,
            fee=quantize(value * fee_rate),
            fee_currency=rules.quote,
            at=at,
        )
