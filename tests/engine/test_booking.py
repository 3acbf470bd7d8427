"""What a fill does to a bot, one at a time: when, on which day, at what price its fee counts."""

from collections.abc import Callable
from dataclasses import FrozenInstanceError
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from bots import booking, lease, ledger, limits
from bots.models import BotState, DayStats, Fill, Funding, Order
from tests.engine.bench import Bench, D
from tests.engine.conftest import Maker
from tests.trading.feeds import SYMBOL
from trading.exchange import Fault, Unusable
from trading.market import FillReport, FundingReport, OrderReport, OrderStatus, Side
from trading.position import Position

PERPETUAL = "BTC/USDT:USDT"
DAY_MS = 86_400_000
BUY, SELL = Side.BUY, Side.SELL
#: Amount, price, and milliseconds after noon.
Part = tuple[str, str, int]


class Account:
    """A tick that books what a test says was filled, on an order for each call."""

    def __init__(self, b: Bench) -> None:
        self.b = b
        self.exchange = b.scripted()
        self.noon = b.market.now()
        held = lease.claim(b.bot.pk, b.world)
        assert held is not None
        self.held = held
        self.count = 0

    def fill(self, side: Side, *parts: Part, fee: str = "0", **values: Any) -> Order:
        """Fill an order at these times; opening ones buy, unless `values` say otherwise."""
        self.count += 1
        entry = {"purpose": Order.Purpose.ENTRY, "reason": "signal"}
        leave = {"purpose": Order.Purpose.EXIT, "reason": "closing"}
        amount = sum((D(part[0]) for part in parts), D(0))
        defaults = {
            "client_order_id": f"o{self.count}",
            "symbol": self.b.bot.symbol,
            "type": "market",
            "amount": amount,
            "signed_at": self.at(0),
            "fence": self.held.state.fence,
            "run_epoch": self.held.epoch,
        }
        kind = entry if side is BUY else leave
        made = Order(
            bot=self.b.bot, account=self.held.account, side=side, **(defaults | kind | values)
        )
        made.save()
        return self.more(Order.objects.get(pk=made.pk), *parts, fee=fee)

    def more(self, order: Order, *parts: Part, fee: str = "0") -> Order:
        """Tell of further fills of an order."""
        before = order.fills.count()
        fills = tuple(
            FillReport(
                trade_id=f"{order.client_order_id}-{before + number}",
                price=D(price),
                amount=D(amount),
                quote=D(amount) * D(price),
                fee=D(fee),
                fee_currency="USDT",
                at=self.noon + after,
            )
            for number, (amount, price, after) in enumerate(parts)
        )
        filled = order.filled + sum((one.amount for one in fills), D(0))
        report = OrderReport(
            client_order_id=order.client_order_id,
            exchange_order_id=f"x{order.client_order_id}",
            symbol=order.symbol,
            side=Side(order.side),
            status=OrderStatus.FILLED if filled >= order.amount else OrderStatus.PARTIAL,
            amount=order.amount,
            filled=filled,
            average=None,
            at=self.noon,
            fills=fills,
        )
        ledger.apply(self.held, order, report, self.b.market.market, self.exchange)
        return order

    def at(self, after: int) -> datetime:
        """Return the time so many milliseconds after noon."""
        return datetime.fromtimestamp(self.noon / 1000, UTC) + timedelta(milliseconds=after)

    @property
    def state(self) -> BotState:
        return self.b.state


@pytest.fixture
def account(bench: Maker) -> Account:
    return Account(bench())


# -- when a position was opened, and what its end is remembered for --------------------------------
def test_a_position_is_opened_by_its_first_fill_to_the_millisecond(account: Account) -> None:
    order = account.fill(BUY, ("1", "100", 1_234), ("0.5", "101", 2_345), amount=D(2))
    assert account.state.position_opened_at == account.at(1_234)
    account.more(order, ("0.5", "102", 3_456))
    assert account.state.position_opened_at == account.at(1_234)
    assert list(Fill.objects.order_by("pk").values_list("at", flat=True)) == [
        account.at(after) for after in (1_234, 2_345, 3_456)
    ]


def test_a_part_that_is_sold_leaves_the_position_as_old_as_it_is(account: Account) -> None:
    account.fill(BUY, ("2", "100", 1_000))
    account.fill(SELL, ("1", "90", 2_000))
    state = account.state
    assert (state.in_position, state.position_opened_at) == (True, account.at(1_000))
    assert state.last_loss_at is None


@pytest.mark.parametrize(
    ("sold", "is_loss"), [("99.999999", True), ("100", False), ("100.5", False), ("300", False)]
)
def test_a_loss_is_remembered_at_the_fill_that_closed_it(
    account: Account, sold: str, is_loss: bool
) -> None:
    account.fill(BUY, ("2", "100", 1_000))
    account.fill(SELL, ("1", sold, 2_001), ("1", sold, 3_002))
    state = account.state
    assert state.last_loss_at == (account.at(3_002) if is_loss else None)
    assert (state.in_position, state.position_opened_at) == (False, None)


