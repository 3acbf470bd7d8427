"""Performance of real ledgers: what ticks booked, asked in a few queries."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from bots import booking, lease
from bots.models import BotConfig, DayStats, Fill, Order, User
from bots.performance import Report, Span, Wanted, histories, report, select
from tests.engine.bench import Bench, D
from tests.engine.conftest import Maker
from tests.rows import whole_fill
from trading.equity import Unit
from trading.market import FundingReport

ALL = Span()


def read(bot: BotConfig, span: Span = ALL) -> Report:
    found = histories(BotConfig.objects.filter(pk=bot.pk))
    return report(found.values(), span, bot.initial_capital)


def fund(b: Bench, name: str, amount: str) -> None:
    held = lease.claim(b.bot.pk, b.world)
    assert held is not None
    payment = FundingReport(
        funding_id=name, symbol=b.bot.symbol, amount=D(amount), currency="USDT", at=b.market.now()
    )
    assert booking.fund(held, payment)
    lease.release(held, lease.Outcome(move=None, reason=None, action="hold", gate="reported"))


@pytest.fixture
def traded(bench: Maker) -> Bench:
    """Three days: a stop, a sale by command, funding, and a position that is still open."""
    b = bench(stop_loss_perc=D(5))
    exchange = b.scripted()
    b.enter()
    b.market.price = D("94.37")
    b.tick()
    b.market.pass_time(86_400)
    b.market.price = D(100)
    exchange.fee_currency = "BTC"
    b.enter()
    exchange.fee_currency = "USDT"
    b.market.price = D("110.37")
    fund(b, "one", "-0.25")
    b.command("exit")
    b.tick()
    b.market.pass_time(86_400)
    b.enter()
    fund(b, "two", "0.125")
    assert b.state.in_position
    return b


def test_the_figures_are_those_of_the_engines_own_fold(traded: Bench) -> None:
    found = read(traded.bot)
    fold = booking.fold(traded.bot.pk)
    assert found.sums.total == fold.profit == traded.state.profit
    assert found.sums.funding == D("-0.125")
    assert {day: sums.total for day, sums in found.days.items()} == fold.pnl
    assert {day: sums.fees for day, sums in found.days.items()} == fold.fees
    stored = DayStats.objects.filter(bot=traded.bot)
    assert {day.day: (day.pnl, day.fees) for day in stored} == {
        day: (sums.total, sums.fees) for day, sums in found.days.items()
    }
    assert [trade.reason for trade in found.trades] == ["command", "stop_loss"]
    assert found.summary.wins == found.summary.losses == 1
    rest = select(
        histories(BotConfig.objects.filter(pk=traded.bot.pk)).values(), Wanted(trades="open")
    )
    assert found.summary.pnl + rest.sums.realized + found.sums.funding == traded.state.profit
    assert found.drawdown.amount == found.summary.gross_loss + D("0.25")  # the stop, then funding
    assert found.drawdown_percent == found.drawdown.amount / 10


def test_each_fills_part_is_what_was_booked_with_it(traded: Bench) -> None:
    selection = select(histories(BotConfig.objects.all()).values(), Wanted())
    booked = dict(Fill.objects.values_list("pk", "realized_pnl"))
    assert {number: part.realized for number, part in selection.parts.items()} == booked
    assert len(selection.payments) == 2


def test_a_span_takes_fills_by_their_day_and_trades_by_the_day_they_ended(traded: Bench) -> None:
    first, second, third = sorted(read(traded.bot).days)
    today = read(traded.bot, Span(first=second, last=second))
    assert [trade.reason for trade in today.trades] == ["command"]
    assert today.sums.total == DayStats.objects.get(bot=traded.bot, day=second).pnl
    assert read(traded.bot, Span(first=third)).trades == []
    assert read(traded.bot, Span(last=first)).summary.trades == 1


def test_what_a_figure_opens_adds_up_to_it(traded: Bench) -> None:
    found = read(traded.bot)
    ledgers = histories(BotConfig.objects.filter(pk=traded.bot.pk)).values()
    for bucket in found.by(Unit.DAY):
        span = Span(first=bucket.first, last=bucket.last)
        assert select(ledgers, Wanted(span=span)).sums == bucket.sums
        assert select(ledgers, Wanted(span=span, trades="all")).sums.realized == bucket.summary.pnl
    for reason, summary in found.reasons:
        sums = select(ledgers, Wanted(reason=reason)).sums
        assert (sums.realized, sums.fees, sums.funding) == (summary.pnl, summary.fees, 0)
    for kind, gross in (("won", found.summary.gross_profit), ("lost", -found.summary.gross_loss)):
        assert select(ledgers, Wanted(trades=kind)).sums.realized == gross
    for trade in found.trades:
        sums = select(ledgers, Wanted(trade=trade.number)).sums
        assert (sums.realized, sums.fees) == (trade.pnl, trade.fees)
    fall = found.drawdown
    stretch = Wanted(after=fall.peak_at, until=fall.trough_at)
    assert select(ledgers, stretch).sums.total == -fall.amount != 0


def _ledger(owner: User, bots: int, fills: int) -> None:
    """Write so many bots with so many fills each, buys and sales in turn, one an hour."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for number in range(bots):
        bot = Bench(owner, name=f"bot {number}", start=False).bot
        orders = [_order(bot, index, start + timedelta(hours=index)) for index in range(fills)]
        Order.objects.bulk_create(orders, batch_size=500)
        rows = [whole_fill(order, D(60_000 + index % 977)) for index, order in enumerate(orders)]
        Fill.objects.bulk_create(rows, batch_size=500)


def _order(bot: BotConfig, index: int, at: datetime) -> Order:
    return Order(
        bot=bot,
        account=bot.account,
        client_order_id=f"{bot.pk}-{index}",
        exchange_order_id=str(index),
        symbol=bot.symbol,
        side="sell" if index % 2 else "buy",
        type="market",
        purpose="exit" if index % 2 else "entry",
        reason="take_profit" if index % 4 == 1 else "stop_loss",
        amount=D("0.01234567"),
        dust=D("0.0001"),
        status="filled",
        filled=D("0.01234567"),
        booked=D("0.01234567"),
        is_settled=True,
        signed_at=at,
        fence=1,
        run_epoch=1,
    )


@pytest.fixture
def writes_orders(alice: User) -> Callable[[int, int], None]:
    return lambda bots, fills: _ledger(alice, bots, fills)


@pytest.mark.parametrize("bots", [1, 12])
def test_any_number_of_bots_costs_two_queries(
    bots: int,
    alice: User,
    writes_orders: Callable[[int, int], None],
    django_assert_num_queries: Any,
) -> None:
    writes_orders(bots, 6)
    with django_assert_num_queries(2):
        found = histories(alice.bots.all())
    assert len(found) == bots
    assert report(found.values(), ALL, D(1000)).summary.trades == 3 * bots


def test_many_bots_make_one_report(alice: User, writes_orders: Callable[[int, int], None]) -> None:
    writes_orders(4, 100)
    found = report(histories(alice.bots.all()).values(), ALL, D(4000))
    assert found.summary.trades == 200
    assert found.drawdown.amount > 0
    days = {fill.trading_day for fill in Fill.objects.all()}
    assert len(found.by(Unit.DAY)) == len(found.days) == len(days)


def test_the_ledgers_of_others_are_not_read(traded: Bench, mallory: User) -> None:
    assert histories(mallory.bots.all()) == {}
    assert date.fromisoformat("2026-03-01") not in read(traded.bot).days
