"""Ladders when something comes between: limits, stops, gone coins, a market that cannot be seen."""

import pytest
from django.utils import timezone

from bots import accept, reconcile
from bots.models import Account, BotState, Comparison
from tests.engine.bench import Bench, D
from tests.engine.conftest import Maker
from tests.engine.test_rungs import DCA, GRID, laddered, resting, sound
from tests.trading.feeds import RULES
from trading.exchange import Can, Fault, Rejected, Unreachable, Unusable
from trading.ladder import Ladder, Rung, allowed
from trading.market import Side
from trading.risk import Settings

BUYS = [("buy", D(80), D("2.5")), ("buy", D(90), D("2.22222"))]


def lose(b: Bench, amount: int) -> None:
    """Let the bot have lost so much today, though no fill says so."""
    BotState.objects.filter(pk=b.bot.pk).update(daily_pnl=D(-amount))


# -- limits ----------------------------------------------------------------------------------------
def test_a_bot_does_not_pause_with_what_was_bought_while_its_rungs_were_taken_back(
    bench: Maker,
) -> None:
    b = laddered(bench, **GRID, stop_loss_perc=D(15))
    exchange = b.exchange
    assert exchange is not None
    Account.objects.filter(bots=b.bot).update(max_daily_loss=D(10))
    lose(b, 20)
    upper = next(order for order in b.orders if order.price == D(90))
    exchange.on_cancel = lambda: exchange.fill(upper.client_order_id, "1")
    b.tick()
    state = b.state
    assert b.where == ("running", "in_position", "trade")
    assert (state.in_position, state.stop_loss_price, resting(b)) == (True, D("76.5"), [])
    b.market.price = D(75)  # its stop is watched
    b.tick()
    b.tick()
    assert b.where == ("paused", "account_daily_loss", "none")


def test_safety_orders_belong_to_the_last_position_of_the_day_as_well(bench: Maker) -> None:
    b = laddered(bench, **DCA, max_daily_trades=1)
    b.tick()
    assert resting(b) == BUYS
    b.market.price = D(106)
    b.tick()
    b.tick()
    assert b.where == ("paused", "max_daily_trades", "none")
    assert (resting(b), sound(b)) == ([], True)


def test_without_candles_no_buy_rests_beyond_a_limit(bench: Maker) -> None:
    b = laddered(bench, **GRID, max_daily_loss_perc=D(1))
    b.market.candle_error = Unreachable(Fault.NETWORK, "no candles", sent=False)
    b.tick()
    assert resting(b) == BUYS
    lose(b, 20)
    b.tick()
    assert resting(b) == []


# -- stops of the bot ------------------------------------------------------------------------------
@pytest.mark.parametrize("position", ["leave", "close", "after_exit"])
def test_a_stopped_bot_takes_its_buys_back_though_no_price_is_to_be_had(
    bench: Maker, position: str
) -> None:
    b = laddered(bench, **DCA)
    b.tick()
    b.stop(position)
    b.market.quote_error = Unusable(Fault.BROKEN_DATA, "bid above ask")
    b.tick()
    assert resting(b) == []
    assert b.where == ("stopped", "by_owner", "none" if position == "leave" else "exit")
    assert sound(b)


# -- stops at the exchange -------------------------------------------------------------------------
def test_safety_orders_go_with_a_position_that_was_stopped_out_between_two_ticks(
    bench: Maker,
) -> None:
    b = bench(**DCA, stop_loss_perc=D(5))
    b.scripted().can = frozenset({Can.STOP})
    b.tick()
    b.tick()
    assert resting(b) == BUYS
    b.market.price = D(94)
    found = b.tick()
    assert found is not None
    assert (found.gate, b.state.in_position, resting(b)) == ("stop_loss", False, [])
    assert sound(b)


def test_no_safety_order_is_sent_for_a_position_that_closes_as_its_stop_is_moved(
    bench: Maker,
) -> None:
    trailing = {"trailing_stop_active": True, "trailing_stop_perc": D(4), "take_profit_perc": None}
    b = bench(**DCA | trailing)
    exchange = b.scripted()
    exchange.can = frozenset({Can.STOP})
    b.tick()
    stop = next(order for order in b.orders if order.purpose == "protect")
    b.market.price = D(103)
    exchange.on_cancel = lambda: exchange.fill(stop.client_order_id)
    found = b.tick()
    assert found is not None
    assert (found.gate, b.state.in_position, resting(b)) == ("trailing_stop", False, [])
    assert len(exchange.requests) == 2
    assert sound(b)


def test_a_sale_is_decided_anew_where_the_stop_that_made_way_sold_a_part(bench: Maker) -> None:
    b = bench(**DCA, stop_loss_perc=D(40))
    exchange = b.scripted()
    exchange.can = frozenset({Can.STOP})
    b.tick()
    stop = next(order for order in b.orders if order.purpose == "protect")
    b.bot.refresh_from_db()
    b.bot.strategy, b.bot.params = "grid", GRID["params"]
    b.bot.save()
    lot = {"amount": "2", "bought": "2", "value": "200"}
    BotState.objects.filter(pk=b.bot.pk).update(lots={"3": lot})
    exchange.on_cancel = lambda: exchange.fill(stop.client_order_id, "0.5")
    b.tick()
    assert b.state.current_position_size == D(1)
    assert [side for side, _price, _amount in resting(b)] == []