@pytest.mark.parametrize(
    ("first", "last", "is_loss"), [("50", "101", True), ("150", "99", False), ("101", "99", False)]
)
def test_what_a_position_earned_in_parts_counts_as_one(
    account: Account, first: str, last: str, is_loss: bool
) -> None:
    # An earlier position is over: its profit or loss is none of this one's.
    account.fill(BUY, ("1", "100", 100))
    account.fill(SELL, ("1", "1000", 200))
    account.fill(BUY, ("2", "100", 1_000))
    account.fill(SELL, ("1", first, 2_000))
    account.fill(SELL, ("1", last, 3_000))
    assert account.state.last_loss_at == (account.at(3_000) if is_loss else None)


def test_a_loss_within_the_millisecond_of_the_entry_is_one(account: Account) -> None:
    account.fill(BUY, ("1", "100", 1_000))
    account.fill(SELL, ("1", "99", 1_000))
    assert account.state.last_loss_at == account.at(1_000)


@pytest.mark.parametrize(("sold", "is_loss"), [("99", True), ("100", False), ("101", False)])
def test_without_its_opening_time_the_order_that_closed_it_decides(
    account: Account, sold: str, is_loss: bool
) -> None:
    account.fill(BUY, ("2", "100", 1_000))
    BotState.objects.update(position_opened_at=None)
    account.fill(SELL, ("1", sold, 2_000), ("1", "100", 2_500))
    assert account.state.last_loss_at == (account.at(2_500) if is_loss else None)


def test_a_position_that_is_turned_round_ends_and_begins_with_one_fill(bench: Maker) -> None:
    account = Account(bench(stop_loss_perc=D(5)))
    futures = {"symbol": PERPETUAL}
    account.fill(BUY, ("2", "100", 1_000), **futures)
    BotState.objects.update(liquidation_price=D(50))
    account.fill(SELL, ("1", "90", 2_000), ("3", "80", 2_500), ("1", "80", 2_750), **futures)
    state = account.state
    assert (state.position_side, state.current_position_size) == ("short", D(3))
    assert state.position_opened_at == account.at(2_500)
    assert state.last_loss_at == account.at(2_500)
    assert state.liquidation_price is None
    assert state.stop_loss_price == D(84)
    # Back again, with a profit: the loss before stays the last one.
    account.fill(BUY, ("5", "70", 4_000), **futures)
    state = account.state
    assert (state.position_side, state.current_position_size) == ("long", D(2))
    assert state.position_opened_at == account.at(4_000)
    assert state.last_loss_at == account.at(2_500)
    assert state.stop_loss_price == D("66.5")


def test_what_watched_a_position_is_forgotten_with_it(account: Account) -> None:
    watched = {"protection": "failed", "protection_message": "why", "liquidation_price": D(50)}
    account.fill(BUY, ("2", "100", 1_000))
    BotState.objects.update(**watched)
    account.fill(SELL, ("1", "100", 2_000))
    kept = BotState.objects.values(*watched).get()
    assert kept == watched
    account.fill(SELL, ("1", "100", 3_000))
    gone = {"protection": "", "protection_message": "", "liquidation_price": None}
    assert BotState.objects.values(*watched).get() == gone


def test_opening_a_position_leaves_what_was_told_before(account: Account) -> None:
    BotState.objects.update(protection_message="of before")
    account.fill(BUY, ("2", "100", 1_000))
    assert account.state.protection_message == "of before"


@pytest.mark.parametrize("side", ["long", "short"])
def test_a_stop_that_has_trailed_stays_when_the_position_grows(bench: Maker, side: str) -> None:
    account = Account(bench(stop_loss_perc=D(5)))
    way = BUY if side == "long" else SELL
    values = {"symbol": PERPETUAL, "purpose": Order.Purpose.ENTRY}
    order = account.fill(way, ("1", "100", 1_000), amount=D(2), **values)
    opened = {"long": D(95), "short": D(105)}[side]
    assert (account.state.position_side, account.state.stop_loss_price) == (side, opened)
    BotState.objects.update(stop_loss_price=D(97))
    account.more(order, ("1", "110", 2_000))
    assert (account.state.entry_price, account.state.stop_loss_price) == (D(105), D(97))
    other = BUY if side == "short" else SELL
    account.fill(other, ("2", "100", 3_000), symbol=PERPETUAL)
    assert (account.state.entry_price, account.state.stop_loss_price) == (None, None)


