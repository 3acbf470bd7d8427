"""The owner's verbs about backtests: ask for one, cancel one, forget one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from bots import portable, schedule
from bots.backtests import perpetuals, plans
from bots.backtests.axes import Axis, check_axes
from bots.change import Refusal
from bots.models import BacktestRun, BotConfig, User, validity
from bots.models.fields import plain
from trading import strategies
from trading.backtest import Unsupported
from trading.market import TIMEFRAMES

RUN = "bots.tasks.backtest"
Status = BacktestRun.Status
#: What a backtest does not ask of settings: whose account, and whether money is real.
APART = frozenset({"account", "mode", "name", "owner"})
#: The most that a percentage of costs may be.
MOST_COSTS = Decimal(50)
#: No exchange of today is older.
OLDEST_YEAR = 2010


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be tried: percentages of costs (0.1 is 0.1 %; None: a paper bot's), and
    candles that open from `since` up to `until`.

    Of perpetuals besides: the maintenance margin rate, and what funding costs in 8 hours where
    nobody told (percent; None: the usual).
    """

    since: datetime
    until: datetime
    fee_perc: Decimal | None = None
    slippage_perc: Decimal | None = None
    spread_perc: Decimal = Decimal(0)
    maintenance_perc: Decimal | None = None
    funding_perc: Decimal | None = None


def ask(
    owner: User,
    bot: BotConfig,
    wanted: Wanted,
    *,
    origin: str,
    of: BotConfig | None = None,
    vary: Sequence[Axis] = (),
) -> BacktestRun:
    """Have a worker try `bot`, which need not be saved, as it is set now. Returns the run.

    `of`: the bot that it was made from; `vary`: what a sweep varies. ValidationError names the
    field that is wrong, Refusal says that the owner has too many under way, or too many today.
    """
    bot.owner = owner
    perpetuals.fit(bot)
    assumed = _assumed(bot, wanted)
    _check(bot, wanted, vary, assumed)
    now = timezone.now()
    with transaction.atomic():
        # Two requests at once wait here for each other, so that both count.
        User.objects.select_for_update().get(pk=owner.pk)
        _check_limits(owner, now)
        run = BacktestRun.objects.create(
            owner=owner,
            kind=BacktestRun.Kind.SWEEP if vary else BacktestRun.Kind.SINGLE,
            vary=[axis.told() for axis in vary],
            name=bot.name[:80] or bot.symbol,
            origin=origin,
            bot=of,
            settings=portable.settings_of(bot),
            assumed=assumed,
            since=wanted.since,
            until=wanted.until,
            created_at=now,
        )
        _forget_oldest(owner)
        transaction.on_commit(lambda: schedule.send(RUN, run.pk))
    return run


def _assumed(bot: BotConfig, wanted: Wanted) -> dict[str, Any]:
    usual = plans.paper_costs()
    given = {
        "fee_perc": (usual.fee_rate or Decimal(0)) * 100
        if wanted.fee_perc is None
        else wanted.fee_perc,
        "slippage_perc": usual.slippage * 100
        if wanted.slippage_perc is None
        else wanted.slippage_perc,
        "spread_perc": wanted.spread_perc,
    }
    errors: dict[str, Any] = {}
    for name, value in given.items():
        if not value.is_finite() or not 0 <= value <= MOST_COSTS:
            errors[name] = _("Between 0 and %(most)s.") % {"most": plain(MOST_COSTS)}
    terms: dict[str, str] = {}
    if perpetuals.is_perpetual(bot.symbol):
        terms, wrong = perpetuals.assumed(wanted.maintenance_perc, wanted.funding_perc)
        errors |= wrong
    if errors:
        raise ValidationError(errors)
    told = {name: plain(value) for name, value in given.items()}
    told["funds"] = plain(plans.paper_funds(bot))
    return {**told, **terms, "zone": bot.owner.zone.key}


