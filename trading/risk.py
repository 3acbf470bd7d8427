"""How much to buy, where to get out, and when a day is over. Pure; long positions.

2 means 2 %. Daily limits and `position_size_perc` are percentages of `initial_capital`, stops and
target of the entry price. Zero or None switches a rule off.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, Decimal, localcontext
from enum import StrEnum

from trading.market import EXACT, Rules, quantize
from trading.rounding import ceil_to, readable

ZERO = Decimal(0)
HUNDRED = Decimal(100)


class Gate(StrEnum):
    """The rule that decided a tick: what let an order through or kept it back."""

    SIGNAL = "signal"
    COMMAND = "command"
    CLOSING = "closing"
    STOP_LOSS = "stop_loss"
    TRAILING_STOP = "trailing_stop"
    TAKE_PROFIT = "take_profit"
    NO_SIGNAL = "no_signal"
    IN_POSITION = "in_position"
    FLAT = "flat"
    DUTY_EXIT = "duty_exit"
    MAX_DAILY_LOSS = "max_daily_loss"
    DAILY_TARGET = "daily_target"
    MAX_DAILY_TRADES = "max_daily_trades"
    MARKET_HALTED = "market_halted"
    BELOW_MINIMUM = "below_minimum"
    TOO_LARGE = "too_large"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    RECONCILE = "reconcile"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the owner set for a bot; money is quote currency.

    `position_size_fixed` is the notional of one entry (not its margin) and wins over
    `position_size_perc`.
    """

    initial_capital: Decimal
    position_size_fixed: Decimal | None = None
    position_size_perc: Decimal | None = None
    stop_loss_perc: Decimal | None = None
    take_profit_perc: Decimal | None = None
    trailing_stop_perc: Decimal | None = None
    trailing_stop_active: bool = False
    max_daily_trades: int | None = None
    max_daily_loss_perc: Decimal | None = None
    daily_target_perc: Decimal | None = None
    leverage: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """The trading day so far: realised profit (quote currency) and positions opened."""

    pnl: Decimal = ZERO
    trades: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """Prices (quote currency) at which a position is left; None where the rule is off.

    `max_price` is the highest price seen since entry, kept while there is a position.
    """

    stop: Decimal | None = None
    target: Decimal | None = None
    trailing: Decimal | None = None
    max_price: Decimal | None = None


def levels(settings: Settings, entry_price: Decimal) -> Levels:
    """Return the levels of a long position at the moment it is entered at `entry_price`."""
    return _at(settings, entry_price, entry_price)


def trail(settings: Settings, levels: Levels, price: Decimal) -> Levels:
    """Return `levels` after `price` was seen: the highest price rises, the trailing stop with it.

    The trailing stop is max_price x (1 - trailing_stop_perc / 100) of the settings of now, so it
    never falls unless the owner widens it.
    """
    highest = price if levels.max_price is None else max(levels.max_price, price)
    return replace(levels, max_price=highest, trailing=_trailing(settings, highest))


def follow(settings: Settings, entry_price: Decimal, levels: Levels, price: Decimal) -> Levels:
    """Return the levels of a position by the settings of now, after `price` was seen.

    Only the highest price is remembered. All else follows from entry and settings, so an edited
    stop works from the next tick and levels that were never stored heal.
    """
    highest = entry_price if levels.max_price is None else max(levels.max_price, entry_price)
    return trail(settings, _at(settings, entry_price, highest), price)


def _at(settings: Settings, entry_price: Decimal, highest: Decimal) -> Levels:
    return Levels(
        stop=_moved(entry_price, settings.stop_loss_perc, -1),
        target=_moved(entry_price, settings.take_profit_perc, +1),
        trailing=_trailing(settings, highest),
        max_price=highest,
    )


def _trailing(settings: Settings, highest: Decimal) -> Decimal | None:
    if not settings.trailing_stop_active:
        return None
    return _moved(highest, settings.trailing_stop_perc, -1)


