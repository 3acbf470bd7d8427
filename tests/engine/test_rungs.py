"""Ladders on a scripted market: several orders of one bot that rest at once, through one ledger."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError

from bots import control, failpoints, invariants, recompute, reconcile
from bots.change import Refusal
from bots.models import Account, ApiKey, BotConfig, BotState, Fill, Order
from tests.engine.bench import Bench, D
from tests.engine.conftest import Maker
from trading.exchange import Can, Fault, Rejected, Unreachable

#: Safety orders 10, 20 and 30 % below, each as large as the base order of 200 USDT.
DCA: dict[str, Any] = {
    "strategy": "dca",
    "take_profit_perc": D(5),
    "params": {"orders": 3, "resting": 2, "step": 10, "step_scale": 1, "volume_scale": 1},
}
#: Lines at 80, 90, 100, 110 and 120.
GRID: dict[str, Any] = {
    "strategy": "grid",
    "params": {"lowest": 80, "highest": 120, "lines": 5, "resting": 2},
}


def laddered(bench: Maker, **values: Any) -> Bench:
    """A bot on a scripted exchange that has ticked once, at a price of 100."""
    b = bench(**values)
    b.scripted()
    b.tick()
    return b


def resting(b: Bench) -> list[tuple[str, Any, Any]]:
    """Return (side, price, amount left) of what rests, by price."""
    rows = Order.objects.filter(bot=b.bot, is_settled=False, purpose="rung")
    return sorted(
        ((order.side, order.price, order.amount - order.filled) for order in rows),
        key=lambda row: row[1],
    )


def sound(b: Bench) -> bool:
    """Whether every invariant holds and a fold of all fills changes nothing."""
    found = [str(one) for one in invariants.check()]
    found += [str(one) for one in recompute.recompute(b.bot.pk, by=None, via="t", dry_run=True)]
    assert found == []
    return True


# -- averaging down --------------------------------------------------------------------------------
def test_a_round_buys_at_market_and_hangs_its_safety_orders_below(bench: Maker) -> None:
    b = laddered(bench, **DCA)
    assert [(o.purpose, o.level) for o in b.orders] == [("entry", 0)]
    b.tick()
    assert resting(b) == [("buy", D(80), D("2.5")), ("buy", D(90), D("2.22222"))]
    assert b.where == ("running", "in_position", "trade")
    assert sound(b)
    b.tick()
    assert len(b.orders) == 3  # they are left alone


def test_a_safety_order_lowers_average_and_target_and_the_next_one_follows(bench: Maker) -> None:
    b = laddered(bench, **DCA)
    b.tick()
    b.market.price = D(89)
    b.tick()
    state = b.state
    assert resting(b) == [("buy", D(70), D("2.85714")), ("buy", D(80), D("2.5"))]
    average = (D(2) * 100 + D("2.22222") * 90) / D("4.22222")
    assert state.entry_price == pytest.approx(average, rel=D("1e-15"))
    assert state.take_profit_price == pytest.approx(average * D("1.05"), rel=D("1e-15"))
    assert state.daily_trades_count == 1  # one position, however many orders
    assert sound(b)


def test_the_target_takes_the_ladder_back_and_sells_all_of_it(bench: Maker) -> None:
    b = laddered(bench, **DCA)
    b.tick()
    b.market.price = D(89)
    b.tick()
    b.market.price = D(100)
    found = b.tick()
    assert found is not None
    assert found.gate == "take_profit"
    state = b.state
    assert (state.in_position, state.lots, state.has_ladder) == (False, {}, False)
    assert (resting(b), b.order.amount) == ([], D("4.22222"))
    assert state.daily_pnl > 0
    assert sound(b)


def test_no_buy_rests_after_a_stop_and_the_position_is_left_or_closed(bench: Maker) -> None:
    for position in ("leave", "close"):
        b = laddered(bench, **DCA)
        b.tick()
        b.stop(position)
        b.tick()
        state = b.state
        assert (resting(b), state.has_ladder, state.duty) == ([], False, "none")
        assert state.in_position is (position == "leave")
        assert sound(b)


def test_a_daily_limit_takes_the_buys_back_and_leaves_the_position(bench: Maker) -> None:
    b = laddered(bench, **DCA, max_daily_loss_perc=D(1))
    BotState.objects.filter(pk=b.bot.pk).update(daily_pnl=D(-20))
    b.tick()
    assert resting(b) == []
    assert b.state.in_position


def test_money_pays_for_the_nearest_rungs_and_the_page_is_told_of_the_rest(bench: Maker) -> None:
    b = bench(**DCA)
    b.scripted()
    assert b.exchange is not None
    b.exchange.holdings["USDT"] = D(450)
    b.tick()
    b.tick()
    assert [price for _side, price, _amount in resting(b)] == [D(90)]
    numbers = b.decisions[-1].numbers
    assert (numbers["rungs"], numbers["rungs_wanted"]) == ("1", "2")


def test_new_settings_replace_the_rungs(bench: Maker) -> None:
    b = laddered(bench, **DCA)
    b.tick()
    b.bot.refresh_from_db()
    b.bot.params |= {"step": "5"}
    b.bot.save()
    b.tick()
    assert [price for _side, price, _amount in resting(b)] == [D(90), D(95)]
    assert sound(b)


def test_another_strategy_wants_no_rungs(bench: Maker) -> None:
    b = laddered(bench, **DCA)
    b.tick()
    b.bot.refresh_from_db()
    b.bot.strategy, b.bot.params = "ema_rsi", {}
    b.bot.save()
    b.tick()
    assert (resting(b), b.state.in_position) == ([], True)
    assert sound(b)


# -- the grid --------------------------------------------------------------------------------------
def test_a_grid_rests_buys_below_the_price_and_says_that_they_wait(bench: Maker) -> None:
    b = laddered(bench, **GRID)
    assert resting(b) == [("buy", D(80), D("2.5")), ("buy", D(90), D("2.22222"))]
    assert b.where == ("running", "entry_resting", "trade")
    assert b.decisions[-1].gate == "ladder"
    assert sound(b)


def test_what_a_line_bought_is_sold_one_line_higher_and_bought_again(bench: Maker) -> None:
    b = laddered(bench, **GRID)
    b.market.price = D(85)
    b.tick()
    assert resting(b) == [("buy", D(80), D("2.5")), ("sell", D(100), D("2.22222"))]
    b.market.price = D(101)
    b.tick()  # sees the sale: the position is closed
    b.tick()
    assert resting(b) == [("buy", D(90), D("2.22222")), ("buy", D(100), D(2))]
    state = b.state
    gain = D("2.22222") * 10 - D("2.22222") * 190 * D("0.001")
    assert (state.in_position, state.daily_pnl) == (False, gain)
    assert state.daily_trades_count == 1
    assert sound(b)


def test_each_line_sells_its_own_units_whatever_the_average(bench: Maker) -> None:
    b = laddered(bench, **GRID)
    b.market.price = D(79)
    b.tick()
    assert resting(b) == [("sell", D(90), D("2.5")), ("sell", D(100), D("2.22222"))]
    b.market.price = D(95)
    b.tick()
    assert ("sell", D(100), D("2.22222")) in resting(b)
    assert set(b.state.lots) == {"2"}
    assert sound(b)


def test_a_part_of_a_rung_is_sold_as_far_as_it_goes_and_the_rest_goes_on_resting(
    bench: Maker,
) -> None:
    b = laddered(bench, **GRID)
    assert b.exchange is not None
    first = next(order for order in b.orders if order.price == D(90))
    b.exchange.fill(first.client_order_id, "0.5")
    b.tick()
    bought = b.state.current_position_size
    assert ("buy", D(90), D("2.22222") - bought) in resting(b)
    assert ("sell", D(100), bought) in resting(b)
    assert sound(b)


def test_fees_in_coins_are_sold_with_the_nearest_line(bench: Maker) -> None:
    b = bench(**GRID, position_size_fixed=D(201))
    b.scripted()
    assert b.exchange is not None
    b.exchange.fee_currency = "BTC"
    b.tick()
    b.market.price = D(79)
    b.tick()
    asked = sum(amount for side, _price, amount in resting(b) if side == "sell")
    have = b.state.current_position_size
    assert 0 <= have - asked < 2 * b.market.market.amount_step  # a crumb of each line
    b.exchange.fee_currency = "USDT"
    b.market.price = D(95)
    b.tick()
    # What is left of the line's units is too little to be sold: the line buys again.
    assert ("buy", D(80), D("2.5125")) in resting(b)
    assert sound(b)


def test_below_the_grid_everything_is_sold_where_that_is_wished(bench: Maker) -> None:
    b = laddered(bench, **GRID | {"params": GRID["params"] | {"below": "sell"}})
    b.market.price = D(79)
    b.tick()
    b.tick()
    state = b.state
    assert (resting(b), state.in_position, state.lots) == ([], False, {})
    assert b.order.reason == "signal"
    assert sound(b)


def test_coins_that_its_own_sales_hold_are_free_to_its_stop(bench: Maker) -> None:
    b = bench(**GRID, stop_loss_perc=D(15))  # on paper, where a resting sale holds its coins
    b.tick()
    b.market.price = D(85)
    b.tick()
    assert ("sell", D(100), D("2.22222")) in resting(b)
    b.market.price = D(76)
    b.tick()  # the line at 80 has bought: its average lies above the stop
    b.market.price = D(70)
    found = b.tick()
    assert found is not None
    assert found.gate == "stop_loss"
    assert (b.state.in_position, resting(b)) == (False, [])
    assert sound(b)


def test_after_one_that_trades_at_once_the_next_tick_decides_anew(bench: Maker) -> None:
    b = bench(**DCA)
    b.tick()
    b.market.price = D(75)
    b.tick()
    assert [(order.level, order.status) for order in b.orders] == [(0, "filled"), (1, "filled")]
    b.tick()
    assert [order.level for order in b.orders] == [0, 1, 2]


def test_one_question_tells_of_all_rungs_of_which_nothing_is_new(bench: Maker) -> None:
    b = laddered(bench, **GRID)
    assert b.exchange is not None
    b.exchange.find_error = Unreachable(Fault.NETWORK, "not asked")
    found = b.tick()
    assert found is not None
    assert found.gate == "ladder"


def test_sales_take_the_place_of_a_stop_at_the_exchange(bench: Maker) -> None:
    b = bench(**DCA, stop_loss_perc=D(40))
    exchange = b.scripted()
    exchange.can = frozenset({Can.STOP})
    b.tick()
    b.tick()
    assert b.state.has_protection
    b.bot.refresh_from_db()
    b.bot.strategy, b.bot.params = "grid", GRID["params"]
    b.bot.save()
    BotState.objects.filter(pk=b.bot.pk).update(
        lots={"3": {"amount": "2", "bought": "2", "value": "200"}}
    )
    b.tick()
    b.tick()
    assert ("sell", D(110), D(2)) in resting(b)
    assert (b.state.has_protection, b.state.protection) == (False, "watched")


def test_what_trades_at_once_moves_the_levels_on_the_page(bench: Maker) -> None:
    b = bench(**DCA)
    b.tick()
    b.market.price = D(89)
    b.tick()  # the first safety order crosses the market as it is placed
    state = b.state
    assert state.entry_price is not None
    assert state.take_profit_price == pytest.approx(state.entry_price * D("1.05"), rel=D("1e-15"))
    assert state.current_position_size > D(4)


def test_while_orders_rest_a_bot_stays_with_its_account_and_its_key(bench: Maker) -> None:
    b = laddered(bench, **GRID)
    b.bot.refresh_from_db()
    other = Account.objects.create(owner=b.owner, exchange="binance", mode="testnet", label="b")
    with pytest.raises(ValidationError, match="flat and settled"):
        control.edit(b.bot, {"account": other}, by=b.owner, via="page")
    fields = {"api_key": "key", "secret_key": "secret", "last4": "wxyz"}
    key = ApiKey.objects.create(account=b.bot.account, **fields)
    with pytest.raises(Refusal):
        control.drop_key(key, by=b.owner, via="page")
    with pytest.raises(Refusal):
        control.delete(b.bot, by=b.owner, via="page")
    assert b.where == ("stopped", "by_owner", "exit")  # it has been stopped all the same
    b.tick()
    control.delete(b.bot, by=b.owner, via="page")
    assert resting(b) == []


# -- what goes wrong -------------------------------------------------------------------------------
def test_a_rung_without_an_answer_is_never_sent_again_and_holds_the_others_up(
    bench: Maker,
) -> None:
    b = bench(**GRID)
    exchange = b.scripted()
    exchange.lose_answer = Unreachable(Fault.NETWORK, "timeout")
    found = b.tick()
    assert found is not None
    assert found.gate == "order_unknown"
    assert [order.status for order in b.orders] == ["unknown"]
    exchange.lose_answer = None
    b.tick()
    assert [price for _side, price, _amount in resting(b)] == [D(80), D(90)]
    assert len(exchange.requests) == 2
    assert sound(b)


def test_a_refused_rung_is_told_and_not_tried_again_at_once(bench: Maker) -> None:
    b = bench(**GRID)
    exchange = b.scripted()
    exchange.refuse = Rejected(Fault.ORDER_REJECTED, "too many orders")
    b.tick()
    assert b.where == ("waiting", "order_rejected", "trade")
    b.tick()
    assert len(exchange.requests) == 1
    exchange.refuse = None
    b.tick(after=301)
    assert len(resting(b)) == 2
    assert sound(b)


def test_without_candles_what_rests_is_left(bench: Maker) -> None:
    b = laddered(bench, **GRID)
    before = resting(b)
    b.market.candle_error = Unreachable(Fault.NETWORK, "no candles", sent=False)
    b.tick()
    assert resting(b) == before


def test_a_buy_that_is_filled_while_it_is_taken_back_is_booked(bench: Maker) -> None:
    b = laddered(bench, **DCA)
    b.tick()
    exchange = b.exchange
    assert exchange is not None
    b.market.price = D(106)
    lower = next(order for order in b.orders if order.price == D(90))
    exchange.on_cancel = lambda: exchange.fill(lower.client_order_id, "1")
    found = b.tick()
    assert found is not None
    assert found.gate == "outpaced"  # more is held than was to be sold: decided anew
    b.tick()
    assert (b.state.in_position, resting(b)) == (False, [])
    assert Fill.objects.filter(order=lower).exists()
    assert sound(b)


def test_a_sale_between_the_looks_is_no_difference_to_another_bot(bench: Maker) -> None:
    b = laddered(bench, **GRID)
    b.market.price = D(85)
    b.tick()
    b.bot.refresh_from_db()
    other = bench(name="Other")
    rows = BotConfig.objects.filter(pk=other.bot.pk)
    rows.update(mode="testnet", account=b.bot.account)
    other.exchange, other.market = b.exchange, b.market
    other.tick()
    b.market.price = D(101)  # the grid's sale is filled, and only the grid will learn of it
    BotState.objects.filter(pk=other.bot.pk).update(reconciled_at=None)
    other.tick()
    assert other.state.status == "running", other.state.last_error_message
    assert reconcile.reconcile(b.bot.pk, b.world)
    assert sound(b)


@pytest.mark.parametrize("point", ["rung.before", "rung.after"])
def test_a_kill_around_a_rung_leaves_none_twice_and_none_behind(
    bench: Maker, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    b = bench(**GRID)
    exchange = b.scripted()

    class Killed(BaseException):
        pass

    def reach(name: str, _bot_id: int) -> None:
        if name == point and len(b.orders) >= 1:
            raise Killed

    monkeypatch.setattr(failpoints, "reach", reach)
    with pytest.raises(Killed):
        b.tick()
    monkeypatch.undo()
    BotState.objects.filter(pk=b.bot.pk).update(lease_until=None)
    for _ in range(3):
        b.tick()
    assert [price for _side, price, _amount in resting(b)] == [D(80), D(90)]
    assert len(exchange.resting) == 2
    assert sound(b)
