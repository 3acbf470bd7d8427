"""Bulk acts in the admin: first what will happen, then a reason, then the owner's verbs."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone, translation

from bots import control, tick
from bots.admin import acts, verbs
from bots.admin.acts import reading
from bots.lifecycle import Duty, Reason, Status
from bots.models import ApiKey, ApiToken, BotConfig, BotState, StateEvent, User
from tests.doors.client import signed_in
from tests.doors.content import Content, resting_order
from tests.doors.test_admin import url
from tests.pages.builders import bot_of, holding, state_of, text_of

WHY = "Exchange maintenance, ticket 42"


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Messages to the workers: they are recorded, and the broker takes them."""
    messages: list[tuple[Any, ...]] = []

    def take(task: str, *args: Any, **_: Any) -> bool:
        messages.append((task, *args))
        return True

    monkeypatch.setattr("bots.schedule.send", take)
    return messages


def ask(client: Client, model: type[Any], action: str, *pks: int, **more: Any) -> Any:
    data: dict[str, Any] = {"action": action, "_selected_action": list(pks), "leaves": list(pks)}
    data |= more
    return client.post(url(model, "changelist"), data)


def do(client: Client, model: type[Any], action: str, *pks: int, why: str = WHY) -> Any:
    return ask(client, model, action, *pks, confirmed="1", why=why)


@pytest.mark.parametrize("act", [act.name for act in verbs.ACTS])
def test_nothing_happens_before_a_reason_is_given(
    act: str, as_operator: Client, content: Content, sent: list[Any]
) -> None:
    before = BotState.objects.values().get(pk=content.bot.pk)
    sent.clear()
    for more in ({}, {"confirmed": "1"}, {"confirmed": "1", "why": "   "}):
        page = ask(as_operator, BotConfig, act, content.bot.pk, **more)
        assert page.status_code == 200
        assert "What will happen to 1 row" in text_of(page)
        assert f'name="_selected_action" value="{content.bot.pk}"' in page.content.decode()
    assert BotState.objects.values().get(pk=content.bot.pk) == before
    assert (sent, LogEntry.objects.count()) == ([], 0)


def test_the_reason_stands_in_history_and_log(
    as_operator: Client, operator: User, content: Content
) -> None:
    page = do(as_operator, BotConfig, "stop_after_exit", content.bot.pk)
    assert "Done: 1 of 1." in text_of(page)
    event = StateEvent.objects.filter(bot=content.bot).latest("pk")
    assert (event.why, event.by, event.via) == (f"after_exit: {WHY}", operator, "admin")
    assert event.new_reason == Reason.BY_OPERATOR
    log = LogEntry.objects.get()
    assert log.change_message == f"Stops after its next exit.\n{WHY}"
    with translation.override("tr"):
        assert reading(log.change_message).endswith(f"({WHY})")
        assert "Stops after" not in reading(log.change_message)


def test_a_start_keeps_its_reason(as_operator: Client, content: Content) -> None:
    control.stop(content.bot, by=content.owner, via="page")
    do(as_operator, BotState, "start", content.bot.pk)
    assert StateEvent.objects.filter(bot=content.bot).latest("pk").why == WHY
    again = do(as_operator, BotState, "start", content.bot.pk)
    assert "Nothing was to be done." in text_of(again)
    assert LogEntry.objects.count() == 1


def test_a_halt_of_chosen_bots_says_so(as_operator: Client, content: Content) -> None:
    do(as_operator, BotConfig, "halt", content.bot.pk)
    state = BotState.objects.get(pk=content.bot.pk)
    assert (state.status, state.reason, state.in_position) == ("stopped", Reason.HALT, True)
    assert state.duty == Duty.NONE


def test_a_halt_of_a_user_stops_all_of_their_bots_and_nobody_elses(
    as_operator: Client, alice: User, bob: User
) -> None:
    mine = [state_of(bot_of(alice, f"a{n}"), "running", "no_signal", "trade").pk for n in range(2)]
    other = state_of(bot_of(bob), "running", "no_signal", "trade").pk
    do(as_operator, User, "halt", alice.pk)
    told = dict(BotState.objects.values_list("pk", "reason"))
    assert told == {mine[0]: "halt", mine[1]: "halt", other: "no_signal"}
    whys = StateEvent.objects.filter(bot__in=mine, move="stop").values_list("why", flat=True)
    assert set(whys) == {f"leave: {WHY}"}


