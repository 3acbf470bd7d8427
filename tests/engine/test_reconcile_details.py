"""When a comparison is due, what it reads, whom it counts, and where its limits lie."""

from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from bots import adopt, reconcile
from bots.lifecycle import Reason
from bots.models import Account, BotConfig, BotState, Comparison, Funding, User
from tests.engine.bench import Bench, D
from tests.engine.conftest import Maker
from tests.engine.exchange import ScriptedExchange
from tests.engine.intended import claim
from tests.engine.test_funding import SYMBOL, VALUES, pay
from tests.engine.test_reconcile import age_comparison, forget, owners_order
from trading.exchange import Can
from trading.market import OrderStatus, OrderType, PositionReport

MICRO = timedelta(microseconds=1)


def compare(b: Bench) -> Comparison | None:
    """Compare as a tick of this bot does, and let the next one have it."""
    assert b.exchange is not None
    try:
        return reconcile.compare(claim(b), b.exchange, b.market.rules(b.bot.symbol))
    finally:
        BotState.objects.update(lease_until=None, tick_started_at=None)


def on_one_account(alice: User, count: int = 2) -> list[Bench]:
    """Bots that share an account and its market."""
    first, *rest = (Bench(alice) for _ in range(count))
    first.scripted()
    account = Account.objects.get(bots=first.bot)
    for b in rest:
        BotConfig.objects.filter(pk=b.bot.pk).update(mode="testnet", account=account)
        b.market, b.exchange = first.market, first.exchange
    return [first, *rest]


@pytest.fixture
def perpetual(alice: User, settings: Any) -> Bench:
    settings.LIVE_TRADING_ENABLED = True
    account = Account.objects.create(owner=alice, exchange="binance", mode="live", label="f")
    b = Bench(alice, start=False, account=account, direction="both", **VALUES)
    b.exchange = ScriptedExchange(b.market, can=frozenset({Can.STOP, Can.FUTURES}))
    b.start()
    b.market.pass_time(0.25)  # fills and payments of no whole second
    return b


