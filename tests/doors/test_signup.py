"""Signing up: open at first, closed by a setting."""

from typing import Any

import pytest
from django.test import Client

from bots.models import User

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
