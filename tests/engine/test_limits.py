"""Limits that bots of one account share, and protections over many ticks."""

from threading import Thread
from typing import Any

import pytest
from django.db import connections

from bots import intents, lease, limits
from bots.models import Account, BotConfig, BotState, Fill, Order, Outpaced, User
from tests.engine.bench import Bench, D
from tests.engine.conftest import Maker
from trading.execution import Decision
from trading.ladder import Rung
from trading.market import Side
from trading.risk import Gate

BUY = Decision(action="enter", gate=Gate.SIGNAL, side=Side.BUY, amount=D(2), price=D(100))


def family(owner: User, count: int, **limits_: Any) -> list[Bench]:
    """Bots of one account on one exchange, with these limits on the account."""
    first = Bench(owner)
    exchange = first.scripted()
    account = Account.objects.get(bots=first.bot)
    Account.objects.filter(pk=account.pk).update(**limits_)
    bots = [first]
    for _ in range(count - 1):
        other = Bench(owner)
        BotConfig.objects.filter(pk=other.bot.pk).update(mode="testnet", account=account)
        other.market, other.exchange = first.market, exchange
        bots.append(other)
    return bots


@pytest.mark.parametrize(("most", "bought"), [(1, 1), (2, 2), (3, 3), (4, 3)])
def test_an_account_holds_no_more_positions_than_it_may(
    alice: User, most: int, bought: int
) -> None:
    bots = family(alice, 3, max_open_positions=most)
    bots[0].market.trend = "up"
    gates = []
    for b in bots:
        found = b.tick(after=1)
        assert found is not None
        gates.append(found.gate)
    assert gates == ["signal"] * bought + ["max_open_positions"] * (3 - bought)
    assert BotState.objects.filter(in_position=True).count() == bought


def test_an_order_whose_end_is_unknown_takes_a_place(alice: User) -> None:
    one, other = family(alice, 2, max_open_positions=1)
    BotState.objects.filter(pk=one.bot.pk).update(has_unsettled_orders=True)
    other.market.trend = "up"
    found = other.tick()
    assert found is not None
    assert found.gate == "max_open_positions"


def test_a_place_that_went_meanwhile_is_not_taken_twice(alice: User) -> None:
    """The last look is in the transaction that writes the order."""
    one, other = family(alice, 2, max_open_positions=1)
    held = lease.claim(other.bot.pk, other.world)
    assert held is not None
    one.enter()
    with pytest.raises(Outpaced, match="positions"):
        intents.write_intent(held, BUY, other.market.market, signed_at=0, command=None)
    rung = Rung(level=1, side=Side.BUY, price=D(90), amount=D(1))
    with pytest.raises(Outpaced, match="positions"):
        intents.write_rung(held, rung, other.market.market, signed_at=0)
    assert Order.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_bots_at_once_one_gets_the_last_place(alice: User) -> None:
    bots = family(alice, 2, max_open_positions=1)
    held = [lease.claim(b.bot.pk, b.world) for b in bots]
    outcomes: list[str] = []

    def write(one: lease.Held) -> None:
        try:
            intents.write_intent(one, BUY, bots[0].market.market, signed_at=0, command=None)
            outcomes.append("written")
        except Outpaced:
            outcomes.append("outpaced")
        finally:
            connections.close_all()

    threads = [Thread(target=write, args=(one,)) for one in held if one is not None]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["outpaced", "written"]


@pytest.mark.parametrize(
    ("limit", "gate"),
    [("20", "account_daily_loss"), ("20.38", "account_daily_loss"), ("20.39", "")],
)
def test_the_accounts_daily_loss_counts_all_its_bots(alice: User, limit: str, gate: str) -> None:
    one, other = family(alice, 2, max_daily_loss=D(limit))
    one.enter()
    one.market.price = D(90)
    one.command("exit")
    one.tick()
    assert one.state.daily_pnl == D("-20.38")  # 20 and the fees of 0.2 and 0.18
    other.tick()
    status = ("paused", gate, "none") if gate else ("running", "no_signal", "trade")
    assert other.where == status


def test_profits_of_other_currencies_are_not_summed(alice: User) -> None:
    one, other = family(alice, 2, max_daily_loss=D(10))
    BotState.objects.filter(pk=one.bot.pk).update(daily_pnl=D(-50))
    BotConfig.objects.filter(pk=one.bot.pk).update(symbol="BTC/EUR")
    other.tick()
    assert other.where == ("running", "no_signal", "trade")


def test_the_day_resets_the_accounts_loss_and_the_bot_goes_on(alice: User) -> None:
    from bots import reset

    (b,) = family(alice, 1, max_daily_loss=D(10))
    b.enter()
    b.market.price = D(90)
    b.command("exit")
    b.tick()
    b.tick()
    assert b.where == ("paused", "account_daily_loss", "none")
    b.market.pass_time(86_400)
    assert reset.roll_over(b.market.at) == [b.bot.pk]
    assert b.where == ("stopped", "daily_reset", "trade")


def test_a_drawdown_counts_from_the_start(bench: Maker) -> None:
    b = bench(max_drawdown_perc=D(2))
    b.scripted()
    b.enter()
    b.market.price = D(85)
    b.command("exit")
    b.tick()
    b.tick()
    assert b.where == ("error", "max_drawdown", "none")
    b.start()
    b.tick()
    assert b.where == ("running", "no_signal", "trade")
    assert (b.state.profit_base, b.state.profit_peak) == (b.state.profit, b.state.profit)


def test_a_loss_limit_that_counts_the_open_position_closes_it_and_ends_the_day(
    bench: Maker,
) -> None:
    b = bench(max_daily_loss_perc=D(1), loss_includes_open=True)
    b.scripted()
    b.enter()
    b.market.price = D("94.9")
    b.tick()
    assert (b.order.purpose, b.order.reason) == ("exit", "max_daily_loss")
    assert b.state.closed_at_loss
    b.tick()
    assert b.where == ("paused", "max_daily_loss", "none")


def test_an_exit_of_many_fills_is_one_stop(bench: Maker) -> None:
    b = bench(stop_loss_perc=D(5), stop_guard_stops=2, stop_guard_minutes=60)
    exchange = b.scripted()
    exchange.parts = ("0.5", "0.5")
    b.enter()
    b.market.price = D(94)
    b.tick()
    assert Fill.objects.filter(order__reason="stop_loss").count() == 2
    held = lease.claim(b.bot.pk, b.world)
    assert held is not None
    assert len(limits.record_of(held).stop_exits) == 1
