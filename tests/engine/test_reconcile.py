"""Ledger against exchange: what is ours is taken in, what is the owner's is left, deficits stop."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from bots import accept, invariants, lease, reconcile, schedule, sweep
from bots.change import Refusal
from bots.models import (
    Account,
    BotConfig,
    BotState,
    Comparison,
    Order,
    StateEvent,
    User,
)
from tests.before import put_back
from tests.engine.bench import Bench, D
from tests.engine.conftest import Maker
from trading.exchange import Can, Fault, Unreachable
from trading.market import OrderReport, OrderStatus, OrderType, Side

STOPS: dict[str, Any] = {"stop_loss_perc": D(5), "take_profit_perc": D(10)}


def owners_order(b: Bench, *, name: str = "web_1", at: int | None = None) -> OrderReport:
    return OrderReport(
        client_order_id=name,
        exchange_order_id=f"own-{name}",
        symbol=b.bot.symbol,
        side=Side.BUY,
        status=OrderStatus.OPEN,
        amount=D(3),
        filled=D(0),
        average=None,
        at=b.market.now() if at is None else at,
        type=OrderType.LIMIT,
        price=D(90),
    )


def age_comparison(b: Bench) -> None:
    """Let the newest comparison be of yesterday."""
    old = b.market.at - timedelta(days=1)
    BotState.objects.filter(pk=b.bot.pk).update(reconciled_at=old)


def test_a_bot_is_compared_before_its_first_tick_and_then_every_five_minutes(
    bench: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    b = bench()
    monkeypatch.setattr(reconcile, "STARTED", b.market.at - timedelta(days=1))
    exchange = b.scripted()
    asked = []
    history = exchange.history
    monkeypatch.setattr(exchange, "history", lambda *a: (asked.append(b.market.at), history(*a))[1])
    for _ in range(7):
        b.tick(after=60)
    first = asked[0]
    assert sorted({(at - first).total_seconds() for at in asked}) == [0, 300]
    assert b.state.reconciled_at == asked[-1]
    row = Comparison.objects.get()
    assert (row.ok, row.ours, row.there) == (True, 0, 0)


def test_a_worker_trusts_no_comparison_from_before_its_start(
    bench: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    b = bench()
    b.scripted()
    monkeypatch.setattr(reconcile, "STARTED", b.market.at - timedelta(days=1))
    b.tick()
    before = b.state.reconciled_at
    monkeypatch.setattr(reconcile, "STARTED", b.market.at + timedelta(seconds=10))
    b.tick(after=20)
    assert b.state.reconciled_at != before


def test_a_paper_book_needs_no_comparison(bench: Maker) -> None:
    b = bench()
    b.enter()
    assert b.state.reconciled_at is None
    assert not Comparison.objects.exists()


def test_the_owners_own_orders_are_shown_and_never_touched(bench: Maker) -> None:
    b = bench()
    exchange = b.scripted()
    exchange.foreign.append(owners_order(b))
    b.enter()
    age_comparison(b)
    b.tick()
    row = Comparison.objects.get()
    assert row.ok
    assert row.external == [
        {"id": "own-web_1", "side": "buy", "type": "limit", "amount": "3", "price": "90"}
    ]
    assert exchange.cancelled == []
    assert Order.objects.count() == 1
    b.stop("close")
    b.tick()
    assert exchange.foreign[0].status is OrderStatus.OPEN


def test_more_coins_than_the_bots_bought_are_the_owners(bench: Maker) -> None:
    b = bench()
    exchange = b.scripted()
    b.enter()
    exchange.holdings["BTC"] += D(7)
    age_comparison(b)
    b.tick()
    assert b.where == ("running", "in_position", "trade")
    row = Comparison.objects.get()
    assert (row.ours, row.there, row.ok) == (D(2), D(9), True)


def test_a_deficit_stops_every_bot_of_the_coin_and_shows_both_sides(alice: User) -> None:
    one, other = Bench(alice), Bench(alice)
    exchange = one.scripted()
    account = Account.objects.get(bots=one.bot)
    BotConfig.objects.filter(pk=other.bot.pk).update(mode="testnet", account=account)
    other.market, other.exchange = one.market, exchange
    for b in (one, other):
        b.enter()
    exchange.holdings["BTC"] = D("3.5")
    for b in (one, other):
        age_comparison(b)
        b.tick()
        assert b.where == ("error", "reconcile", "exit")
        assert "the bots hold 4 BTC, the exchange 3.5 BTC" in b.state.last_error_message
    row = Comparison.objects.get(account=account)
    assert (row.ours, row.there, row.ok) == (D(4), D("3.5"), False)


def test_while_another_bot_of_the_coin_has_an_order_under_way_nobody_is_judged(
    alice: User,
) -> None:
    one, other = Bench(alice), Bench(alice)
    exchange = one.scripted()
    account = Account.objects.get(bots=one.bot)
    BotConfig.objects.filter(pk=other.bot.pk).update(mode="testnet", account=account)
    one.enter()
    exchange.holdings["BTC"] = D(1)
    BotState.objects.filter(pk=other.bot.pk).update(has_unsettled_orders=True)
    age_comparison(one)
    one.tick()
    assert one.where == ("running", "in_position", "trade")


def forget(b: Bench) -> None:
    """Put the database back to before the bot's first order, which was compared an hour ago."""
    put_back(b.bot, reconciled_at=b.market.at - timedelta(hours=1))


