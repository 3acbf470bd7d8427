"""The owner's verbs: start, stop in three ways, commands, edit, delete, halt."""

import itertools
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from bots import control, schedule, stopping
from bots.control import Refusal
from bots.lifecycle import Duty, Reason, Status
from bots.models import Account, ApiKey, BotConfig, BotState, StateEvent, User
from tests.engine.bench import Bench, D, make_bot
from tests.engine.conftest import Maker


def rows_of(bot: BotConfig) -> list[PeriodicTask]:
    return list(PeriodicTask.objects.filter(name=schedule.row_name(bot.pk)))


# -- start ----------------------------------------------------------------------------------------
def test_the_first_start_makes_the_state_the_event_and_the_schedule(alice: User) -> None:
    bot = make_bot(alice, check_interval_seconds=30)
    assert bot.state_or_none is None
    state = control.start(bot, by=alice, via="api")
    assert (state.status, state.reason, state.duty) == ("pending", "start", "trade")
    assert BotConfig.objects.get(pk=bot.pk).is_active
    event = StateEvent.objects.get(bot=bot)
    assert (event.move, event.old_status, event.new_status) == ("start", "", "pending")
    assert (event.by, event.via) == (alice, "api")
    assert [row.interval.every for row in rows_of(bot)] == [30]


def test_starting_a_bot_that_is_on_changes_nothing(bench: Maker) -> None:
    b = bench()
    before = b.state
    b.start()
    assert b.state.version == before.version
    b.tick()
    running = b.state
    b.start()
    assert b.state.version == running.version
    assert len([event for event in b.events if event.move == "start"]) == 1


def test_starting_again_wipes_the_error_of_the_last_run(bench: Maker) -> None:
    b = bench()
    BotState.objects.filter(pk=b.bot.pk).update(
        last_error_message="old", last_error_at=timezone.now(), failures=7, retry_at=timezone.now()
    )
    b.stop()
    epoch = b.state.run_epoch
    b.start()
    state = b.state
    assert b.where == ("pending", "start", "trade")
    assert (state.last_error_message, state.last_error_at, state.failures) == ("", None, 0)
    assert (state.retry_at, state.last_ok_at) == (None, None)
    assert state.run_epoch == epoch + 1


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"mode": "live"}, "live_disabled"),
        ({"mode": "live", "exchange": "kraken"}, "live_disabled"),
        ({"mode": "testnet", "exchange": "kraken"}, "paper_only"),
        ({"deleted_at": timezone.now()}, "deleted"),
    ],
)
def test_a_bot_that_must_not_run_is_refused(
    alice: User, values: dict[str, Any], reason: str
) -> None:
    bot = make_bot(alice)
    BotConfig.objects.filter(pk=bot.pk).update(**values)
    with pytest.raises(Refusal) as refused:
        control.start(bot, by=alice, via="page")
    assert refused.value.reason == reason
    assert refused.value.message
    assert not BotConfig.objects.get(pk=bot.pk).is_active
    assert rows_of(bot) == []


def test_a_live_bot_starts_where_live_trading_is_on(alice: User, settings: Any) -> None:
    settings.LIVE_TRADING_ENABLED = True
    bot = make_bot(alice, mode="live")
    assert control.start(bot, by=alice, via="page").status == Status.PENDING


def test_the_bot_of_a_deactivated_owner_is_refused(alice: User) -> None:
    bot = make_bot(alice)
    User.objects.filter(pk=alice.pk).update(is_active=False)
    with pytest.raises(Refusal) as refused:
        control.start(bot, by=alice, via="page")
    assert refused.value.reason == "owner_inactive"


# -- stop -----------------------------------------------------------------------------------------
def test_stopping_a_bot_that_never_started_is_nothing(alice: User) -> None:
    bot = make_bot(alice)
    assert control.stop(bot, by=alice, via="page") is None
    assert not StateEvent.objects.exists()


def test_a_flat_bot_stops_at_once(bench: Maker) -> None:
    b = bench()
    b.tick()
    b.stop()
    assert b.where == ("stopped", "by_owner", "none")
    assert not b.is_active
    assert rows_of(b.bot) == []
    event = b.events[-1]
    assert (event.move, event.by, event.why) == ("stop", b.owner, "leave")


def test_stop_and_leave_keeps_the_position_and_watches_nothing(bench: Maker) -> None:
    b = bench(stop_loss_perc=D(1))
    b.enter()
    b.stop("leave")
    assert b.where == ("stopped", "by_owner", "none")
    assert b.state.in_position
    assert b.state.is_unwatched
    b.market.price = D(50)
    assert b.tick() is None
    assert len(b.orders) == 1


