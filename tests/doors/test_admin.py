"""Operators see bots and states, never secrets; what they do goes through the owner's verbs."""

from decimal import Decimal
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from bots.lifecycle import Duty, Reason, Status
from bots.models import ApiKey, ApiToken, BotConfig, BotState, Order, StateEvent, User
from tests.doors.client import signed_in
from tests.doors.content import CANARIES, Content, make_key, traded_bot

OWN = [m for m in admin.site._registry if m._meta.app_label == "bots"]
READ_ONLY = [m for m in OWN if m.__name__ not in ("User", "BotConfig", "Account")]


def url(model: type[Any], page: str, *args: object) -> str:
    meta = model._meta
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_{page}", args=args)


def pages(client: Client) -> list[tuple[str, str]]:
    """Return address and text of every admin page about our own tables: lists and each row."""
    found = []
    for model in OWN:
        found.append(url(model, "changelist"))
        found += [url(model, "change", row.pk) for row in model._default_manager.all()[:3]]
        found += [url(model, "history", row.pk) for row in model._default_manager.all()[:1]]
    answers = [(address, client.get(address)) for address in found]
    assert {answer.status_code for _, answer in answers} == {200}
    return [(address, answer.content.decode()) for address, answer in answers]


def act(client: Client, model: type[Any], action: str, *pks: int) -> None:
    data = {"action": action, "_selected_action": list(pks)} | {"confirmed": "1", "why": "a drill"}
    data["leaves"] = list(pks)
    assert client.post(url(model, "changelist"), data).status_code == 200


def test_every_table_that_an_operator_needs_is_there() -> None:
    missing = {m.__name__ for m in apps.get_app_config("bots").get_models()} - {
        m.__name__ for m in OWN
    }
    # Candles of a decision are bytes; the page of the decision is what reads them.
    assert missing == {"Installation", "DecisionCandles", "AlertScan", "AlertSettings"}


def test_no_admin_page_shows_a_secret_or_reads_an_encrypted_column(
    as_operator: Client, content: Content
) -> None:
    stored = ApiToken.objects.get(name="script").digest
    with CaptureQueriesContext(connection) as queries:
        shown = pages(as_operator)
    for address, text in shown:
        for secret in (*CANARIES, content.token, stored):
            assert secret not in text, address
    assert content.key.last4 in dict(shown)[url(ApiKey, "changelist")]
    for query in queries.captured_queries:
        assert '"secret_key"' not in query["sql"]
        assert '"secret_url"' not in query["sql"]


def test_the_ledger_cannot_be_written(
    as_operator: Client, content: Content, subtests: pytest.Subtests
) -> None:
    for model in READ_ONLY:
        with subtests.test(model.__name__):
            row = model._default_manager.first()
            assert row is not None
            for page in ("change", "delete"):
                answer = as_operator.post(url(model, page, row.pk), {"post": "yes"})
                assert answer.status_code == 403, page
            assert as_operator.post(url(model, "add"), {}).status_code == 403


def test_users_are_deactivated_not_deleted(as_operator: Client, alice: User) -> None:
    assert as_operator.post(url(User, "delete", alice.pk), {"post": "yes"}).status_code == 403
    act(as_operator, User, "deactivate", alice.pk)
    alice.refresh_from_db()
    assert not alice.is_active
    assert LogEntry.objects.filter(
        object_id=alice.pk, change_message="Deactivated.\na drill"
    ).exists()


def test_traders_are_kept_out(alice: User, content: Content) -> None:
    client = signed_in(alice)
    for model in OWN:
        assert client.get(url(model, "changelist")).status_code in (302, 403)


def test_a_start_from_the_admin_is_the_owners_verb(
    as_operator: Client, operator: User, bot: BotConfig
) -> None:
    act(as_operator, BotConfig, "start", bot.pk)
    state = BotState.objects.get(pk=bot.pk)
    assert (state.status, state.duty) == (Status.PENDING, Duty.TRADE)
    event = StateEvent.objects.get(bot=bot)
    assert (event.by, event.via) == (operator, "admin")
    log = LogEntry.objects.get(object_id=bot.pk)
    assert (log.user, log.change_message) == (operator, "Started.\na drill")


def test_a_stop_from_the_admin_says_by_an_operator(as_operator: Client, content: Content) -> None:
    act(as_operator, BotState, "stop_and_leave", content.bot.pk)
    state = BotState.objects.get(pk=content.bot.pk)
    assert (state.reason, state.duty, state.in_position) == (Reason.BY_OPERATOR, Duty.NONE, True)
    assert LogEntry.objects.filter(
        object_id=content.bot.pk, change_message="Stopped.\na drill"
    ).exists()


