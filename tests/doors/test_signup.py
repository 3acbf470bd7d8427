"""Signing up: open at first, closed by a setting. A new password shuts out who had the old one."""

import re
from io import StringIO
from typing import Any

import pytest
from django.core import mail
from django.core.management import call_command
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


def test_an_operators_new_password_ends_the_tokens(alice: User, bob: User) -> None:
    operator = User.objects.create_superuser("olga")
    token, his = ApiToken.issue(alice, "script"), ApiToken.issue(bob, "script")
    form = {"usable_password": "true", "password1": f"{PASSWORD}-2", "password2": f"{PASSWORD}-2"}
    address = f"/admin/bots/user/{alice.pk}/password/"
    assert signed_in(operator).post(address, form).status_code == 302
    assert ApiToken.find(token) is None
    assert ApiToken.find(his) is not None


def test_a_password_that_is_taken_away_ends_the_tokens(alice: User) -> None:
    operator = User.objects.create_superuser("olga")
    token = ApiToken.issue(alice, "script")
    form = {"usable_password": "false", "unset-password": "1"}
    address = f"/admin/bots/user/{alice.pk}/password/"
    assert signed_in(operator).post(address, form).status_code == 302
    assert not User.objects.get(pk=alice.pk).has_usable_password()
    assert ApiToken.find(token) is None


def test_the_commands_new_password_ends_the_tokens(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = ApiToken.issue(alice, "script")
    monkeypatch.setattr("getpass.getpass", lambda *_args, **_options: f"{PASSWORD}-2")
    call_command("changepassword", "alice", stdout=StringIO())
    assert User.objects.get(pk=alice.pk).check_password(f"{PASSWORD}-2")
    assert ApiToken.find(token) is None


def test_the_same_password_hashed_anew_ends_no_token(alice: User, settings: Any) -> None:
    token = ApiToken.issue(alice, "script")
    settings.PASSWORD_HASHERS = settings.PASSWORD_HASHERS[::-1]
    old = alice.password
    assert alice.check_password("alice-has-a-long-password")
    assert User.objects.get(pk=alice.pk).password != old
    alice.email = "alice@example.org"
    alice.save()
    assert ApiToken.find(token) is not None
