"""Signing up: open at first, closed by a setting. A new password shuts out who had the old one."""

import re
from typing import Any

import pytest
from django.core import mail
from django.test import Client

from bots.models import ApiToken, User
from tests.doors.client import signed_in

PASSWORD = "correct-horse-battery"


def sign_up() -> int:
    form = {"username": "newcomer", "password1": PASSWORD, "password2": PASSWORD}
    return Client().post("/accounts/signup/", form).status_code


@pytest.mark.django_db
def test_a_newcomer_signs_up() -> None:
    assert sign_up() == 302
    assert User.objects.filter(username="newcomer").exists()


@pytest.mark.django_db
def test_a_closed_site_takes_nobody(settings: Any) -> None:
    settings.SIGNUP_OPEN = False
    assert sign_up() == 200
    assert not User.objects.exists()


def _knows(client: Client) -> bool:
    return client.get("/profile/").status_code == 200


def test_a_changed_password_ends_tokens_and_other_sessions(alice: User, bob: User) -> None:
    alice.set_password(PASSWORD)
    alice.save()
    token, his = ApiToken.issue(alice, "script"), ApiToken.issue(bob, "script")
    here, elsewhere = signed_in(alice), signed_in(alice)
    form = {"oldpassword": PASSWORD, "password1": f"{PASSWORD}-2", "password2": f"{PASSWORD}-2"}
    assert here.post("/accounts/password/change/", form).status_code == 302
    assert ApiToken.find(token) is None
    assert ApiToken.objects.get(owner=alice).revoked_at is not None
    assert ApiToken.find(his) is not None
    assert (_knows(here), _knows(elsewhere)) == (True, False)


def test_a_reset_password_ends_tokens_and_sessions(alice: User) -> None:
    User.objects.filter(pk=alice.pk).update(email="alice@example.org")
    alice.set_password(PASSWORD)
    alice.save(update_fields=["password"])
    token, elsewhere = ApiToken.issue(alice, "script"), signed_in(alice)
    client = Client()
    client.post("/accounts/password/reset/", {"email": "alice@example.org"})
    link = re.search(r"/accounts/password/reset/key/\S+", str(mail.outbox[0].body))
    assert link
    page = client.get(link[0], follow=True)
    form = {"password1": f"{PASSWORD}-2", "password2": f"{PASSWORD}-2"}
    assert client.post(page.request["PATH_INFO"], form).status_code == 302
    assert ApiToken.find(token) is None
    assert not _knows(elsewhere)
