"""Orders and fills: fees, parts, replays, dust, and profit to the last decimal."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import ProtectedError

from bots import invariants, lease, ledger
from bots.models import DayStats, Fill, Order
from tests.engine.bench import Bench, D
from tests.engine.conftest import Maker
from trading.market import OrderReport, OrderStatus


def apply(b: Bench, report: OrderReport) -> None:
    """Book a report in a tick of its own."""
    held = lease.claim(b.bot.pk, b.world)
    assert held is not None
    assert b.exchange is not None
    order = Order.objects.get(client_order_id=report.client_order_id)
    ledger.apply(held, order, report, b.market.market, b.exchange)
    nothing = lease.Outcome(move=None, reason=None, action="hold", gate="reported")
    lease.release(held, nothing)


def round_trip(b: Bench, price: str) -> None:
    """Sell what is held at a price."""
    b.market.price = D(price)
    b.command("exit")
    b.tick()


# -- fees and profit ------------------------------------------------------------------------------
def test_profit_counts_both_fees_in_quote_currency(bench: Maker) -> None:
    b = bench()
    exchange = b.scripted()
    exchange.rate = D("0.00075")
    b.enter()
    round_trip(b, "110.37")
    spent = D(200) + D(200) * D("0.00075")
    earned = D("220.74") - D("220.74") * D("0.00075")
    day = DayStats.objects.get(bot=b.bot)
    assert b.state.daily_pnl == day.pnl == earned - spent == D("20.424445")
    assert day.fees == D("0.315555")
    assert (day.trades, b.state.daily_trades_count) == (1, 1)
    assert invariants.check() == []


def test_a_fee_taken_from_the_bought_coin_leaves_less_to_sell(bench: Maker) -> None:
    b = bench()
    exchange = b.scripted()
    exchange.fee_currency = "BTC"
    b.enter()
    state, fill = b.state, Fill.objects.get(bot=b.bot)
    assert state.current_position_size == D("1.998") == exchange.holdings["BTC"]
    assert state.position_cost == D(200)
    assert (fill.fee, fill.fee_base, fill.fee_quote) == (D("0.002"), D("0.002"), D("0.2"))
    exchange.fee_currency = "USDT"
    round_trip(b, "100")
    assert b.order.amount == D("1.998")
    assert b.state.daily_pnl == D("199.8") - D("0.1998") - D(200)
    assert not b.state.in_position
    assert invariants.check() == []


def test_a_fee_in_a_third_coin_is_priced_at_its_last_closed_candle(bench: Maker) -> None:
    b = bench()
    exchange = b.scripted()
    exchange.fee_currency, exchange.rate = "BNB", D("0.0003")
    b.market.others["BNB/USDT"] = D("612.5")
    b.enter()
    fill = Fill.objects.get(bot=b.bot)
    assert (fill.fee, fill.fee_currency) == (D("0.0003"), "BNB")
    assert fill.fee_quote == D("0.18375")
    assert b.state.position_cost == D("200.18375")
    assert ("BNB/USDT", "1m", 1) in b.market.asked
    assert b.state.current_position_size == D(2)


def test_a_fee_that_cannot_be_priced_waits_and_is_not_invented(bench: Maker) -> None:
    b = bench()
    exchange = b.scripted()
    exchange.fee_currency = "BNB"
    b.market.others["BNB/USDT"] = D("NaN")
    b.enter()
    assert not Fill.objects.exists()
    assert b.state.has_unsettled_orders
    assert b.where[1] == "broken_data"
    b.market.others["BNB/USDT"] = D(600)
    b.tick()
    assert Fill.objects.get().fee_quote == D("0.6")
    assert b.order.status == "filled"
    assert len(exchange.requests) == 1


def test_eighteen_decimals_survive_the_database(bench: Maker) -> None:
    b = bench()
    exchange = b.scripted()
    exchange.rate = D("0.000000000000000123")
    b.market.price = D("0.000012345678901234")
    b.market.market = replace(b.market.market, amount_step=D("0.00000001"), max_amount=None)
    b.enter()
    fill = Fill.objects.get(bot=b.bot)
    assert fill.price == D("0.000012345678901234")
    assert fill.amount == b.order.amount
    assert b.state.current_position_size == fill.amount
    assert invariants.check() == []


def test_sums_wider_than_pythons_28_digits_lose_nothing(bench: Maker) -> None:
    b = bench(position_size_fixed=D(2 * 10**12), initial_capital=D(10**13))
    exchange = b.scripted()
    exchange.rate = D("0.000000000000000001")
    exchange.holdings["USDT"] = D(10**16)
    b.market.price = D(10**12)
    b.market.market = replace(b.market.market, max_amount=None)
    b.enter()
    round_trip(b, "2000000000000.000000000000000001")
    # Sold for 4e12 + 2e-18, bought for 2e12; fees 4e-6 and 2e-6.
    assert b.state.daily_pnl == D("1999999999999.999994000000000002")
    assert b.state.daily_pnl == DayStats.objects.get().pnl
    assert invariants.check() == []


def test_a_late_fill_of_a_day_that_nobody_rolled_over_closes_that_day(bench: Maker) -> None:
    b = bench()
    exchange = b.scripted()
    today = b.state.counter_day
    exchange.times = (b.market.now() - 86_400_000,)
    b.enter()
    day = DayStats.objects.get(day=today - timedelta(days=1))
    assert (day.trades, day.closed_at) == (1, b.market.at)
    [fill] = Fill.objects.all()
    assert (fill.at.date(), fill.booked_at) == (today - timedelta(days=1), b.market.at)
    assert b.state.daily_trades_count == 0
    assert invariants.check() == []


# -- parts and replays ----------------------------------------------------------------------------
def test_an_order_that_fills_in_parts_is_one_trade(bench: Maker) -> None:
    b = bench()
    exchange = b.scripted()
    exchange.parts, exchange.visible = ("0.25", "0.5", "0.25"), 1
    b.enter()
    assert (b.order.status, b.order.filled, b.order.is_settled) == ("partial", D("0.5"), False)
    assert b.where[:2] == ("waiting", "order_unknown")
    assert b.state.current_position_size == D("0.5")
    exchange.visible = 2
    b.market.trend = "up"
    b.tick()
    assert b.order.filled == D("1.5")
    exchange.visible = None
    b.tick()
    assert (b.order.status, b.order.filled, b.order.is_settled) == ("filled", D(2), True)
    assert b.state.current_position_size == D(2)
    assert (b.state.daily_trades_count, len(exchange.requests)) == (1, 1)
    assert invariants.check() == []


def test_a_part_that_filled_before_a_cancel_is_kept(bench: Maker) -> None:
    b = bench(stop_loss_perc=D(5))
    exchange = b.scripted()
    exchange.parts, exchange.end = ("0.25",), OrderStatus.CANCELED
    b.enter()
    assert (b.order.status, b.order.filled, b.order.is_settled) == ("canceled", D("0.5"), True)
    assert b.state.current_position_size == D("0.5")
    exchange.parts, exchange.end = ("1",), OrderStatus.FILLED
    b.market.price = D(90)
    b.tick()
    assert (b.order.side, b.order.amount) == ("sell", D("0.5"))


def test_an_order_canceled_without_a_fill_is_no_trade(bench: Maker) -> None:
    b = bench()
    exchange = b.scripted()
    exchange.parts, exchange.end = (), OrderStatus.CANCELED
    b.enter()
    assert (b.order.status, b.order.is_settled) == ("canceled", True)
    assert (b.state.in_position, b.state.daily_trades_count) == (False, 0)


def test_a_filled_order_with_missing_fills_is_unsettled_until_they_come(bench: Maker) -> None:
    b = bench()
    exchange = b.scripted()
    exchange.parts = ("0.5", "0.5")
    exchange.lags = 1
    b.enter()
    assert (b.order.status, b.order.filled, b.order.booked) == ("filled", D(2), D(1))
    assert (b.order.is_settled, b.state.has_unsettled_orders) == (False, True)
    exchange.lags = 0
    b.tick()
    assert (b.order.booked, b.order.is_settled) == (D(2), True)
    assert invariants.check() == []


def test_a_report_that_comes_twice_changes_nothing(bench: Maker) -> None:
    b = bench()
    exchange = b.scripted()
    b.enter()
    report = exchange.taken[b.order.client_order_id]
    before = (b.state.position, b.state.daily_trades_count, DayStats.objects.get().fees)
    for _ in range(3):
        apply(b, report)
    assert (b.state.position, b.state.daily_trades_count, DayStats.objects.get().fees) == before
    assert b.order.fills.count() == 1
    assert invariants.check() == []


@pytest.mark.parametrize(
    "older",
    [
        {"status": OrderStatus.OPEN, "filled": D(0), "average": None, "fills": ()},
        {"status": OrderStatus.PARTIAL, "filled": D(1), "fills": ()},
        {"status": OrderStatus.CANCELED, "filled": D(1), "fills": ()},
    ],
)
def test_a_report_of_an_earlier_stage_takes_nothing_back(
    bench: Maker, older: dict[str, Any]
) -> None:
    b = bench()
    exchange = b.scripted()
    b.enter()
    report = exchange.taken[b.order.client_order_id]
    apply(b, replace(report, **older))
    order = b.order
    assert (order.status, order.filled, order.is_settled) == ("filled", D(2), True)
    assert order.average == D(100)
    assert not b.state.has_unsettled_orders


def test_the_ledger_cannot_be_deleted(bench: Maker) -> None:
    b = bench()
    b.scripted()
    b.enter()
    for row in (b.order, b.bot, b.owner, b.order.account):
        with pytest.raises(ProtectedError):
            row.delete()


# -- dust -----------------------------------------------------------------------------------------
def test_what_cannot_be_sold_stays_as_dust_and_the_position_is_closed(bench: Maker) -> None:
    b = bench(position_size_fixed=D("200"))
    exchange = b.scripted()
    b.market.market = replace(b.market.market, amount_step=D("0.01"), min_amount=D("0.01"))
    exchange.fee_currency, exchange.rate = "BTC", D("0.0015")
    b.enter()
    assert b.state.current_position_size == D("1.997")
    exchange.fee_currency = "USDT"
    round_trip(b, "100")
    state = b.state
    assert b.order.amount == D("1.99")
    assert (state.in_position, state.current_position_size) == (False, D("0.007"))
    assert invariants.check() == []
    b.enter()
    assert b.state.current_position_size == D("2.007")
    assert b.state.entry_price == D(100)


def test_a_bot_sells_no_more_than_its_own_position(bench: Maker) -> None:
    b = bench()
    exchange = b.scripted()
    exchange.holdings["BTC"] = D(7)
    b.enter()
    round_trip(b, "100")
    assert b.order.amount == D(2)
    assert exchange.holdings["BTC"] == D(7)


def test_a_bot_sells_no_more_than_is_there(bench: Maker) -> None:
    b = bench()
    exchange = b.scripted()
    b.enter()
    exchange.holdings["BTC"] = D("1.98")
    round_trip(b, "100")
    assert b.order.amount == D("1.98")


def test_a_bot_sells_nothing_when_more_than_dust_is_missing(bench: Maker) -> None:
    b = bench()
    exchange = b.scripted()
    b.enter()
    exchange.holdings["BTC"] = D("1.5")
    b.market.trend = "down"
    b.tick()
    assert [order.side for order in b.orders] == ["buy"]
    assert b.where == ("error", "reconcile", "exit")


# -- identity -------------------------------------------------------------------------------------
def test_client_order_ids_are_ours_and_unique(bench: Maker) -> None:
    b = bench()
    b.enter()
    round_trip(b, "100")
    ids = [order.client_order_id for order in b.orders]
    assert len(set(ids)) == 2
    for text in ids:
        assert len(text) == 18
        assert text.startswith("bs")
        assert text.isalnum()
        assert text == text.lower()
    assert ids[0][:10] == ids[1][:10]


def test_an_order_keeps_when_it_was_signed_and_who_wrote_it(bench: Maker) -> None:
    b = bench()
    b.enter()
    order = b.order
    assert order.signed_at == b.market.at
    assert order.request.signed_at == b.market.now()
    assert (order.fence, order.run_epoch) == (b.state.fence, b.state.run_epoch)