# -- coins that are gone ---------------------------------------------------------------------------
def sold_by_hand(b: Bench, amount: int) -> None:
    """Take coins from the account, and tick until the bot has found out."""
    assert b.exchange is not None
    b.exchange.holdings["BTC"] -= amount
    BotState.objects.filter(pk=b.bot.pk).update(reconciled_at=None)
    b.tick()
    b.tick()


def book_difference(b: Bench) -> None:
    reconcile.reconcile(b.bot.pk, b.world)
    Comparison.objects.update(as_of=timezone.now())
    accept.accept_exchange(b.bot, by=b.owner, via="page", world=b.world)


def test_nothing_rests_while_ledger_and_exchange_disagree_so_that_it_can_be_booked(
    bench: Maker,
) -> None:
    b = laddered(bench, **GRID)
    b.market.price = D(79)
    b.tick()
    assert b.exchange is not None
    sold_by_hand(b, 2)
    assert b.where == ("error", "reconcile", "exit")
    assert resting(b) == []
    book_difference(b)
    assert b.state.current_position_size == D("2.72222")
    assert sound(b)


# -- sizes and lines -------------------------------------------------------------------------------
def test_what_is_left_of_a_rung_stays_though_it_is_below_the_minimum(bench: Maker) -> None:
    b = bench(**GRID, position_size_fixed=D(7))
    exchange = b.scripted()
    b.tick()
    first = next(order for order in b.orders if order.price == D(90))
    exchange.fill(first.client_order_id, "0.5")  # 3.50 USDT each, and the market takes 5
    b.tick()
    assert ("buy", D(90), first.amount / 2) in resting(b)
    exchange.fill(first.client_order_id, "0.5")
    b.tick()
    assert ("sell", D(100), first.amount) in resting(b)
    assert sound(b)


def test_no_line_sells_below_what_its_units_cost_after_an_edit(bench: Maker) -> None:
    b = laddered(bench, **GRID)
    b.market.price = D(85)
    b.tick()  # the line at 90 bought
    b.bot.refresh_from_db()
    b.bot.params |= {"lowest": "40", "highest": "80"}
    b.bot.save()
    b.tick()
    assert (b.state.in_position, resting(b)[-1]) == (True, ("buy", D(70), D("2.85714")))
    b.bot.params |= {"lowest": "60", "highest": "95", "lines": 2}
    b.bot.save()
    b.tick()
    assert resting(b)[-1] == ("sell", D(95), D("2.22222"))
    assert (b.state.profit, sound(b)) == (0, True)


def test_sales_never_come_to_more_than_the_position_once_a_difference_is_booked(
    bench: Maker,
) -> None:
    b = laddered(bench, **GRID)
    b.market.price = D(79)
    b.tick()
    assert b.exchange is not None
    sold_by_hand(b, 3)
    book_difference(b)
    b.exchange.holdings["BTC"] += 3  # the owner's own, bought again
    b.start()
    b.tick()
    b.tick()
    held = b.state.current_position_size
    asked = sum(amount for side, _price, amount in resting(b) if side == "sell")
    assert asked == held == D("1.72222")
    assert sound(b)


@pytest.mark.parametrize("trouble", ["refused", "stuck"])
def test_the_best_price_is_kept_while_the_ladder_is_in_trouble(bench: Maker, trouble: str) -> None:
    trailing = {"trailing_stop_active": True, "trailing_stop_perc": D(4), "take_profit_perc": None}
    b = laddered(bench, **DCA | trailing)
    assert b.exchange is not None
    if trouble == "refused":
        b.exchange.refuse = Rejected(Fault.ORDER_REJECTED, "too many orders")
    else:
        b.tick()
        b.bot.refresh_from_db()
        b.bot.params |= {"step": "5"}  # what rests has to make way
        b.bot.save()
        b.exchange.cancel_error = Unreachable(Fault.NETWORK, "timeout")
    b.market.price = D(103)
    b.tick()
    assert b.state.status == "waiting"
    assert b.state.max_price_since_entry == D(103)


def test_no_ladder_sells_more_than_the_position_whatever_it_wants() -> None:
    wanted = [Rung(level=n, side=Side.SELL, price=D(100 + n), amount=D(2)) for n in (1, 2, 3)]
    ladder = Ladder(wanted=tuple(wanted), resting=(wanted[2],))
    settings = Settings(initial_capital=D(1000))
    may = allowed(ladder, settings, RULES, None, None, holds=D(5), buys=True, sells=True)
    assert (may.rungs, may.cut) == (tuple(wanted[:2]), 1)
