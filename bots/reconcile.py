"""The exchange's truth against the ledger: orders, fills, positions, balances, funding.

Each tick settles the orders it knows of. Beyond that a bot is compared before its first tick in a
worker, every RECONCILE_SECONDS, and when somebody asks. What is ours there and missing here is
taken in; the owner's own orders are shown and never touched; a deficit stops the bot and shows
both sides.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from django.conf import settings

from bots import adopt, booking, lease, ledger, outcome, settle
from bots.connect import exchange_of
from bots.lease import Held, LeaseLost, Outcome
from bots.lifecycle import Duty, Mode, Reason
from bots.models import BotState, Comparison, Decision, Fill, Order
from bots.models.fields import plain
from bots.world import World
from trading.exchange import Can, Exchange, ExchangeError
from trading.market import OrderReport, Rules, Side

#: A worker trusts nothing that was compared before it started.
STARTED = datetime.fromtimestamp(time.time(), UTC)
#: A bot without duty is compared all the same: its position may be sold by a stop at the exchange.
ANY_DUTY = (Duty.TRADE, Duty.EXIT, Duty.NONE)

#: How much later than the fill that closed the position its liquidation may be charged.
PENALTY_SLACK = timedelta(minutes=1)


class Mismatch(Exception):
    """Ledger and exchange do not agree: the bot stops until somebody has decided. `reason` why."""

    def __init__(self, text: str, reason: Reason = Reason.RECONCILE) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What reconciling one bot showed; `ok` is False where page and exchange do not agree."""

    bot_id: int
    ok: bool
    text: str


def is_due(held: Held) -> bool:
    """Whether a tick has to compare the bot with its exchange before it trades."""
    if held.bot.mode == Mode.PAPER:
        return False  # its book is rows that commit together with the ledger's
    at = held.state.reconciled_at
    if at is None or at < STARTED:
        return True
    # A comparison from the future is one from before the clock was set back.
    age = held.started - at
    return not timedelta(0) <= age < timedelta(seconds=settings.RECONCILE_SECONDS)


def compare(held: Held, exchange: Exchange, rules: Rules) -> Comparison | None:
    """Compare one bot that this tick holds; Mismatch when it may not go on.

    None while an order's outcome is unknown: then nothing can be compared. Raises ExchangeError.
    """
    there_is = adopt.look(held, exchange)
    for order in there_is.late:
        ledger.reopen(held, order)
    if there_is.missing:
        adopt.adopt(held, there_is.missing)
    if there_is.late or there_is.missing:
        settle.settle(held, exchange, rules)
        strange = [one for one in there_is.missing if not adopt.is_forced(one)]
        if strange:
            names = ", ".join(report.client_order_id for report in strange)
            raise Mismatch(f"orders of this bot that the ledger missed: {names}", Reason.RESTORED)
    if held.state.has_unsettled_orders:
        return None
    if Can.FUTURES in exchange.can:
        _book_funding(held, exchange)
    ours, there = _both_sides(held, exchange, rules)
    if ours is None:
        return None
    ok = _agree(held, exchange, rules, ours, there)
    if not ok and Can.FUTURES not in exchange.can:
        ours += _not_booked_yet(held, exchange, rules)
        ok = _agree(held, exchange, rules, ours, there)
    row = _store(held, rules.base, ours, there, there_is.others, ok=ok)
    if not ok:
        raise Mismatch(row.text)
    # The next one reads on from here, in the exchange's time: ours may be ahead of it.
    at = min(held.started, datetime.fromtimestamp(exchange.now() / 1000, UTC))
    BotState.objects.filter(**held.mine).update(reconciled_at=at)
    held.refresh()
    return row


def _book_funding(held: Held, exchange: Exchange) -> None:
    """Book what the bot's positions paid and received since the last comparison, each once."""
    since = (held.state.reconciled_at or held.bot.created_at) - adopt.OVERLAP
    periods = _held_periods(held, since)
    if not periods:
        return
    for payment in exchange.funding(held.bot.symbol, round(since.timestamp() * 1000)):
        slack = PENALTY_SLACK if payment.is_penalty else timedelta(0)
        at = datetime.fromtimestamp(payment.at / 1000, UTC)
        if any(start <= at and (end is None or at <= end + slack) for start, end in periods):
            booking.fund(held, payment)


def _held_periods(held: Held, since: datetime) -> list[tuple[datetime, datetime | None]]:
    """Return when the bot held a futures position since then, newest first; None: it still does.

    A payment of any other moment is the owner's, or another bot's.
    """
    amount, end = held.state.position.signed_amount, None
    periods: list[tuple[datetime, datetime | None]] = []
    for fill in Fill.objects.filter(bot=held.bot).order_by("-at", "-pk").iterator(chunk_size=100):
        if not amount:
            if fill.at < since:
                return periods
            end = fill.at
        amount -= fill.amount if fill.side == Side.BUY else -fill.amount
        if not amount:
            periods.append((fill.at, end))
    return periods


