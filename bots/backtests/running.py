"""A worker's side of backtests: one is claimed, tried, and told of while it goes on.

A run is claimed by one conditional update, so a message that comes twice tries nothing twice. What
the worker writes holds only while the run is still its own: one that was silent for too long is
somebody else's by then.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from bots import schedule
from bots.backtests import bounds, past, plans, results, sweeping
from bots.backtests.asking import RUN
from bots.backtests.figures import Tried, summary_of
from bots.models import BacktestRun
from trading import backtest, strategies
from trading.archive import Damaged
from trading.backtest import Plan, Terms, Unsupported
from trading.exchange import ExchangeError
from trading.history import BadHistory, History
from trading.market import TIMEFRAMES
from trading.strategies import StrategyFailed

log = logging.getLogger(__name__)
Status, Stage, Fault = BacktestRun.Status, BacktestRun.Stage, BacktestRun.Fault
#: Where each stage begins and ends, percent of the whole.
SPANS = {
    Stage.CANDLES: (0, 45),
    Stage.SIGNALS: (45, 75),
    Stage.WALK: (75, 99),
    Stage.SETS: (45, 99),
}
#: Seconds between two signs of life, and candles whose signals are asked for in one go.
PACE, SLICE = 0.5, 20_000
ATTEMPTS = 2


class Interrupted(BaseException):
    """What ends a try from outside: no strategy in the middle of its work may catch it."""


class Canceled(Interrupted):
    """The owner does not want it any more."""


class Outlived(Interrupted):
    """It takes longer than it may."""


class Lost(Interrupted):
    """The run is not this worker's any more: nothing of it may be written."""


class Failed(Exception):
    """There will be no result; `fault` says why."""

    def __init__(self, fault: str, text: str) -> None:
        super().__init__(text)
        self.fault = fault


class Held:
    """A run that this worker has claimed; `tell` writes how far it is."""

    def __init__(self, run: BacktestRun) -> None:
        self.run = run
        self.stage, self.progress = Stage.CANDLES, 0
        self.begun = self.told_at = time.monotonic()
        self.mine = BacktestRun.objects.filter(pk=run.pk, holder=run.holder, status=Status.RUNNING)

    def tell(self, stage: BacktestRun.Stage, share: float) -> None:
        """Write how far it is, now and then. Canceled, Outlived, Lost."""
        self.note(stage, share)
        is_new, self.stage = stage != self.stage, stage
        if is_new or time.monotonic() - self.told_at >= PACE:
            self.beat()

    def note(self, stage: BacktestRun.Stage, share: float) -> None:
        """Keep how far it is for the next sign of life, and ask the database nothing."""
        begin, end = SPANS[stage]
        self.progress = begin + int((end - begin) * min(max(share, 0.0), 1.0))

    def beat(self) -> None:
        """Give a sign of life. Canceled, Outlived, Lost."""
        self.told_at = time.monotonic()
        if self.told_at - self.begun > settings.BACKTEST_SECONDS:
            raise Outlived
        wanted = self.mine.filter(is_unwanted=False)
        if wanted.update(stage=self.stage, progress=self.progress, seen_at=timezone.now()):
            return
        raise Canceled if self.mine.exists() else Lost

    def done(self, plan: Plan, keep: Callable[[], dict[str, Any]]) -> None:
        """Write the result, if the run is still this worker's; `keep` returns its figures. Lost."""
        with transaction.atomic():
            figures = keep()
            figures["seconds"] = f"{time.monotonic() - self.begun:.1f}"
            rules = plans.told(plan.rules)
            changed = self.mine.update(
                status=Status.DONE,
                progress=100,
                stage="",
                summary=figures,
                assumed={**self.run.assumed, "rules": rules},
                ended_at=timezone.now(),
            )
            if not changed:
                raise Lost

    def end(self, status: BacktestRun.Status, fault: str = "", error: str = "") -> None:
        """Write that there is no result, if the run is still this worker's."""
        self.mine.update(
            status=status, stage="", fault=fault, error=error[:500], ended_at=timezone.now()
        )


def run(run_id: int) -> BacktestRun | None:
    """Try a queued run and return it; None if there is nothing to try, or no room for it now."""
    held = _claim(run_id)
    if held is None:
        if _has_room():
            _next()  # it was canceled meanwhile: those behind it must not wait for the sweep
        return None
    try:
        with bounds.memory(settings.BACKTEST_MEMORY_MB):
            _try(held)
    except Canceled:
        held.end(Status.CANCELED)
    except Lost:
        log.warning("backtest %s was taken for dead and is not this worker's any more", run_id)
    except Outlived:
        held.end(Status.FAILED, Fault.TIME)
    except MemoryError:
        held.end(Status.FAILED, Fault.MEMORY)
    except Failed as error:
        held.end(Status.FAILED, error.fault, str(error))
    except Exception as error:
        # A door: whatever it was, the owner is told, and the next run gets its turn.
        log.exception("backtest %s", run_id)
        held.end(Status.FAILED, Fault.INTERNAL, type(error).__name__)
    _next()
    held.run.refresh_from_db()
    return held.run


def _has_room() -> bool:
    running = BacktestRun.objects.filter(status=Status.RUNNING)
    return bool(running.count() < settings.BACKTEST_WORKERS)


