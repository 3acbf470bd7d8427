"""The second factor: switched on and off, asked for at the sign-in and again, used once, traced."""

import re
import time
from io import StringIO
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth
from cryptography.fernet import Fernet
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client

from bots import rotation, second_factor
from bots.models import (
    AccessEvent,
    ApiKey,
    ApiToken,
    BotConfig,
    BotState,
    Command,
    Transfer,
    User,
)
from tests.doors.client import Caller, signed_in
from tests.pages.builders import bot_of, form_of, holding, state_of, text_of
from tests.pages.test_keys import KEY

PASSWORD = "alice-has-a-long-password"
AGAIN = "/accounts/2fa/reauthenticate/"


class App:
    """An authenticator app: the secret of one account, and the code of a moment."""

    def __init__(self, secret: str) -> None:
        self.secret = secret

    def code(self, steps: int = 0) -> str:
        """Return the code of now, or of `steps` times thirty seconds later."""
        step = int(time.time()) // 30 + steps
        return str(auth.format_hotp_value(auth.hotp_value(self.secret, step)))


@pytest.fixture(autouse=True)
def _frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    """No time step ends while a test reads a code and types it."""
    now = time.time() // 30 * 30 + 5
    begun = time.monotonic()
    monkeypatch.setattr(time, "time", lambda: now + (time.monotonic() - begun) / 1000)


@pytest.fixture
def app(alice: User) -> App:
    """Alice's app; the factor is on."""
    secret = auth.generate_totp_secret()
    auth.TOTP.activate(alice, secret)
    RecoveryCodes.activate(alice)
    return App(secret)


@pytest.fixture
def stale(alice: User) -> Client:
    """A browser in which alice signed in long ago."""
    return aged(signed_in(alice))


def aged(client: Client, seconds: float = 601) -> Client:
    """Let what the session showed grow old."""
    session = client.session
    session["account_authentication_methods"] = [
        {**row, "at": row["at"] - seconds} for row in session["account_authentication_methods"]
    ]
    session.save()
    return client


def enter(client: Client, password: str = PASSWORD) -> Any:
    return client.post("/accounts/login/", {"login": "alice", "password": password})


def type_code(client: Client, code: str) -> Any:
    return client.post("/accounts/2fa/authenticate/", {"code": code})


def knows(client: Client) -> bool:
    return client.get("/profile/").status_code == 200


def told(alice: User) -> list[str]:
    return list(
        AccessEvent.objects.filter(owner=alice).order_by("pk").values_list("what", flat=True)
    )


def test_it_is_switched_on_by_a_code_and_its_secret_is_nowhere_else(
    alice: User, caplog: pytest.LogCaptureFixture, django_capture_on_commit_callbacks: Any
) -> None:
    caplog.set_level("DEBUG")
    client = signed_in(alice)
    page = client.get("/accounts/2fa/totp/activate/").content.decode()
    assert 'src="data:image/svg+xml;base64,' in page
    found = re.search(r'<code class="secret">([A-Z2-7]{32})</code>', page)
    assert found
    app = App(found[1])
    assert client.post("/accounts/2fa/totp/activate/", {"code": "000000"}).status_code == 200
    with django_capture_on_commit_callbacks(execute=True):
        done = client.post("/accounts/2fa/totp/activate/", {"code": app.code()})
    assert done.url == "/accounts/2fa/recovery-codes/"
    codes = re.findall(r"<li><code>(\d{8})</code>", client.get(done.url).content.decode())
    assert len(codes) == 10
    assert "10 of 10 recovery codes are left." in text_of(client.get("/profile/"))
    assert told(alice) == ["factor_on"]
    # The code that switched it on opens no door.
    other = Client()
    enter(other)
    assert "was used already" in text_of(type_code(other, app.code()))
    kept = [caplog.text]
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            kept += [str(row) for row in cursor.fetchall()]
    kept.append(str(dict(client.session)))
    for secret in (app.secret, *codes):
        assert not [text for text in kept if secret in text]


