"""What a bot and its account have been through, and the limits that its bots share."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.db.models import Q

from bots.connect import quote_of
from bots.lease import Held
from bots.models import Account, BotState, Fill, Order, Outpaced
from trading.execution import Record
from trading.risk import STOPS


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
        "account_positions": _open_positions(held),
        "account_max_positions": account.max_open_positions,
        "account_day_pnl": _day_pnl(held),
        "account_max_daily_loss": account.max_daily_loss,
    }


def _open_positions(held: Held) -> int:
    """Return how many other bots of the account hold a position.

    An order whose end is not known counts: it may become one.
    """
    others = BotState.objects.filter(bot__account=held.account).exclude(pk=held.bot.pk)
    return others.filter(
        Q(in_position=True) | Q(has_unsettled_orders=True) | Q(has_ladder=True)
    ).count()


def _day_pnl(held: Held) -> Decimal:
    """Return today's realised PnL of the account's bots that trade for the same quote currency.

    PnL of different currencies is never summed, so each has a daily loss of its own.
    """
    quote = quote_of(held.bot.symbol)
    same = Q(bot__symbol__endswith=f"/{quote}") | Q(bot__symbol__contains=f"/{quote}:")
    others = BotState.objects.filter(same, bot__account=held.account).exclude(pk=held.bot.pk)
    return sum(others.values_list("daily_pnl", flat=True), held.state.daily_pnl)


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
    if most is not None and _open_positions(held) >= most:
        raise Outpaced(f"account {locked.pk}: all positions are taken")
    loss = locked.max_daily_loss
    if loss is not None and _day_pnl(held) <= -loss:
        raise Outpaced(f"account {locked.pk}: the daily loss is reached")
