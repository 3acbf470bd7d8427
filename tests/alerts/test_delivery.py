"""Messages on their way: tried again, given up, sent once by two workers; addresses stay secret."""

import json
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.utils import timezone

from bots import invariants, rotation
from bots.alerts import addresses, channels, delivery, turn
from bots.models import (
    Alert,
    AlertChannel,
    AlertDelivery,
    AlertScan,
    ApiToken,
    BotConfig,
    StateEvent,
    User,
)
from tests.alerts.builders import mail_of, webhook_of
from tests.pages.builders import bot_of, sign_in
from tests.receivers import Received, text_of_mail

CANARY = "canary7f3a91bc55dewxyzsecret"


@pytest.fixture
def bot(alice: User) -> BotConfig:
    return bot_of(alice, "BTC EMA")


def message_to(channel: AlertChannel, **values: Any) -> AlertDelivery:
    row = {"kind": "error", "subject": "s", "body": "b", "alerts": 1, **values}
    return AlertDelivery.objects.create(channel=channel, **row)


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Have every message arrive, or none: what the courier says is another test's."""

    def say(ok: bool) -> None:
        result = delivery.Result(ok=ok, fault="" if ok else "answer", code=None if ok else 503)
        monkeypatch.setattr(delivery, "_courier", lambda jobs: {job["id"]: result for job in jobs})

    return say


def test_a_message_is_tried_four_times_and_then_has_failed(
    alice: User, hook: Received, answers: Callable[[bool], None]
) -> None:
    answers(False)
    channel, now = webhook_of(alice, hook), timezone.now()
    message_to(channel, due_at=now)
    minutes = [0, 0.9, 1, 5.9, 6, 35.9, 36, 200]
    tried = [delivery.deliver(now + timedelta(minutes=m)) for m in minutes]
    assert tried == [1, 0, 1, 0, 1, 0, 1, 0]
    row = AlertDelivery.objects.get()
    assert (row.status, row.attempts, row.fault, row.code) == ("failed", 4, "answer", 503)
    channel.refresh_from_db()
    assert channel.failing_since == now


def test_a_channel_that_fails_for_days_is_switched_off_and_says_so(
    alice: User, hook: Received, answers: Callable[[bool], None]
) -> None:
    answers(False)
    channel, now = webhook_of(alice, hook), timezone.now()
    for days in (0, 2.9):
        message_to(channel, due_at=now)
        delivery.deliver(now + timedelta(days=days))
        channel.refresh_from_db()
        assert channel.is_on
    answers(True)
    message_to(channel, due_at=now)
    delivery.deliver(now + timedelta(days=2.95))
    delivery.deliver(now + timedelta(days=2.96))
    channel.refresh_from_db()
    assert channel.failing_since is None, "one that arrives is enough"
    answers(False)
    AlertDelivery.objects.all().delete()
    for days in (10, 13.1):
        message_to(channel, due_at=now)
        delivery.deliver(now + timedelta(days=days))
    channel.refresh_from_db()
    assert (channel.is_on, channel.off_reason) == (False, "failing")
    delivery.deliver(now + timedelta(days=14))
    assert set(AlertDelivery.objects.values_list("status", flat=True)) == {"dropped"}


def test_a_deactivated_users_channels_are_off(alice: User, hook: Received) -> None:
    channel = webhook_of(alice, hook)
    message_to(channel)
    User.objects.filter(pk=alice.pk).update(is_active=False)
    assert delivery.deliver() == 0
    channel.refresh_from_db()
    assert channel.off_reason == "owner_inactive"
    assert AlertDelivery.objects.get().status == "dropped"
    assert hook.posts == []


