"""What the models refuse, by form and by database, and what they keep for ever."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError
from django.utils import timezone

from bots.models import (
    Account,
    ApiToken,
    BotConfig,
    BotState,
    Command,
    DayStats,
    Fill,
    Heartbeat,
    Installation,
    Order,
    User,
)
from bots.models.ledger import base36, new_client_order_id
from tests.engine.bench import Bench, D, make_bot
from tests.engine.conftest import Maker


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"exchange": "simulated", "mode": "testnet"}, "mode"),
        ({"exchange": "kraken", "mode": "live"}, "exchange"),
        ({"position_type": "futures"}, "position_type"),
        ({"leverage": 2}, "leverage"),
        ({"leverage": 0}, "leverage"),
        ({"check_interval_seconds": 4}, "check_interval_seconds"),
        ({"check_interval_seconds": 86_401}, "check_interval_seconds"),
        ({"timeframe": "7m"}, "timeframe"),
        ({"mode": "dream"}, "mode"),
        ({"strategy": "none_such"}, "strategy"),
        ({"params": {"ema_fast": 50, "ema_slow": 20}}, "params"),
        ({"params": {"unknown": 1}}, "params"),
        ({"params": {"ema_fast": "many"}}, "params"),
        ({"initial_capital": D(0)}, "initial_capital"),
        ({"initial_capital": D(-5)}, "initial_capital"),
        ({"position_size_fixed": None}, "position_size_fixed"),
        ({"position_size_perc": D(10)}, "position_size_fixed"),
        ({"position_size_fixed": D(0)}, "position_size_fixed"),
        ({"stop_loss_perc": D(100)}, "stop_loss_perc"),
        ({"stop_loss_perc": D(0)}, "stop_loss_perc"),
        ({"take_profit_perc": D(-1)}, "take_profit_perc"),
        ({"trailing_stop_active": True}, "trailing_stop_perc"),
        ({"max_daily_trades": 0}, "max_daily_trades"),
        ({"max_daily_loss_perc": D(0)}, "max_daily_loss_perc"),
        ({"daily_target_perc": D(1001)}, "daily_target_perc"),
        ({"name": ""}, "name"),
        ({"symbol": ""}, "symbol"),
    ],
)
def test_settings_that_make_no_sense_are_refused_by_name(
    alice: User, values: dict[str, Any], field: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        make_bot(alice, **values)
    assert field in refused.value.message_dict
    assert not BotConfig.objects.exists()
    assert not Account.objects.exists()


@pytest.mark.parametrize(
    "values",
    [
        {"mode": "dream"},
        {"position_type": "options"},
        {"exchange": "simulated", "mode": "live"},
        {"initial_capital": D(0)},
        {"position_size_fixed": None},
        {"position_size_perc": D(10)},
        {"check_interval_seconds": 0},
        {"leverage": 0},
        {"deleted_at": timezone.now(), "is_active": True},
    ],
)
def test_the_database_refuses_what_goes_around_the_form(
    alice: User, values: dict[str, Any]
) -> None:
    bot = make_bot(alice)
    with pytest.raises(IntegrityError), transaction.atomic():
        BotConfig.objects.filter(pk=bot.pk).update(**values)


def test_a_position_has_a_price(bench: Maker) -> None:
    b = bench()
    with pytest.raises(IntegrityError), transaction.atomic():
        BotState.objects.filter(pk=b.bot.pk).update(
            in_position=True, position_side="long", entry_price=None
        )


def test_params_are_kept_whole_with_the_defaults(alice: User) -> None:
    bot = make_bot(alice, params={"ema_fast": "5"})
    assert BotConfig.objects.get(pk=bot.pk).params == {
        "ema_fast": 5,
        "ema_slow": 21,
        "rsi_period": 7,
        "rsi_oversold": "35",
        "rsi_overbought": "65",
    }


# -- the ledger -----------------------------------------------------------------------------------
@pytest.fixture
def traded(bench: Maker) -> Bench:
    b = bench()
    b.enter()
    return b


def copy_of(row: Any, **changes: Any) -> Any:
    row.pk = None
    row._state.adding = True
    for name, value in changes.items():
        setattr(row, name, value)
    return row


def test_a_trade_is_booked_once(traded: Bench) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        copy_of(Fill.objects.get()).save()


@pytest.mark.parametrize(
    "changes",
    [
        {"exchange_order_id": "another"},
        {"client_order_id": "another"},
        {"client_order_id": "x", "exchange_order_id": "y", "status": "lost"},
        {"client_order_id": "x", "exchange_order_id": "y", "status": "open", "is_settled": True},
    ],
)
def test_an_order_has_ids_of_its_own_and_a_known_status(
    traded: Bench, changes: dict[str, Any]
) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        copy_of(traded.order, **changes).save()


def test_a_bot_has_one_row_for_a_day(traded: Bench) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        copy_of(DayStats.objects.get()).save()


def test_a_bot_has_one_waiting_command(traded: Bench) -> None:
    command = traded.command("exit")
    with pytest.raises(IntegrityError), transaction.atomic():
        copy_of(command).save()
    Command.objects.filter(pk=command.pk).update(status="done")
    copy_of(command, status="done").save()


def test_what_was_traded_outlives_owner_account_and_bot(traded: Bench) -> None:
    order = Order.objects.get()
    for row in (traded.owner, traded.bot, order.account, order):
        with pytest.raises(ProtectedError):
            row.delete()


def test_client_order_ids_tell_installation_and_bot() -> None:
    one = new_client_order_id("abc", 35)
    assert one.startswith("bsabc0000z")
    assert len(one) == 18
    assert len({new_client_order_id("abc", 35) for _ in range(1000)}) == 1000
    assert base36(36**5 - 1, 5) == "zzzzz"


def test_an_installation_marks_its_orders_for_ever(db: None) -> None:
    assert Installation.get().mark == Installation.get().mark
    assert len(Installation.get().mark) == 3
    assert Installation.objects.count() == 1


# -- people and signs of life ---------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "good"), [("Europe/Istanbul", True), ("", True), ("Mars/Olympus", False)]
)
def test_a_time_zone_is_one_that_exists(alice: User, name: str, good: bool) -> None:
    alice.time_zone = name
    if good:
        alice.full_clean()
        assert str(alice.zone) == (name or "UTC")
    else:
        with pytest.raises(ValidationError) as refused:
            alice.full_clean()
        assert "time_zone" in refused.value.message_dict


def test_a_token_is_stored_as_a_hash_and_dies_with_its_owner(alice: User) -> None:
    text = ApiToken.issue(alice, "script", ("read",))
    token = ApiToken.objects.get()
    assert text not in (token.digest, token.name, str(token))
    assert ApiToken.find(text) == token
    assert ApiToken.find(text + "x") is None
    User.objects.filter(pk=alice.pk).update(is_active=False)
    assert ApiToken.find(text) is None


def test_a_revoked_token_opens_nothing(alice: User) -> None:
    text = ApiToken.issue(alice, "script")
    ApiToken.objects.update(revoked_at=timezone.now())
    assert ApiToken.find(text) is None


def test_a_heartbeat_has_an_age(db: None) -> None:
    now = timezone.now()
    assert Heartbeat.age("worker", now) is None
    Heartbeat.beat("worker", "fine")
    Heartbeat.beat("worker", "better")
    age = Heartbeat.age("worker", timezone.now())
    assert age is not None
    assert 0 <= age < 10
    assert Heartbeat.objects.get().note == "better"