def test_stop_and_close_sells_and_then_owes_nothing(bench: Maker) -> None:
    b = bench()
    b.enter()
    b.stop("close")
    assert b.where == ("stopped", "by_owner", "exit")
    assert not b.is_active
    assert len(rows_of(b.bot)) == 1
    b.market.trend = "up"
    found = b.tick()
    assert found is not None
    assert (found.action, found.gate) == ("exit", "closing")
    assert b.where == ("stopped", "by_owner", "none")
    assert rows_of(b.bot) == []
    assert b.tick() is None
    assert [order.side for order in b.orders] == ["buy", "sell"]


def test_stop_after_exit_watches_the_position_until_it_is_left(bench: Maker) -> None:
    b = bench(stop_loss_perc=D(1))
    b.enter()
    b.stop("after_exit")
    b.market.trend = "up"
    for _ in range(3):
        b.tick()
    assert b.where == ("stopped", "by_owner", "exit")
    assert len(b.orders) == 1
    b.market.price = D(90)
    b.tick()
    assert b.order.reason == "stop_loss"
    assert b.where == ("stopped", "by_owner", "none")
    b.market.price = D(100)
    assert b.tick() is None


def test_stop_after_exit_leaves_on_a_sell_signal_too(bench: Maker) -> None:
    b = bench()
    b.enter()
    b.stop("after_exit")
    b.market.trend = "down"
    b.tick()
    assert b.order.reason == "signal"
    assert b.where == ("stopped", "by_owner", "none")


def test_a_flat_bot_has_nothing_to_wait_for_whatever_way_it_stops(bench: Maker) -> None:
    b = bench()
    b.stop("after_exit")
    assert b.where == ("stopped", "by_owner", "none")


def test_a_stopped_bot_can_still_be_told_to_close(bench: Maker) -> None:
    b = bench()
    b.enter()
    b.stop("leave")
    b.stop("close")
    assert b.where == ("stopped", "by_owner", "exit")
    assert len(rows_of(b.bot)) == 1
    b.tick()
    assert not b.state.in_position
    assert b.where == ("stopped", "by_owner", "none")


def test_a_second_stop_of_the_same_kind_leaves_no_trace(bench: Maker) -> None:
    b = bench()
    b.stop()
    version, events = b.state.version, len(b.events)
    b.stop()
    assert (b.state.version, len(b.events)) == (version, events)


def test_stopping_a_paused_bot_keeps_the_reset_from_resuming_it(bench: Maker) -> None:
    b = bench()
    BotState.objects.filter(pk=b.bot.pk).update(
        status=Status.PAUSED, reason=Reason.DAILY_TARGET, duty=Duty.NONE
    )
    b.stop()
    assert b.where == ("stopped", "by_owner", "none")


