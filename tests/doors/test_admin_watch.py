"""The operator's questions: what counts, that lists and tiles agree, and that queries stay few."""

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import product
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from bots.meters import Meters
from bots.models import (
    ApiKey,
    BotConfig,
    BotState,
    Comparison,
    Decision,
    Inspection,
    Order,
    Silence,
    StateEvent,
    Transfer,
    User,
)
from bots.watch import QUESTIONS, find
from tests.doors.client import signed_in
from tests.doors.content import make_key, resting_order, traded_bot
from tests.doors.test_admin import url
from tests.pages.builders import bot_of, decision, filled, holding, state_of, text_of


def ago(seconds: float) -> datetime:
    return timezone.now() - timedelta(seconds=seconds)


def state(owner: User, name: str = "Bot", interval: int = 60, **values: Any) -> BotState:
    """A bot under duty trade with this interval and these columns."""
    bot = bot_of(owner, name, check_interval_seconds=interval)
    given = {"status": "running", "reason": "no_signal", "duty": "trade", **values}
    return state_of(bot, **given)


def found(name: str, now: datetime | None = None) -> set[Any]:
    return set(find(name).rows(now or timezone.now()).values_list("pk", flat=True))


def test_late_in_a_list_is_late_on_the_page(alice: User) -> None:
    verdicts = set()
    for interval, age, duty in product(
        (5, 60, 300), (4, 61, 181, 901, None), ("trade", "exit", "none")
    ):
        given = {"trade": ("running", "no_signal")}.get(duty, ("stopped", "by_owner"))
        last = None if age is None else ago(age)
        values = {"status": given[0], "reason": given[1], "duty": duty, "last_run_at": last}
        state(alice, interval=interval, **values)
    for ahead in (0, 200, 1000):
        now = timezone.now() + timedelta(seconds=ahead)
        late = found("late", now)
        for row in BotState.objects.select_related("bot"):
            assert (row.pk in late) == row.is_late(now), (row, ahead)
            verdicts.add(row.is_late(now))
    assert verdicts == {True, False}


def test_unwatched_in_a_list_is_unwatched_on_the_page(alice: User) -> None:
    ran = ago(5)
    for held, duty, blind in product((True, False), ("trade", "none"), (0, 119.9, 120, 121, None)):
        values = holding() if held else {}
        values["last_price_at"] = None if blind is None else ran - timedelta(seconds=blind)
        given = ("running", "in_position") if duty == "trade" else ("stopped", "by_owner")
        values |= {"status": given[0], "reason": given[1], "duty": duty, "last_run_at": ran}
        state(alice, **values)
    rows = BotState.objects.select_related("bot")
    assert found("unwatched") == {row.pk for row in rows if row.is_unwatched}
    assert 0 < len(found("unwatched")) < len(rows)


def test_a_late_tick_is_no_late_bot_yet(alice: User) -> None:
    fine = state(alice, "Fine", last_run_at=ago(95))
    behind = state(alice, "Behind", last_run_at=ago(110))
    late = state(alice, "Late", last_run_at=ago(190))
    assert found("behind") == {behind.pk}
    assert found("late") == {late.pk}
    assert fine.pk not in found("behind") | found("late")


def test_a_tick_that_nobody_closed_is_stuck_when_its_lease_is_over(alice: User) -> None:
    lease = settings.LEASE_SECONDS
    stuck = state(alice, "Stuck", last_run_at=ago(lease + 5), tick_started_at=ago(lease + 5))
    state(alice, "At work", last_run_at=ago(lease - 5), tick_started_at=ago(lease - 5))
    state(alice, "Between", last_run_at=ago(lease + 5))
    assert found("stuck") == {stuck.pk}


def test_orders_are_a_matter_only_when_they_are_old(alice: User) -> None:
    bot = state(alice).bot
    old, older = ago(90), ago(700)
    market = {"type": "market", "price": None}

    def order(number: int, **values: Any) -> Order:
        return resting_order(bot, client_order_id=f"bs1q{number}", **values)

    order(1, status="sent")
    unknown = order(2, status="unknown", created_at=old)
    sent = order(3, status="sent", created_at=old)
    order(4, status="open", created_at=older)
    order(5, status="open", created_at=older, type="stop", purpose="protect")
    order(6, status="filled", created_at=old, **market)
    unbooked = order(7, status="filled", created_at=older, **market)
    partial = order(8, status="partial", created_at=older, **market)
    filled(bot, "buy", "1", "100", at=older)
    assert found("unknown") == {unknown.pk, sent.pk}
    assert found("unsettled") == {unbooked.pk, partial.pk}