# -- when -----------------------------------------------------------------------------------------
def test_a_comparison_is_due_by_age_and_by_the_workers_start(
    bench: Maker, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.RECONCILE_SECONDS = 300
    b = bench()
    b.scripted()
    held = claim(b)
    started = held.started - timedelta(seconds=200)
    monkeypatch.setattr(reconcile, "STARTED", started - timedelta(days=2))

    def is_due(at: datetime | None) -> bool:
        held.state.reconciled_at = at
        return reconcile.is_due(held)

    assert is_due(None)
    assert not is_due(held.started)
    assert not is_due(held.started - timedelta(seconds=300) + MICRO)
    assert is_due(held.started - timedelta(seconds=300))
    assert is_due(held.started + MICRO), "the clock was set back"
    monkeypatch.setattr(reconcile, "STARTED", started)
    assert not is_due(started)
    assert is_due(started - MICRO), "from before this worker"


@pytest.mark.parametrize(("mode", "due"), [("paper", False), ("testnet", True), ("live", True)])
def test_only_a_book_of_our_own_needs_no_comparison(bench: Maker, mode: str, due: bool) -> None:
    held = claim(bench())
    held.bot.mode = mode
    assert reconcile.is_due(held) is due


@pytest.mark.parametrize(("ahead", "kept"), [(-1500, -1500), (1500, 0)])
def test_the_next_comparison_reads_on_from_the_earlier_of_both_clocks(
    bench: Maker, monkeypatch: pytest.MonkeyPatch, ahead: int, kept: int
) -> None:
    b = bench()
    exchange = b.scripted()
    monkeypatch.setattr(exchange, "now", lambda: b.market.now() + ahead)
    assert compare(b) is not None
    assert b.state.reconciled_at == b.market.at + timedelta(milliseconds=kept)


# -- funding --------------------------------------------------------------------------------------
def asked_since(b: Bench) -> list[int]:
    """Note from which moments (Unix ms) payments are asked for from now on."""
    asked: list[int] = []
    exchange = b.exchange
    assert exchange is not None
    funding = exchange.funding

    def noted(symbol: str, since: int) -> Any:
        asked.append(since)
        return funding(symbol, since)

    exchange.funding = noted  # type: ignore[method-assign]
    return asked


def trade(b: Bench, *, seconds: float = 60) -> tuple[datetime, datetime]:
    """Hold a position for a while; returns when it was opened and closed."""
    b.command("enter")
    b.tick(after=0)
    assert b.state.in_position
    opened = b.market.at
    b.command("exit")
    b.tick(after=seconds)
    assert not b.state.in_position
    return opened, b.market.at


def pay_at(b: Bench, name: str, at: datetime) -> None:
    now, b.market.at = b.market.at, at
    pay(b, name, "-1")
    b.market.at = now


def paid() -> set[str]:
    return set(Funding.objects.values_list("funding_id", flat=True))


def compared_at(b: Bench, at: datetime | None) -> None:
    BotState.objects.filter(pk=b.bot.pk).update(reconciled_at=at)


def test_payments_are_read_from_shortly_before_the_last_comparison(perpetual: Bench) -> None:
    b = perpetual
    b.command("enter")
    b.tick()
    asked = asked_since(b)
    for last in (None, b.market.at - timedelta(hours=3, milliseconds=17)):
        compared_at(b, last)
        compare(b)
        since = (last or b.bot.created_at) - adopt.OVERLAP
        assert asked.pop() == round(since.timestamp() * 1000)


def test_a_position_is_paid_for_from_its_first_to_its_last_moment(perpetual: Bench) -> None:
    b = perpetual
    opened, closed = trade(b)
    milli = timedelta(milliseconds=1)
    pay_at(b, "early", opened - milli)
    pay_at(b, "first", opened)
    pay_at(b, "last", closed)
    pay_at(b, "late", closed + milli)
    b.market.pass_time(60)
    compared_at(b, b.market.at - timedelta(hours=1))
    assert compare(b) is not None
    assert paid() == {"first", "last"}


def test_a_short_that_was_filled_in_parts_is_one_position(perpetual: Bench) -> None:
    b = perpetual
    exchange = b.exchange
    assert exchange is not None
    start = b.market.now()
    exchange.parts, exchange.times = ("0.25", "0.75"), (start, start + 20_000)
    b.market.trend = "down"
    b.tick(after=20)
    b.market.trend = "flat"
    assert b.state.position_side == "short"
    exchange.times = (start + 60_000, start + 80_000)
    b.command("exit")
    b.tick(after=60)
    assert not b.state.in_position
    opened = b.market.at - timedelta(seconds=80)
    for seconds in (-5, 5, 40, 75, 85):
        pay_at(b, f"at {seconds}", opened + timedelta(seconds=seconds))
    b.market.pass_time(60)
    compared_at(b, b.market.at - timedelta(hours=1))
    assert compare(b) is not None
    assert paid() == {"at 5", "at 40", "at 75"}


def test_a_position_that_ended_before_what_is_read_is_not_asked_for(perpetual: Bench) -> None:
    b = perpetual
    _, closed = trade(b)
    pay_at(b, "last", closed)
    b.market.pass_time(3600)
    asked = asked_since(b)
    compared_at(b, closed + adopt.OVERLAP + MICRO)
    assert compare(b) is not None
    assert asked == []
    compared_at(b, closed + adopt.OVERLAP)
    assert compare(b) is not None
    assert len(asked) == 1
    assert paid() == {"last"}


def test_what_ended_long_ago_is_not_mixed_with_what_is_open(perpetual: Bench) -> None:
    b = perpetual
    opened, closed = trade(b)
    b.market.pass_time(3600)
    b.command("enter")
    b.tick(after=0)
    pay_at(b, "old", opened + (closed - opened) / 2)
    b.market.pass_time(60)
    pay(b, "new", "-1")
    exchange = b.exchange
    assert exchange is not None
    # An exchange may tell more than it was asked for.
    exchange.funding = lambda *_: exchange.payments  # type: ignore[method-assign]
    compared_at(b, b.market.at)
    assert compare(b) is not None
    assert paid() == {"new"}


# -- orders ---------------------------------------------------------------------------------------
def test_what_an_ended_order_filled_late_is_booked_before_the_sides_are_compared(
    bench: Maker,
) -> None:
    b = bench()
    exchange = b.scripted()
    exchange.parts, exchange.end = ("0.5",), OrderStatus.CANCELED
    b.enter()
    assert (b.state.current_position_size, b.order.is_settled) == (D(1), True)
    exchange.fill(b.order.client_order_id, "0.25")
    age_comparison(b)
    row = compare(b)
    assert row is not None
    assert (row.ok, row.ours, row.there) == (True, D("1.5"), D("1.5"))
    assert b.state.current_position_size == D("1.5")
    assert not b.state.has_unsettled_orders


def test_orders_that_were_missed_are_told_by_name(bench: Maker) -> None:
    b = bench()
    b.scripted()
    b.enter()
    name = b.order.client_order_id
    forget(b)
    with pytest.raises(reconcile.Mismatch, match=f"missed: {name}$") as raised:
        compare(b)
    assert raised.value.reason == Reason.RESTORED


def test_an_order_under_way_leaves_the_bot_uncompared(bench: Maker) -> None:
    b = bench()
    exchange = b.scripted()
    b.enter()
    exchange.holdings["BTC"] = D(1)
    BotState.objects.filter(pk=b.bot.pk).update(has_unsettled_orders=True)
    Comparison.objects.all().delete()
    assert compare(b) is None
    assert not Comparison.objects.exists()


def test_the_owners_orders_are_shown_with_what_is_known_of_them(bench: Maker) -> None:
    b = bench()
    exchange = b.scripted()
    plain = owners_order(b, name="a")
    exchange.foreign += [
        plain,
        replace(
            plain,
            client_order_id="b",
            exchange_order_id="own-b",
            type=OrderType.STOP,
            price=None,
            trigger=D(85),
        ),
        replace(
            plain,
            client_order_id="c",
            exchange_order_id="own-c",
            type=None,
            price=None,
            trigger=None,
        ),
    ]
    row = compare(b)
    assert row is not None
    told = [(one["id"], one["type"], one["price"]) for one in row.external]
    assert told == [("own-a", "limit", "90"), ("own-b", "stop", "85"), ("own-c", "", "0")]


# -- both sides -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("last_price", "missing", "agree"),
    [
        # 5 USDT are the least that can be sold: 0.05 at the entry's price of 100, 0.1 at 50.
        (None, "0.04999", True),
        (None, "0.05", False),
        ("50", "0.09999", True),
        ("50", "0.1", False),
        ("200", "0.025", False),
    ],
)
def test_coins_too_few_to_be_sold_are_no_deficit(
    bench: Maker, last_price: str | None, missing: str, agree: bool
) -> None:
    b = bench()
    exchange = b.scripted()
    b.enter()
    exchange.holdings["BTC"] = D(2) - D(missing)
    price = None if last_price is None else D(last_price)
    BotState.objects.filter(pk=b.bot.pk).update(last_price=price)
    before = b.state.reconciled_at
    b.market.pass_time(1)
    if agree:
        row = compare(b)
        assert row is not None
        assert row.ok
        assert row.ours - row.there == D(missing)
        assert b.state.reconciled_at == b.market.at
        return
    with pytest.raises(reconcile.Mismatch, match=r"hold 2 BTC, the exchange 1\.9") as raised:
        compare(b)
    assert raised.value.reason == Reason.RECONCILE
    assert b.state.reconciled_at == before, "the next tick compares again"
    assert not Comparison.objects.get().ok


