"""Every invariant finds what it is there to find, planted with raw SQL behind the engine's back."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from bots import invariants, schedule
from bots.models import (
    Account,
    ApiKey,
    BotConfig,
    BotState,
    DayStats,
    Decision,
    Fill,
    Order,
    PaperBalance,
    PaperOrder,
    User,
)
from tests.engine.bench import Bench, D, make_bot
from tests.engine.conftest import Maker
from tests.undone import undone


def sql(statement: str, *values: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


@contextmanager
def unguarded() -> Iterator[None]:
    """Let a row in that the database would refuse: triggers and checks are away meanwhile."""
    if connection.vendor == "sqlite":
        sql("PRAGMA ignore_check_constraints = ON")
        for event in ("insert", "update"):
            sql(f"DROP TRIGGER IF EXISTS bots_account_is_the_owners_{event}")
    else:
        # What is deferred to the commit is asked now: a table with pending checks is not altered.
        sql("SET CONSTRAINTS ALL IMMEDIATE")
        sql("ALTER TABLE bots_botstate DROP CONSTRAINT state_row_is_legal")
        sql("ALTER TABLE bots_botconfig DISABLE TRIGGER bots_account_is_the_owners")
    try:
        yield
    finally:
        if connection.vendor == "sqlite":
            sql("PRAGMA ignore_check_constraints = OFF")


def lease_without_tick(b: Bench) -> None:
    sql(
        "UPDATE bots_botstate SET lease_until = %s, tick_started_at = NULL WHERE bot_id = %s",
        b.market.at,
        b.bot.pk,
    )


def fill_lost(b: Bench) -> None:
    sql("DELETE FROM bots_fill WHERE bot_id = %s", b.bot.pk)


def booked_wrong(b: Bench) -> None:
    sql("UPDATE bots_order SET booked = '1' WHERE bot_id = %s", b.bot.pk)


def settled_too_early(b: Bench) -> None:
    sql("UPDATE bots_order SET filled = '3' WHERE bot_id = %s", b.bot.pk)


def settled_never(b: Bench) -> None:
    sql("UPDATE bots_order SET is_settled = %s WHERE bot_id = %s", False, b.bot.pk)


def illegal_row(b: Bench) -> None:
    with unguarded():
        sql("UPDATE bots_botstate SET reason = 'by_owner' WHERE bot_id = %s", b.bot.pk)


def active_without_duty(b: Bench) -> None:
    sql("UPDATE bots_botconfig SET is_active = %s WHERE id = %s", False, b.bot.pk)


def active_without_state(b: Bench) -> None:
    never = make_bot(b.owner)
    sql("UPDATE bots_botconfig SET is_active = %s WHERE id = %s", True, never.pk)


def position_wrong(b: Bench) -> None:
    sql("UPDATE bots_botstate SET current_position_size = '5' WHERE bot_id = %s", b.bot.pk)


def cost_wrong(b: Bench) -> None:
    sql("UPDATE bots_botstate SET position_cost = '5' WHERE bot_id = %s", b.bot.pk)


def trades_wrong(b: Bench) -> None:
    sql("UPDATE bots_botstate SET daily_trades_count = 7 WHERE bot_id = %s", b.bot.pk)


def pnl_wrong(b: Bench) -> None:
    sql("UPDATE bots_botstate SET daily_pnl = '0.5' WHERE bot_id = %s", b.bot.pk)


def day_lost(b: Bench) -> None:
    sql("DELETE FROM bots_daystats WHERE bot_id = %s", b.bot.pk)


def day_wrong(b: Bench) -> None:
    sql("UPDATE bots_daystats SET pnl = '0.5' WHERE bot_id = %s", b.bot.pk)


def not_rolled_over(b: Bench) -> None:
    ended = datetime.now(UTC) - timedelta(minutes=3)
    sql("UPDATE bots_botstate SET day_ends_at = %s WHERE bot_id = %s", ended, b.bot.pk)


def day_not_closed(b: Bench) -> None:
    DayStats.objects.create(bot=b.bot, day=b.state.counter_day - timedelta(days=1))


def unsettled_forgotten(b: Bench) -> None:
    sql("UPDATE bots_botstate SET has_unsettled_orders = %s WHERE bot_id = %s", True, b.bot.pk)


def plant(b: Bench, number: int, **values: Any) -> None:
    """Write an order of this bot that nobody sent."""
    written: dict[str, Any] = {
        "bot": b.bot,
        "account": b.bot.account,
        "client_order_id": f"planted{number}",
        "symbol": "BTC/USDT",
        "side": "buy",
        "type": "market",
        "purpose": "entry",
        "amount": D(1),
        "signed_at": b.market.at,
        "fence": 1,
        "run_epoch": 1,
    }
    Order.objects.create(**written | values)


def two_open_orders(b: Bench) -> None:
    for number in range(2):
        plant(b, number)
    sql("UPDATE bots_botstate SET has_unsettled_orders = %s WHERE bot_id = %s", True, b.bot.pk)


def answer_without_order(b: Bench) -> None:
    PaperOrder.objects.create(account=b.bot.account, client_order_id="nobodys", report={})


def foreign_account(b: Bench) -> None:
    other = User.objects.create_user("other")
    account = Account.objects.create(owner=other, exchange="binance", mode="paper", label="x")
    PaperBalance.objects.create(account=account, currency="BTC", units=D(2))
    with unguarded():
        sql("UPDATE bots_botconfig SET account_id = %s WHERE id = %s", account.pk, b.bot.pk)


def foreign_order(b: Bench) -> None:
    other = User.objects.create_user("other")
    account = Account.objects.create(owner=other, exchange="binance", mode="paper", label="x")
    sql("UPDATE bots_order SET account_id = %s WHERE bot_id = %s", account.pk, b.bot.pk)


def tick_untold(b: Bench) -> None:
    sql("UPDATE bots_botstate SET fence = fence + 1 WHERE bot_id = %s", b.bot.pk)


def unscheduled(b: Bench) -> None:
    schedule.sync(b.bot.pk, None)


def scheduled_for_nobody(b: Bench) -> None:
    schedule.sync(987_654, 60)


def scheduled_too_often(b: Bench) -> None:
    schedule.sync(b.bot.pk, 5)


def book_wrong(b: Bench) -> None:
    sql(
        "UPDATE bots_paperbalance SET units = '1' WHERE account_id = %s AND currency = 'BTC'",
        b.bot.account_id,
    )


def opened_after_stop(b: Bench) -> None:
    b.stop()
    epoch = b.state.run_epoch
    sql("UPDATE bots_order SET run_epoch = %s WHERE bot_id = %s", epoch, b.bot.pk)


def stop_forgotten(b: Bench) -> None:
    BotConfig.objects.filter(pk=b.bot.pk).update(stop_loss_perc=D(5))


def protection_left(b: Bench) -> None:
    b.stop("close")
    b.tick()
    row = Order.objects.filter(bot=b.bot).values().get(purpose="exit")
    row |= {"id": None, "client_order_id": "left", "exchange_order_id": "left"}
    row |= {"purpose": "protect", "status": "open", "is_settled": False}
    Order.objects.create(**row)
    sql("UPDATE bots_botstate SET has_protection = %s WHERE bot_id = %s", True, b.bot.pk)


def secret_in_the_clear(b: Bench) -> None:
    key = ApiKey.put(
        owner=b.owner, exchange="binance", mode="live", label="x", api_key="abcd", secret_key="s"
    )
    sql("UPDATE bots_apikey SET secret_key = %s WHERE id = %s", b"in the clear", key.pk)


def order_without_price(b: Bench) -> None:
    sql("UPDATE bots_order SET expected_price = NULL WHERE bot_id = %s", b.bot.pk)


PLANTED: list[tuple[Callable[[Bench], None], str]] = [
    (lease_without_tick, "I1"),
    (fill_lost, "I2"),
    (booked_wrong, "I2"),
    (pnl_wrong, "I3"),
    (trades_wrong, "I3"),
    (day_lost, "I3"),
    (day_wrong, "I3"),
    (not_rolled_over, "I3"),
    (day_not_closed, "I3"),
    (illegal_row, "I5"),
    (active_without_duty, "I5"),
    (active_without_state, "I5"),
    (opened_after_stop, "I4"),
    (stop_forgotten, "I8"),
    (protection_left, "I8"),
    (secret_in_the_clear, "I10"),
    (order_without_price, "I12"),
    (answer_without_order, "I6"),
    (position_wrong, "I7"),
    (cost_wrong, "I7"),
    (book_wrong, "I7"),
    (unsettled_forgotten, "I9"),
    (two_open_orders, "I9"),
    (foreign_account, "I11"),
    (foreign_order, "I11"),
    (settled_too_early, "I13"),
    (settled_never, "I13"),
    (tick_untold, "I14"),
    (unscheduled, "I15"),
    (scheduled_for_nobody, "I15"),
    (scheduled_too_often, "I15"),
]


@pytest.fixture
def sound(bench: Maker) -> Bench:
    """A bot in position, with nothing wrong about it."""
    b = bench()
    b.enter()
    b.tick()
    assert invariants.check() == []
    return b


def test_a_planted_violation_is_found(sound: Bench, subtests: pytest.Subtests) -> None:
    for plant, code in PLANTED:
        with subtests.test(plant.__name__), undone():
            plant(sound)
            found = invariants.check()
            assert code in {violation.code for violation in found}, found
            assert all(str(violation).startswith("I") for violation in found)
    assert invariants.check() == []


def test_each_rule_finds_something_of_what_is_planted() -> None:
    named = {code for rule in invariants.RULES for code in codes_of(rule)}
    assert named == {code for _, code in PLANTED}


def codes_of(rule: Any) -> set[str]:
    """The codes in a rule's own source."""
    return {const for const in rule.__code__.co_consts if is_code(const)}


