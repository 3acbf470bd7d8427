"""Intents: an order is committed before it is sent, on the row that Stop updates.

Everything here runs in the tick that holds the bot's lease and carries its fence.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.db import transaction
from django.db.models.functions import Now

from bots import limits
from bots.lease import Held
from bots.lifecycle import Duty
from bots.models import BotState, Command, Installation, Order, Outpaced
from bots.models.ledger import new_client_order_id
from trading.execution import Decision
from trading.ladder import BASE, Rung
from trading.market import OrderType, Rules, Side, quantize
from trading.protective import Protective
from trading.risk import Gate


def write_intent(
    held: Held, decision: Decision, rules: Rules, *, signed_at: int, command: Command | None
) -> Order:
    """Commit an order before it is sent (I6). Outpaced if stop, edit, limit or day came first.

    The conditional update is on the row that Stop updates, so the two serialise: whoever
    commits second sees the other (I4). `signed_at`: exchange time, Unix ms.
    """
    order = _intended(held, decision, rules, signed_at)
    with transaction.atomic():
        rows = BotState.objects.filter(**held.mine, **_may_order(held, order.purpose))
        if not rows.update(has_unsettled_orders=True):
            raise Outpaced(f"bot {held.bot.pk}: the intent came too late")
        if order.purpose == Order.Purpose.ENTRY:
            limits.check(held)
        order.save()
        if command is not None:
            waiting = Command.objects.filter(pk=command.pk, status=Command.Status.PENDING)
            done = {"status": Command.Status.DONE, "order": order, "ended_at": held.started}
            if not waiting.update(**done):
                raise Outpaced(f"bot {held.bot.pk}: the command was taken back")
    held.refresh()
    return order


def _may_order(held: Held, purpose: str) -> dict[str, Any]:
    """Return what must still be true of the state row for an order to be written."""
    guard: dict[str, Any] = {
        "run_epoch": held.epoch,
        "lease_until__gt": Now(),
        "has_unsettled_orders": False,
        # Coins in a protective order cannot be sold, and an entry has nothing to protect yet.
        "has_protection": False,
        "has_ladder": False,
    }
    if purpose != Order.Purpose.ENTRY:
        return guard | {"in_position": True, "duty__in": [Duty.TRADE, Duty.EXIT]}
    return guard | {
        "duty": Duty.TRADE,
        "in_position": False,
        "counter_day": held.state.counter_day,
        "daily_trades_count": held.state.daily_trades_count,
    }


def _intended(held: Held, decision: Decision, rules: Rules, signed_at: int) -> Order:
    if decision.side is None or decision.amount is None or decision.price is None:
        raise ValueError(f"decision {decision.gate} has no order")
    entry = decision.action == "enter"
    return _unsent(
        held,
        signed_at,
        side=decision.side,
        type=decision.order_type,
        purpose=Order.Purpose.ENTRY if entry else Order.Purpose.EXIT,
        reason=decision.gate,
        amount=decision.amount,
        price=decision.limit,
        reduce_only=decision.reduce_only,
        expected_price=decision.price,
        dust=quantize(rules.dust_below(decision.price)),
        level=BASE if entry and held.has_rungs else None,
    )


def write_rung(held: Held, rung: Rung, rules: Rules, *, signed_at: int) -> Order:
    """Commit one order of a ladder before it is sent; those that rest beside it are no obstacle.

    Outpaced as of any intent: a buy is written only while the bot may enter, a sale only while it
    holds a position.
    """
    order = _unsent(
        held,
        signed_at,
        side=rung.side,
        type=OrderType.LIMIT,
        purpose=Order.Purpose.RUNG,
        reason=Gate.LADDER,
        amount=rung.amount,
        price=rung.price,
        level=rung.level,
        expected_price=rung.price,
        dust=quantize(rules.dust_below(rung.price)),
    )
    guard: dict[str, Any] = {
        "run_epoch": held.epoch,
        "lease_until__gt": Now(),
        "has_unsettled_orders": False,
    }
    if rung.side is Side.BUY:
        guard |= {"duty": Duty.TRADE, "counter_day": held.state.counter_day}
    else:
        # Coins in a protective order cannot be sold.
        guard |= {"in_position": True, "has_protection": False}
        guard["duty__in"] = [Duty.TRADE, Duty.EXIT]
    with transaction.atomic():
        rows = BotState.objects.filter(**held.mine, **guard)
        if not rows.update(has_unsettled_orders=True, has_ladder=True):
            raise Outpaced(f"bot {held.bot.pk}: the rung came too late")
        if rung.side is Side.BUY and not held.state.in_position:
            limits.check(held)
        order.save()
    held.refresh()
    return order


def _unsent(held: Held, signed_at: int, **values: Any) -> Order:
    """Return a new order of the bot, under a client order id of its own."""
    return Order(
        bot=held.bot,
        account=held.account,
        client_order_id=new_client_order_id(Installation.get().mark, held.bot.pk),
        symbol=held.bot.symbol,
        signed_at=datetime.fromtimestamp(signed_at / 1000, UTC),
        fence=held.state.fence,
        run_epoch=held.epoch,
        created_at=held.started,
        **values,
    )


def write_protection(
    held: Held, wanted: Sequence[Protective], rules: Rules, *, signed_at: int
) -> list[Order]:
    """Commit protective orders before they are sent; two of spot share a name as a pair."""
    is_futures = ":" in rules.symbol
    rows = [
        _unsent(
            held,
            signed_at,
            side=one.side,
            type=one.type,
            purpose=Order.Purpose.PROTECT,
            reason=one.gate,
            amount=one.amount,
            trigger=one.trigger,
            reduce_only=is_futures,
            expected_price=one.trigger,
            dust=quantize(rules.dust_below(one.trigger)),
        )
        for one in wanted
    ]
    if len(rows) == 2 and not is_futures:
        for order in rows:
            order.pair = rows[0].client_order_id
    with transaction.atomic():
        state = BotState.objects.filter(**held.mine, **_may_order(held, Order.Purpose.PROTECT))
        if not state.update(has_unsettled_orders=True, has_protection=True):
            raise Outpaced(f"bot {held.bot.pk}: the protection came too late")
        for order in rows:
            order.save()
    held.refresh()
    return rows