def test_real_positions_are_compared_in_time(alice: User) -> None:
    limit = 3 * settings.RECONCILE_SECONDS
    key = make_key(alice)
    opened = {"position_opened_at": ago(limit + 5)}

    def real(name: str, **values: Any) -> BotState:
        row = state(alice, name, reason="in_position", **holding(), **values)
        wanted = {"mode": "testnet", "exchange": "binance", "account": key.account}
        BotConfig.objects.filter(pk=row.pk).update(**wanted)
        return row

    never = real("Never", **opened)
    real("Just opened", position_opened_at=ago(5))
    old = real("Old", reconciled_at=ago(limit + 5), **opened)
    real("Fresh", reconciled_at=ago(limit - 5), **opened)
    slow = real("Slow", reconciled_at=ago(limit + 5), **opened)
    BotConfig.objects.filter(pk=slow.pk).update(check_interval_seconds=3600)
    state(alice, "Paper", reason="in_position", **holding(), **opened)
    assert found("uncompared") == {never.pk, old.pk}


def test_days_are_overdue_after_the_sweep_had_its_turn(alice: User) -> None:
    overdue = state(alice, "Overdue", day_ends_at=ago(150))
    state(alice, "Just over", day_ends_at=ago(30))
    assert found("overdue") == {overdue.pk}


def test_keys_fail_that_are_refused_or_were_never_checked(alice: User) -> None:
    hours = settings.KEY_CHECK_HOURS
    names = ["good", "invalid", "faulty", "old", "new", "never"]
    keys = {name: make_key(alice, name) for name in names}
    fine = {"is_valid": True, "checked_at": timezone.now()}
    changes: dict[str, dict[str, Any]] = {
        "good": fine,
        "invalid": {**fine, "is_valid": False},
        "faulty": {**fine, "check_fault": "network"},
        "old": {**fine, "checked_at": ago(2 * hours * 3600 + 5)},
        "never": {"created_at": ago(2 * hours * 3600 + 5)},
    }
    for name, values in changes.items():
        ApiKey.objects.filter(pk=keys[name].pk).update(**values)
    assert found("keys") == {keys[name].pk for name in ("invalid", "faulty", "old", "never")}


def test_the_other_questions(alice: User) -> None:
    failed = state(alice, "Failed", reason="in_position", **holding(), protection="failed")
    state(alice, "Resting", reason="in_position", **holding(), protection="resting")
    error = state(alice, "Error", status="error", reason="network")
    account = make_key(alice).account
    sides = {"as_of": timezone.now(), "ours": Decimal(1), "there": Decimal(0), "text": "less"}
    drift = Comparison.objects.create(account=account, symbol="BTC/USDT", ok=False, **sides)
    Comparison.objects.create(account=account, symbol="ETH/USDT", ok=True, **sides)
    for name, until in (("now", ago(-60)), ("over", ago(1))):
        Silence.keep(scope=name, quiet="all", account="", until=until, why="429")
    lost = Transfer.objects.create(
        account=account, currency="USDT", amount=1, direction="to_spot", status="unknown",
        via="page", expires_at=timezone.now(),
    )  # fmt: skip
    assert found("unprotected") == {failed.pk}
    assert found("errors") == {error.pk}
    assert found("drift") == {drift.pk}
    assert {row.scope for row in find("silences").rows(timezone.now())} == {"now"}
    assert found("transfers") == {lost.pk}


def test_a_tile_opens_the_list_of_what_it_counts(as_operator: Client, alice: User) -> None:
    one_of_each(alice)
    shown = tiles_of(as_operator)
    assert [tile.question for tile in shown] == list(QUESTIONS)
    for tile in shown:
        listed = as_operator.get(tile.url).context["cl"]
        assert tile.count >= 1, tile.question.name
        assert listed.result_count == tile.count
        assert {row.pk for row in listed.queryset} == found(tile.question.name)


def test_bots_can_be_narrowed_by_their_states(as_operator: Client, alice: User) -> None:
    late = state(alice, "Late", last_run_at=ago(999))
    state(alice, "Fine")
    page = as_operator.get(url(BotConfig, "changelist"), {"watch": "late"})
    assert [bot.pk for bot in page.context["cl"].queryset] == [late.pk]


def test_a_filter_that_nobody_knows_changes_nothing(as_operator: Client, alice: User) -> None:
    state(alice)
    page = as_operator.get(url(BotState, "changelist"), {"watch": "nonsense"})
    assert page.context["cl"].result_count == 1


def test_an_operator_sees_tiles_only_of_what_they_may_see(bob: User) -> None:
    bob.is_staff = True
    bob.save()
    bob.user_permissions.set(Permission.objects.filter(codename="view_order"))
    shown = {tile.question.name for tile in tiles_of(signed_in(bob))}
    assert shown == {"unknown", "unsettled"}


def tiles_of(client: Client) -> list[Any]:
    answer = client.get("/admin/")
    assert answer.status_code == 200
    tiles: list[Any] = answer.context["shown"]
    return tiles