def _check(
    bot: BotConfig, wanted: Wanted, vary: Sequence[Axis], assumed: Mapping[str, Any]
) -> None:
    """Raise a ValidationError for what no worker could try: so that it is said at once."""
    bot.clean_fields(exclude=APART)
    errors: Mapping[str, Any] = validity.errors_of(bot)
    errors = {name: text for name, text in errors.items() if name not in APART}
    errors |= _range_errors(bot, wanted)
    if errors:
        raise ValidationError(errors)
    try:
        plan = plans.plan_of(
            bot,
            plans.no_candles(bot),
            costs=plans.costs_in(assumed),
            terms=perpetuals.terms_of(assumed),
        )
        plan.check()
    except (Unsupported, plans.NoRules) as error:
        raise ValidationError(validity.in_words(error)) from None
    except strategies.UnknownStrategy as error:
        raise ValidationError({"strategy": str(error)}) from None
    if vary:
        check_axes(plan, vary)


def _range_errors(bot: BotConfig, wanted: Wanted) -> dict[str, Any]:
    if wanted.since.year < OLDEST_YEAR:
        return {"since": _("Not before %d.") % OLDEST_YEAR}
    if wanted.until > timezone.now() + timedelta(minutes=1):
        return {"until": _("This is in the future.")}
    length = TIMEFRAMES.get(bot.timeframe, 60_000)
    count = int((wanted.until - wanted.since).total_seconds() * 1000) // length
    if count < 2:
        return {"until": _("There is no candle between the two.")}
    most = settings.BACKTEST_MAX_CANDLES
    if count > most:
        text = _("That is %(count)d candles of %(timeframe)s; at most %(most)d are tried at once.")
        return {"since": text % {"count": count, "timeframe": bot.timeframe, "most": most}}
    return {}


def _check_limits(owner: User, now: datetime) -> None:
    mine = BacktestRun.objects.filter(owner=owner)
    most = settings.BACKTESTS_OPEN_PER_USER
    if mine.filter(status__in=BacktestRun.OPEN).count() >= most:
        text = _("You have %(most)d backtests under way: wait for one, or cancel one.")
        raise Refusal("too_many_open", text % {"most": most})
    most = settings.BACKTESTS_PER_DAY
    asked = mine.filter(created_at__gt=now - timedelta(days=1)).count()
    if asked + _deleted(owner, now) >= most:
        text = _("You have asked for %(most)d backtests in 24 hours: that is the limit here.")
        raise Refusal("too_many_today", text % {"most": most})


def _hour(owner: User, at: datetime) -> str:
    return f"backtests-deleted-{owner.pk}-{at:%Y%m%d%H}"


def _deleted(owner: User, now: datetime) -> int:
    """Return how many of the last 24 hours were deleted: they count, too."""
    hours = [_hour(owner, now - timedelta(hours=number)) for number in range(24)]
    return sum(cache.get_many(hours).values())


def _forget_oldest(owner: User) -> None:
    """Delete the oldest ended runs beyond those that are kept, if they do not count any more."""
    old = timezone.now() - timedelta(days=1)
    ended = BacktestRun.objects.filter(owner=owner).exclude(status__in=BacktestRun.OPEN)
    kept = list(ended.order_by("-pk").values_list("pk", flat=True)[: settings.BACKTESTS_KEPT])
    ended.filter(created_at__lt=old).exclude(pk__in=kept).delete()


def cancel(run: BacktestRun) -> BacktestRun:
    """Cancel a run that has not ended: at once, or at the worker's next look. Refusal: it has."""
    mine = BacktestRun.objects.filter(pk=run.pk)
    ended = {"status": Status.CANCELED, "ended_at": timezone.now()}
    if not mine.filter(status=Status.QUEUED).update(is_unwanted=True, **ended) and not mine.filter(
        status=Status.RUNNING
    ).update(is_unwanted=True):
        raise Refusal("ended", _("This backtest has ended already."))
    run.refresh_from_db()
    return run


def delete(run: BacktestRun) -> None:
    """Forget a run that has ended, with its orders. Refusal: it has not."""
    ended = BacktestRun.objects.filter(pk=run.pk).exclude(status__in=BacktestRun.OPEN)
    if not ended.delete()[0]:
        raise Refusal("not_ended", _("This backtest has not ended: cancel it first."))
    counter = _hour(run.owner, run.created_at)
    cache.add(counter, 0, 25 * 3600)
    cache.incr(counter)
