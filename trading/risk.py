"""Where to get out, and when a day is over: levels and daily limits. Pure, both directions.

2 means 2 %. Daily limits and `position_size_perc` are percentages of `initial_capital`, stops and
target of the entry price. Zero or None switches a rule off.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, localcontext
from enum import StrEnum

from trading.market import EXACT, quantize
from trading.rounding import readable

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
    DIRECTION = "direction"
    ENTRY_RESTING = "entry_resting"
    ENTRY_TIMEOUT = "entry_timeout"
    SIGNAL_GONE = "signal_gone"
    LADDER = "ladder"
    MAX_DAILY_LOSS = "max_daily_loss"
    DAILY_TARGET = "daily_target"
    MAX_DAILY_TRADES = "max_daily_trades"
    ACCOUNT_DAILY_LOSS = "account_daily_loss"
    MAX_DRAWDOWN = "max_drawdown"
    COOLDOWN = "cooldown"
    STOP_GUARD = "stop_guard"
    MAX_OPEN_POSITIONS = "max_open_positions"
    MARKET_HALTED = "market_halted"
    SPREAD = "spread"
    LIQUIDATION = "liquidation"
    BELOW_MINIMUM = "below_minimum"
    TOO_LARGE = "too_large"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    RECONCILE = "reconcile"


#: The gates that guard against loss: what the stop guard counts.
STOPS = (Gate.STOP_LOSS, Gate.TRAILING_STOP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the owner set for a bot; money is quote currency.

    `position_size_fixed` is the notional of one entry (not its margin) and wins over
    `position_size_perc`. `direction`: long, short or both; short positions need futures.
    `entry_type`: market, limit or post_only; the last two rest `entry_offset_perc` away from the
    market for `entry_timeout_seconds`, and `entry_fallback` (none or market) says what comes then.
    `loss_includes_open`: the daily loss counts the open position's, and closes it.
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
    direction: str = "long"
    entry_type: str = "market"
    entry_offset_perc: Decimal | None = None
    entry_timeout_seconds: int = 120
    entry_fallback: str = "none"
    max_spread_perc: Decimal | None = None
    cooldown_minutes: int | None = None
    stop_guard_stops: int | None = None
    stop_guard_minutes: int | None = None
    max_drawdown_perc: Decimal | None = None
    loss_includes_open: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """The trading day so far: realised profit (quote currency) and positions opened.

    `closed_at_loss`: the daily loss limit closed a position today. What its close really earned
    may lie just inside the limit; the day is over all the same.
    """

    pnl: Decimal = ZERO
    trades: int = 0
    closed_at_loss: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """Prices (quote currency) at which a position is left; None where the rule is off.

    `max_price` is the most favourable price seen since entry, the highest of a long position and
    the lowest of a short one, kept while there is a position.
    """

    stop: Decimal | None = None
    target: Decimal | None = None
    trailing: Decimal | None = None
    max_price: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """An order that may not be sent, with the rule and its numbers for people."""

    gate: Gate
    numbers: Mapping[str, str]


def levels(settings: Settings, entry_price: Decimal, *, is_short: bool = False) -> Levels:
    """Return the levels of a position at the moment it is entered at `entry_price`."""
    return _at(settings, entry_price, entry_price, is_short)


def trail(settings: Settings, levels: Levels, price: Decimal, *, is_short: bool = False) -> Levels:
    """Return `levels` after `price` was seen: the best price improves, the trailing stop with it.

    The trailing stop is max_price x (1 - trailing_stop_perc / 100) of the settings of now, of a
    short position x (1 + ...), so it never loosens unless the owner widens it.
    """
    best = price if levels.max_price is None else _better(levels.max_price, price, is_short)
    return replace(levels, max_price=best, trailing=_trailing(settings, best, is_short))


def follow(
    settings: Settings,
    entry_price: Decimal,
    levels: Levels,
    price: Decimal,
    *,
    is_short: bool = False,
) -> Levels:
    """Return the levels of a position by the settings of now, after `price` was seen.

    Only the best price is remembered. All else follows from entry and settings, so an edited
    stop works from the next tick and levels that were never stored heal.
    """
    seen = entry_price if levels.max_price is None else levels.max_price
    best = _better(seen, entry_price, is_short)
    return trail(settings, _at(settings, entry_price, best, is_short), price, is_short=is_short)


def _better(one: Decimal, other: Decimal, is_short: bool) -> Decimal:
    return min(one, other) if is_short else max(one, other)


def _at(settings: Settings, entry_price: Decimal, best: Decimal, is_short: bool) -> Levels:
    gain = -1 if is_short else 1
    return Levels(
        stop=_moved(entry_price, settings.stop_loss_perc, -gain),
        target=_moved(entry_price, settings.take_profit_perc, gain),
        trailing=_trailing(settings, best, is_short),
        max_price=best,
    )


def _trailing(settings: Settings, best: Decimal, is_short: bool) -> Decimal | None:
    if not settings.trailing_stop_active:
        return None
    return _moved(best, settings.trailing_stop_perc, 1 if is_short else -1)


def _moved(price: Decimal, perc: Decimal | None, direction: int) -> Decimal | None:
    if not perc:
        return None
    with localcontext(EXACT):
        return quantize(price * (HUNDRED + direction * perc) / HUNDRED)


def exit_reason(levels: Levels, price: Decimal, *, is_short: bool = False) -> Gate | None:
    """Return which level closing at `price` has reached (a level itself counts), stops first."""

    def fell_to(level: Decimal | None) -> bool:
        return level is not None and (price >= level if is_short else price <= level)

    if fell_to(levels.stop):
        return Gate.STOP_LOSS
    if fell_to(levels.trailing):
        return Gate.TRAILING_STOP
    target = levels.target
    if target is not None and (price <= target if is_short else price >= target):
        return Gate.TAKE_PROFIT
    return None


def limit_reached(settings: Settings, day: Day, open_pnl: Decimal = ZERO) -> Gate | None:
    """Return the daily limit that forbids further entries today (a limit itself counts).

    `open_pnl` is what closing the position now would realise, before exit fees; it counts where
    the settings say so.
    """
    loss = of_capital(settings, settings.max_daily_loss_perc)
    closed = settings.loss_includes_open and day.closed_at_loss
    if loss and (closed or day_pnl(settings, day, open_pnl) <= -loss):
        return Gate.MAX_DAILY_LOSS
    target = of_capital(settings, settings.daily_target_perc)
    if target and day.pnl >= target:
        return Gate.DAILY_TARGET
    if settings.max_daily_trades and day.trades >= settings.max_daily_trades:
        return Gate.MAX_DAILY_TRADES
    return None


def limit_numbers(
    settings: Settings, day: Day, gate: Gate, open_pnl: Decimal = ZERO
) -> Mapping[str, str]:
    """Return where the day stands against the limit `gate`: {"have", "limit"} for people."""
    if gate is Gate.MAX_DAILY_TRADES:
        return {"have": str(day.trades), "limit": str(settings.max_daily_trades)}
    if gate is Gate.DAILY_TARGET:
        limit = of_capital(settings, settings.daily_target_perc)
        return {"have": readable(day.pnl), "limit": readable(limit)}
    limit = -of_capital(settings, settings.max_daily_loss_perc)
    have = day_pnl(settings, day, open_pnl)
    return {"have": readable(have), "limit": readable(limit)}


def day_pnl(settings: Settings, day: Day, open_pnl: Decimal) -> Decimal:
    """Return the profit (quote currency) that the daily loss limit is judged by."""
    return EXACT.add(day.pnl, open_pnl) if settings.loss_includes_open else day.pnl


def of_capital(settings: Settings, perc: Decimal | None) -> Decimal:
    """Return a percentage of the initial capital, 0 for a rule that is off."""
    if not perc:
        return ZERO
    with localcontext(EXACT):
        return settings.initial_capital * perc / HUNDRED