def one_of_each(owner: User) -> None:
    """Make a row for every question."""
    gone = ago(9999)
    late = {"last_run_at": gone, "tick_started_at": gone, "day_ends_at": gone}
    row = state(owner, "Late", **late)
    state(owner, "Behind", last_run_at=ago(110))
    held = {**holding(protection="failed"), "position_opened_at": gone}
    off = {"status": "stopped", "reason": "by_owner", "duty": "none"}
    lost = state(owner, "Lost", **off, **held)
    state(owner, "Error", status="error", reason="network")
    key = make_key(owner)
    ApiKey.objects.update(is_valid=False)
    BotConfig.objects.filter(pk=lost.pk).update(
        mode="testnet", exchange="binance", account=key.account
    )
    for number, status in enumerate(("unknown", "filled")):
        number_of = {"client_order_id": f"bs1one{number}", "created_at": gone}
        resting_order(row.bot, status=status, type="market", **number_of)
    Comparison.objects.create(
        account=key.account, symbol="BTC/USDT", as_of=gone, ok=False, ours=1, there=0, text="less"
    )
    Inspection.objects.create(violations=1)
    meters = Meters()
    meters.used("x", "", "weight/1M", used=90, most=100, seconds=60)
    meters.ahead("x", 1500)
    meters.write(at_once=True)
    Silence.keep(scope="x", quiet="all", account="", until=ago(-99), why="429")
    Transfer.objects.create(
        account=key.account, currency="USDT", amount=1, direction="to_spot", status="unknown",
        via="page", expires_at=gone,
    )  # fmt: skip


# -- Lists stay fast ------------------------------------------------------------------------------
def queries(act: Callable[[], Any]) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        act()
    return [query["sql"] for query in captured.captured_queries]


def test_the_first_page_asks_as_often_whatever_the_number_of_bots(
    as_operator: Client, alice: User, bob: User
) -> None:
    def visit() -> None:
        tiles_of(as_operator)

    one_of_each(alice)
    visit()
    few = len(queries(visit))
    for number in range(4):
        state(bob, f"Bot {number}", last_run_at=ago(9999))
    assert len(queries(visit)) == few


def test_a_search_finds_bots_first_and_joins_nothing(as_operator: Client, alice: User) -> None:
    bot = traded_bot(alice, "Needle")
    for model in (Order, Decision, StateEvent):
        asked = queries(lambda m=model: as_operator.get(url(m, "changelist"), {"q": "needle"}))
        own = [sql for sql in asked if f'FROM "{model._meta.db_table}"' in sql and "LIKE" in sql]
        assert own == [], model
    for model, term in ((Order, "needle"), (Order, str(bot.pk)), (Decision, alice.username)):
        listed = as_operator.get(url(model, "changelist"), {"q": term}).context["cl"]
        assert {row.bot_id for row in listed.queryset} == {bot.pk}, term
    order = Order.objects.filter(bot=bot).first()
    assert order is not None
    for term in (order.client_order_id, order.exchange_order_id):
        listed = as_operator.get(url(Order, "changelist"), {"q": term}).context["cl"]
        assert order in listed.queryset
    nothing = as_operator.get(url(Order, "changelist"), {"q": "no such thing"}).context["cl"]
    assert nothing.result_count == 0


def test_a_search_with_too_many_bots_says_so(
    as_operator: Client, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bots.admin.base.FOUND", 1)
    for name in ("Old", "New"):
        decision(bot_of(alice, f"{name} hay"))
    page = as_operator.get(url(Decision, "changelist"), {"q": "hay"})
    assert [row.bot.name for row in page.context["cl"].queryset] == ["New hay"]
    assert "More than 1 bots match" in text_of(page)


def test_long_tables_are_not_counted_to_their_end(
    as_operator: Client, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bots.admin.base.COUNTED", 3)
    bot = bot_of(alice)
    for _ in range(5):
        decision(bot)
    asked = queries(lambda: as_operator.get(url(Decision, "changelist")))
    counts = [sql for sql in asked if "COUNT(" in sql and "bots_decision" in sql]
    assert counts
    assert all("LIMIT 3" in sql for sql in counts)


@pytest.mark.parametrize("model", [Order, StateEvent, Decision])
def test_filters_of_long_tables_read_none_of_them(
    model: type[Any], as_operator: Client, alice: User
) -> None:
    traded_bot(alice)
    asked = queries(lambda: as_operator.get(url(model, "changelist")))
    table = f'FROM "{model._meta.db_table}"'
    assert [sql for sql in asked if "DISTINCT" in sql and table in sql] == []


def test_an_owners_rows_are_one_click_away(as_operator: Client, alice: User, bob: User) -> None:
    mine, other = traded_bot(alice), traded_bot(bob)
    page = as_operator.get(url(User, "changelist")).content.decode()
    assert f"{url(BotConfig, 'changelist')}?owner={alice.pk}" in page
    for model in (BotConfig, BotState, Order):
        listed = as_operator.get(url(model, "changelist"), {"owner": alice.pk})
        assert alice.username in text_of(listed)
        pks = {getattr(row, "bot_id", row.pk) for row in listed.context["cl"].queryset}
        assert pks == {mine.pk}
        assert other.pk not in pks