@pytest.mark.parametrize(("missing", "agree"), [("0.000009", True), ("0.00001", False)])
def test_without_any_price_less_than_a_step_may_be_missing(
    alice: User, missing: str, agree: bool
) -> None:
    one, other = on_one_account(alice)
    one.enter()
    assert one.exchange is not None
    one.exchange.holdings["BTC"] -= D(missing)
    assert (other.state.last_price, other.state.entry_price) == (None, None)
    if agree:
        assert compare(other) is not None
        return
    with pytest.raises(reconcile.Mismatch):
        compare(other)


@pytest.mark.parametrize("amount", ["2", "-2", "0.5"])
def test_a_futures_position_agrees_to_the_last_digit(perpetual: Bench, amount: str) -> None:
    b = perpetual
    assert b.exchange is not None
    b.command("enter")
    b.tick()
    ours = b.state.position.signed_amount
    there = ours + D(amount) / 10**6
    b.exchange.positions[SYMBOL] = PositionReport(symbol=SYMBOL, amount=there)
    with pytest.raises(reconcile.Mismatch):
        compare(b)
    row = Comparison.objects.get()
    assert (row.ok, row.ours, row.there) == (False, ours, there)


@pytest.mark.parametrize("delta", ["1", "-1"])
def test_a_bot_that_trades_while_the_balance_is_read_leaves_nothing_to_compare(
    alice: User, delta: str
) -> None:
    one, other = on_one_account(alice)
    other.enter()
    Comparison.objects.all().delete()
    exchange = one.exchange
    assert exchange is not None
    balance: Callable[[], Any] = exchange.balance

    def read() -> Any:
        state = BotState.objects.filter(pk=other.bot.pk)
        state.update(current_position_size=D(2) + Decimal(delta))
        return balance()

    exchange.balance = read  # type: ignore[method-assign]
    assert compare(one) is None
    assert not Comparison.objects.exists()


