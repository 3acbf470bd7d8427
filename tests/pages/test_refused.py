"""Pages that say no lead somewhere: to sign in, back to the form, or home."""

import re

import pytest
from django.test import Client

from bots.models import User
from tests.pages.builders import bot_of, sign_in, text_of


@pytest.fixture
def strict(db: None) -> Client:
    """A browser whose posts need the form's token."""
    return Client(enforce_csrf_checks=True)


def _links(body: str) -> list[str]:
    return re.findall(r'<a [^>]*href="([^"]+)"', body)


def test_an_expired_form_leads_to_sign_in_and_back_to_its_page(strict: Client) -> None:
    page = "http://testserver/bots/new/?preset=bold"
    answer = strict.post("/bots/new/", {"name": "x"}, headers={"referer": page})
    assert answer.status_code == 403
    assert "Nothing was changed." in text_of(answer)
    links = _links(answer.content.decode())
    assert "/accounts/login/?next=%2Fbots%2Fnew%2F%3Fpreset%3Dbold" in links
    assert "/" in links


def test_who_is_still_signed_in_is_led_back_to_the_page(alice: User, strict: Client) -> None:
    sign_in(strict, alice)
    answer = strict.post("/keys/", {}, headers={"referer": "http://testserver/keys/"})
    assert answer.status_code == 403
    links = _links(answer.content.decode())
    assert links == ["/keys/", "/"]


@pytest.mark.parametrize(
    "referer",
    [
        "",
        "http://evil.example/keys/",
        "http://testserver//evil.example/",
        "http://testserver/\\evil.example/",
        "javascript:alert(1)",
        "http://testserver/accounts/login/?next=/x",
    ],
)
def test_a_form_from_elsewhere_leads_home(referer: str, strict: Client) -> None:
    answer = strict.post("/keys/", {}, headers={"referer": referer})
    assert answer.status_code == 403
    assert _links(answer.content.decode()) == ["/accounts/login/?next=%2F", "/"]


@pytest.mark.parametrize("page", ["settings", "decisions", "orders", "delete", "stop", "panel"])
def test_back_after_a_delete_is_a_page_with_a_way_home(
    page: str, alice: User, client: Client
) -> None:
    sign_in(client, alice)
    bot = bot_of(alice)
    client.post(f"/bots/{bot.pk}/delete/")
    answer = client.get(f"/bots/{bot.pk}/{page}/")
    assert answer.status_code == 404
    assert "The page does not exist, was deleted, or is not yours." in text_of(answer)
    body = answer.content.decode()
    assert re.search(r'<main.*href="/">Back to the dashboard</a>.*</main>', body, re.DOTALL)


def test_the_browsers_own_request_for_an_icon_finds_one(client: Client) -> None:
    answer = client.get("/favicon.ico")
    assert (answer.status_code, answer.url) == (302, "/static/icon.svg")
    assert client.post("/favicon.ico").status_code == 405
