"""An account's limits: one rule for page, API and admin; each bot's history tells of a change."""

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core.exceptions import ValidationError
from django.urls import reverse

from bots import control
from bots.models import Account, BotConfig, BotState, StateEvent, User
from tests.doors.client import KEY, Caller, fields_of, signed_in
from tests.doors.content import make_key

BAD: list[tuple[dict[str, Any], str]] = [
    ({"max_open_positions": 0}, "max_open_positions"),
    ({"max_open_positions": -1}, "max_open_positions"),
    ({"max_open_positions": 10_001}, "max_open_positions"),
    ({"max_open_positions": "many"}, "max_open_positions"),
    ({"max_daily_loss": "0"}, "max_daily_loss"),
    ({"max_daily_loss": "-5"}, "max_daily_loss"),
    ({"max_daily_loss": "1e30"}, "max_daily_loss"),
    ({"max_daily_loss": "NaN"}, "max_daily_loss"),
    ({"label": "mine"}, "label"),
    ({"mode": "live"}, "mode"),
    ({"owner": 1}, "owner"),
]


@pytest.fixture
def account(alice: User) -> Account:
    return Account.objects.get(pk=make_key(alice).account_id)


@pytest.fixture
def trader(alice: User, account: Account) -> BotConfig:
    """A started bot that trades on the account."""
    values = {"name": "n", "symbol": "BTC/USDT", "position_size_perc": 5, "exchange": "binance"}
    bot = control.create(alice, values | {"mode": "testnet", "account": account})
    control.start(bot, by=alice, via="page")
    return bot


def test_limits_are_set_one_by_one_and_taken_away(as_alice: Caller, account: Account) -> None:
    path = f"/accounts/{account.pk}"
    got = as_alice.get("/accounts").body["items"][0]
    assert (got["id"], got["max_open_positions"], got["max_daily_loss"]) == (account.pk, None, None)
    assert got["api_key"] == account.key.pk
    as_alice.patch(path, {"max_open_positions": 3})
    got = as_alice.patch(path, {"max_daily_loss": "50.5"}).body
    assert (got["max_open_positions"], got["max_daily_loss"]) == (3, "50.5")
    got = as_alice.patch(path, {"max_open_positions": None}).body
    assert (got["max_open_positions"], got["max_daily_loss"]) == (None, "50.5")
    assert as_alice.get(path).body == got


@pytest.mark.parametrize(("limits", "field"), BAD, ids=str)
def test_bad_limits_are_refused_by_name(
    limits: dict[str, Any], field: str, as_alice: Caller, account: Account
) -> None:
    assert fields_of(as_alice.patch(f"/accounts/{account.pk}", limits)) == {field}
    account.refresh_from_db()
    assert (account.max_open_positions, account.max_daily_loss) == (None, None)


def test_only_the_limits_can_be_edited(account: Account, mallory: User) -> None:
    with pytest.raises(ValidationError) as raised:
        control.edit_account(account, {"owner": mallory}, by=mallory, via="api")
    assert set(raised.value.message_dict) == {"owner"}


def test_a_change_is_in_the_history_of_each_bot_and_outpaces_its_tick(
    alice: User, as_alice: Caller, account: Account, trader: BotConfig
) -> None:
    before = BotState.objects.get(pk=trader.pk)
    as_alice.patch(f"/accounts/{account.pk}", {"max_daily_loss": 20})
    after = BotState.objects.get(pk=trader.pk)
    assert after.run_epoch == before.run_epoch + 1
    event = StateEvent.objects.filter(bot=trader).latest("pk")
    told = (event.move, event.by, event.via, event.why)
    assert told == ("edit", alice, "api", "account: max_daily_loss")
    # The same limit again is no change.
    as_alice.patch(f"/accounts/{account.pk}", {"max_daily_loss": "20.00"})
    assert BotState.objects.get(pk=trader.pk).run_epoch == after.run_epoch


def test_the_limits_of_a_live_account_need_the_scope_live(alice: User) -> None:
    key = control.put_key(alice, via="page", **KEY | {"mode": "live"})
    path = f"/accounts/{key.account_id}"
    assert Caller(alice, "read", "trade").patch(path, {"max_open_positions": 1}).status == 403
    assert Caller(alice, "trade", "live").patch(path, {"max_open_positions": 1}).status == 200


def test_a_paper_bots_own_book_is_no_account_to_set_up(as_alice: Caller, bot: BotConfig) -> None:
    assert as_alice.get("/accounts").body["count"] == 0
    assert as_alice.patch(f"/accounts/{bot.account_id}", {"max_open_positions": 1}).status == 404


def test_an_operator_sets_limits_and_nothing_else(account: Account, trader: BotConfig) -> None:
    operator = User.objects.create_superuser("olga", password="olga-has-a-long-password")
    client = signed_in(operator)
    address = reverse("admin:bots_account_change", args=[account.pk])
    refused = client.post(address, {"max_open_positions": "0", "max_daily_loss": ""})
    assert refused.status_code == 200
    assert "Between 1 and" in refused.content.decode()
    form = {"max_open_positions": "2", "max_daily_loss": "75", "label": "x", "mode": "live"}
    assert client.post(address, form).status_code == 302
    account.refresh_from_db()
    assert (account.max_open_positions, account.max_daily_loss) == (2, Decimal(75))
    assert (account.label, account.mode) == ("main", "testnet")
    event = StateEvent.objects.filter(bot=trader).latest("pk")
    assert (event.by, event.via) == (operator, "admin")
    assert LogEntry.objects.filter(object_id=account.pk, user=operator).exists()
