"""What a bot and its account have been through, and the limits that its bots share."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Q

from bots.lease import Held
from bots.models import Account, BotConfig, BotState, Fill, Order, Outpaced
from trading.execution import Record
from trading.risk import STOPS
from trading.symbols import quote_of


def record_of(held: Held) -> Record:
    """Return the facts that protections judge by; only what the settings ask for is read."""
    state = held.state
    loss = state.last_loss_at
    return Record(
        now=held.world.now_ms(),
        last_loss_at=None if loss is None else round(loss.timestamp() * 1000),
        stop_exits=_stop_exits(held),
        profit=state.profit - state.profit_base,
        profit_peak=state.profit_peak - state.profit_base,
        **_account_facts(held),
    )


def _stop_exits(held: Held) -> tuple[int, ...]:
    minutes = held.bot.stop_guard_minutes
    if not minutes or not held.bot.stop_guard_stops:
        return ()
    since = held.started - timedelta(minutes=minutes)
    fills = Fill.objects.filter(bot=held.bot, at__gt=since, order__reason__in=STOPS)
    fills = fills.exclude(order__purpose=Order.Purpose.ENTRY)
    # An order counts once, however many fills it had.
    times = dict(fills.order_by("at").values_list("order_id", "at"))
    return tuple(round(at.timestamp() * 1000) for at in times.values())


def _account_facts(held: Held) -> dict[str, Any]:
    account = held.account
    if account.max_open_positions is None and account.max_daily_loss is None:
        return {}
    return {
        "account_positions": open_positions(account, held.bot),
        "account_max_positions": account.max_open_positions,
        "account_day_pnl": _day_pnl(held),
        "account_max_daily_loss": account.max_daily_loss,
    }


def open_positions(account: Account, besides: BotConfig | None = None) -> int:
    """Return how many bots of the account, one besides, hold a position.

    An order whose end is not known counts: it may become one.
    """
    others = BotState.objects.filter(bot__account=account).exclude(bot=besides)
    return others.filter(
        Q(in_position=True) | Q(has_unsettled_orders=True) | Q(has_ladder=True)
    ).count()


def day_pnl(account: Account, quote: str, besides: BotConfig | None = None) -> Decimal:
    """Return today's realised PnL of the account's bots, one besides, that trade for `quote`.

    PnL of different currencies is never summed, so each has a daily loss of its own.
    """
    same = Q(bot__symbol__endswith=f"/{quote}") | Q(bot__symbol__contains=f"/{quote}:")
    others = BotState.objects.filter(same, bot__account=account).exclude(bot=besides)
    return sum(others.values_list("daily_pnl", flat=True), Decimal(0))


def _day_pnl(held: Held) -> Decimal:
    """Return the same with this bot's own as it is now, before it is written."""
    own: Decimal = held.state.daily_pnl
    return day_pnl(held.account, quote_of(held.bot.symbol), held.bot) + own


def check(held: Held) -> None:
    """Raise Outpaced when another bot of the account has used up its limits meanwhile.

    Call it in the transaction that writes an entry. The account's row is locked, so of two bots
    that want the last place one waits until the other has taken it.
    """
    account = held.account
    if account.max_open_positions is None and account.max_daily_loss is None:
        return
    locked = Account.objects.select_for_update().get(pk=account.pk)
    most = locked.max_open_positions
    if most is not None and open_positions(locked, held.bot) >= most:
        raise Outpaced(f"account {locked.pk}: all positions are taken")
    loss = locked.max_daily_loss
    if loss is not None and _day_pnl(held) <= -loss:
        raise Outpaced(f"account {locked.pk}: the daily loss is reached")