def is_code(const: object) -> bool:
    return isinstance(const, str) and const[:1] == "I" and const[1:].isdecimal()


def test_a_whole_life_leaves_nothing_to_find(bench: Maker) -> None:
    b = bench(stop_loss_perc=D(2), take_profit_perc=D(3), max_daily_trades=3)
    for number in range(40):
        b.market.trend = ("up", "flat", "down")[number % 3]
        b.market.price = D(100 + number * 7 % 11)
        b.tick()
        assert invariants.check() == [], number
    assert b.where[:2] == ("paused", "max_daily_trades")
    b.start()
    b.stop("close")
    assert invariants.check() == []
    rows = (Order, Fill, Decision, BotState, BotConfig)
    assert all(model.objects.exists() for model in rows)


def test_what_the_exchange_forced_may_wait_beside_an_order(sound: Bench) -> None:
    """Two deleveragings and a liquidation in a moment, their fills still under way."""

    def told() -> list[str]:
        return [one.text for one in invariants.check() if one.code == "I9"]

    for number in range(3):
        plant(sound, number, purpose="liquidation", side="sell", status="filled")
    BotState.objects.filter(pk=sound.bot.pk).update(has_unsettled_orders=True)
    assert told() == []
    plant(sound, 3, purpose="exit", side="sell")
    assert told() == []
    plant(sound, 4, purpose="entry")
    assert told() == ["2 orders and 0 protective ones are open at once"]