def test_a_stop_can_close_the_position(as_operator: Client, content: Content) -> None:
    act(as_operator, BotConfig, "stop_and_close", content.bot.pk)
    state = BotState.objects.get(pk=content.bot.pk)
    assert (state.status, state.duty, state.wind_down) == (Status.STOPPED, Duty.EXIT, "close")


def test_a_reset_rolls_the_chosen_bots_over_once(as_operator: Client, content: Content) -> None:
    other = traded_bot(content.owner, "Other")
    before = BotState.objects.get(pk=content.bot.pk)
    assert before.daily_trades_count == 2
    for _ in range(2):
        act(as_operator, BotState, "reset_day", content.bot.pk)
    after = BotState.objects.get(pk=content.bot.pk)
    assert (after.counter_day - before.counter_day).days == 1
    assert (after.daily_trades_count, after.reason) == (0, Reason.DAILY_RESET)
    assert BotState.objects.get(pk=other.pk).daily_trades_count == 2
    assert LogEntry.objects.filter(object_id=content.bot.pk).count() == 1


def test_a_refusal_is_told_and_leaves_no_log(
    as_operator: Client, bot: BotConfig, alice: User
) -> None:
    User.objects.filter(pk=alice.pk).update(is_active=False)
    data = {"action": "start", "_selected_action": [bot.pk], "confirmed": "1", "why": "a drill"}
    answer = as_operator.post(url(BotConfig, "changelist"), data)
    assert "is deactivated" in answer.content.decode()
    assert not BotState.objects.filter(pk=bot.pk).exists()
    assert not LogEntry.objects.exists()


def edited(client: Client, bot: BotConfig, **changes: str) -> Any:
    """Post the change form of a bot as it is shown, with changes."""
    form = client.get(url(BotConfig, "change", bot.pk)).context["adminform"].form
    shown = {name: form[name].value() for name in form.fields}
    data = {name: value for name, value in shown.items() if value not in (None, False)}
    data |= {"params": form["params"].value(), "initial-params": form["params"].value()}
    return client.post(url(BotConfig, "change", bot.pk), data | changes)


def test_an_edit_goes_through_the_verb(
    as_operator: Client, operator: User, content: Content
) -> None:
    epoch = BotState.objects.get(pk=content.bot.pk).run_epoch
    assert edited(as_operator, content.bot, stop_loss_perc="3.5").status_code == 302
    bot = BotConfig.objects.get(pk=content.bot.pk)
    assert str(bot.stop_loss_perc) == "3.5"
    assert BotState.objects.get(pk=bot.pk).run_epoch == epoch + 1
    event = StateEvent.objects.filter(bot=bot).latest("pk")
    assert (event.move, event.by, event.via, event.why) == (
        "edit",
        operator,
        "admin",
        "stop_loss_perc",
    )


def test_an_edit_is_checked_as_the_owners_is(as_operator: Client, content: Content) -> None:
    assert Order.objects.filter(bot=content.bot).exists()
    answer = edited(as_operator, content.bot, symbol="BTC/USDT")
    assert answer.status_code == 200
    assert "Fixed since the first order" in answer.content.decode()


def test_the_owner_and_the_mode_cannot_be_changed(
    as_operator: Client, content: Content, mallory: User
) -> None:
    edited(as_operator, content.bot, owner=str(mallory.pk), mode="live", is_active="")
    bot = BotConfig.objects.get(pk=content.bot.pk)
    assert (bot.owner, bot.mode, bot.is_active) == (content.owner, "paper", True)


def test_the_days_profit_is_written_as_on_the_bots_page(
    as_operator: Client, content: Content
) -> None:
    BotState.objects.update(daily_pnl=Decimal("-0.123456789012345678"))
    for model in (BotConfig, BotState):
        page = as_operator.get(url(model, "changelist")).content.decode()
        assert "\N{MINUS SIGN}0.12\N{NO-BREAK SPACE}USDT" in page
        assert "0.1234" not in page


def test_long_lists_need_no_more_queries(as_operator: Client, content: Content, bob: User) -> None:
    def queries() -> dict[str, int]:
        found = {}
        for model in OWN:
            with CaptureQueriesContext(connection) as captured:
                assert as_operator.get(url(model, "changelist")).status_code == 200
            found[model.__name__] = len(captured)
        return found

    queries()
    few = queries()
    for number in range(4):
        traded_bot(bob, f"Bot {number}")
        make_key(bob, f"key {number}")
        ApiToken.issue(bob, f"token {number}")
    many = queries()
    assert {name: count for name, count in many.items() if count > few[name]} == {}
