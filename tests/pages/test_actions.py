"""What the buttons do. Each one is a plain form: POST, then a redirect."""

from types import ModuleType
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client

from bots import control, stopping
from bots.models import BotConfig, BotState, Command, Outpaced, StateEvent, User
from tests.pages.builders import bot_of, holding, sign_in, state_of, text_of


@pytest.fixture(autouse=True)
def _signed_in(alice: User, client: Client) -> None:
    sign_in(client, alice)


def _state(bot: BotConfig) -> BotState:
    return BotState.objects.get(pk=bot.pk)


def test_start_twice_does_no_harm(alice: User, client: Client) -> None:
    bot = bot_of(alice)
    for _ in range(2):
        answer = client.post(f"/bots/{bot.pk}/start/")
        assert (answer.status_code, answer.url) == (302, f"/bots/{bot.pk}/")
    assert _state(bot).text == "pending (start)"
    events = StateEvent.objects.filter(bot=bot)
    assert [(e.move, e.via, e.by) for e in events] == [("start", "page", alice)]


def test_an_action_from_the_dashboard_goes_back_there(alice: User, client: Client) -> None:
    bot = bot_of(alice)
    assert client.post(f"/bots/{bot.pk}/start/?next=dashboard").url == "/"
    assert client.post(f"/bots/{bot.pk}/start/?next=//evil.example").url == f"/bots/{bot.pk}/"


@pytest.mark.parametrize(
    ("position", "duty", "words"),
    [
        ("leave", "none", "was stopped"),
        ("close", "exit", "stops and closes its position"),
        ("after_exit", "exit", "stops after its next exit"),
    ],
)
def test_stop_in_three_ways(
    alice: User, client: Client, position: str, duty: str, words: str
) -> None:
    bot = bot_of(alice)
    state_of(bot, "running", "in_position", "trade", **holding())
    page = client.post(f"/bots/{bot.pk}/stop/", {"position": position}, follow=True)
    assert words in text_of(page)
    state = _state(bot)
    assert (state.status, state.duty, state.wind_down) == ("stopped", duty, position)
    assert not BotConfig.objects.get(pk=bot.pk).is_active


def test_stop_without_a_word_leaves_the_position(alice: User, client: Client) -> None:
    bot = bot_of(alice)
    state_of(bot, "running", "no_signal", "trade")
    client.post(f"/bots/{bot.pk}/stop/")
    assert (_state(bot).status, _state(bot).wind_down) == ("stopped", "leave")


def test_a_stop_button_drawn_while_flat_asks_when_the_bot_has_bought_since(
    alice: User, client: Client
) -> None:
    bot = bot_of(alice)
    state_of(bot, "running", "no_signal", "trade")
    assert 'value="flat"' in client.get("/").content.decode()
    BotState.objects.filter(pk=bot.pk).update(reason="in_position", **holding())
    page = client.post(f"/bots/{bot.pk}/stop/", {"position": "flat"})
    assert page.status_code == 200
    assert "What should become of an open position?" in text_of(page)
    assert _state(bot).duty == "trade"


def test_without_scripts_stop_enter_and_exit_are_plain_pages(alice: User, client: Client) -> None:
    bot = bot_of(alice)
    state_of(bot, "running", "in_position", "trade", **holding())
    for act in ("stop", "enter", "exit"):
        body = client.get(f"/bots/{bot.pk}/{act}/").content.decode()
        assert f'<form method="post" action="/bots/{bot.pk}/{act}/">' in body
        assert "<dialog" not in body
    overview = client.get(f"/bots/{bot.pk}/").content.decode()
    assert f'data-dialog="ask-stop" href="/bots/{bot.pk}/stop/"' in overview


def test_forced_enter_and_exit_leave_a_command(alice: User, client: Client) -> None:
    bot = bot_of(alice)
    state_of(bot, "running", "no_signal", "trade")
    client.post(f"/bots/{bot.pk}/enter/")
    command = Command.objects.get(bot=bot)
    assert (command.kind, command.status, command.by, command.via) == (
        "enter",
        "pending",
        alice,
        "page",
    )


