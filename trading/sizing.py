"""How much an entry is, what it needs, and whether its stop would come in time. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, Decimal, localcontext

from trading import risk
from trading.market import EXACT, Rules, quantize
from trading.risk import Blocked, Gate, Settings, of_capital
from trading.rounding import ceil_to, readable

ZERO = Decimal(0)
#: Maintenance margin as a fraction of the notional where the exchange did not tell. Binance asks
#: for less in the smallest bracket of most markets, so the guess blocks rather too early.
MAINTENANCE = Decimal("0.025")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sized:
    """An entry that may be sent: base amount, and its value in quote currency."""

    amount: Decimal
    notional: Decimal


def size(
    settings: Settings,
    rules: Rules,
    price: Decimal,
    free_quote: Decimal | None,
    cost_margin: Decimal | None = None,
) -> Sized | Blocked:
    """Return the entry the settings ask for at `price` (> 0), rounded down to the market's step.

    Never raises a size to a minimum and never cuts one to a maximum or to the free funds
    (`free_quote`; None: not known, the exchange will say): such an entry is Blocked. Needed are
    notional / leverage and `cost_margin` of the notional (a fraction; None: the taker fee).
    """
    # Rounding down throughout: not even the last of 76 digits may lift an amount to the next step.
    with localcontext(EXACT, rounding=ROUND_DOWN):
        wanted = wanted_value(settings)
        amount = rules.floor_amount(wanted / price)
        if blocked := _outside(rules, price, wanted, amount):
            return blocked
        notional = amount * price
        need = funds_needed(settings, rules, notional, cost_margin)
        if free_quote is not None and need > free_quote:
            numbers = need_and_have(need, free_quote, rules.quote)
            return Blocked(gate=Gate.INSUFFICIENT_FUNDS, numbers=numbers)
        return Sized(amount=amount, notional=quantize(notional))


def wanted_value(settings: Settings) -> Decimal:
    """Return the value of one entry that the settings ask for (quote currency)."""
    return settings.position_size_fixed or of_capital(settings, settings.position_size_perc)


def funds_needed(
    settings: Settings, rules: Rules, notional: Decimal, cost_margin: Decimal | None
) -> Decimal:
    """Return the free quote currency that an entry of this value needs: margin, fee, slippage."""
    margin = rules.taker_fee if cost_margin is None else cost_margin
    with localcontext(EXACT, rounding=ROUND_DOWN):
        return notional / settings.leverage + notional * margin


def least_amount(rules: Rules, price: Decimal) -> Decimal:
    """Return the least base amount that the market takes at `price`, on its step."""
    with localcontext(EXACT, rounding=ROUND_DOWN):
        return ceil_to(rules.dust_below(price), rules.amount_step)


def _outside(rules: Rules, price: Decimal, wanted: Decimal, amount: Decimal) -> Blocked | None:
    """Check an amount against the market's bounds."""
    least = least_amount(rules, price)
    if amount < least:
        numbers = need_and_have(least * price, wanted, rules.quote)
        return Blocked(gate=Gate.BELOW_MINIMUM, numbers=numbers)
    if rules.max_amount is not None and amount > rules.max_amount:
        return too_large(rules, amount)
    return None


def unsellable(settings: Settings, rules: Rules, price: Decimal, amount: Decimal) -> Blocked | None:
    """Block a spot entry at `price` that the market would not take back at its stop.

    The fee may be taken in the coin, and at the stop the rest is worth less: what is below the
    minimum then can only be sold by hand. Without a stop the entry price counts. `amount`: base.
    """
    stop = nearest_stop(risk.levels(settings, price), is_short=False) or price
    with localcontext(EXACT):
        left = Decimal(1) - rules.taker_fee
        least = ceil_to(rules.dust_below(stop), rules.amount_step)
        if rules.floor_amount(amount * left) >= least:
            return None
        need = ceil_to(least / left, rules.amount_step) * price
        numbers = need_and_have(need, amount * price, rules.quote)
        return Blocked(gate=Gate.BELOW_MINIMUM, numbers=numbers)


def too_large(rules: Rules, amount: Decimal) -> Blocked:
    """Return that `amount` is more than the market takes in one order, with both numbers."""
    limit = readable(rules.max_amount or ZERO, ROUND_FLOOR)
    numbers = {"max_amount": limit, "have": readable(amount), "currency": rules.base}
    return Blocked(gate=Gate.TOO_LARGE, numbers=numbers)


def need_and_have(need: Decimal, have: Decimal, currency: str) -> Mapping[str, str]:
    """Return both for people, rounded so that what is shown as needed surely suffices."""
    return {
        "need": readable(need, ROUND_CEILING),
        "have": readable(have, ROUND_FLOOR),
        "currency": currency,
    }


def liquidation_price(
    entry_price: Decimal, leverage: int, maintenance: Decimal, *, is_short: bool = False
) -> Decimal:
    """Estimate where an isolated USDT perpetual is liquidated (quote currency; 0: never).

    There the margin left equals what has to be maintained: with P the entry, L the leverage and m
    the maintenance margin as a fraction of the notional, P x (1 - 1/L) / (1 - m) when long and
    P x (1 + 1/L) / (1 + m) when short (Binance's formula for isolated margin in one-way mode and
    the smallest bracket, fees left out).
    """
    with localcontext(EXACT):
        margin = Decimal(1) / leverage
        if is_short:
            return quantize(entry_price * (1 + margin) / (1 + maintenance))
        return quantize(entry_price * (1 - margin) / (1 - maintenance))


def liquidated_first(
    settings: Settings,
    entry_price: Decimal,
    maintenance: Decimal | None = None,
    *,
    is_short: bool = False,
) -> Blocked | None:
    """Block an entry whose stop lies at or beyond its liquidation price: it would never work.

    An entry without stop is the owner's choice. `maintenance` None: MAINTENANCE.
    """
    stop = nearest_stop(risk.levels(settings, entry_price, is_short=is_short), is_short=is_short)
    if stop is None:
        return None
    rate = MAINTENANCE if maintenance is None else maintenance
    limit = liquidation_price(entry_price, settings.leverage, rate, is_short=is_short)
    if stop < limit if is_short else stop > limit:
        return None
    numbers = {
        "have": readable(stop),
        "limit": readable(limit),
        "entry_price": readable(entry_price),
    }
    return Blocked(gate=Gate.LIQUIDATION, numbers=numbers)


def nearest_stop(levels: risk.Levels, *, is_short: bool) -> Decimal | None:
    """Return the stop that the price meets first, of stop loss and trailing stop."""
    stops = [level for level in (levels.stop, levels.trailing) if level is not None]
    if not stops:
        return None
    return min(stops) if is_short else max(stops)
