"""What is stored beside the fills: right by itself, and put right when it is not."""

from typing import Any

import pytest

from bots import booking, invariants, lease
from bots.models import BotState, DayStats, Fill, StateEvent
from bots.recompute import recompute
from tests.engine.bench import Bench, D
from tests.engine.conftest import Maker
from trading.market import FundingReport

BY: dict[str, Any] = {"by": None, "via": "command"}
#: Everything that recompute may write.
SUMS = (
    *("in_position", "position_side", "entry_price", "current_position_size", "position_cost"),
    *("entry_amount", "entry_quote", "profit", "daily_pnl", "daily_trades_count"),
)


def stored(b: Bench) -> tuple[list[Any], list[Any]]:
    days = DayStats.objects.filter(bot=b.bot).order_by("day")
    return (
        [getattr(b.state, name) for name in SUMS],
        list(days.values_list("day", "pnl", "fees", "trades")),
    )


@pytest.fixture
def traded(bench: Maker) -> Bench:
    """A round trip with a fee in a third coin, a funding payment, and an open position."""
    b = bench(stop_loss_perc=D(5))
    exchange = b.scripted()
    exchange.fee_currency = "BTC"
    b.enter()
    exchange.fee_currency = "USDT"
    b.market.price = D("110.37")
    b.command("exit")
    b.tick()
    held = lease.claim(b.bot.pk, b.world)
    assert held is not None
    payment = FundingReport(
        funding_id="one", symbol=b.bot.symbol, amount=D("-0.25"), currency="USDT", at=b.market.now()
    )
    assert booking.fund(held, payment)
    lease.release(held, lease.Outcome(move=None, reason=None, action="hold", gate="reported"))
    b.market.pass_time(60)
    b.command("enter")
    b.tick()
    assert b.state.in_position
    return b


def test_what_ticks_stored_is_what_the_fills_give(traded: Bench) -> None:
    before, version = stored(traded), traded.state.version
    assert recompute(traded.bot.pk, **BY) == []
    assert (stored(traded), traded.state.version) == (before, version)
    assert not StateEvent.objects.filter(bot=traded.bot, move="recompute").exists()


@pytest.mark.parametrize(
    "damage",
    [
        {"profit": D(7)},
        {"daily_pnl": D(-3), "daily_trades_count": 9},
        {"current_position_size": D("0.5"), "position_cost": D(1)},
        {"entry_price": D(1), "entry_amount": D(2), "entry_quote": D(3)},
    ],
    ids=lambda one: next(iter(one)),
)
def test_a_damaged_sum_is_seen_and_put_right(traded: Bench, damage: dict[str, Any]) -> None:
    before, stop = stored(traded), traded.state.stop_loss_price
    BotState.objects.filter(pk=traded.bot.pk).update(**damage)
    assert {violation.code for violation in invariants.check()} <= {"I3", "I7"} != set()
    told = recompute(traded.bot.pk, dry_run=True, **BY)
    assert {one.name for one in told} == damage.keys()
    assert stored(traded) != before
    assert recompute(traded.bot.pk, **BY) == told
    assert stored(traded) == before
    assert traded.state.stop_loss_price == stop
    assert recompute(traded.bot.pk, **BY) == []
    assert invariants.check() == []
    event = StateEvent.objects.get(bot=traded.bot, move="recompute")
    assert (event.via, event.old_status, event.new_status) == ("command", "running", "running")
    assert all(str(one) in event.why for one in told)


def test_a_position_that_the_row_forgot_comes_back_with_its_stop(traded: Bench) -> None:
    before, stop = stored(traded), traded.state.stop_loss_price
    assert stop is not None
    nothing = booking.position_columns(
        booking.folds.Position(), traded.bot.risk_settings, traded.state.position
    )
    BotState.objects.filter(pk=traded.bot.pk).update(**nothing)
    assert not traded.state.in_position
    recompute(traded.bot.pk, **BY)
    assert stored(traded) == before
    assert traded.state.stop_loss_price == stop


def test_days_are_put_right_and_lost_ones_made_again(traded: Bench) -> None:
    before = stored(traded)
    DayStats.objects.filter(bot=traded.bot).update(pnl=D(1), fees=D(2), trades=3)
    assert {one.name for one in recompute(traded.bot.pk, **BY)} == {"pnl", "fees", "trades"}
    assert stored(traded) == before
    DayStats.objects.filter(bot=traded.bot).delete()
    recompute(traded.bot.pk, **BY)
    assert stored(traded) == before
    assert invariants.check() == []


def test_fills_are_never_touched(traded: Bench) -> None:
    fills = list(Fill.objects.order_by("pk").values())
    BotState.objects.filter(pk=traded.bot.pk).update(profit=D(7), daily_pnl=D(7))
    recompute(traded.bot.pk, **BY)
    assert list(Fill.objects.order_by("pk").values()) == fills