# -- days and counters -----------------------------------------------------------------------------
def sums(account: Account, days_from_now: int = 0) -> tuple[Decimal, Decimal, int]:
    day = account.state.counter_day + timedelta(days=days_from_now)
    row = DayStats.objects.get(bot=account.b.bot, day=day)
    return row.pnl, row.fees, row.trades


def counted(account: Account) -> tuple[Decimal, int]:
    return account.state.daily_pnl, account.state.daily_trades_count


def test_fills_of_one_order_are_one_trade_and_their_sums_add_up(account: Account) -> None:
    account.fill(BUY, ("1", "100", 0), ("1", "100", 1), fee="0.25")
    assert (counted(account), sums(account)) == ((D(0), 1), (D(0), D("0.5"), 1))
    account.fill(SELL, ("1", "110", 2), ("1", "120", 3), fee="0.25")
    pnl = D(30) - 4 * D("0.25")
    assert (counted(account), sums(account)) == ((pnl, 1), (pnl, D(1), 1))
    assert DayStats.objects.get().closed_at is None
    account.fill(BUY, ("1", "100", 4))
    assert (counted(account), sums(account)) == ((pnl, 2), (pnl, D(1), 2))
    assert booking.fold(account.b.bot.pk).trades == {account.state.counter_day: 2}


@pytest.mark.parametrize("purpose", ["exit", "protect", "liquidation", "adjustment"])
def test_only_entries_are_trades(account: Account, purpose: str) -> None:
    account.fill(BUY, ("1", "100", 0), purpose=purpose)
    assert account.state.in_position
    assert (counted(account), sums(account)) == ((D(0), 0), (D(0), D(0), 0))
    assert booking.fold(account.b.bot.pk).trades == {}


def test_a_fill_of_yesterday_counts_on_yesterday_alone(account: Account) -> None:
    account.fill(BUY, ("1", "100", -DAY_MS), ("1", "100", 0), fee="0.5")
    assert sums(account, -1) == (D(0), D("0.5"), 1)
    assert sums(account) == (D(0), D("0.5"), 0)
    account.fill(SELL, ("1", "110", -DAY_MS + 1))
    assert sums(account, -1) == (D("9.5"), D("0.5"), 1)
    assert (counted(account), account.state.profit) == ((D(0), 0), D("9.5"))
    closed = DayStats.objects.order_by("day").values_list("closed_at", flat=True)
    assert list(closed) == [account.held.started, None]


def test_a_fill_of_tomorrow_waits_for_its_day(account: Account) -> None:
    account.fill(BUY, ("2", "100", 0))
    account.fill(SELL, ("1", "110", DAY_MS), reason="max_daily_loss")
    assert (sums(account), sums(account, 1)) == ((D(0), D(0), 1), (D(10), D(0), 0))
    assert (counted(account), account.state.profit) == ((D(0), 1), D(10))
    assert not DayStats.objects.exclude(closed_at=None).exists()
    assert not account.state.closed_at_loss


def test_the_highest_profit_is_kept_on_the_way_down(account: Account) -> None:
    account.fill(BUY, ("3", "100", 0))
    found = []
    for number, price in enumerate(("110", "95", "104")):
        account.fill(SELL, ("1", price, number + 1))
        found.append((account.state.profit, account.state.profit_peak))
    assert found == [(D(10), D(10)), (D(5), D(10)), (D(9), D(10))]


@pytest.mark.parametrize(
    ("reason", "after", "is_told"),
    [
        ("max_daily_loss", 60_000, True),
        ("closing", 60_000, False),
        ("stop_loss", 60_000, False),
        # Heard of only today: yesterday's limit must not end this day.
        ("max_daily_loss", -DAY_MS + 1, False),
    ],
)
def test_the_days_own_loss_limit_is_remembered_for_the_day(
    account: Account, reason: str, after: int, is_told: bool
) -> None:
    account.fill(BUY, ("2", "100", -DAY_MS))
    assert not account.state.closed_at_loss
    account.fill(SELL, ("2", "90", after), reason=reason)
    assert account.state.closed_at_loss is is_told


# -- what a fee is worth ---------------------------------------------------------------------------
def price_fee(account: Account, currency: str, fee: str, price: str = "100") -> booking.Priced:
    report = FillReport(
        trade_id="t",
        price=D(price),
        amount=D(1),
        quote=D(price),
        fee=D(fee),
        fee_currency=currency,
        at=account.noon,
    )
    rules = account.b.market.market
    return booking.price_fee(report, rules, account.exchange, account.held.world.data)


@pytest.mark.parametrize("currency", ["USDT", ""])
def test_a_fee_in_quote_currency_counts_as_it_is(account: Account, currency: str) -> None:
    priced = price_fee(account, currency, "0.25")
    assert (priced.fee_quote, priced.fee_base) == (D("0.25"), D(0))


def test_a_fee_in_base_currency_counts_at_the_price_of_its_fill(account: Account) -> None:
    priced = price_fee(account, "BTC", "0.002", price="99.5")
    assert (priced.fee_quote, priced.fee_base) == (D("0.199"), D("0.002"))