def _claim(run_id: int) -> Held | None:
    if not _has_room():
        return None  # whoever ends sends the next one
    now, holder = timezone.now(), uuid4().hex
    claimed = BacktestRun.objects.filter(pk=run_id, status=Status.QUEUED).update(
        status=Status.RUNNING,
        holder=holder,
        attempts=F("attempts") + 1,
        stage=Stage.CANDLES,
        progress=0,
        started_at=now,
        seen_at=now,
    )
    if not claimed:
        return None
    return Held(BacktestRun.objects.select_related("owner").get(pk=run_id))


def _try(held: Held) -> None:
    sets = None
    try:
        plan = plans.plan_of_run(held.run)
        plan.check()
        if held.run.is_sweep:
            sets = sweeping.Sets.of(held.run, plan)
    except (plans.NoRules, Unsupported, strategies.UnknownStrategy) as error:
        raise Failed(Fault.NOT_TRIED, str(error)) from error
    except strategies.ParamErrors as error:
        raise Failed(Fault.NOT_TRIED, str(error)) from error
    found = _candles(held, plan, sets.window if sets else plan.strategy.window(plan.values))
    since = past.ms(held.run.since)
    if not found.candles.times or found.candles.times[-1] < since:
        raise Failed(Fault.CANDLES, "")
    plan = replace(plan, candles=found.candles, terms=_terms(held, plan))
    try:
        if sets is None:
            _walk(held, plan, found, since)
        else:
            _sweep(held, sets, plan, found, since)
    except StrategyFailed as error:
        raise Failed(Fault.STRATEGY, str(error)) from error


def _walk(held: Held, plan: Plan, found: History, since: int) -> None:
    """Try one set, whole."""
    actions = _actions(held, plan)
    held.tell(Stage.WALK, 0)
    with bounds.every(1.0, held.beat):
        result = backtest.run(plan, actions, lambda share: held.note(Stage.WALK, share))
    held.tell(Stage.WALK, 1)
    tried = Tried(plan=plan, result=result, past=found, since=since)

    def keep() -> dict[str, Any]:
        results.keep(held.run, tried)
        return summary_of(tried)

    held.done(plan, keep)


def _sweep(held: Held, sets: sweeping.Sets, plan: Plan, found: History, since: int) -> None:
    """Try many sets, each by what it comes to."""

    def tell(share: float) -> None:
        held.tell(Stage.SETS, share)

    tried = sweeping.tried(sets, plan, since, tell, held.beat)

    def keep() -> dict[str, Any]:
        sweeping.keep(held.run, tried)
        return sweeping.summary_of(held.run, sets, plan, found, since)

    held.done(plan, keep)


def _candles(held: Held, plan: Plan, window: int) -> History:
    """Return the candles of the time that was asked for, and `window` more that feed the first.

    So the first candle can be traded on, as by a bot that was started then.
    """
    bot, length = plans.draft_of(held.run), TIMEFRAMES[plan.candles.timeframe]
    since, until = past.ms(held.run.since), past.ms(held.run.until)
    since = (-(-since // length) - window) * length
    try:
        return past.candles_of(bot, since, until, lambda share: held.tell(Stage.CANDLES, share))
    except ExchangeError as error:
        raise Failed(Fault.EXCHANGE, error.text) from error
    except (BadHistory, Damaged, past.Full) as error:
        raise Failed(Fault.CANDLES, str(error)) from error


def _terms(held: Held, plan: Plan) -> Terms:
    """Return a plan's terms with the funding rates of the time that was asked for."""

    def tell(_share: float) -> None:
        held.tell(Stage.CANDLES, 1)

    bot, since, until = plans.draft_of(held.run), past.ms(held.run.since), past.ms(held.run.until)
    return replace(plan.terms, rates=past.rates_of(bot, since, until, tell))


def _actions(held: Held, plan: Plan) -> bytes:
    """Ask the strategy slice by slice: what it says of a candle depends on its window alone."""
    count, window = len(plan.candles), plan.strategy.window(plan.values)
    said = bytearray()
    for begin in range(0, count, SLICE):
        held.tell(Stage.SIGNALS, begin / count)
        first = max(begin - window, 0)
        part = plan.candles.cut(first, min(begin + SLICE, count))
        # Another package's strategy may take its time over each window.
        with bounds.every(1.0, held.beat):
            said += backtest.actions(part, plan.strategy, plan.values)[begin - first :]
    return bytes(said)


def _next() -> None:
    """Send the oldest run that waits."""
    waiting = BacktestRun.objects.filter(status=Status.QUEUED).order_by("pk")
    pk = waiting.values_list("pk", flat=True).first()
    if pk is not None:
        schedule.send(RUN, pk)


def recover() -> int:
    """Give runs whose worker is gone to another one, once; then say so. For the sweep.

    Returns how many there were. The oldest that waits is sent anew: messages may be lost.
    """
    now = timezone.now()
    silent = now - timedelta(seconds=settings.BACKTEST_LOST_SECONDS)
    dead = BacktestRun.objects.filter(status=Status.RUNNING, seen_at__lt=silent)
    unwanted = dead.filter(is_unwanted=True).update(status=Status.CANCELED, stage="", ended_at=now)
    again = dead.filter(attempts__lt=ATTEMPTS).update(
        status=Status.QUEUED, holder="", stage="", progress=0
    )
    failed = dead.update(status=Status.FAILED, stage="", fault=Fault.LOST, ended_at=now)
    _next()
    return unwanted + again + failed