def test_each_bot_is_told_by_itself(as_operator: Client, alice: User, bob: User) -> None:
    good, bad = bot_of(alice, "Good"), bot_of(bob, "Bad")
    User.objects.filter(pk=bob.pk).update(is_active=False)
    page = do(as_operator, BotConfig, "start", good.pk, bad.pk)
    text = text_of(page)
    assert "Done: 1 of 2." in text
    assert [line.kind for line in page.context["lines"]] == ["done", "refused"]
    assert "The owner of this bot is deactivated." in text
    assert BotState.objects.get().pk == good.pk
    assert LogEntry.objects.get().object_id == str(good.pk)


def test_a_busy_bot_does_not_spare_the_others(
    as_operator: Client, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bots.models import Outpaced

    one, two = bot_of(alice, "One"), bot_of(alice, "Two")
    start = control.start

    def busy(bot: BotConfig, **values: Any) -> BotState:
        if bot.pk == one.pk:
            raise Outpaced("busy")
        return start(bot, **values)

    monkeypatch.setattr(control, "start", busy)
    page = do(as_operator, BotConfig, "start", one.pk, two.pk)
    assert [line.kind for line in page.context["lines"]] == ["refused", "done"]
    assert BotState.objects.get().pk == two.pk


def test_what_will_happen_is_what_happens(as_operator: Client, alice: User) -> None:
    held = state_of(bot_of(alice, "Held"), "running", "in_position", "trade", **holding())
    flat = state_of(bot_of(alice, "Flat"), "running", "no_signal", "trade")
    off = state_of(bot_of(alice, "Off"), "stopped", "by_owner", "none")
    new = bot_of(alice, "New")
    pks = [held.pk, flat.pk, off.pk, new.pk]
    texts = {
        action: [line.text for line in ask(as_operator, BotConfig, action, *pks).context["lines"]]
        for action in ("stop_and_leave", "stop_and_close", "stop_after_exit", "start")
    }
    nothing = ["Is stopped and flat: nothing is to be done."]
    nothing += ["Was never started: nothing is to be done."]
    assert texts["stop_and_leave"][0].startswith("Stops. Nobody watches its position of 0.0015 BTC")
    assert "close the position of 0.0015 BTC" in texts["stop_and_close"][0]
    assert "watched until its exit" in texts["stop_after_exit"][0]
    assert texts["stop_and_leave"][1:] == ["Stops. It holds no position.", *nothing]
    assert texts["start"][0] == "Runs already: stays as it is."
    assert texts["start"][3] == "Starts; its next tick may open a position."
    kinds = [
        line.kind for line in do(as_operator, BotConfig, "stop_and_leave", *pks).context["lines"]
    ]
    assert kinds == ["done", "done", "same", "same"]
    text = ask(as_operator, BotConfig, "start", held.pk).context["lines"][0].text
    assert text == "Starts, and watches its position of 0.0015 BTC again."


def test_a_position_that_nobody_knew_of_is_not_left(as_operator: Client, alice: User) -> None:
    known = state_of(bot_of(alice, "Known"), "running", "in_position", "trade", **holding())
    new = state_of(bot_of(alice, "New"), "running", "no_signal", "trade")
    asked = ask(as_operator, BotConfig, "stop_and_leave", known.pk, new.pk)
    assert [line.leaves for line in asked.context["lines"]] == [True, False]
    assert asked.content.decode().count('name="leaves"') == 1
    BotState.objects.filter(pk=new.pk).update(reason="in_position", **holding())
    more = {"confirmed": "1", "why": WHY, "leaves": [known.pk]}
    page = ask(as_operator, BotConfig, "stop_and_leave", known.pk, new.pk, **more)
    assert [line.kind for line in page.context["lines"]] == ["done", "refused"]
    assert "It opened a position meanwhile" in text_of(page)
    assert BotState.objects.get(pk=new.pk).status == Status.RUNNING


def test_a_start_without_a_key_is_foreseen(as_operator: Client, content: Content) -> None:
    ApiKey.objects.all().delete()
    (line,) = ask(as_operator, BotConfig, "start", content.idle.pk).context["lines"]
    assert line.text.endswith("its account has no key.")


def test_an_open_order_is_settled_first(as_operator: Client, alice: User) -> None:
    bot = bot_of(alice)
    control.start(bot, by=alice, via="page")
    resting_order(bot)
    line = ask(as_operator, BotConfig, "stop_and_leave", bot.pk).context["lines"][0]
    assert line.text == "Stops; its open order is settled first. It holds no position."
    do(as_operator, BotConfig, "stop_and_leave", bot.pk)
    assert BotState.objects.get(pk=bot.pk).duty == Duty.EXIT


def test_a_comparison_and_a_check_are_asked_of_a_worker(
    as_operator: Client, content: Content, sent: list[Any]
) -> None:
    control.start(content.idle, by=content.owner, via="page")
    sent.clear()
    page = do(as_operator, BotConfig, "compare", content.bot.pk, content.idle.pk)
    assert [line.kind for line in page.context["lines"]] == ["refused", "done"]
    do(as_operator, BotConfig, "check_key", content.bot.pk, content.idle.pk)
    do(as_operator, ApiKey, "check_key", content.key.pk)
    check = ("bots.tasks.check_key", content.key.pk)
    assert sent == [("bots.tasks.reconcile", content.idle.pk), check, check]


def test_without_a_broker_a_check_is_refused(
    as_operator: Client, content: Content, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bots.schedule.send", lambda *_, **__: False)
    page = do(as_operator, ApiKey, "check_key", content.key.pk)
    assert [line.kind for line in page.context["lines"]] == ["refused"]
    assert not LogEntry.objects.exists()


def test_a_token_is_revoked_once(as_operator: Client, content: Content) -> None:
    token = ApiToken.objects.get(name="script")
    for kind in ("done", "same"):
        page = do(as_operator, ApiToken, "revoke", token.pk)
        assert [line.kind for line in page.context["lines"]] == [kind]
    assert ApiToken.objects.get(pk=token.pk).revoked_at <= timezone.now()
    assert LogEntry.objects.get().change_message == f"Revoked.\n{WHY}"


def test_nobody_deactivates_themselves(as_operator: Client, operator: User) -> None:
    page = do(as_operator, User, "deactivate", operator.pk)
    assert [line.kind for line in page.context["lines"]] == ["refused"]
    operator.refresh_from_db()
    assert operator.is_active


def test_so_many_rows_at_once_and_no_more(
    as_operator: Client, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acts, "LIMIT", 2)
    pks = [bot_of(alice, f"b{n}").pk for n in range(3)]
    answer = do(as_operator, BotConfig, "start", *pks)
    assert answer.status_code == 302
    everything = ask(
        as_operator, BotConfig, "start", pks[0], confirmed="1", why=WHY, select_across="1"
    )
    assert everything.status_code == 302
    assert not BotState.objects.exists()
    do(as_operator, BotConfig, "start", *pks[:2])
    assert BotState.objects.count() == 2


def test_who_may_only_look_gets_no_acts(content: Content, bob: User) -> None:
    bob.is_staff = True
    bob.save()
    looks = ["view_botconfig", "view_botstate", "view_apikey", "view_apitoken", "view_user"]
    bob.user_permissions.set(Permission.objects.filter(codename__in=looks))
    client = signed_in(bob)
    rows: list[tuple[type[Any], int, str]] = [
        (BotConfig, content.bot.pk, "stop_and_leave"),
        (BotState, content.bot.pk, "halt"),
        (ApiKey, content.key.pk, "check_key"),
        (ApiToken, ApiToken.objects.get(name="script").pk, "revoke"),
        (User, content.owner.pk, "deactivate"),
    ]
    for model, pk, action in rows:
        page = client.get(url(model, "changelist"))
        assert page.status_code == 200
        assert f'value="{action}"' not in page.content.decode()
        do(client, model, action, pk)
    state = BotState.objects.get(pk=content.bot.pk)
    assert state.status == Status.RUNNING
    assert not LogEntry.objects.exists()
    content.owner.refresh_from_db()
    assert content.owner.is_active


def test_an_act_through_the_admin_is_followed_by_ticks(
    as_operator: Client, content: Content
) -> None:
    do(as_operator, BotState, "stop_and_close", content.bot.pk)
    assert tick.run(content.bot.pk) is not None
    state = BotState.objects.get(pk=content.bot.pk)
    assert (state.in_position, state.duty) == (False, Duty.NONE)
