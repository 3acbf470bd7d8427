"""K6, X5, P2: positions and their stops through kills, partial fills and old backups."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from bots import control
from bots.lease import Outcome
from bots.models import BotState, Fill, Order
from tests.before import put_back
from tests.doors.client import Caller
from tests.faults import stage
from tests.faults.stage import HEALED, Traps
from tests.testexchange import ExchangeControl
from tests.whole.api import state_of, wait_for
from tests.whole.conftest import MakeBot
from tests.whole.ledger import our_orders
from tests.whole.processes import Beat, wait_until

pytestmark = pytest.mark.long(seconds=30)

Tick = Callable[[int], Outcome | None]
STOPS = {"stop_loss_perc": Decimal(2), "take_profit_perc": Decimal(3)}


def resting(exchange: ExchangeControl) -> dict[str, dict[str, object]]:
    """Our orders that rest at the exchange, by client order id."""
    return {name: row for name, row in our_orders(exchange).items() if row["status"] == "NEW"}


@pytest.mark.parametrize("point", ["protect.before", "protect.after"])
def test_K6_killed_between_the_entry_and_its_stop(
    point: str,
    ticking: Beat,
    live_bot: MakeBot,
    traps: Traps,
    exchange: ExchangeControl,
    as_alice: Caller,
) -> None:
    bot = live_bot(**STOPS)
    wait_for(as_alice, bot.pk, status="running")
    traps.set(point, bot, "kill")
    stage.ask(bot, "enter")
    fence = traps.wait_for_death(point, bot)
    state = BotState.objects.get(pk=bot.pk)
    assert (state.in_position, state.protection) == (True, "")
    assert resting(exchange) == {}
    stage.assert_interrupted(bot, fence)
    wait_until(BotState.objects.filter(pk=bot.pk, protection="resting").exists, HEALED)
    triggers = {Decimal(str(row["stopPrice"])) for row in resting(exchange).values()}
    assert triggers == {Decimal(19_600), Decimal(20_600)}
    assert Order.objects.filter(bot=bot, purpose="entry").count() == 1
    control.stop(bot, by=None, via="command", position="close")
    wait_for(as_alice, bot.pk, in_position=False, duty="none")
    assert resting(exchange) == {}, "no stop outlives its position"
    stage.assert_all_holds(exchange, ticking)


def test_X5_a_waiting_entry_is_cancelled_in_parts_and_its_stop_fits(
    exchange: ExchangeControl, live_bot: MakeBot, tick_now: Tick, as_alice: Caller
) -> None:
    entry = {"entry_type": "limit", "entry_offset_perc": Decimal(1), "entry_timeout_seconds": 3600}
    bot = live_bot(**STOPS, **entry)
    stage.ask(bot, "enter")
    tick_now(bot.pk)
    order = Order.objects.get()
    assert (order.type, order.price, order.status) == ("limit", Decimal(19_800), "open")
    part = (order.amount / 3).quantize(Decimal("0.00001"))
    exchange.fill_order(order.client_order_id, part)
    control.command(bot, "cancel", by=bot.owner, via="page")
    tick_now(bot.pk)
    order.refresh_from_db()
    assert (order.status, order.filled, order.cancel_reason) == ("canceled", part, "command")
    held = sum(fill.amount - fill.fee_base for fill in Fill.objects.all())
    stop = Order.objects.get(type="stop")
    assert held - Decimal("0.00001") < stop.amount <= held
    assert stop.trigger == Decimal(19_404)  # 2 % below what was really paid
    # A fill that the exchange tells after the cancel is booked, and the stop grows with it.
    exchange.fill_order(order.client_order_id, part, late=True)
    BotState.objects.filter(pk=bot.pk).update(reconciled_at=None)
    control.stop(bot, by=None, via="command", position="close")
    tick_now(bot.pk)
    state = state_of(as_alice, bot.pk)
    assert (state["in_position"], state["duty"]) == (False, "none")
    order.refresh_from_db()
    assert (order.status, order.filled) == ("canceled", 2 * part)
    assert resting(exchange) == {}
    stage.assert_books_agree(exchange)


def test_P2_yesterdays_backup_is_restored(
    exchange: ExchangeControl, live_bot: MakeBot, tick_now: Tick, as_alice: Caller
) -> None:
    bot = live_bot(**STOPS)
    tick_now(bot.pk)
    stage.ask(bot, "enter")
    tick_now(bot.pk)
    before = BotState.objects.get(pk=bot.pk)
    sent = set(our_orders(exchange))
    assert len(sent) == 3
    put_back(bot, reconciled_at=None)
    tick_now(bot.pk)
    state = BotState.objects.get(pk=bot.pk)
    assert (state.status, state.reason, state.duty) == ("error", "restored", "exit")
    assert {order.client_order_id for order in stage.orders_of(bot)} == sent
    for name in ("in_position", "current_position_size", "position_cost", "entry_price"):
        assert getattr(state, name) == getattr(before, name), name
    assert set(our_orders(exchange)) == sent, "nothing was sent again"
    tick_now(bot.pk)
    assert BotState.objects.get(pk=bot.pk).status == "error", "it waits for somebody to confirm"
    control.start(bot, by=bot.owner, via="page")
    tick_now(bot.pk)
    assert BotState.objects.get(pk=bot.pk).text == "running (in position)"
    control.stop(bot, by=None, via="command", position="close")
    tick_now(bot.pk)
    assert resting(exchange) == {}
    stage.assert_books_agree(exchange)
