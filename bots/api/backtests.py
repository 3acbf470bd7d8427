"""/backtests: ask for one, see how far it is and what it came to, cancel it."""

from datetime import datetime, timedelta
from typing import Annotated, Any

from django.core.exceptions import ValidationError
from django.shortcuts import get_object_or_404
from django.utils import timezone
from ninja import Query, Router, Schema, Status
from pydantic import AwareDatetime, Field

from bots import portable
from bots.api.access import ApiRequest, access
from bots.api.bots import own_bot
from bots.api.errors import Conflict, Invalid, Problem
from bots.api.pages import Page, Window, page
from bots.api.shapes import Id, Money, Strict, Text
from bots.backtests import asking, trials
from bots.backtests.asking import Wanted
from bots.backtests.axes import MOST_AXES, Axis
from bots.backtests.trials import Set
from bots.models import BacktestRun, BotConfig
from bots.portable.reading import read_setting

router = Router()
#: What a change may not touch: it is tried, not traded.
APART = frozenset({"name", "mode", "account"})
LONGEST_DAYS = 5 * 366
COSTS = (
    *("fee_perc", "slippage_perc", "spread_perc"),
    *("maintenance_perc", "funding_perc"),
)


class AxisIn(Strict):
    """A number that a sweep varies: of the strategy, or stop_loss_perc or take_profit_perc."""

    name: Text = Field(max_length=60)
    low: Money = Field(alias="from")
    high: Money = Field(alias="to")
    step: Money


class BacktestIn(Strict):
    """What is to be tried: a bot as it is set now, with changes if there are any."""

    bot_config_id: Id
    changes: dict[str, Any] = Field(
        default_factory=dict,
        max_length=60,
        description="settings as in a bot's file: symbol, timeframe, initial_capital, params, …",
    )
    days: Annotated[int, Field(ge=1, le=LONGEST_DAYS)] | None = Field(
        None, description="until now; or since and until"
    )
    since: AwareDatetime | None = None
    until: AwareDatetime | None = Field(None, description="not included; now unless given")
    fee_perc: Money | None = Field(None, description="0.1 is 0.1 %; a paper bot's unless given")
    slippage_perc: Money | None = None
    spread_perc: Money | None = None
    maintenance_perc: Money | None = Field(
        None, description="perpetuals: maintenance margin in percent of the value; 2.5 unless given"
    )
    funding_perc: Money | None = Field(
        None, description="perpetuals: per 8 hours where no rate is known; 0.01 unless given"
    )
    kind: BacktestRun.Kind | None = Field(None, description="sweep where something is varied")
    vary: list[AxisIn] = Field(
        default_factory=list, max_length=MOST_AXES, description="what a sweep varies"
    )


class BacktestOut(Schema):
    """A backtest. `summary` holds its figures once it is done: money and ratios as strings."""

    id: int
    kind: str
    name: str
    bot_config_id: int | None = Field(alias="bot_id")
    status: str = Field(description="queued, running, done, failed or canceled")
    stage: str = Field(description="candles, signals, walk or sets while it runs")
    progress: int = Field(description="percent")
    fault: str = Field(description="of a failed one: why there is no result")
    error: str
    since: datetime
    until: datetime
    settings: dict[str, Any]
    assumed: dict[str, Any]
    vary: list[dict[str, str]]
    summary: dict[str, Any]
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


class SetOut(Schema):
    """A set of a sweep: what was chosen, and what it came to in quote currency."""

    chosen: dict[str, str]
    trades: int
    wins: int
    net: Money = Field(description="open position counted")
    percent: Money = Field(description="net in percent of the capital")
    pnl: Money = Field(description="realised")
    fees: Money
    drawdown: Money = Field(description="deepest fall of the realised profit")
    value: Money


class BacktestOneOut(BacktestOut):
    """A backtest with the sets of a sweep that is done, in the order they were tried."""

    sets: list[SetOut]

    @staticmethod
    def resolve_sets(run: BacktestRun) -> list[Set]:
        return trials.load(run) or []


def _own(request: ApiRequest, backtest_id: int) -> BacktestRun:
    run: BacktestRun = get_object_or_404(request.auth.user.backtests, pk=backtest_id)
    return run


@router.get("", response=Page[BacktestOut])
def listed(request: ApiRequest, window: Query[Window]) -> object:
    """List your backtests, newest first."""
    return page(request.auth.user.backtests.order_by("-pk"), window)


@router.post(
    "",
    response={201: BacktestOut, 404: Problem, 409: Conflict, 422: Invalid},
    auth=access("trade"),
)
def ask(request: ApiRequest, what: BacktestIn) -> object:
    """Have a worker try a bot on candles of the past. 409 where you have too many under way."""
    bot = own_bot(request, what.bot_config_id)
    vary = [Axis(name=one.name, low=one.low, high=one.high, step=one.step) for one in what.vary]
    if what.kind is not None and (what.kind == BacktestRun.Kind.SWEEP) != bool(vary):
        raise ValidationError({"vary": "A sweep varies something, a single backtest nothing."})
    draft, wanted = _changed(bot, what.changes), _wanted(what)
    run = asking.ask(request.auth.user, draft, wanted, origin="bot", of=bot, vary=vary)
    return Status(201, run)


def _changed(bot: BotConfig, changes: dict[str, Any]) -> BotConfig:
    draft = portable.read_draft(portable.settings_of(bot))
    errors: dict[str, str] = {}
    for name, value in changes.items():
        if name not in portable.SETTINGS or name in APART:
            errors[name] = "This is not a setting that can be tried."
            continue
        try:
            setattr(draft, name, read_setting(name, value))
        except ValueError as error:
            errors[name] = str(error)
    if errors:
        raise ValidationError(errors)
    if "strategy" in changes and "params" not in changes and draft.strategy != bot.strategy:
        draft.params = {}
    return draft


def _wanted(what: BacktestIn) -> Wanted:
    if (what.days is None) == (what.since is None):
        raise ValidationError({"days": "Give either days, or since."})
    until = what.until or timezone.now()
    try:
        since = what.since or until - timedelta(days=what.days or 0)
    except OverflowError:
        raise ValidationError({"until": "There was no day so long before it."}) from None
    costs = {name: value for name in COSTS if (value := getattr(what, name)) is not None}
    return Wanted(since=since, until=until, **costs)


@router.get("/{backtest_id}", response={200: BacktestOneOut, 404: Problem})
def one(request: ApiRequest, backtest_id: int) -> object:
    """Show one: how far it is, and once it is done what it came to."""
    return _own(request, backtest_id)


@router.post(
    "/{backtest_id}/cancel",
    response={200: BacktestOut, 404: Problem, 409: Conflict},
    auth=access("trade"),
)
def cancel(request: ApiRequest, backtest_id: int) -> object:
    """Cancel one that waits or runs; 409 where it has ended already."""
    return asking.cancel(_own(request, backtest_id))