def _moved(price: Decimal, perc: Decimal | None, direction: int) -> Decimal | None:
    if not perc:
        return None
    with localcontext(EXACT):
        return quantize(price * (HUNDRED + direction * perc) / HUNDRED)


def exit_reason(levels: Levels, price: Decimal) -> Gate | None:
    """Return which level a sale at `price` has reached (a level itself counts), stops first."""
    if levels.stop is not None and price <= levels.stop:
        return Gate.STOP_LOSS
    if levels.trailing is not None and price <= levels.trailing:
        return Gate.TRAILING_STOP
    if levels.target is not None and price >= levels.target:
        return Gate.TAKE_PROFIT
    return None


def limit_reached(settings: Settings, day: Day) -> Gate | None:
    """Return the daily limit that forbids further entries today (a limit itself counts)."""
    loss = _of_capital(settings, settings.max_daily_loss_perc)
    if loss and day.pnl <= -loss:
        return Gate.MAX_DAILY_LOSS
    target = _of_capital(settings, settings.daily_target_perc)
    if target and day.pnl >= target:
        return Gate.DAILY_TARGET
    if settings.max_daily_trades and day.trades >= settings.max_daily_trades:
        return Gate.MAX_DAILY_TRADES
    return None


def limit_numbers(settings: Settings, day: Day, gate: Gate) -> Mapping[str, str]:
    """Return where the day stands against the limit `gate`: {"have", "limit"} for people."""
    if gate is Gate.MAX_DAILY_TRADES:
        return {"have": str(day.trades), "limit": str(settings.max_daily_trades)}
    limit = -_of_capital(settings, settings.max_daily_loss_perc)
    if gate is Gate.DAILY_TARGET:
        limit = _of_capital(settings, settings.daily_target_perc)
    return {"have": readable(day.pnl), "limit": readable(limit)}


def _of_capital(settings: Settings, perc: Decimal | None) -> Decimal:
    if not perc:
        return ZERO
    with localcontext(EXACT):
        return settings.initial_capital * perc / HUNDRED


@dataclass(frozen=True, slots=True, kw_only=True)
class Sized:
    """An entry that may be sent: base amount, and its value in quote currency."""

    amount: Decimal
    notional: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """An entry that may not be sent, with the rule and its numbers for people."""

    gate: Gate
    numbers: Mapping[str, str]


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
        wanted = settings.position_size_fixed or _of_capital(settings, settings.position_size_perc)
        amount = rules.floor_amount(wanted / price)
        if blocked := _outside(rules, price, wanted, amount):
            return blocked
        notional = amount * price
        margin = rules.taker_fee if cost_margin is None else cost_margin
        need = notional / settings.leverage + notional * margin
        if free_quote is not None and need > free_quote:
            numbers = need_and_have(need, free_quote, rules.quote)
            return Blocked(gate=Gate.INSUFFICIENT_FUNDS, numbers=numbers)
        return Sized(amount=amount, notional=quantize(notional))


def _outside(rules: Rules, price: Decimal, wanted: Decimal, amount: Decimal) -> Blocked | None:
    """Check an amount against the market's bounds."""
    least = ceil_to(rules.dust_below(price), rules.amount_step)
    if amount < least:
        numbers = need_and_have(least * price, wanted, rules.quote)
        return Blocked(gate=Gate.BELOW_MINIMUM, numbers=numbers)
    if rules.max_amount is not None and amount > rules.max_amount:
        limit = readable(rules.max_amount, ROUND_FLOOR)
        numbers = {"max_amount": limit, "have": readable(amount), "currency": rules.base}
        return Blocked(gate=Gate.TOO_LARGE, numbers=numbers)
    return None


def need_and_have(need: Decimal, have: Decimal, currency: str) -> Mapping[str, str]:
    """Return both for people, rounded so that what is shown as needed surely suffices."""
    return {
        "need": readable(need, ROUND_CEILING),
        "have": readable(have, ROUND_FLOOR),
        "currency": currency,
    }