def test_two_workers_send_a_message_once_and_a_killed_one_is_followed(
    alice: User, hook: Received, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel, now = webhook_of(alice, hook), timezone.now()
    message_to(channel, due_at=now)
    send = delivery._courier

    def meanwhile(jobs: Any) -> Any:
        monkeypatch.setattr(delivery, "_courier", send)
        assert delivery.deliver(now) == 0, "the first worker has it"
        raise KeyboardInterrupt  # and is killed

    monkeypatch.setattr(delivery, "_courier", meanwhile)
    with pytest.raises(KeyboardInterrupt):
        delivery.deliver(now)
    assert delivery.deliver(now + timedelta(seconds=59)) == 0
    assert delivery.deliver(now + timedelta(seconds=61)) == 1
    assert AlertDelivery.objects.get().status == "sent"
    assert len(hook.posts) == 1


def test_slow_channels_of_one_owner_hold_up_nobody_elses_first_message(
    alice: User, bob: User, hook: Received, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed: list[int] = []
    mine = [message_to(webhook_of(alice, hook)).pk for _ in range(3)]
    his = message_to(webhook_of(bob, hook)).pk

    def note(jobs: Any) -> Any:
        handed.extend(job["id"] for job in jobs)
        return {}

    monkeypatch.setattr(delivery, "_courier", note)
    delivery.deliver()
    assert handed == [mine[0], his, *mine[1:]]


def test_a_private_address_that_was_stored_once_is_refused_when_it_is_connected_to(
    alice: User, hook: Received, settings: Any
) -> None:
    link = addresses.webhook(f"https://127.0.0.1:{hook.port}/hook")
    message_to(channels.add(alice, "webhook", link, label="", kinds=[]))
    settings.ALERTS_ALLOW_PRIVATE = False
    delivery.deliver()
    assert AlertDelivery.objects.get().fault == "private"
    assert hook.connections == 0


def test_a_channel_that_hangs_costs_its_time_and_spares_the_others(
    alice: User, hook: Received, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    release = threading.Event()
    hook.answer = lambda path: 200 if path != "/slow" else (release.wait(20), 200)[1]
    good = webhook_of(alice, hook)
    link = addresses.webhook(f"http://127.0.0.1:{hook.port}/slow")
    slow = channels.add(alice, "webhook", link, label="", kinds=[])
    for channel in (slow, good):
        message_to(channel)
    monkeypatch.setattr(delivery, "COURIER_SECONDS", 2.0)
    delivery.deliver()
    release.set()
    assert AlertDelivery.objects.get(channel=good).status == "sent"
    late = AlertDelivery.objects.get(channel=slow)
    assert (late.status, late.fault) == ("pending", "timeout")


def test_a_turn_sends_all_that_is_due(
    alice: User, hook: Received, answers: Callable[[bool], None]
) -> None:
    answers(True)
    made = [webhook_of(alice, hook) for _ in range(channels.MOST)]
    for channel in made:
        for _ in range(3):
            message_to(channel)
    assert turn.run() == channels.MOST, "a channel's second message waits for its first"
    assert [turn.run(), turn.run(), turn.run()] == [channels.MOST, channels.MOST, 0]


def test_one_turn_at_a_time(alice: User, hook: Received, monkeypatch: pytest.MonkeyPatch) -> None:
    message_to(webhook_of(alice, hook))
    AlertScan.objects.create(pk=1, lease_until=timezone.now() + timedelta(seconds=30))
    assert turn.run() == 0
    AlertScan.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert turn.run() == 1
    assert AlertScan.objects.get().lease_until is None


# -- mail -----------------------------------------------------------------------------------------
def test_mail_goes_nowhere_before_its_receiver_has_confirmed(
    alice: User, mallory: User, bot: BotConfig, post: Received, client: Client, tell: Any
) -> None:
    made = channels.add(alice, "mail", addresses.mail("b@example.org"), label="", kinds=["error"])
    row = {"move": "fail", "new_status": "error", "new_reason": "network", "via": "tick"}
    StateEvent.objects.create(bot=bot, **row)
    message_to(made)
    assert tell() == 1
    assert delivery.deliver() == 0
    text = text_of_mail(post.mails[0])
    link = next(line for line in text.splitlines() if "/confirm/" in line)
    path = link[link.index("/profile/") :]
    assert [mail["To"] for mail in post.mails] == ["b@example.org"]
    assert not AlertDelivery.objects.filter(body__contains="confirm/").exists()
    sign_in(client, mallory)
    assert client.post(path).status_code == 404
    sign_in(client, alice)
    forged = path[:-5] + "AAAA/"
    for address in (forged, path.replace(path.split("/")[-2], "x")):
        client.post(address)
        made.refresh_from_db()
        assert not made.is_confirmed
    assert client.get(path).status_code == 200
    made.refresh_from_db()
    assert not made.is_confirmed, "a look is no consent: mail programs open links"
    client.post(path)
    made.refresh_from_db()
    assert made.is_confirmed
    # Another address is somebody else's: the old link does not speak for it.
    channels.change(
        made, label="", kinds=["error"], is_on=True, address=addresses.mail("c@example.org")
    )
    client.post(path)
    made.refresh_from_db()
    assert not made.is_confirmed


@pytest.mark.parametrize(
    ("configured", "user", "sender"),
    [
        ("Bots <a@example.org>", "", "Bots <a@example.org>"),
        ("botsite@192.168.1.7", "", "Botsite <botsite@localhost>"),
        ("botsite@192.168.1.7", "me@example.org", "Botsite <me@example.org>"),
        ("botsite@::1", "", "Botsite <botsite@localhost>"),
    ],
)
def test_mail_of_a_site_without_a_name_has_a_sender(
    configured: str, user: str, sender: str, settings: Any
) -> None:
    settings.DEFAULT_FROM_EMAIL, settings.EMAIL_HOST_USER = configured, user
    name, address = delivery._sender()
    assert f"{name or 'Botsite'} <{address}>" == sender


def test_a_test_arrives_and_there_are_not_too_many(
    alice: User, post: Received, sent: list[str], django_capture_on_commit_callbacks: Any
) -> None:
    channel = mail_of(alice)
    with django_capture_on_commit_callbacks(execute=True):
        assert channels.test(AlertChannel.objects.get(pk=channel.pk)) is not None
    assert sent[-1] == "bots.tasks.send_alerts"
    delivery.deliver()
    assert "This is a test" in text_of_mail(post.mails[0])
    assert AlertDelivery.objects.get().status == "sent"
    # One for the address, one for the test; and no new channel brings new ones.
    assert all(channels.test(channel) for _ in range(channels.TESTS - 2))
    assert channels.test(channel) is None
    channel.delete()
    mail_of(alice)
    assert AlertDelivery.objects.count() == 0


# -- secrets --------------------------------------------------------------------------------------
def columns_of_everything() -> str:
    """Return all that the database holds, as text, but the encrypted columns."""
    found = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(f"SELECT * FROM {table}")
            names = [column[0] for column in cursor.description or []]
            for row in cursor.fetchall():
                pairs = zip(names, row, strict=True)
                found += [str(value) for name, value in pairs if name != "secret_url"]
    return "\n".join(found)


def _paths_of(channel: AlertChannel) -> tuple[str, ...]:
    """Every page that tells of a channel, its owner's and the operator's."""
    return (
        "/profile/notifications/",
        f"/profile/notifications/{channel.pk}/",
        f"/profile/notifications/{channel.pk}/log/",
        f"/profile/notifications/{channel.pk}/delete/",
        "/profile/notifications/log/",
        "/admin/bots/alertchannel/",
        f"/admin/bots/alertchannel/{channel.pk}/change/",
        "/admin/bots/alertdelivery/",
        f"/admin/bots/alertdelivery/{AlertDelivery.objects.get().pk}/change/",
    )


def test_an_address_shows_nowhere(
    alice: User,
    private: None,
    client: Client,
    sent: list[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    sign_in(client, alice)
    link = f"http://u:{CANARY}@127.0.0.1:1/{CANARY}/{CANARY[::-1]}abcdefghij?t={CANARY}"
    kinds = {"kinds": ["error"]}
    bad = client.post("/profile/notifications/new/?service=webhook", {"link": f"x{link}", **kinds})
    assert bad.status_code == 422
    good = client.post("/profile/notifications/new/?service=webhook", {"link": link, **kinds})
    assert good.status_code == 302
    channel = AlertChannel.objects.get()
    assert channel.hint == "http://127.0.0.1/…ghij"
    client.post(f"/profile/notifications/{channel.pk}/test/")
    delivery.deliver()
    assert AlertDelivery.objects.get().fault == "connect"
    changed = client.post(f"/profile/notifications/{channel.pk}/", {"link": f"ftp://{CANARY}"})
    alice.is_staff = alice.is_superuser = True
    alice.save()
    token = ApiToken.issue(alice, "reader", ("read",))
    headers = {"Authorization": f"Bearer {token}"}
    pages = [bad, changed, *(client.get(path) for path in _paths_of(channel))]
    pages += [
        client.get(f"/api/v1/alerts/{name}", headers=headers) for name in ("channels", "messages")
    ]
    assert [page.status_code for page in pages[2:]] == [200] * len(pages[2:])
    seen = [page.content.decode() for page in pages] + [caplog.text, json.dumps(sent)]
    seen += [columns_of_everything(), repr(channel), str(channel)]
    for text in seen:
        assert CANARY not in text
        assert CANARY[::-1] not in text
    assert [v for v in invariants.check() if v.code == "I10"] == []


def test_a_lost_key_breaks_no_page_and_is_told(
    alice: User, hook: Received, settings: Any, client: Client
) -> None:
    channel = webhook_of(alice, hook)
    message_to(channel)
    settings.FERNET_KEYS = [Fernet.generate_key().decode()]
    sign_in(client, alice)
    assert delivery.deliver() == 1
    assert AlertDelivery.objects.get().fault == "unreadable"
    page = client.get(f"/profile/notifications/{channel.pk}/")
    assert "cannot be decrypted" in page.content.decode()
    data = {"label": "new name", "kinds": ["entry"], "is_on": "on"}
    assert client.post(f"/profile/notifications/{channel.pk}/", data).status_code == 302
    row = AlertChannel.objects.get()
    assert (row.label, row.kinds) == ("new name", ["entry"])
    out = StringIO()
    with pytest.raises(Exception, match="not every key"):
        call_command("rotate_keys", stdout=out, stderr=out)
    assert f"channel {channel.pk}" in out.getvalue()


def test_addresses_are_moved_to_a_new_key(alice: User, hook: Received, settings: Any) -> None:
    message_to(webhook_of(alice, hook))
    new = Fernet.generate_key().decode()
    settings.FERNET_KEYS = [new, *settings.FERNET_KEYS]
    assert rotation.rotate().rotated == 1
    settings.FERNET_KEYS = [new]
    delivery.deliver()
    assert len(hook.posts) == 1


def test_what_is_told_reaches_the_log_of_its_owner_alone(
    alice: User, mallory: User, hook: Received, client: Client
) -> None:
    message_to(webhook_of(alice, hook), subject="a secret of alice")
    token = ApiToken.issue(mallory, "reader", ("read",))
    sign_in(client, mallory)
    headers = {"Authorization": f"Bearer {token}"}
    assert b"secret of alice" not in client.get("/profile/notifications/log/").content
    for name in ("channels", "messages"):
        found = client.get(f"/api/v1/alerts/{name}", headers=headers).json()
        assert found == {"items": [], "count": 0}
    assert Alert.objects.count() == 0


def test_there_are_ten_channels_at_most(alice: User, hook: Received, client: Client) -> None:
    for _ in range(channels.MOST):
        webhook_of(alice, hook)
    sign_in(client, alice)
    answer = client.post(
        "/profile/notifications/new/?service=webhook", {"link": "https://example.org/x"}
    )
    assert answer.status_code == 422
    assert "You have 10 channels" in answer.content.decode()


Maker = Callable[..., addresses.Address]


@pytest.mark.parametrize(
    ("make", "given", "url", "hint"),
    [
        (addresses.mail, ["ann@example.org"], "site-mail:ann@example.org", "a…@example.org"),
        (addresses.mail, ['",victim@example.org,ann@example.org,"@example.org'], None, None),
        (addresses.mail, ["ann'bob@example.org"], None, None),  # apprise would write to bob
        (
            addresses.telegram,
            ["123456789:" + "a" * 35, "-10012345"],
            "tgram://123456789:" + "a" * 35 + "/-10012345",
            "Telegram …345",
        ),
        (
            addresses.discord,
            ["https://discord.com/api/webhooks/123456789012345678/" + "b" * 60 + "WXYZ"],
            "discord://123456789012345678/" + "b" * 60 + "WXYZ",
            "Discord …WXYZ",
        ),
        (
            addresses.slack,
            ["https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"],
            None,
            None,
        ),
        (
            addresses.slack,
            ["https://hooks.slack.com/services/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"],
            "slack://T1JJ3T3L2/B1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ",
            "Slack …i7FQ",
        ),
        (
            addresses.webhook,
            ["https://example.org:8443/a/short?b=c%20d&e="],
            "jsons://example.org:8443/a/short?-b=c%20d&-e=",
            "https://example.org/…",
        ),
        (addresses.webhook, ["http://example.org/"], None, None),
        (addresses.webhook, ["https://192.168.1.2/"], None, None),
        (addresses.apprise, ["jsons://example.org/?verify=no"], None, None),
        (addresses.apprise, ["file:///etc/passwd"], None, None),
        (
            addresses.apprise,
            ["mailtos://user:secret@example.org?to=x@example.org"],
            "mailtos://user:secret@example.org?to=x@example.org",
            "mailtos://…",
        ),
    ],
)
def test_what_people_have_becomes_an_address(
    make: Maker, given: list[str], url: str | None, hint: str | None
) -> None:
    from django.core.exceptions import ValidationError

    if url is None:
        with pytest.raises(ValidationError) as refused:
            make(*given)
        assert "secret" not in str(refused.value)
    else:
        assert make(*given) == (url, hint)
