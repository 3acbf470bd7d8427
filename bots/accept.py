"""The owner's way out of a mismatch: what the exchange holds is the truth, the rest is booked.

The difference is booked as an exit that nobody saw, at the last price the bot knew and without a
fee, under a purpose of its own: position and profit stay sums over fills, and the history says what
was done and by whom.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext

from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from bots import booking, lease
from bots.change import Refusal, record
from bots.lease import Held
from bots.lifecycle import Move, PositionType, Reason, Status
from bots.models import BotConfig, BotState, Comparison, Decision, Installation, Order, User
from bots.models.ledger import new_client_order_id
from bots.reconcile import ANY_DUTY
from bots.world import World
from trading.market import EXACT, FillReport, OrderStatus, OrderType, quantize

#: Both sides have to be of now: an older comparison is made again first.
FRESH = timedelta(minutes=10)
ZERO = Decimal(0)


def accept_exchange(
    bot: BotConfig, *, by: User | None, via: str, world: World | None = None
) -> Order:
    """Book what the exchange no longer holds as left at the last price. Refusal when it cannot.

    The bot stays off: its owner starts it when they have seen that both sides agree.
    """
    held = lease.claim(bot.pk, world or World(), duties=ANY_DUTY)
    if held is None:
        raise Refusal("busy", _("A tick is under way: try again shortly."))
    found = lease.Outcome(move=None, reason=None, action=Decision.Action.HOLD, gate="adjusted")
    try:
        return _book(held, by=by, via=via)
    finally:
        lease.release(held, found)


def _book(held: Held, *, by: User | None, via: str) -> Order:
    amount, price = _difference(held)
    order = Order(
        bot=held.bot,
        account=held.account,
        client_order_id=new_client_order_id(Installation.get().mark, held.bot.pk),
        symbol=held.bot.symbol,
        side=held.state.position.exit_side,
        type=OrderType.MARKET,
        purpose=Order.Purpose.ADJUSTMENT,
        reason="adjusted",
        amount=amount,
        expected_price=price,
        status=OrderStatus.FILLED,
        filled=amount,
        average=price,
        booked=amount,
        is_settled=True,
        signed_at=held.started,
        fence=held.state.fence,
        run_epoch=held.epoch,
        message="booked by hand: the exchange held less",
        created_at=held.started,
    )
    with localcontext(EXACT), transaction.atomic():
        row = held.locked()
        order.save(force_insert=True)
        priced = booking.Priced(fill=_fill(order, price), fee_quote=ZERO, fee_base=ZERO)
        order.booked = ZERO  # the fold adds what it books
        booking.book(held, row, order, [priced])
        order.booked = amount
        # A second click finds nothing left to book.
        Comparison.objects.filter(account=held.account, symbol=held.bot.symbol).update(
            ok=True, ours=F("there")
        )
        new = BotState.objects.get(pk=row.pk)
        record(row, new, Move.ADJUST, by=by, via=via, why=f"{amount:f} at {price:f}")
    held.refresh()
    return order


def _fill(order: Order, price: Decimal) -> FillReport:
    return FillReport(
        trade_id=f"{order.client_order_id}-1",
        price=price,
        amount=order.amount,
        quote=quantize(price * order.amount),
        fee=ZERO,
        fee_currency="",
        at=round(datetime.now(UTC).timestamp() * 1000),
    )


def _difference(held: Held) -> tuple[Decimal, Decimal]:
    """Return how many units are gone, and at which price they count; Refusal where that is open."""
    state = held.state
    if (state.status, state.reason) != (Status.ERROR, Reason.RECONCILE) or not state.in_position:
        raise Refusal("nothing", _("There is no difference to be booked."))
    if state.has_open_orders:
        raise Refusal("unsettled", _("An order of the bot is still open: compare again shortly."))
    rows = Comparison.objects.filter(account=held.account, symbol=held.bot.symbol, ok=False)
    row = rows.filter(as_of__gt=timezone.now() - FRESH).first()
    if row is None:
        raise Refusal("stale", _("Compare with the exchange again first."))
    price = state.last_price or state.entry_price
    position = state.position
    gone = row.ours - row.there
    if held.bot.position_type == PositionType.FUTURES and position.is_short:
        gone = -gone
    if price is None or not ZERO < gone <= position.amount:
        raise Refusal(
            "not_bookable",
            _("The exchange does not hold less of this position: mend it there, then compare."),
        )
    return gone, price
