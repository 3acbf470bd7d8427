"""Where a user is signed in: seen on the profile, ended there, and by a new password."""

import re
from typing import Any

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.core import mail
from django.db import OperationalError
from django.test import Client

from bots import sessions
from bots.models import AccessEvent, User
from tests.doors.client import signed_in
from tests.pages.builders import text_of

PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Safari/604.1"
DESK = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"


def browser(user: User, agent: str, address: str = "192.0.2.7") -> Client:
    client = signed_in(user)
    client.defaults |= {"HTTP_USER_AGENT": agent, "REMOTE_ADDR": address}
    client.get("/help/")
    return client


def knows(client: Client) -> bool:
    return client.get("/profile/").status_code == 200


def test_each_is_listed_and_ended_by_itself_or_with_all_others(alice: User, bob: User) -> None:
    here, phone = browser(alice, DESK), browser(alice, PHONE, "198.51.100.4")
    third, his = browser(alice, "curl/8.5.0"), browser(bob, DESK)
    text = text_of(here.get("/profile/"))
    assert "Firefox, Linux this one" in text
    for words in ("Safari, iPhone", "198.51.100.4", "curl"):
        assert words in text
    row = UserSession.objects.get(ip="198.51.100.4")
    assert his.post(f"/profile/sessions/{row.pk}/end/").url == "/profile/"
    assert knows(phone)
    here.post(f"/profile/sessions/{row.pk}/end/")
    assert (knows(here), knows(phone), knows(third)) == (True, False, True)
    event = AccessEvent.objects.get(owner=alice)
    assert (event.what, event.details) == ("session_ended", "Safari, iPhone, 198.51.100.4")
    here.post("/profile/sessions/end/")
    assert (knows(here), knows(third), knows(his)) == (True, False, True)
    assert AccessEvent.objects.filter(owner=alice).count() == 2
    own = UserSession.objects.get(user=alice)
    here.post(f"/profile/sessions/{own.pk}/end/")
    assert knows(here), "this one ends by signing out"


def test_a_session_is_written_down_now_and_then(
    alice: User, django_assert_num_queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = browser(alice, DESK)
    before = UserSession.objects.get().last_seen_at
    with django_assert_num_queries(2):  # the session and its user
        client.get("/help/")
    monkeypatch.setattr(sessions, "SEEN_SECONDS", 0)
    client.get("/help/")
    assert UserSession.objects.get().last_seen_at > before

    def busy(*_: Any) -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr(type(UserSession.objects), "create_from_request", busy)
    assert client.get("/help/").status_code == 200


def test_a_reset_password_ends_and_forgets_all_sessions(alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(email="alice@example.org")
    elsewhere = browser(alice, PHONE)
    client = Client()
    client.post("/accounts/password/reset/", {"email": "alice@example.org"})
    link = re.search(r"/accounts/password/reset/key/\S+", str(mail.outbox[0].body))
    assert link
    page = client.get(link[0], follow=True)
    form = {"password1": "quite-another-horse-2", "password2": "quite-another-horse-2"}
    client.post(page.request["PATH_INFO"], form)
    assert not knows(elsewhere)
    assert not UserSession.objects.filter(user=alice).exists()
    assert not Session.objects.filter(session_key=elsewhere.session.session_key).exists()
    assert AccessEvent.objects.get(owner=alice).what == "password"