def test_signing_in_takes_the_code_once(alice: User, app: App) -> None:
    client = Client()
    answer = enter(client)
    assert answer.url == "/accounts/2fa/authenticate/"
    assert not knows(client)
    assert type_code(client, "000000").status_code == 200
    assert not knows(client)
    assert type_code(client, app.code()).status_code == 302
    assert knows(client)
    replay = Client()
    enter(replay)
    # Long after allauth has forgotten it, and within what a clock may be off.
    cache.clear()
    assert "was used already" in text_of(type_code(replay, app.code()))
    assert type_code(replay, app.code(-1)).status_code == 200, "nor one from before it"
    assert not knows(replay)
    assert type_code(replay, app.code(1)).status_code == 302
    assert told(alice)[0] == "code_refused"
    # Of two who type it at the same time one is too late.
    totp = Authenticator.objects.get(user=alice, type="totp")
    assert not second_factor.spend(totp, app.code(1))


def test_a_recovery_code_opens_once_and_leaves_a_trace(alice: User, app: App) -> None:
    codes = Authenticator.objects.get(user=alice, type="recovery_codes").wrap().get_unused_codes()
    client = Client()
    enter(client)
    assert type_code(client, codes[3]).status_code == 302
    assert knows(client)
    again = Client()
    enter(again)
    assert type_code(again, codes[3]).status_code == 200
    assert not knows(again)
    event = AccessEvent.objects.get(owner=alice, what="code_used")
    assert (event.details, event.ip) == ("9", "127.0.0.1")
    line = client.get("/activity/?kind=access").context["lines"][-1]
    assert (line.result, line.details, line.by) == (
        "recovery code used",
        "9 codes are left.",
        "alice",
    )


def test_wrong_codes_are_throttled_with_one_answer(alice: User, app: App, settings: Any) -> None:
    settings.ACCOUNT_RATE_LIMITS = {"login_failed": "1000/m/ip", "second_factor": "5/d/key"}
    client = Client()
    enter(client)
    for number in range(5):
        assert "is wrong" in text_of(type_code(client, f"00000{number}"))
    assert "Too many failed" in text_of(type_code(client, app.code()))
    assert not knows(client)


def test_the_admin_is_behind_the_same_code(alice: User, app: App) -> None:
    User.objects.filter(pk=alice.pk).update(is_staff=True, is_superuser=True)
    client = Client()
    assert client.get("/admin/").url.startswith("/admin/login/")
    door = client.get("/admin/login/?next=/admin/").url
    assert door.startswith("/accounts/login/")
    client.post(door, {"login": "alice", "password": PASSWORD})
    assert client.get("/admin/").status_code == 302
    assert type_code(client, app.code()).url == "/admin/"
    page = client.get("/admin/")
    assert page.status_code == 200
    for model in ("mfa/authenticator", "usersessions/usersession"):
        assert client.get(f"/admin/{model}/").status_code == 404


def test_keys_ask_again_and_no_secret_waits_for_the_answer(
    alice: User, app: App, stale: Client
) -> None:
    page = text_of(stale.get("/keys/"))
    assert "First you are asked" in page
    assert "secret key" not in page
    question = f"{AGAIN}?next=" + quote("/keys/?new=1", safe="")
    assert stale.get("/keys/?new=1").url == question
    refused = stale.post("/keys/", KEY)
    assert refused.url.startswith(AGAIN)
    assert not ApiKey.objects.exists()
    assert KEY["secret_key"] not in str(dict(stale.session))
    answer = stale.post(refused.url, {"code": app.code()})
    assert answer.url == "/keys/?new=1&exchange=binance&mode=testnet&label=main"
    form = stale.get(answer.url).context["form"]
    assert (form["label"].value(), form["secret_key"].value()) == ("main", None)
    assert stale.post("/keys/", KEY).status_code == 302
    key = ApiKey.objects.get()
    assert aged(stale).post(f"/keys/{key.pk}/delete/").url.startswith(AGAIN)
    assert ApiKey.objects.exists()


def test_without_a_second_factor_the_password_is_asked(alice: User, stale: Client) -> None:
    question = stale.get("/keys/?new=1").url
    assert question.startswith("/accounts/reauthenticate/?")
    assert stale.post(question, {"password": "wrong"}).status_code == 200
    assert stale.post(question, {"password": PASSWORD}).url == "/keys/?new=1"
    assert stale.get("/keys/?new=1").status_code == 200


def live_bot(alice: User) -> BotConfig:
    bot = bot_of(alice, "Real")
    BotConfig.objects.filter(pk=bot.pk).update(mode="live", exchange="binance")
    return bot


