"""A sign-in by our own code comes from nowhere, and must not fail for that."""

from django.test import Client

from bots.models import User


def test_a_sign_in_without_a_connection_is_let_in(alice: User) -> None:
    client = Client()
    client.force_login(alice)
    assert client.get("/profile/").status_code == 200