def test_other_coins_and_futures_are_not_counted(alice: User) -> None:
    one, longer_name, futures = on_one_account(alice, 3)
    for b in (one, longer_name, futures):
        b.enter()
    BotConfig.objects.filter(pk=longer_name.bot.pk).update(symbol="BTCDOM/USDT")
    BotConfig.objects.filter(pk=futures.bot.pk).update(symbol=SYMBOL)
    row = compare(one)
    assert row is not None
    assert row.ours == D(2)


# -- somebody asks --------------------------------------------------------------------------------
def test_all_are_those_with_duty_a_position_or_an_order(alice: User) -> None:
    bots = [Bench(alice, start=number > 0) for number in range(6)]
    never, quiet, trades, holds, unsettled, protected = bots
    for b in (quiet, holds, unsettled, protected):
        b.market = trades.market
        if b is holds:
            b.enter()
        b.stop()
        assert b.state.duty == "none"
    BotState.objects.filter(pk=unsettled.bot.pk).update(has_unsettled_orders=True)
    BotState.objects.filter(pk=protected.bot.pk).update(has_protection=True)
    found = reconcile.reconcile(None, trades.world)
    asked = [trades, holds, unsettled, protected]
    assert [finding.bot_id for finding in found] == [b.bot.pk for b in asked]
    (finding,) = reconcile.reconcile(never.bot.pk, trades.world)
    assert (finding.bot_id, finding.ok) == (never.bot.pk, False)
    assert "never started" in finding.text
    (finding,) = reconcile.reconcile(quiet.bot.pk, trades.world)
    assert (finding.bot_id, finding.ok) == (quiet.bot.pk, True)


def test_a_comparison_during_a_tick_or_overtaken_by_one_leaves_the_bot_to_it(
    bench: Maker,
) -> None:
    b = bench()
    exchange = b.scripted()
    b.tick()
    history = exchange.history

    def overtaken(symbol: str, since: int) -> Any:
        state = BotState.objects.get(pk=b.bot.pk)
        BotState.objects.filter(pk=b.bot.pk).update(fence=state.fence + 1)
        return history(symbol, since)

    exchange.history = overtaken  # type: ignore[method-assign]
    before = b.state.reconciled_at
    decisions = len(b.decisions)
    b.market.pass_time(30)
    (finding,) = reconcile.reconcile(b.bot.pk, b.world)
    assert (finding.bot_id, finding.ok) == (b.bot.pk, False)
    assert "took over" in finding.text
    assert b.state.reconciled_at == before
    assert len(b.decisions) == decisions
    # The other tick has the lease now.
    (finding,) = reconcile.reconcile(b.bot.pk, b.world)
    assert not finding.ok
    assert "under way" in finding.text


def test_a_finding_is_said_by_name_and_stays_as_it_is() -> None:
    finding = reconcile.Finding(bot_id=1, ok=True, text="agreed")
    assert finding == reconcile.Finding(bot_id=1, ok=True, text="agreed")
    with pytest.raises(FrozenInstanceError):
        finding.ok = False  # type: ignore[misc]
    with pytest.raises(TypeError):
        reconcile.Finding(1, True, "agreed")  # type: ignore[misc]