def test_a_stop_overtaken_by_a_fill_reads_again(
    bench: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fill shares our transaction here, so the stop that gives up takes it back with it."""
    b = bench()
    b.tick()
    look, positions = stopping.read, []

    def look_and_buy(bot_id: int) -> BotConfig:
        seen = look(bot_id)
        if not positions:
            b.enter()
        positions.append(b.state.in_position)
        return seen

    monkeypatch.setattr(stopping, "read", look_and_buy)
    b.stop("close")
    assert positions == [True, False]
    assert b.where == ("stopped", "by_owner", "none")


# -- simultaneous clicks --------------------------------------------------------------------------
def at_once(*jobs: Callable[[], object]) -> list[BaseException]:
    """Run all jobs in threads that begin together; return what they raised."""
    gate, errors = threading.Barrier(len(jobs)), []

    def work(job: Callable[[], object]) -> None:
        try:
            gate.wait(timeout=20)
            job()
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return errors


@pytest.mark.django_db(transaction=True)
def test_twenty_first_starts_at_once_make_one_bot_that_starts(alice: User) -> None:
    bot = make_bot(alice)
    errors = at_once(*[lambda: control.start(bot, by=alice, via="page")] * 20)
    assert errors == []
    state = BotState.objects.get(bot=bot)
    assert (state.status, state.duty, state.run_epoch) == ("pending", "trade", 1)
    assert len(rows_of(bot)) == 1
    assert StateEvent.objects.filter(bot=bot).count() == 1


@pytest.mark.django_db(transaction=True)
def test_starts_and_stops_at_once_end_as_the_last_one_committed(alice: User) -> None:
    bot = make_bot(alice)
    control.start(bot, by=alice, via="page")

    def start() -> None:
        control.start(bot, by=alice, via="page")

    def stop() -> None:
        control.stop(bot, by=alice, via="page")

    assert at_once(*[start, stop] * 10) == []
    state = BotState.objects.select_related("bot").get(bot=bot)
    last = StateEvent.objects.filter(bot=bot).order_by("-pk")[0]
    assert (state.status, state.reason) == (last.new_status, last.new_reason)
    on = state.status == Status.PENDING
    assert state.duty == (Duty.TRADE if on else Duty.NONE)
    assert state.bot.is_active is on
    assert len(rows_of(bot)) == int(on)
    moves = StateEvent.objects.filter(bot=bot).order_by("pk").values_list("move", flat=True)
    assert all(first != second for first, second in itertools.pairwise(moves))


@pytest.mark.django_db(transaction=True)
def test_a_bot_deleted_while_others_start_it_never_trades(alice: User) -> None:
    bots = [make_bot(alice, name=f"bot {number}") for number in range(8)]
    for bot in bots[:4]:
        control.start(bot, by=alice, via="page")
        control.stop(bot, by=alice, via="page")

    def start(bot: BotConfig) -> Callable[[], object]:
        return lambda: control.start(bot, by=alice, via="page")

    def delete(bot: BotConfig) -> Callable[[], object]:
        return lambda: control.delete(bot, by=alice, via="page")

    errors = at_once(*[job(bot) for bot in bots for job in (start, delete)])
    assert {type(error) for error in errors} <= {Refusal}
    for bot in BotConfig.objects.filter(owner=alice):
        assert bot.deleted_at is not None
        assert not bot.is_active
        state = bot.state_or_none
        assert state is None or state.duty == Duty.NONE
        assert rows_of(bot) == []


# -- create, edit, delete, halt -------------------------------------------------------------------
def test_each_paper_bot_has_a_book_of_its_own(alice: User) -> None:
    one, two = make_bot(alice), make_bot(alice)
    assert one.account != two.account
    with pytest.raises(ValidationError) as refused:
        control.edit(one, {"account": two.account}, by=alice, via="page")
    assert "account" in refused.value.message_dict


def test_a_paper_bot_moves_to_another_exchange_with_a_new_book(alice: User) -> None:
    bot = make_bot(alice)
    moved = control.edit(bot, {"exchange": "kraken"}, by=alice, via="page")
    assert (moved.account.exchange, moved.account.mode) == ("kraken", "paper")
    assert moved.account != bot.account


def test_a_bot_that_turns_to_paper_gets_a_book(alice: User) -> None:
    bot = make_bot(alice, mode="testnet")
    assert bot.account is None
    turned = control.edit(bot, {"mode": "paper"}, by=alice, via="page")
    assert turned.account is not None
    assert turned.account.mode == "paper"


def test_another_users_account_is_no_account(alice: User, mallory: User) -> None:
    account = Account.objects.create(
        owner=alice, exchange="binance", mode="testnet", label="alice's"
    )
    with pytest.raises(ValidationError) as refused:
        make_bot(mallory, mode="testnet", account=account)
    assert "account" in refused.value.message_dict


def test_an_edit_leaves_an_event_and_outpaces_a_tick(bench: Maker) -> None:
    b = bench()
    b.tick()
    epoch = b.state.run_epoch
    control.edit(b.bot, {"stop_loss_perc": D(3)}, by=b.owner, via="api")
    assert b.state.run_epoch == epoch + 1
    assert (b.events[-1].move, b.events[-1].why) == ("edit", "stop_loss_perc")
    assert b.where == ("running", "no_signal", "trade")


@pytest.mark.parametrize(
    "name", ["is_active", "owner", "deleted_at", "created_at", "id", "state", "status"]
)
def test_an_edit_changes_settings_and_nothing_else(alice: User, mallory: User, name: str) -> None:
    bot = make_bot(alice)
    value = {"owner": mallory, "is_active": True}.get(name)
    with pytest.raises(ValidationError) as refused:
        control.edit(bot, {name: value}, by=alice, via="api")
    assert name in refused.value.message_dict
    fresh = BotConfig.objects.get(pk=bot.pk)
    assert (fresh.owner, fresh.is_active) == (alice, False)


def test_a_refused_edit_changes_nothing(bench: Maker) -> None:
    b = bench()
    version = b.state.version
    with pytest.raises(ValidationError) as refused:
        control.edit(b.bot, {"stop_loss_perc": D(-1)}, by=b.owner, via="page")
    assert "stop_loss_perc" in refused.value.message_dict
    assert b.state.version == version


@pytest.mark.parametrize("name", ["exchange", "mode", "symbol"])
def test_what_gives_the_ledger_its_meaning_is_fixed_with_the_first_order(
    bench: Maker, name: str
) -> None:
    b = bench()
    b.enter()
    value = {"exchange": "kraken", "mode": "testnet", "symbol": "ETH/USDT"}[name]
    with pytest.raises(ValidationError) as refused:
        control.edit(b.bot, {name: value}, by=b.owner, via="page")
    assert name in refused.value.message_dict


def test_a_bot_in_position_is_not_deleted(bench: Maker) -> None:
    b = bench()
    b.enter()
    with pytest.raises(Refusal) as refused:
        control.delete(b.bot, by=b.owner, via="page")
    assert refused.value.reason == "in_position"
    assert b.where == ("running", "entered", "trade")
    assert len(rows_of(b.bot)) == 1


@pytest.mark.parametrize("column", ["has_unsettled_orders", "tick_started_at"])
def test_a_bot_with_something_under_way_is_not_deleted(bench: Maker, column: str) -> None:
    b = bench()
    value = True if column == "has_unsettled_orders" else timezone.now()
    BotState.objects.filter(pk=b.bot.pk).update(**{column: value})
    with pytest.raises(Refusal) as refused:
        control.delete(b.bot, by=b.owner, via="page")
    assert refused.value.reason == "unsettled"
    assert BotConfig.objects.get(pk=b.bot.pk).deleted_at is None
    assert b.where == ("pending", "start", "trade")


def test_a_deleted_bot_keeps_its_history(bench: Maker) -> None:
    b = bench()
    b.enter()
    b.stop("close")
    b.tick()
    control.delete(b.bot, by=b.owner, via="page")
    assert not b.owner.bots.alive().exists()
    assert len(b.orders) == 2
    assert rows_of(b.bot) == []
    with pytest.raises(Refusal) as refused:
        b.start()
    assert refused.value.reason == "deleted"


def test_a_bot_that_never_started_is_deleted_just_so(alice: User) -> None:
    bot = make_bot(alice)
    control.delete(bot, by=alice, via="page")
    assert BotConfig.objects.get(pk=bot.pk).deleted_at is not None


def test_halt_stops_what_runs_and_what_would_resume_by_itself(alice: User, bob: User) -> None:
    running, paused, other, idle = Bench(alice), Bench(alice), Bench(bob), make_bot(alice)
    BotConfig.objects.filter(pk=paused.bot.pk).update(is_active=False)
    BotState.objects.filter(pk=paused.bot.pk).update(
        status=Status.PAUSED, reason=Reason.MAX_DAILY_LOSS, duty=Duty.NONE
    )
    assert control.halt(alice, flatten=False, by=alice, via="page") == 2
    assert running.where == ("stopped", "halt", "none")
    assert paused.where == ("stopped", "halt", "none")
    assert other.where == ("pending", "start", "trade")
    assert idle.state_or_none is None
    assert control.halt(None, flatten=False, by=None, via="command") == 1
    assert other.where == ("stopped", "halt", "none")


def test_halt_and_flatten_closes_positions(bench: Maker) -> None:
    b = bench()
    b.enter()
    control.halt(b.owner, flatten=True, by=None, via="command")
    assert b.where == ("stopped", "halt", "exit")
    b.tick()
    assert b.order.reason == "closing"
    assert b.where == ("stopped", "halt", "none")


def test_halt_and_flatten_closes_what_a_stopped_bot_left(bench: Maker) -> None:
    b = bench()
    b.enter()
    b.stop()
    assert b.state.is_unwatched
    assert control.halt(b.owner, flatten=True, by=None, via="command") == 1
    b.tick()
    assert b.where == ("stopped", "by_owner", "none")
    assert not b.state.in_position


def test_a_new_key_replaces_the_old_one_and_counts_as_unchecked(alice: User) -> None:
    fields = {"exchange": "binance", "mode": "testnet", "label": "main"}
    old = control.put_key(alice, via="page", **fields, api_key="first-key-1111", secret_key="s1")
    ApiKey.objects.filter(pk=old.pk).update(is_valid=True)
    new = control.put_key(alice, via="page", **fields, api_key="second-key-2222", secret_key="s2")
    assert new.account == old.account
    assert list(ApiKey.objects.filter(account=new.account)) == [new]
    assert (new.last4, new.is_valid) == ("2222", None)
