"""Signals from outside: who may send them, what they say, and that each counts once."""

import hashlib
import hmac
import json
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from bots import control, intents, signals
from bots.models import BotState, Command, Hook, Order, Outpaced, SignalIn, User
from bots.rotation import rotate
from bots.signals import Unreadable, read, taking
from bots.signals.reading import market_of
from tests.engine.bench import Bench, D
from tests.engine.conftest import Maker
from tests.engine.test_perpetual import perpetual as perpetual
from tests.pages.builders import sign_in, text_of

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def b(bench: Maker) -> Bench:
    made = bench(strategy="signal", params={})
    made.tick()
    return made


@pytest.fixture
def hook(b: Bench) -> Hook:
    return Hook.objects.create(bot=b.bot)


def send(client: Client, hook: Hook, body: Any, **headers: str) -> tuple[int, str]:
    """Send under the secret in the address; what is no text is sent as JSON."""
    data = body if isinstance(body, str) else json.dumps(body)
    path = f"/hooks/{hook.name}/{hook.secret}/"
    answer = client.post(path, data, content_type="text/plain", headers=headers)
    return answer.status_code, answer.json()["result"]


def sent(**values: Any) -> dict[str, Any]:
    return {"action": "buy", "time": timezone.now().isoformat()} | values


# -- what an alert says ----------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("body", "action"),
    [
        ("buy", "buy"),
        ("  LONG now, at 100", "buy"),
        ("Sell!", "sell"),
        ("close", "exit"),
        ("Enter long", "buy"),
        ("entry SHORT at the open", "sell"),
        ("exit long", "exit"),
        ("Close short.", "exit"),
        ("buy, buy, buy", "buy"),
        ('{"action": "short"}', "sell"),
        ('\ufeff{"side": "BUY", "time": 1772366400}', "buy"),
        ('{"order": "flat", "time": "1772366400000"}', "exit"),
        ('{"action": "enter", "time": "2026-03-01T12:00:00Z"}', "enter"),
    ],
)
def test_it_is_read_in_the_words_that_traders_use(body: str, action: str) -> None:
    said = read(body.encode())
    assert said.action == action
    assert said.at in (None, NOW)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"\xff\xfe",
        b"{",
        b"[]",
        b"{}",
        b'{"action": 1}',
        b'{"action": true}',
        b'{"action": "buy", "time": "soon"}',
        b'{"action": "buy", "time": [1]}',
        b'{"action": "buy", "time": 1e400}',
        b"buy " * 2000,
        b"Close crossed above EMA: buy",
        b"Long stop hit: sell",
        b"enter long, then exit",
        b"exit long, enter short",
        b'{"a":' * 1200,
    ],
)
def test_what_says_nothing_is_refused(body: bytes) -> None:
    with pytest.raises(Unreadable):
        read(body)


def test_spellings_of_one_market_are_one() -> None:
    names = ["BINANCE:BTCUSDT.P", "BTC/USDT", "BTC/USDT:USDT", "btc-usdt", "BTCUSDTPERP"]
    assert {market_of(name) for name in names} == {"BTCUSDT"}


# -- what becomes of it ----------------------------------------------------------------------------
def test_a_buy_becomes_a_command_that_the_next_tick_follows(
    client: Client, b: Bench, hook: Hook
) -> None:
    assert send(client, hook, sent(symbol="BTCUSDT")) == (202, "accepted")
    command = Command.objects.get()
    assert (command.kind, command.via, command.by) == ("enter", "signal", b.owner)
    b.tick()
    command.refresh_from_db()
    assert (command.status, b.state.in_position) == ("done", True)
    assert send(client, hook, sent(action="sell")) == (202, "accepted")
    b.tick()
    assert not b.state.in_position
    rows = SignalIn.objects.order_by("pk")
    assert [(row.said, row.status) for row in rows] == [("buy", "accepted"), ("sell", "accepted")]


