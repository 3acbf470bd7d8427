"""Decides once more what a tick decided, from what was kept of it. Reads rows, asks nobody."""

import json
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from bots import candles
from bots.models import Decision, DecisionCandles
from trading import recording, strategies
from trading.gates import Check, explain
from trading.market import Candles
from trading.strategies import ParamErrors, Signal, StrategyFailed, UnknownStrategy
from trading.view import View

#: What a row that is not ours, or was cut, raises when it is read.
UNREADABLE = (ValueError, TypeError, KeyError, ArithmeticError, AttributeError, zlib.error)


class Can(StrEnum):
    """Whether a decision can be replayed, and why not."""

    REPLAY = "replay"
    NOTHING_DECIDED = "nothing_decided"
    OTHER_VERSION = "other_version"
    UNREADABLE = "unreadable"


class Signals(StrEnum):
    """Where the replayed signal comes from: judged anew on the candles, or as it was kept."""

    JUDGED = "judged"
    AS_KEPT = "as_kept"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """An action, the gate that decided, and its numbers."""

    action: str
    gate: str
    numbers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Replay:
    """What became of a replay. `then` is what the tick decided, `now` the same decided again.

    `signal` is the strategy's now; `signals` says whether it was judged from candles again.
    """

    can: Can
    then: Verdict
    now: Verdict | None = None
    view: View | None = None
    checks: tuple[Check, ...] = ()
    signals: Signals = Signals.AS_KEPT
    has_window: bool = False

    @property
    def is_same(self) -> bool:
        return self.now == self.then


def replay(decision: Decision) -> Replay:
    """Decide again what the newest tick of a decision row decided."""
    then = Verdict(action=decision.action, gate=decision.gate, numbers=decision.numbers)
    if not decision.inputs:
        return Replay(can=Can.NOTHING_DECIDED, then=then)
    try:
        kept = json.loads(decision.inputs)
        if "said" in kept:
            action, gate, numbers = kept["said"]
            then = Verdict(action=action, gate=gate, numbers=numbers)
        if kept["v"] != recording.SCHEMA:
            return Replay(can=Can.OTHER_VERSION, then=then)
        view = recording.unpack(kept["view"])
        signal = _signal(decision, view, kept)
        view = view if signal is None else replace(view, signal=signal)
        verdict, checks = explain(view)
    except UNREADABLE:
        return Replay(can=Can.UNREADABLE, then=then)
    return Replay(
        can=Can.REPLAY,
        then=then,
        now=Verdict(action=verdict.action, gate=verdict.gate.value, numbers=verdict.numbers),
        view=view,
        checks=checks,
        signals=Signals.AS_KEPT if signal is None else Signals.JUDGED,
        has_window="window" in kept,
    )


def _signal(decision: Decision, view: View, kept: Mapping[str, Any]) -> Signal | None:
    """Judge the window of candles again; None where it is not there any more."""
    if "window" not in kept:
        return None
    try:
        strategy = strategies.get(kept["strategy"])
        params = strategies.clean(strategy, kept["params"])
    except (UnknownStrategy, ParamErrors):
        return None
    timeframe, first, count, digest = kept["window"]
    for found in _windows(decision, view.quote.symbol, timeframe, first, count):
        # A repeated decision was made on a later window than the one beside it.
        if recording.digest(found) == digest:
            with suppress(StrategyFailed):
                return strategy.signal(found, params)
    return None


def _windows(
    decision: Decision, symbol: str, timeframe: str, first: int, count: int
) -> Iterator[Candles]:
    """Yield where that window may be: beside the decision, or in its market's newest candles."""
    row = DecisionCandles.objects.filter(decision=decision.pk).first()
    if row is not None:
        data = bytes(row.data)
        yield recording.unpack_candles(data, symbol=symbol, timeframe=timeframe, first=first)
    bot = decision.bot
    newest = candles.latest(bot.exchange, bot.mode, symbol, timeframe)
    if first in newest.times:
        start = newest.times.index(first)
        yield newest.cut(start, start + count)
