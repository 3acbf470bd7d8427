"""What can be refused of an order without asking anybody."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext

from trading.exchange import ExchangeError, Fault, Rejected, Unreachable
from trading.market import EXACT, OrderRequest, Rules
from trading.rounding import readable


def check_order(request: OrderRequest, rules: Rules, price: Decimal | None = None) -> None:
    """Raise Rejected if the market cannot take this order.

    MARKET_HALTED; BELOW_MINIMUM with need and have (of the notional only when `price`, in quote
    currency, is known); ORDER_REJECTED for an amount above the maximum or off the step, which
    nobody may round in silence.
    """
    symbol = rules.symbol
    if not rules.active:
        raise Rejected(Fault.MARKET_HALTED, f"{symbol} is not trading now")
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


def need(least: Decimal, have: Decimal, currency: str) -> str:
    """Say both for people, rounded so that what is needed surely suffices."""
    return f"need {readable(least, ROUND_CEILING)}, have {readable(have, ROUND_FLOOR)} {currency}"


def before_sending(error: ExchangeError) -> ExchangeError:
    """Return what a failure to prepare an order means for it: nothing has been sent."""
    if error.fault is Fault.MARKET_UNKNOWN:
        return Rejected(error.fault, error.text)
    return Unreachable(error.fault, error.text, sent=False, retry_after=error.retry_after)
