"""What keeps a bot from entering beyond its own daily limits. Pure; limits gate entries only.

Standing rules hold whatever the market does: drawdown since the start, daily limits, the account's
daily loss. Passing rules keep one wished-for entry back: cooldown, stop guard, open positions.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, localcontext

from trading.market import EXACT
from trading.risk import Blocked, Day, Gate, Settings, limit_numbers, limit_reached, of_capital
from trading.rounding import readable

ZERO = Decimal(0)
MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a bot and its account have been through; instants in Unix ms, money quote currency.

    `last_loss_at`: when a position last closed with a loss. `stop_exits`: when stop loss or
    trailing stop closed one, in any order (those of the last `stop_guard_minutes` suffice).
    `profit` and its highest value `profit_peak` are realised since the start. `account_*`: open
    positions and today's realised profit of all bots of the account, and the account's limits.
    """

    now: int = 0
    last_loss_at: int | None = None
    stop_exits: tuple[int, ...] = ()
    profit: Decimal = ZERO
    profit_peak: Decimal = ZERO
    account_positions: int = 0
    account_max_positions: int | None = None
    account_day_pnl: Decimal = ZERO
    account_max_daily_loss: Decimal | None = None


def standing(
    settings: Settings, day: Day, record: Record, open_pnl: Decimal = ZERO
) -> Blocked | None:
    """Return the limit that forbids every entry now, the one that ends a bot first.

    `open_pnl`: what closing the position now would realise (0 when flat).
    """
    if blocked := _drawdown(settings, record):
        return blocked
    if gate := limit_reached(settings, day, open_pnl):
        return Blocked(gate=gate, numbers=limit_numbers(settings, day, gate, open_pnl))
    return _account_loss(record)


def passing(settings: Settings, record: Record) -> Blocked | None:
    """Return the rule that keeps an entry back for a while."""
    return _cooldown(settings, record) or _stop_guard(settings, record) or _open_positions(record)


def drawdown(record: Record) -> Decimal:
    """Return how far the profit fell below its highest since the start (quote currency)."""
    with localcontext(EXACT):
        # The start itself is a peak: a bot that only lost is below it.
        return max(record.profit_peak, record.profit, ZERO) - record.profit


def _drawdown(settings: Settings, record: Record) -> Blocked | None:
    limit, have = of_capital(settings, settings.max_drawdown_perc), drawdown(record)
    if not limit or have < limit:
        return None
    numbers = {"have": readable(have), "limit": readable(limit)}
    return Blocked(gate=Gate.MAX_DRAWDOWN, numbers=numbers)


def _account_loss(record: Record) -> Blocked | None:
    limit = record.account_max_daily_loss
    if not limit or record.account_day_pnl > -limit:
        return None
    numbers = {"have": readable(record.account_day_pnl), "limit": readable(-limit)}
    return Blocked(gate=Gate.ACCOUNT_DAILY_LOSS, numbers=numbers)


def _cooldown(settings: Settings, record: Record) -> Blocked | None:
    if not settings.cooldown_minutes or record.last_loss_at is None:
        return None
    until = record.last_loss_at + settings.cooldown_minutes * MINUTE_MS
    if record.now >= until:
        return None
    numbers = {
        "have": str(minutes_since(record, record.last_loss_at)),
        "limit": str(settings.cooldown_minutes),
        "until": iso(until),
    }
    return Blocked(gate=Gate.COOLDOWN, numbers=numbers)


def minutes_since(record: Record, at: int) -> int:
    """Return the whole minutes between an instant (Unix ms) and now."""
    return max(record.now - at, 0) // MINUTE_MS


def recent_stops(settings: Settings, record: Record) -> list[int]:
    """Return when stops closed positions (Unix ms) within `stop_guard_minutes`, oldest first."""
    window = (settings.stop_guard_minutes or 0) * MINUTE_MS
    return sorted(at for at in record.stop_exits if record.now < at + window)


def _stop_guard(settings: Settings, record: Record) -> Blocked | None:
    most, minutes = settings.stop_guard_stops, settings.stop_guard_minutes
    if not most or not minutes:
        return None
    recent = recent_stops(settings, record)
    if len(recent) < most:
        return None
    # Entries are free again once fewer than that many stops lie in the window.
    until = recent[-most] + minutes * MINUTE_MS
    numbers = {"have": str(len(recent)), "limit": str(most), "until": iso(until)}
    return Blocked(gate=Gate.STOP_GUARD, numbers=numbers)


def _open_positions(record: Record) -> Blocked | None:
    most = record.account_max_positions
    if not most or record.account_positions < most:
        return None
    numbers = {"have": str(record.account_positions), "limit": str(most)}
    return Blocked(gate=Gate.MAX_OPEN_POSITIONS, numbers=numbers)


def iso(at: int) -> str:
    """Return an instant (Unix ms) as ISO text in UTC, up to the second."""
    return datetime.fromtimestamp(-(-at // 1000), UTC).isoformat()