def test_after_a_restored_backup_missing_orders_are_adopted_and_the_bot_waits(
    bench: Maker,
) -> None:
    b = bench(**STOPS)
    exchange = b.scripted()
    exchange.can = frozenset({Can.STOP, Can.PAIR})
    b.enter()
    sent = {order.client_order_id: order.purpose for order in b.orders}
    before = b.state
    forget(b)
    b.tick()
    assert b.where[:2] == ("error", "restored")
    assert {order.client_order_id for order in b.orders} == set(sent)
    after = b.state
    assert (after.in_position, after.current_position_size, after.position_cost) == (
        True,
        before.current_position_size,
        before.position_cost,
    )
    assert len(exchange.requests) == 3, "nothing was sent again"
    assert b.state.duty == "exit", "the position is watched while somebody decides"
    assert invariants.check() == []
    b.start()
    b.tick()
    assert b.where == ("running", "in_position", "trade")


def test_an_order_of_another_installation_or_bot_is_not_ours(bench: Maker) -> None:
    b = bench()
    exchange = b.scripted()
    b.enter()
    mine = b.order.client_order_id
    number = int(mine[5:10], 36)
    other_bot = mine[:5] + f"{number + 1:05d}" + mine[10:]
    for name in ("bs" + "###" + mine[5:], other_bot, mine + "x"):
        exchange.foreign.append(owners_order(b, name=name))
    age_comparison(b)
    b.tick()
    assert Order.objects.count() == 1
    assert len(Comparison.objects.get().external) == 3


def test_a_stop_that_sells_a_position_its_owner_left_is_found_by_the_sweep(
    bench: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    b = bench(**STOPS)
    exchange = b.scripted()
    exchange.can = frozenset({Can.STOP, Can.PAIR})
    b.enter()
    b.stop("leave")
    assert b.where == ("stopped", "by_owner", "none")
    sent: list[tuple[object, ...]] = []
    monkeypatch.setattr(schedule, "send", lambda *given, **_: sent.append(given))
    sweep.sweep()
    assert ("bots.tasks.reconcile", b.bot.pk) in sent
    b.market.price = D(94)
    (finding,) = reconcile.reconcile(b.bot.pk, b.world)
    assert finding.ok
    state = b.state
    assert (state.in_position, state.has_protection, state.duty) == (False, False, "none")
    assert b.state.daily_pnl < 0
    assert invariants.check() == []


def test_an_exchange_that_cannot_be_asked_fails_the_comparison_and_nothing_else(
    bench: Maker,
) -> None:
    b = bench()
    exchange = b.scripted()
    b.enter()
    age_comparison(b)
    exchange.list_error = Unreachable(Fault.NETWORK, "timed out")
    b.tick()
    assert b.where == ("waiting", "network", "trade")
    exchange.list_error = None
    b.tick()
    assert b.where == ("running", "in_position", "trade")


# -- ways out -------------------------------------------------------------------------------------
def short_of_coins(bench: Maker, left: str = "0.5") -> Bench:
    """A bot that holds 2 in its ledger, less at the exchange, and is off for it."""
    b = bench()
    exchange = b.scripted()
    b.enter()
    exchange.holdings["BTC"] = D(left)
    age_comparison(b)
    b.tick()
    assert b.where == ("error", "reconcile", "exit")
    Comparison.objects.update(as_of=timezone.now())
    return b


def test_the_owner_books_what_is_gone_and_starts_again(bench: Maker) -> None:
    b = short_of_coins(bench)
    b.market.price = D(110)
    BotState.objects.filter(pk=b.bot.pk).update(last_price=D(110))
    order = accept.accept_exchange(b.bot, by=b.owner, via="page", world=b.world)
    assert (order.purpose, order.amount, order.average) == ("adjustment", D("1.5"), D(110))
    state = b.state
    assert state.current_position_size == D("0.5")
    assert state.daily_pnl == D("14.85")  # 165 - 1.5 x 100.1
    event = StateEvent.objects.filter(bot=b.bot).order_by("-pk")[0]
    assert (event.move, event.by, event.via) == ("adjust", b.owner, "page")
    assert invariants.check() == []
    b.start()
    b.tick()
    assert b.where == ("running", "in_position", "trade")


def test_all_of_it_may_be_gone(bench: Maker) -> None:
    b = short_of_coins(bench, "0")
    accept.accept_exchange(b.bot, by=b.owner, via="page", world=b.world)
    assert not b.state.in_position
    assert b.state.duty == "none"
    assert invariants.check() == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda b: Comparison.objects.update(as_of=timezone.now() - timedelta(hours=1)), "stale"),
        (lambda b: Comparison.objects.update(there=D(9)), "not_bookable"),
        (lambda b: BotState.objects.update(has_unsettled_orders=True), "unsettled"),
        (lambda b: b.start(), "nothing"),
        (lambda b: lease.claim(b.bot.pk, b.world), "busy"),
    ],
)
def test_nothing_is_booked_that_is_not_plain(bench: Maker, change: Any, reason: str) -> None:
    b = short_of_coins(bench)
    change(b)
    with pytest.raises(Refusal) as refused:
        accept.accept_exchange(b.bot, by=b.owner, via="page", world=b.world)
    assert refused.value.reason == reason
    assert Order.objects.count() == 1


def test_a_click_too_many_books_once(bench: Maker) -> None:
    b = short_of_coins(bench)
    accept.accept_exchange(b.bot, by=b.owner, via="page", world=b.world)
    with pytest.raises(Refusal):
        accept.accept_exchange(b.bot, by=b.owner, via="page", world=b.world)
    (finding,) = reconcile.reconcile(b.bot.pk, b.world)
    assert finding.ok
    assert Order.objects.filter(purpose="adjustment").count() == 1
