"""What a bot risks as its pages show it: levels, limits, open profit, and orders that rest."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from django.utils.translation import gettext as _

from bots import limits
from bots.lifecycle import PositionType
from bots.models import BotConfig, BotState, Order
from trading.market import OrderStatus

HUNDRED = Decimal(100)
ZERO = Decimal(0)
AT_THE_EXCHANGE = (OrderStatus.OPEN.value, OrderStatus.PARTIAL.value)


@dataclass(frozen=True, kw_only=True)
class Level:
    """Where a position ends: its price, and how far the last price is from it (%).

    Without a price it is what the settings plan: so many percent of `base`.
    """

    label: str
    perc: Decimal | None = None
    base: str = ""
    price: Decimal | None = None
    distance: Decimal | None = None


@dataclass(frozen=True, kw_only=True)
class Limit:
    """A counter against its limit; `used` is 0..100 for the bar."""

    label: str
    have: Decimal
    limit: Decimal
    used: int
    unit: str

    @property
    def is_reached(self) -> bool:
        return self.used >= 100


@dataclass(frozen=True, kw_only=True)
class Shared:
    """What all bots of an account have used of its limits; None where it has not set one."""

    loss: Limit | None = None
    positions: Limit | None = None

    @property
    def mark(self) -> str:
        """What tells one reading from the next, for polls: other bots change it as well."""
        return "".join(f"s{one.have:f}-{one.limit:f}" for one in (self.loss, self.positions) if one)


def is_resting_entry(order: Order) -> bool:
    """Whether it is an entry order that is known to wait at the exchange."""
    is_entry = order.purpose == Order.Purpose.ENTRY and order.price is not None
    return is_entry and order.status in AT_THE_EXCHANGE


def unrealised_of(state: BotState) -> Decimal | None:
    """Return the open position's profit at the last price, before the exit fee; None when flat."""
    if not state.in_position or state.last_price is None:
        return None
    return state.position.unrealized(state.last_price)


@dataclass(frozen=True, kw_only=True)
class Rung:
    """One order of a ladder that rests: what is left of it, and how far away its price is in %."""

    order: Order
    price: Decimal
    left: Decimal
    distance: Decimal | None


def rungs_of(orders: Iterable[Order], last: Decimal | None) -> list[Rung]:
    """Return the rungs among open orders, the highest price first."""
    found = [
        Rung(
            order=order,
            price=order.price,
            left=order.amount - order.filled,
            distance=distance(order.price, last),
        )
        for order in orders
        if order.purpose == Order.Purpose.RUNG and order.price is not None
    ]
    return sorted(found, key=lambda rung: rung.price, reverse=True)


def levels_of(bot: BotConfig, state: BotState | None) -> list[Level]:
    """Return where the position ends, or the next one will: opening one moves no row."""
    entry, best = _("of the entry"), _("of the best price")
    trailing = bot.trailing_stop_perc if bot.trailing_stop_active else None
    rows = [
        (_("Stop loss"), bot.stop_loss_perc, entry, "stop_loss_price"),
        (_("Trailing stop"), trailing, best, "trailing_stop_price"),
        (_("Take profit"), bot.take_profit_perc, entry, "take_profit_price"),
        (_("Liquidation"), None, "", "liquidation_price"),
    ]
    held = state if state and state.in_position else None
    found = []
    for label, perc, base, column in rows:
        price = getattr(held, column, None)
        if price is not None and held is not None:
            away = distance(price, held.last_price)
            found.append(Level(label=label, price=price, distance=away))
        elif perc and (held is None or base == best):
            # In a position a stop or target without a price is not there; a trailing one comes.
            found.append(Level(label=label, perc=perc, base=base))
    if held is None and bot.position_type == PositionType.FUTURES:
        found.append(Level(label=_("Liquidation")))
    return found


def limits_of(bot: BotConfig, state: BotState | None, quote: str) -> list[Limit]:
    """Return the counters of the day against the limits that are set."""
    pnl = state.daily_pnl if state else ZERO
    trades = Decimal(state.daily_trades_count if state else 0)
    rows = []
    if bot.max_daily_trades:
        rows.append(_limit(_("Trades"), trades, Decimal(bot.max_daily_trades), ""))
    if bot.max_daily_loss_perc:
        limit = bot.initial_capital * bot.max_daily_loss_perc / HUNDRED
        open_pnl = unrealised_of(state) if state and bot.loss_includes_open else None
        rows.append(_limit(_("Loss"), max(-pnl - (open_pnl or ZERO), ZERO), limit, quote))
    if bot.daily_target_perc:
        limit = bot.initial_capital * bot.daily_target_perc / HUNDRED
        rows.append(_limit(_("Target"), max(pnl, ZERO), limit, quote))
    return rows


def shared_of(bot: BotConfig, quote: str) -> Shared:
    """Return what all bots of the account used of its limits: a query for each that is set.

    The loss is that of the bots that trade for the same currency, as the limit is.
    """
    account = bot.account
    if account is None:
        return Shared()
    loss, most = account.max_daily_loss, account.max_open_positions
    daily = positions = None
    if loss:
        lost = max(-limits.day_pnl(account, quote), ZERO)
        daily = _limit(_("Loss, whole account"), lost, loss, quote)
    if most:
        have = Decimal(limits.open_positions(account))
        positions = _limit(_("Positions, whole account"), have, Decimal(most), "")
    return Shared(loss=daily, positions=positions)


def drawdown_of(bot: BotConfig, state: BotState | None, quote: str) -> Limit | None:
    """Return how far the bot's profit fell since its start against its limit: no day resets it."""
    if not bot.max_drawdown_perc or state is None:
        return None
    limit = bot.initial_capital * bot.max_drawdown_perc / HUNDRED
    peak = max(state.profit_peak, state.profit_base, state.profit)
    return _limit(_("Drawdown since the start"), peak - state.profit, limit, quote)


def distance(price: Decimal, last: Decimal | None) -> Decimal | None:
    """Return how far `price` lies from the last price, in percent of the last price."""
    return (price / last - 1) * HUNDRED if last else None


def _limit(label: str, have: Decimal, limit: Decimal, unit: str) -> Limit:
    used = min(int(have / limit * HUNDRED), 100) if limit else 0
    return Limit(label=label, have=have, limit=limit, used=used, unit=unit)
