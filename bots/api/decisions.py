"""/bots/{id}/decisions: why a bot did or did not trade, and the same decided once more."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.shortcuts import get_object_or_404
from ninja import Query, Router, Schema
from pydantic import Field

from bots.api.access import ApiRequest
from bots.api.bots import own_bot
from bots.api.errors import Problem
from bots.api.pages import Page, Window, page
from bots.models import Decision
from bots.replaying import replay
from trading import recording

router = Router()


class DecisionOut(Schema):
    id: int
    action: str = Field(description="enter, exit, hold, blocked, failed or interrupted")
    gate: str = Field(description="the rule that decided")
    numbers: dict[str, Any] = Field(description="what it compared, newest tick")
    message: str
    order: str | None = Field(None, alias="order.client_order_id")
    first_at: datetime
    last_at: datetime
    count: int = Field(description="equal ticks in a row that this row stands for")


class VerdictOut(Schema):
    action: str
    gate: str
    numbers: dict[str, Any]


class RuleOut(Schema):
    gate: str
    mark: str = Field(description="passed, decided or unreached")
    numbers: dict[str, Any]


class ReplayOut(Schema):
    """`can`: replay, nothing_decided, other_version or unreadable; but for the first, no `now`."""

    decision: DecisionOut
    can: str
    same: bool | None
    then: VerdictOut
    now: VerdictOut | None
    signal: str = Field(description="judged (on its candles again) or as_kept")
    rules: list[RuleOut] = Field(description="in the order asked")
    inputs: dict[str, Any] | None = Field(description="what was decided on")


@router.get("/{bot_id}/decisions", response={200: Page[DecisionOut], 404: Problem})
def listed(request: ApiRequest, bot_id: int, window: Query[Window]) -> object:
    """List a bot's decisions, newest first."""
    rows = Decision.objects.filter(bot=own_bot(request, bot_id)).defer("inputs")
    return page(rows.select_related("order").order_by("-pk"), window)


@router.get("/{bot_id}/decisions/{number}", response={200: ReplayOut, 404: Problem})
def one(request: ApiRequest, bot_id: int, number: int) -> object:
    """Show every rule of one decision, and decide once more from what was kept of it."""
    bot = own_bot(request, bot_id)
    row = get_object_or_404(Decision.objects.select_related("order", "bot"), bot=bot, pk=number)
    found = replay(row)
    rules: list[Mapping[str, object]] = [
        {"gate": check.gate.value, "mark": check.mark.value, "numbers": dict(check.numbers)}
        for check in found.checks
    ]
    return {
        "decision": row,
        "can": found.can.value,
        "same": found.is_same if found.now else None,
        "then": found.then,
        "now": found.now,
        "signal": found.signals.value,
        "rules": rules,
        "inputs": recording.pack(found.view) if found.view else None,
    }
