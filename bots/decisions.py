"""Writes why a tick did or did not trade, with what it decided on, so that it can be replayed.

The inputs are those of the row's newest tick, as its numbers are: both go with the one statement
that a repeated decision costs anyway. The candles are kept where a tick traded, or would have and
was kept back, and only when the row is made.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db.models import F

from bots.models import BotConfig, Decision, DecisionCandles
from trading import recording, strategies
from trading.market import Candles
from trading.strategies import ParamErrors, UnknownStrategy

if TYPE_CHECKING:
    from bots.lease import Held, Outcome

#: Verdicts that look back on nothing: ticks that hold are nearly all there are.
QUIET = "hold"


def write(held: "Held", outcome: "Outcome", *, fence: int, at: datetime) -> int:
    """Write why; a tick that says the same as the one before raises that row's count.

    Returns the row's id.
    """
    values = {
        "numbers": dict(outcome.numbers),
        "message": outcome.message,
        "fence": fence,
        "last_at": at,
        "inputs": inputs_of(held, outcome),
    }
    if outcome.order is None and held.state.decision_id is not None:
        same = {"action": outcome.action, "gate": outcome.gate, "order": None}
        row = Decision.objects.filter(pk=held.state.decision_id, **same)
        # The message too: "123 s ago" would make each failed tick a row of its own.
        if row.update(count=F("count") + 1, **values):
            return held.state.decision_id
    made = Decision.objects.create(
        bot=held.bot,
        action=outcome.action,
        gate=outcome.gate,
        order=outcome.order,
        first_at=at,
        **values,
    )
    _keep_candles(held, made)
    return made.pk


def inputs_of(held: "Held", outcome: "Outcome") -> str:
    """Return what the tick decided on as JSON; empty where it never came to decide."""
    if held.judged is None:
        return ""
    view, verdict = held.judged
    kept: dict[str, Any] = {"v": recording.SCHEMA, "view": recording.pack(view)}
    said = (verdict.action, verdict.gate.value, dict(verdict.numbers))
    if said != (outcome.action, outcome.gate, dict(outcome.numbers)):
        # The verdict is one thing, what became of it another: a refused order, a change meanwhile.
        kept["said"] = said
    if held.candles is not None and held.candles.times:
        kept["strategy"] = held.bot.strategy
        kept["params"] = _params(held.bot)
        kept["window"] = _window(held.candles)
    return json.dumps(kept, separators=(",", ":"))


def _params(bot: BotConfig) -> Mapping[str, Any]:
    """Return all parameters of the strategy as it took them: a later default changes nothing."""
    try:
        return strategies.clean(strategies.get(bot.strategy), bot.params)
    except (UnknownStrategy, ParamErrors):
        return {}


def _window(candles: Candles) -> list[Any]:
    """Name a window: timeframe, first opening instant, count, digest."""
    return [candles.timeframe, candles.times[0], len(candles), recording.digest(candles)]


def _keep_candles(held: "Held", row: Decision) -> None:
    if held.judged is None or held.candles is None or not held.candles.times:
        return
    if held.judged[1].action == QUIET:
        return
    data = recording.pack_candles(held.candles)
    if data is not None:
        DecisionCandles.objects.create(decision=row, data=data)
