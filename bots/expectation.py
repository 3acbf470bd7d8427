"""Live against expectation: the ledgers of a bot and its paper twin, since both had started."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.db.models import Min

from bots import twins
from bots.following import twin_of
from bots.lifecycle import Move
from bots.models import BotConfig, BotState, Fill, Funding, Order, StateEvent
from trading.expectation import Dealt, Expectation, Ledger, Terms, compare
from trading.market import TIMEFRAMES
from trading.trades import Booking, Payment


@dataclass(frozen=True, kw_only=True)
class Beside:
    """A bot's twin and, from `since` on, what the two came to; None until both have started.

    `differences` names the settings that are not the same any more.
    """

    twin: BotConfig
    since: datetime | None
    result: Expectation | None
    differences: list[str]


def beside(bot: BotConfig) -> Beside | None:
    """Hold a bot against its paper twin; None where it has none."""
    twin = twin_of(bot)
    if twin is None:
        return None
    since = _both_started(bot, twin)
    result = None
    if since is not None:
        terms = Terms(
            since=since,
            mark=_last_price(bot, twin),
            interval=timedelta(seconds=bot.check_interval_seconds),
            candle=timedelta(milliseconds=TIMEFRAMES[bot.timeframe]),
        )
        result = compare(_ledger(bot), _ledger(twin), terms)
    differences = twins.differences(bot, twin)
    return Beside(twin=twin, since=since, result=result, differences=differences)


def _both_started(bot: BotConfig, twin: BotConfig) -> datetime | None:
    """Return the later of both first starts."""
    rows = StateEvent.objects.filter(bot__in=[bot.pk, twin.pk], move=Move.START)
    firsts = list(rows.order_by().values("bot").annotate(first=Min("at")))
    return max(row["first"] for row in firsts) if len(firsts) == 2 else None


def _last_price(bot: BotConfig, twin: BotConfig) -> Decimal | None:
    """Return the newest price that a tick of either has seen: both sides count at the same."""
    rows = BotState.objects.filter(pk__in=[bot.pk, twin.pk], last_price__isnull=False)
    newest = rows.order_by("-last_price_at").first()
    return newest.last_price if newest else None


def _ledger(bot: BotConfig) -> Ledger:
    paid = Funding.objects.filter(bot=bot).order_by("pk")
    return Ledger(
        fills=list(_dealt(bot)),
        payments=[
            Payment(number=one.pk, at=one.at, day=one.trading_day, amount=one.amount)
            for one in paid
        ],
    )


def _dealt(bot: BotConfig) -> Iterator[Dealt]:
    fills = Fill.objects.filter(bot=bot).select_related("order").order_by("pk")
    for fill in fills.iterator(chunk_size=2000):
        order = fill.order
        booking = Booking(
            number=fill.pk,
            at=fill.at,
            day=fill.trading_day,
            reason=order.reason,
            fill=fill.booked(order.dust),
        )
        # A rung rests until its price comes, and may be placed anew meanwhile: the price decides.
        is_rung = order.purpose == Order.Purpose.RUNG
        decided = fill.at if is_rung else order.created_at
        yield Dealt(booking=booking, decided_at=decided, expected=order.expected_price)