def test_a_live_bot_starts_after_the_code_without_another_click(
    alice: User, app: App, stale: Client, settings: Any
) -> None:
    settings.LIVE_TRADING_ENABLED = True
    bot = live_bot(alice)
    question = stale.post(f"/bots/{bot.pk}/start/?next=dashboard").url
    assert question.startswith(AGAIN)
    assert not BotState.objects.filter(pk=bot.pk).exists()
    assert stale.post(question, {"code": app.code()}).url == "/"
    assert BotState.objects.get(pk=bot.pk).status == "pending"
    # Neither is an address made by which others let it trade.
    assert aged(stale).post(f"/bots/{bot.pk}/signals/new/").url.startswith(AGAIN)
    # What waited for an answer that never came is not done by the next one.
    aged(stale)
    stale.post(f"/bots/{bot.pk}/stop/")
    stale.post(f"/bots/{bot.pk}/start/")
    stale.get("/accounts/2fa/recovery-codes/")
    other = f"{AGAIN}?next=/accounts/2fa/recovery-codes/"
    codes = Authenticator.objects.get(user=alice, type="recovery_codes").wrap().get_unused_codes()
    assert stale.post(other, {"code": codes[0]}).url == "/accounts/2fa/recovery-codes/"
    assert BotState.objects.get(pk=bot.pk).status == "stopped"


def test_a_forced_entry_and_a_transfer_ask_again_a_way_out_never_does(
    alice: User, app: App, stale: Client, settings: Any
) -> None:
    settings.LIVE_TRADING_ENABLED = True
    bot = live_bot(alice)
    state_of(bot, "running", "no_signal", "trade")
    question = stale.post(f"/bots/{bot.pk}/enter/").url
    assert question.startswith(AGAIN)
    assert not Command.objects.exists()
    assert stale.post(question, {"code": app.code()}).url == f"/bots/{bot.pk}/"
    assert Command.objects.get().kind == "enter"
    secrets = {"api_key": KEY["api_key"], "secret_key": KEY["secret_key"]}
    key = ApiKey.put(owner=alice, exchange="binance", mode="live", label="main", **secrets)
    path = f"/keys/{key.account_id}/transfer/"
    form = {"amount": "1", "currency": "USDT", "direction": "to_futures", "number": uuid4().hex}
    asked = aged(stale).post(path, {**form, "confirmed": "1"})
    assert asked.url.startswith(AGAIN)
    assert not Transfer.objects.exists()
    # Whoever wants out is not kept waiting.
    Command.objects.update(status="done")
    BotState.objects.filter(pk=bot.pk).update(**holding())
    stale.post(f"/bots/{bot.pk}/exit/")
    assert Command.objects.filter(kind="exit").exists()
    stale.post(f"/bots/{bot.pk}/stop/", {"position": "close"})
    assert BotState.objects.get(pk=bot.pk).duty != "trade"


def test_what_waits_too_long_is_not_done(
    alice: User, app: App, stale: Client, settings: Any
) -> None:
    settings.LIVE_TRADING_ENABLED = True
    bot = live_bot(alice)
    question = stale.post(f"/bots/{bot.pk}/start/").url
    session = stale.session
    session["account_reauthentication_state"]["state"]["at"] -= 601
    session.save()
    page = stale.post(question, {"code": app.code()}, follow=True)
    assert "Nothing was done" in text_of(page)
    assert not BotState.objects.filter(pk=bot.pk).exists()


def test_going_live_asks_and_paper_never_does(
    alice: User, app: App, stale: Client, settings: Any
) -> None:
    settings.LIVE_TRADING_ENABLED = True
    data = form_of(stale, "/bots/new/") | {"name": "Real", "symbol": "BTC/USDT"}
    data |= {"position_size_perc": "5", "stop_loss_perc": "2"}
    paper = stale.post("/bots/new/", data)
    bot = BotConfig.objects.get()
    assert paper.url == f"/bots/{bot.pk}/"
    assert stale.post(f"/bots/{bot.pk}/start/").url == f"/bots/{bot.pk}/"
    bulk = {"act": "start", "step": "do", "bots": str(bot.pk)}
    assert stale.post("/bots/bulk/", bulk).url == "/bots/bulk/"
    live = data | {"name": "Gold", "mode": "live", "exchange": "binance", "confirm_name": "Gold"}
    question = stale.post("/bots/new/", live)
    assert question.url == f"{AGAIN}?next=%2Fbots%2Fnew%2F"
    assert BotConfig.objects.count() == 1
    done = stale.post(question.url, {"code": app.code()})
    made = BotConfig.objects.get(name="Gold")
    assert done.url == f"/bots/{made.pk}/"
    aged(stale)
    bulk |= {"bots": f"{bot.pk},{made.pk}"}
    assert stale.post("/bots/bulk/", bulk).url.startswith(AGAIN)
    change = form_of(stale, f"/bots/{bot.pk}/settings/")
    change |= {"mode": "live", "exchange": "binance", "confirm_name": "Real"}
    BotState.objects.all().delete()
    answer = stale.post(f"/bots/{bot.pk}/settings/", change)
    assert answer.url.startswith(AGAIN), text_of(answer)