@pytest.mark.parametrize(
    ("act", "columns", "words"),
    [
        ("exit", {}, "The bot holds no position."),
        ("enter", holding(), "The bot already holds a position."),
    ],
)
def test_a_refusal_is_a_message(
    alice: User, client: Client, act: str, columns: dict[str, Any], words: str
) -> None:
    bot = bot_of(alice)
    reason = "in_position" if columns else "no_signal"
    state_of(bot, "running", reason, "trade", **columns)
    page = client.post(f"/bots/{bot.pk}/{act}/", follow=True)
    assert words in text_of(page)
    assert not Command.objects.exists()


def test_a_second_command_is_refused_while_the_first_waits(alice: User, client: Client) -> None:
    bot = bot_of(alice)
    state_of(bot, "running", "no_signal", "trade")
    client.post(f"/bots/{bot.pk}/enter/")
    page = client.post(f"/bots/{bot.pk}/enter/", follow=True)
    assert "A command is already waiting for the next tick." in text_of(page)
    assert Command.objects.count() == 1


def test_delete_is_refused_and_explained_in_position(alice: User, client: Client) -> None:
    bot = bot_of(alice)
    state_of(bot, "running", "in_position", "trade", **holding())
    assert "Close the position first" in text_of(client.get(f"/bots/{bot.pk}/delete/"))
    page = client.post(f"/bots/{bot.pk}/delete/", follow=True)
    assert "Close the position first: nobody would watch it." in text_of(page)
    assert BotConfig.objects.get(pk=bot.pk).deleted_at is None


def test_halt_stops_all_bots_and_can_close_their_positions(alice: User, client: Client) -> None:
    flat, held = bot_of(alice, "flat"), bot_of(alice, "held")
    state_of(flat, "running", "no_signal", "trade")
    state_of(held, "running", "in_position", "trade", **holding())
    page = client.post("/halt/", {"position": "close"}, follow=True)
    assert "2 bots were halted." in text_of(page)
    assert (_state(flat).reason, _state(flat).duty) == ("halt", "none")
    assert (_state(held).reason, _state(held).duty) == ("halt", "exit")


def _refusing(
    monkeypatch: pytest.MonkeyPatch, place: ModuleType, name: str, error: Exception, bot: BotConfig
) -> None:
    """Have one bot's row be always taken, as by a crowd of writers."""
    inner = getattr(place, name)

    def attempt(concerned: int | list[int], *rest: Any) -> Any:
        if concerned in (bot.pk, [bot.pk]):
            raise error
        return inner(concerned, *rest)

    monkeypatch.setattr("bots.change.ATTEMPTS", 1)
    monkeypatch.setattr(place, name, attempt)


TAKEN = [Outpaced("taken"), OperationalError("database is locked")]


@pytest.mark.parametrize("error", TAKEN)
@pytest.mark.parametrize("act", ["start", "stop"])
def test_a_busy_row_is_a_message(
    act: str, error: Exception, alice: User, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    bot = bot_of(alice)
    place, name = {"start": (control, "_start"), "stop": (stopping, "stop_once")}[act]
    _refusing(monkeypatch, place, name, error, bot)
    answer = client.post(f"/bots/{bot.pk}/{act}/")
    assert answer.status_code == 302
    assert "The site is busy. Try again." in text_of(client.get("/"))


@pytest.mark.parametrize("error", TAKEN)
def test_halt_goes_on_after_a_busy_bot_and_tells(
    error: Exception, alice: User, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy, other = bot_of(alice, "a busy"), bot_of(alice, "b other")
    for bot in (busy, other):
        state_of(bot, "running", "no_signal", "trade")
    monkeypatch.setattr(stopping, "CHUNK", 1)
    _refusing(monkeypatch, stopping, "_halt", error, busy)
    answer = client.post("/halt/", {"position": "leave"})
    assert (answer.status_code, answer.url) == (302, "/")
    assert "Not every bot was halted. Try again." in text_of(client.get("/"))
    assert (_state(busy).status, _state(other).status) == ("running", "stopped")