@pytest.mark.parametrize("coin", ["BNB", "ETH"])
def test_a_fee_in_a_third_coin_takes_no_units(account: Account, coin: str) -> None:
    account.b.market.others[f"{coin}/USDT"] = D("612.5")
    priced = price_fee(account, coin, "0.003")
    assert (priced.fee_quote, priced.fee_base) == (D("1.8375"), D(0))
    assert account.b.market.asked == [(f"{coin}/USDT", "1m", 1)]


def test_a_coin_that_is_only_quoted_in_is_priced_by_the_inverse_market(account: Account) -> None:
    market = account.b.market
    market.missing.add("BRL/USDT")
    market.others["USDT/BRL"] = D("6.25")
    assert price_fee(account, "BRL", "0.5").fee_quote == D("0.08")
    assert market.asked == [("USDT/BRL", "1m", 1)]


def test_the_price_of_a_coins_last_candle_alone_counts(account: Account) -> None:
    market = account.b.market
    market.trend = "up"
    market.others["BNB/USDT"] = D(600)
    data = account.held.world.data
    assert len(data.candles(account.exchange, "BNB/USDT", "1m", 30)) == 30
    assert price_fee(account, "BNB", "0.001").fee_quote == D("0.6")


def test_a_fee_in_a_coin_without_a_market_counts_nothing_and_is_kept(account: Account) -> None:
    account.b.market.missing |= {"XYZ/USDT", "USDT/XYZ"}
    priced = price_fee(account, "XYZ", "0.5")
    assert (priced.fee_quote, priced.fee_base, priced.fill.fee) == (D(0), D(0), D("0.5"))


@pytest.mark.parametrize("fault", [Fault.BROKEN_DATA, Fault.STALE_DATA])
def test_a_market_that_cannot_be_believed_is_no_missing_one(account: Account, fault: Fault) -> None:
    account.b.market.candle_error = Unusable(fault, "no candle")
    with pytest.raises(Unusable, match="no candle"):
        price_fee(account, "BNB", "0.5")


def test_no_fee_needs_no_price(account: Account) -> None:
    account.b.market.candle_error = Unusable(Fault.BROKEN_DATA, "no candle")
    priced = price_fee(account, "BNB", "0")
    assert (priced.fee_quote, priced.fee_base) == (D(0), D(0))


# -- funding ---------------------------------------------------------------------------------------
def fund(account: Account, name: str, amount: str, after: int) -> bool:
    payment = FundingReport(
        funding_id=name,
        symbol=SYMBOL,
        amount=D(amount),
        currency="USDT",
        at=account.noon + after,
    )
    return booking.fund(account.held, payment)


def test_a_payment_counts_once_on_the_day_it_was_made(account: Account) -> None:
    assert fund(account, "a", "-0.25", 1_234)
    assert not fund(account, "a", "-0.25", 1_234)
    assert fund(account, "b", "2", -DAY_MS + 567)
    times = Funding.objects.order_by("funding_id").values_list("at", flat=True)
    assert list(times) == [account.at(1_234), account.at(-DAY_MS + 567)]
    assert sums(account) == (D("-0.25"), D(0), 0)
    assert sums(account, -1) == (D(2), D(0), 0)
    assert counted(account) == (D("-0.25"), 0)
    state = account.held.state
    assert (state.profit, state.profit_peak) == (D("1.75"), D("1.75"))
    folded = booking.fold(account.b.bot.pk)
    assert (folded.profit, sum(folded.pnl.values())) == (D("1.75"), D("1.75"))


# -- values ----------------------------------------------------------------------------------------
def test_the_time_of_a_loss_reaches_the_cooldown_to_the_millisecond(account: Account) -> None:
    account.fill(BUY, ("1", "100", 0))
    account.fill(SELL, ("1", "90", 4_321))
    assert limits.record_of(account.held).last_loss_at == account.noon + 4_321


@pytest.mark.parametrize(
    "make",
    [
        lambda: booking.fold(0),
        lambda: booking.Priced(fill=None, fee_quote=D(1), fee_base=D(0)),  # type: ignore[arg-type]
    ],
)
def test_what_was_priced_or_folded_cannot_be_changed(db: None, make: Callable[[], Any]) -> None:
    value = make()
    name = next(iter(vars(value)))
    with pytest.raises(FrozenInstanceError):
        setattr(value, name, None)
    with pytest.raises(TypeError):
        type(value)(*vars(value).values())


def test_a_bot_without_fills_folds_to_nothing(db: None) -> None:
    folded = booking.fold(0)
    assert (folded.position, folded.profit) == (Position(), D(0))
    assert (folded.pnl, folded.fees, folded.trades) == ({}, {}, {})
