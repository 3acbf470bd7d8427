"""Throws away what only explains the past. Orders, fills, days and events are never touched."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet

from bots.lifecycle import Duty, Mode
from bots.models import (
    Alert,
    AlertDelivery,
    BotConfig,
    BotState,
    Command,
    Decision,
    Order,
    PaperOrder,
    SignalIn,
    StoredCandles,
)

BATCH = 1000
#: How long the candles of a market outlive the last bot that watched it.
CANDLES_STAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """How many rows went."""

    decisions: int
    commands: int
    paper_orders: int
    alerts: int
    signals: int


def prune(before: datetime) -> Pruned:
    """Delete decisions, ended commands, answered paper orders and told alerts of before then.

    The newest decision of a bot stays, however old: its page and the next tick refer to it. So
    does the paper exchange's answer to an order that is not settled: it will be asked for.
    """
    newest = BotState.objects.filter(pk=OuterRef("bot"), decision_id=OuterRef("pk"))
    decisions = Decision.objects.filter(last_at__lt=before).exclude(Exists(newest))
    commands = Command.objects.filter(ended_at__lt=before).exclude(status=Command.Status.PENDING)
    settled = Order.objects.filter(client_order_id=OuterRef("client_order_id"), is_settled=True)
    answers = PaperOrder.objects.filter(Exists(settled), created_at__lt=before)
    told = Alert.objects.filter(told_at__lt=before)
    ended = AlertDelivery.objects.filter(ended_at__lt=before)
    return Pruned(
        decisions=_delete(decisions),
        commands=_delete(commands),
        paper_orders=_delete(answers),
        alerts=_delete(told) + _delete(ended),
        signals=_delete(SignalIn.objects.filter(received_at__lt=before)),
    )


def prune_candles(now: datetime) -> int:
    """Delete the candles of markets that no bot watches and nobody wrote for a day.

    Returns how many markets went.
    """
    old = StoredCandles.objects.filter(updated_at__lt=now - CANDLES_STAY)
    same = {name: OuterRef(name) for name in ("exchange", "symbol", "timeframe")}
    ticked = BotConfig.objects.filter(state__duty__in=[Duty.TRADE, Duty.EXIT], **same)
    tested = Exists(ticked.filter(mode=Mode.TESTNET))
    seen = Exists(ticked.exclude(mode=Mode.TESTNET))  # paper bots see the live market
    count = _delete(old.filter(mode=Mode.TESTNET).exclude(tested))
    return count + _delete(old.exclude(mode=Mode.TESTNET).exclude(seen))


def _delete(rows: QuerySet[Any]) -> int:
    """Delete in batches, each in a transaction of its own: ticks get their turn in between."""
    count = 0
    while pks := list(rows.order_by("pk").values_list("pk", flat=True)[:BATCH]):
        rows.model._default_manager.filter(pk__in=pks).delete()
        count += len(pks)
    return count