def test_the_right_to_real_money_is_granted_to_a_second_factor_alone(
    alice: User, stale: Client, settings: Any
) -> None:
    settings.LIVE_TRADING_ENABLED = True
    data = {"name": "script", "number": "0f8fad5b-d9cb-469f-a165-70867728950e"}
    assert stale.post("/profile/tokens/", data | {"scopes": "live"}).status_code == 422
    assert stale.post("/profile/tokens/", data | {"scopes": "keys"}).status_code == 302
    app = App(auth.generate_totp_secret())
    auth.TOTP.activate(alice, app.secret)
    question = stale.post("/profile/tokens/", data | {"scopes": "live"})
    assert question.url.startswith(AGAIN)
    assert not ApiToken.objects.exists()
    page = stale.post(question.url, {"code": app.code()})
    assert ApiToken.find(page.context["secret"]) is not None
    assert "token" in told(alice)


def test_the_api_by_a_session_puts_keys_only_for_who_is_there(alice: User, stale: Client) -> None:
    caller = Caller()
    caller.http = stale
    assert caller.post("/api-keys", KEY).status == 403
    assert caller.get("/api-keys").status == 200
    caller.http = signed_in(alice)
    assert caller.post("/api-keys", KEY).status == 201


def test_it_is_switched_off_after_the_code(alice: User, app: App, stale: Client) -> None:
    address = "/accounts/2fa/totp/deactivate/"
    question = stale.get(address).url
    assert question.startswith(AGAIN)
    assert stale.post(question, {"code": app.code()}).url == address
    assert stale.post(address, follow=True).redirect_chain[-1][0] == "/profile/#second-factor"
    assert second_factor.of(alice) is None
    assert not Authenticator.objects.exists()
    assert told(alice) == ["factor_off"]
    assert enter(Client()).url == "/"


def test_an_operator_helps_out_with_a_reason(alice: User, app: App) -> None:
    olga = User.objects.create_superuser("olga")
    form = {"action": "switch_off_second_factor", "_selected_action": alice.pk, "confirmed": "1"}
    form |= {"why": "lost telephone, known by voice"}
    signed_in(olga).post("/admin/bots/user/", form)
    event = AccessEvent.objects.get(owner=alice)
    assert (event.what, event.by, event.via) == ("factor_off", olga, "admin")
    assert event.details == "lost telephone, known by voice"
    with pytest.raises(CommandError) as refused:
        call_command("switch_off_second_factor", "alice", why="again", stdout=StringIO())
    assert refused.value.returncode == 1
    auth.TOTP.activate(alice, auth.generate_totp_secret())
    call_command("switch_off_second_factor", "alice", why="lost it", stdout=StringIO())
    assert second_factor.of(alice) is None
    assert AccessEvent.objects.filter(owner=alice, via="command", details="lost it").exists()


def test_its_secrets_move_to_a_new_fernet_key_and_a_lost_one_opens_nothing(
    alice: User, app: App, settings: Any
) -> None:
    new = Fernet.generate_key().decode()
    settings.FERNET_KEYS = [new, *settings.FERNET_KEYS]
    assert rotation.rotate(dry_run=True).rotated == 2
    assert rotation.rotate().rotated == 2
    settings.FERNET_KEYS = [new]
    client = Client()
    enter(client)
    assert type_code(client, app.code()).status_code == 302
    settings.FERNET_KEYS = [Fernet.generate_key().decode()]
    lost = Client()
    enter(lost)
    assert "Ask the operator" in text_of(type_code(lost, app.code(1)))
    assert not knows(lost)
    assert rotation.rotate().lost_factors == ["alice", "alice"]
    assert knows(client), "the profile does not open the secrets"
