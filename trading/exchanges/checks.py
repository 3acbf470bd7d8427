"""What can be refused of an order without asking anybody."""

from collections.abc import Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext

from trading.exchange import ExchangeError, Fault, Rejected, Unreachable
from trading.market import EXACT, OrderRequest, OrderType, Rules, floor_to
from trading.rounding import readable


def check_order(request: OrderRequest, rules: Rules, price: Decimal | None = None) -> None:
    """Raise Rejected if the market cannot take this order.

    MARKET_HALTED; BELOW_MINIMUM with need and have (of the notional only when `price`, in quote
    currency, is known); ORDER_REJECTED for an amount above the maximum, and for an amount or price
    off its step, which nobody may round in silence.
    """
    symbol = rules.symbol
    if not rules.active:
        raise Rejected(Fault.MARKET_HALTED, f"{symbol} is not trading now")
    check_prices(request, rules)
    with localcontext(EXACT):
        amount = request.amount
        if not amount.is_finite() or amount <= 0:
            raise Rejected(Fault.BELOW_MINIMUM, f"{symbol}: the amount rounds to zero")
        least = max(rules.amount_step, rules.min_amount)
        if amount < least:
            raise Rejected(Fault.BELOW_MINIMUM, f"{symbol}: {need(least, amount, rules.base)}")
        if price is not None and amount * price < rules.min_notional:
            text = need(rules.min_notional, amount * price, rules.quote)
            raise Rejected(Fault.BELOW_MINIMUM, f"{symbol}: {text}")
        if rules.max_amount is not None and amount > rules.max_amount:
            text = f"{symbol}: at most {rules.max_amount} {rules.base} in one order"
            raise Rejected(Fault.ORDER_REJECTED, text)
        if rules.floor_amount(amount) != amount:
            text = f"{symbol}: {amount} is not a multiple of {rules.amount_step}"
            raise Rejected(Fault.ORDER_REJECTED, text)


#: The prices that an order of each type cannot be without.
NEEDED: Mapping[OrderType, tuple[str, ...]] = {
    OrderType.MARKET: (),
    OrderType.LIMIT: ("price",),
    OrderType.POST_ONLY: ("price",),
    OrderType.STOP: ("trigger",),
    OrderType.TARGET: ("trigger",),
}


def check_prices(request: OrderRequest, rules: Rules) -> None:
    """Raise Rejected(ORDER_REJECTED) for a price that is missing, impossible or off the tick."""
    for name in ("price", "trigger"):
        value: Decimal | None = getattr(request, name)
        if value is None:
            if name in NEEDED[request.type]:
                text = f"{rules.symbol}: a {request.type.value} order needs a {name}"
                raise Rejected(Fault.ORDER_REJECTED, text)
        elif not value.is_finite() or value <= 0 or floor_to(value, rules.price_tick) != value:
            text = (
                f"{rules.symbol}: {name} {value} is not a positive multiple of {rules.price_tick}"
            )
            raise Rejected(Fault.ORDER_REJECTED, text)


def need(least: Decimal, have: Decimal, currency: str) -> str:
    """Say both for people, rounded so that what is needed surely suffices."""
    return f"need {readable(least, ROUND_CEILING)}, have {readable(have, ROUND_FLOOR)} {currency}"


def before_sending(error: ExchangeError) -> ExchangeError:
    """Return what a failure to prepare an order means for it: nothing has been sent."""
    if error.fault is Fault.MARKET_UNKNOWN:
        return Rejected(error.fault, error.text)
    return Unreachable(error.fault, error.text, sent=False, retry_after=error.retry_after)


def refusal(error: ExchangeError, request: OrderRequest, rules: Rules) -> str:
    """Say which order was refused, and what would have been enough where the market tells."""
    text = f"{request.side.value} {request.amount:f} {request.symbol}: {error.text}"
    if error.fault is Fault.BELOW_MINIMUM and rules.min_notional:
        text += f" (need {rules.min_notional:f} {rules.quote})"
    return text