def _both_sides(held: Held, exchange: Exchange, rules: Rules) -> tuple[Decimal | None, Decimal]:
    """Return what the ledger says and what the exchange holds, in base units (short: negative).

    On spot the bots of a coin share the account, so their sum counts; None while one of them has
    an order under way.
    """
    if Can.FUTURES in exchange.can:
        there = exchange.position(held.bot.symbol).amount
        return held.state.position.signed_amount, there
    before = _spot_units(held, rules)
    holding = exchange.balance().get(rules.base)
    # A bot that traded between the two readings would look like a difference.
    ours = before if before == _spot_units(held, rules) else None
    return ours, holding.total if holding else Decimal(0)


def _spot_units(held: Held, rules: Rules) -> Decimal | None:
    states = BotState.objects.filter(
        bot__account=held.account, bot__symbol__startswith=f"{rules.base}/"
    ).exclude(bot__symbol__contains=":")
    rows = list(states.values_list("current_position_size", "has_unsettled_orders"))
    busy = any(unsettled for _, unsettled in rows)
    return None if busy else sum((units for units, _ in rows), Decimal(0))


def _not_booked_yet(held: Held, exchange: Exchange, rules: Rules) -> Decimal:
    """Return the coins that resting orders have brought (or taken: negative) since they were told.

    Rungs and protective orders are filled at any time, and each bot learns of its own at its next
    tick. Asked only where the two sides differ.
    """
    resting = Order.objects.filter(
        account=held.account,
        symbol__startswith=f"{rules.base}/",
        is_settled=False,
        purpose__in=[Order.Purpose.RUNG, Order.Purpose.PROTECT],
    )
    units = Decimal(0)
    for order in resting:
        report = exchange.find(order.request, order.exchange_order_id or "")
        if report is not None:
            more = report.filled - order.booked
            units += more if order.side == Side.BUY else -more
    return units


def _agree(held: Held, exchange: Exchange, rules: Rules, ours: Decimal, there: Decimal) -> bool:
    """Whether the two sides agree: on spot more coins than the bots' are the owner's own.

    What is too little to be sold is the rest of a fee; it does not stop a bot.
    """
    if Can.FUTURES in exchange.can:
        return ours == there
    price = held.state.last_price or held.state.entry_price
    return ours - there < (rules.dust_below(price) if price else rules.amount_step)


def _store(
    held: Held,
    coin: str,
    ours: Decimal,
    there: Decimal,
    others: Sequence[OrderReport],
    *,
    ok: bool,
) -> Comparison:
    external = [_told(report) for report in others]
    text = f"the bots hold {plain(ours)} {coin}, the exchange {plain(there)} {coin}"
    row, _ = Comparison.objects.update_or_create(
        account=held.account,
        symbol=held.bot.symbol,
        defaults={
            "as_of": held.started,
            "ok": ok,
            "ours": ours,
            "there": there,
            "external": external,
            "text": text,
        },
    )
    return row


def _told(report: OrderReport) -> dict[str, str]:
    return {
        "id": report.exchange_order_id,
        "side": report.side.value,
        "type": report.type.value if report.type else "",
        "amount": plain(report.amount),
        "price": plain(report.price or report.trigger or Decimal(0)),
    }


def reconcile(bot_id: int | None = None, world: World | None = None) -> list[Finding]:
    """Reconcile one bot, or every bot with duty, a position or an order that is not final."""
    if bot_id is not None:
        ids = [bot_id]
    else:
        concerned = BotState.objects.exclude(duty=Duty.NONE)
        for flag in ("in_position", "has_unsettled_orders", "has_protection", "has_ladder"):
            concerned |= BotState.objects.filter(**{flag: True})
        ids = list(concerned.order_by("pk").values_list("pk", flat=True).distinct())
    return [finding for pk in ids for finding in _one(pk, world or World())]


def _one(bot_id: int, world: World) -> Iterator[Finding]:
    held = lease.claim(bot_id, world, duties=ANY_DUTY)
    if held is None:
        yield Finding(bot_id=bot_id, ok=False, text="a tick is under way, or it never started")
        return
    found = Outcome(move=None, reason=None, action=Decision.Action.HOLD, gate="reconciled")
    try:
        finding = _look(held)
        if not finding.ok:
            found = replace(found, action=Decision.Action.BLOCKED, gate="order_unknown")
    except LeaseLost:
        yield Finding(bot_id=bot_id, ok=False, text="a tick took over: try again")
        return
    except Mismatch as error:
        finding = Finding(bot_id=bot_id, ok=False, text=str(error))
        found = outcome.of_reason(held, error.reason, str(error))
    except ExchangeError as error:
        finding = Finding(bot_id=bot_id, ok=False, text=str(error))
        found = outcome.failed(held, error)
    lease.release(held, found)
    yield finding


def _look(held: Held) -> Finding:
    exchange = exchange_of(held.bot, held.world)
    rules = held.world.data.rules(exchange, held.bot.symbol)
    settle.settle(held, exchange, rules)
    row = compare(held, exchange, rules)
    if row is None:
        text = "an order's outcome is still unknown"
        return Finding(bot_id=held.bot.pk, ok=False, text=text)
    return Finding(bot_id=held.bot.pk, ok=row.ok, text=row.text)