def test_a_copy_is_none_however_often_and_late_it_comes(
    client: Client, b: Bench, hook: Hook
) -> None:
    body, named = sent(), {"action": "sell", "id": "bar-7"}
    assert send(client, hook, body) == (202, "accepted")
    b.tick()
    assert send(client, hook, body) == (200, "duplicate")
    assert send(client, hook, named) == (202, "accepted")
    SignalIn.objects.update(received_at=timezone.now() - timedelta(days=3))
    assert send(client, hook, named) == (200, "duplicate")
    assert Command.objects.count() == 2


@pytest.mark.parametrize("again", [{"action": "sell", "id": "bar-9"}, "sell"])
def test_one_that_was_refused_may_be_sent_again(
    client: Client, b: Bench, hook: Hook, again: Any
) -> None:
    assert send(client, hook, again) == (409, "flat")
    assert send(client, hook, again) == (409, "flat")
    b.command("enter")
    b.tick()
    assert send(client, hook, again) == (202, "accepted")
    b.tick()
    assert not b.state.in_position
    assert send(client, hook, again) == (200, "duplicate")
    assert [row.status for row in SignalIn.objects.order_by("pk")] == [*["refused"] * 2, "accepted"]


def test_of_two_equal_ones_at_once_one_is_the_others_copy(
    client: Client, b: Bench, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one looks for a copy before the first one is written."""
    body = sent()
    looks = []
    real = taking._is_copy

    def early(*given: Any) -> bool:
        looks.append(given)
        if len(looks) == 1:
            assert send(client, hook, body) == (202, "accepted")
            return False
        return real(*given)

    monkeypatch.setattr(taking, "_is_copy", early)
    assert send(client, hook, body) == (200, "duplicate")
    assert Command.objects.count() == 1
    assert SignalIn.objects.filter(status="accepted").count() == 1


@pytest.mark.parametrize("name", ["a\0b", "\ud800", "\ud800" * 70])
def test_an_id_that_no_column_holds_is_one_all_the_same(
    client: Client, hook: Hook, name: str
) -> None:
    assert send(client, hook, sent(id=name)) == (202, "accepted")
    assert send(client, hook, sent(id=name)) == (200, "duplicate")


def test_what_found_the_bot_busy_may_be_sent_again(
    client: Client, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_: object, **__: object) -> None:
        raise Outpaced

    body = sent()
    with monkeypatch.context() as patch:
        patch.setattr(control, "command", busy)
        assert send(client, hook, body) == (503, "busy")
    assert send(client, hook, body) == (202, "accepted")


def test_a_word_without_a_time_counts_again_after_a_minute(b: Bench) -> None:
    answers = []
    for after in (0, 1, 59, 61, 62):
        answers.append(signals.take(b.bot, b"buy", NOW + timedelta(seconds=after)).result)
        Command.objects.filter(status="pending").update(status="done")
    assert answers == ["accepted", "duplicate", "duplicate", "accepted", "duplicate"]


@pytest.mark.parametrize("seconds", [-61, 61])
def test_what_is_old_or_of_the_future_is_refused(client: Client, hook: Hook, seconds: int) -> None:
    at = timezone.now() + timedelta(seconds=seconds)
    assert send(client, hook, sent(time=at.isoformat())) == (409, "late")
    assert not Command.objects.exists()


def test_another_market_a_word_of_nothing_and_what_cannot_be_are_refused_and_told(
    client: Client, b: Bench, hook: Hook, alice: User
) -> None:
    assert send(client, hook, sent(symbol="ETHUSDT")) == (409, "other_market")
    assert send(client, hook, "hodl") == (422, "unreadable")
    assert send(client, hook, "hodl") == (422, "unreadable")
    assert send(client, hook, "exit") == (409, "flat")
    assert send(client, hook, "x" * 5000)[0] == 413
    sign_in(client, alice)
    page = text_of(client.get(f"/bots/{b.bot.pk}/signals/"))
    for text in ("another market", "nothing that a bot could do", "holds no position", "hodl"):
        assert text in page


def test_a_bot_takes_so_many_a_minute(client: Client, hook: Hook, settings: Any) -> None:
    settings.HOOK_SIGNALS_PER_MINUTE = 2
    answers = [send(client, hook, {"action": "exit", "id": str(n)})[1] for n in range(4)]
    assert answers == ["flat", "flat", "too_many", "too_many"]


def test_sell_opens_where_the_bot_goes_short_and_closes_a_long_one(b: Bench) -> None:
    kinds = {}
    b.bot.position_type = "futures"
    for direction in ("short", "long", "both"):
        b.bot.direction = direction
        kinds[direction] = [taking._wish(b.bot, action) for action in ("sell", "buy")]
    assert kinds["short"] == [("enter", "sell"), ("exit", "")]
    assert kinds["long"] == [("exit", ""), ("enter", "buy")]
    assert kinds["both"] == [("enter", "sell"), ("enter", "buy")]


def test_a_bot_that_goes_both_ways_is_turned_round_in_two_steps(
    client: Client, perpetual: Bench
) -> None:
    b, hook = perpetual, Hook.objects.create(bot=perpetual.bot)
    b.tick()
    for action, side in (("sell", "short"), ("buy", ""), ("buy", "long"), ("sell", "")):
        assert send(client, hook, {"action": action, "id": f"{action} {side}"}) == (202, "accepted")
        b.tick()
        assert b.state.position_side == side
    assert send(client, hook, sent(action="sell")) == (202, "accepted")
    assert send(client, hook, sent(action="buy")) == (202, "accepted")
    b.tick()
    assert (b.state.in_position, Command.objects.latest("pk").result) == (False, "withdrawn")


def test_what_leaves_takes_back_an_entry_that_rests(client: Client, bench: Maker) -> None:
    waits = {"entry_type": "limit", "entry_offset_perc": D(2), "entry_timeout_seconds": 3600}
    b = bench(strategy="signal", params={}, **waits)
    b.scripted()
    b.tick()
    hook = Hook.objects.create(bot=b.bot)
    for action in ("sell", "exit"):
        assert send(client, hook, {"action": "buy", "id": action}) == (202, "accepted")
        b.tick()
        assert b.order.status == "open"
        assert send(client, hook, sent(action=action)) == (202, "accepted")
        b.tick()
        b.market.price = D("97.5")
        b.tick()
        assert (b.order.status, b.state.in_position) == ("canceled", False)
        b.market.price = D(100)
        b.tick()


@pytest.mark.parametrize("action", ["sell", "close", "cancel"])
def test_what_leaves_takes_back_an_entry_that_waits_for_its_tick(
    client: Client, b: Bench, hook: Hook, alice: User, action: str
) -> None:
    assert send(client, hook, "buy") == (202, "accepted")
    version = b.state.version
    assert send(client, hook, action) == (202, "accepted")
    assert b.state.version > version  # the page polls anew
    b.tick()
    assert (b.state.in_position, Order.objects.count()) == (False, 0)
    sign_in(client, alice)
    page = text_of(client.get(f"/bots/{b.bot.pk}/signals/"))
    assert "It took back the entry that waited for its tick." in page
    assert "refused: A signal took it back before a tick followed it." in page


def test_of_a_tick_and_what_takes_its_command_back_one_wins(
    client: Client, b: Bench, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The signal comes while the tick is about to write its order."""
    send(client, hook, "buy")
    real = intents._intended

    def meanwhile(*given: Any) -> Order:
        assert send(client, hook, "sell") == (202, "accepted")
        return real(*given)

    monkeypatch.setattr(intents, "_intended", meanwhile)
    b.tick()
    assert (b.state.in_position, Order.objects.count()) == (False, 0)
    assert Command.objects.get().result == "withdrawn"


# -- who may send ----------------------------------------------------------------------------------
def signed(client: Client, hook: Hook, body: str, secret: str) -> tuple[int, str]:
    told = hmac.new(secret.encode(), body.encode(), hashlib.sha256).hexdigest()
    headers = {"X-Signature": f"sha256={told}"}
    answer = client.post(f"/hooks/{hook.name}/", body, content_type="text/plain", headers=headers)
    return answer.status_code, answer.json()["result"]


def test_a_signature_stands_for_the_secret_and_needs_a_time(client: Client, hook: Hook) -> None:
    body = json.dumps(sent())
    assert signed(client, hook, body, "guessed") == (404, "not_found")
    assert signed(client, hook, "buy", hook.secret) == (409, "no_time")
    assert signed(client, hook, body, hook.secret) == (202, "accepted")


def test_who_does_not_know_the_secret_learns_nothing(
    client: Client, b: Bench, hook: Hook, alice: User
) -> None:
    wrong = [f"/hooks/{hook.name}/wrong/", f"/hooks/{hook.name}/", "/hooks/nobody/wrong/"]
    for path in wrong:
        answer = client.post(path, "buy", content_type="text/plain")
        assert (answer.status_code, answer.json()) == (404, {"result": "not_found"})
    old = hook.secret
    sign_in(client, alice)
    page = client.post(f"/bots/{b.bot.pk}/signals/new/")
    hook.refresh_from_db()
    assert hook.secret != old
    assert f"/hooks/{hook.name}/{hook.secret}/</code>" in page.content.decode()
    assert hook.secret not in client.get(f"/bots/{b.bot.pk}/signals/").content.decode()
    assert (
        client.post(f"/hooks/{hook.name}/{old}/", "buy", content_type="text/plain").status_code
        == 404
    )
    client.post(f"/bots/{b.bot.pk}/signals/remove/")
    assert send(client, hook, "buy") == (404, "not_found")
    assert not SignalIn.objects.exists()


def test_nobody_signals_a_bot_that_is_deleted_or_whose_owner_is_not_active(
    client: Client, b: Bench, hook: Hook
) -> None:
    User.objects.filter(pk=b.owner.pk).update(is_active=False)
    assert send(client, hook, "buy") == (404, "not_found")
    User.objects.filter(pk=b.owner.pk).update(is_active=True)
    b.stop()
    BotState.objects.filter(pk=b.bot.pk).update(duty="none")
    control.delete(b.bot, by=b.owner, via="page")
    assert send(client, hook, "buy") == (404, "not_found")


def test_the_secret_is_stored_encrypted_rotated_and_never_logged(
    client: Client, hook: Hook, settings: Any, caplog: pytest.LogCaptureFixture, capfd: Any
) -> None:
    from cryptography.fernet import Fernet
    from django.db import connection

    caplog.set_level(logging.DEBUG)
    send(client, hook, "exit")  # refused: Django logs the address
    assert hook.secret not in capfd.readouterr().err
    assert hook.secret in caplog.text  # it was there to be scrubbed
    settings.FERNET_KEYS = [Fernet.generate_key().decode(), *settings.FERNET_KEYS]
    assert rotate().rotated == 1
    settings.FERNET_KEYS = settings.FERNET_KEYS[:1]
    assert Hook.objects.get().secret == hook.secret
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM bots_hook")
        (token,) = cursor.fetchone()
    assert bytes(token).startswith(b"gAAAA")
    settings.FERNET_KEYS = [Fernet.generate_key().decode()]
    assert send(client, hook, "buy")[0] == 404
    # A secret that cannot be read is none: an empty one signs nothing.
    assert signed(client, hook, json.dumps(sent()), "")[0] == 404


def test_a_size_is_the_bots_own(client: Client, b: Bench, hook: Hook) -> None:
    send(client, hook, sent(amount=1000, qty="1000"))
    b.tick()
    assert b.order.amount == D("2")
