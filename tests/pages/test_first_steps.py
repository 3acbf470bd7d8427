"""The checklist of a new user: read from what there is, put away by a click."""

import re
from decimal import Decimal
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from bots.models import BotConfig, BotState, User
from bots.views.first_steps import Checklist
from tests.pages.builders import bot_of, decision, form_of, sign_in, state_of, text_of


@pytest.fixture(autouse=True)
def _signed_in(alice: User, client: Client) -> None:
    User.objects.filter(pk=alice.pk).update(time_zone="")
    sign_in(client, alice)


def steps(client: Client) -> dict[str, bool]:
    found: Checklist = client.get("/").context["first_steps"]
    return {step.title: step.is_done for step in found.steps}


def decided(bot: BotConfig) -> None:
    BotState.objects.filter(pk=bot.pk).update(decision_id=decision(bot).pk)


def test_a_new_user_sees_every_step_with_one_link_each(client: Client) -> None:
    page = client.get("/")
    body = page.content.decode()
    assert "0 of 5 done" in text_of(page)
    card = body[body.index('id="first-steps"') : body.index("</section>")]
    assert card.count("<a href=") == len(steps(client)) == 6
    assert not any(steps(client).values())
    assert 'aria-current="step"' in card
    for step in page.context["first_steps"].steps:
        assert client.get(step.url).status_code == 200


def test_each_step_is_done_when_its_row_is_there(
    alice: User, client: Client, django_assert_num_queries: Any
) -> None:
    bot = bot_of(alice, max_daily_loss_perc=None)
    assert [title for title, done in steps(client).items() if done] == ["Make a paper bot"]
    state_of(bot, "running", "no_signal", "trade")
    assert steps(client)["Start it"]
    assert not steps(client)["Read its first decision"]
    decided(bot)
    assert steps(client)["Read its first decision"]
    assert not steps(client)["Set a daily loss limit"]
    BotConfig.objects.filter(pk=bot.pk).update(max_daily_loss_perc=Decimal(2))
    assert steps(client)["Set a daily loss limit"]
    assert not steps(client)["Choose your time zone"]
    User.objects.filter(pk=alice.pk).update(time_zone="Europe/Istanbul")
    page = client.get("/")
    assert page.context["first_steps"] is None
    assert 'id="first-steps"' not in page.content.decode()


def test_a_paper_bot_runs_three_clicks_after_signing_up(alice: User, client: Client) -> None:
    link = re.search(r'class="empty".*?href="([^"]+)"', client.get("/").content.decode(), re.S)
    assert link
    made = client.post("/bots/new/", form_of(client, unescape(link[1])))
    bot = alice.bots.get()
    assert made.url == f"/bots/{bot.pk}/"
    assert (bot.mode, bot.exchange, bot.max_daily_loss_perc) == ("paper", "simulated", 1)
    client.post(f"/bots/{bot.pk}/start/")
    assert BotState.objects.get(pk=bot.pk).text == "pending (start)"


def test_somebody_elses_bots_and_keys_do_no_step(bob: User, client: Client) -> None:
    decided(state_of(bot_of(bob), "running", "no_signal", "trade").bot)
    from bots import control

    fields = {"exchange": "binance", "mode": "testnet", "label": "b"}
    control.put_key(bob, via="page", **fields, api_key="k" * 8, secret_key="s" * 8)
    assert not any(steps(client).values())


def test_put_away_and_brought_back(alice: User, client: Client) -> None:
    assert client.get("/first-steps/").status_code == 405
    answer = client.post("/first-steps/", follow=True)
    assert answer.context["first_steps"] is None
    assert "put away" in text_of(answer)
    assert User.objects.get(pk=alice.pk).hides_first_steps
    assert "Show the first steps on the dashboard" in text_of(client.get("/help/"))
    back = client.post("/first-steps/", {"show": "1"}, follow=True)
    assert back.context["first_steps"] is not None
    assert "Show the first steps on the dashboard" not in text_of(client.get("/help/"))


def test_it_costs_one_query_and_none_once_it_is_away(
    alice: User, client: Client, django_assert_max_num_queries: Any
) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    state_of(bot_of(alice), "running", "no_signal", "trade", last_run_at=timezone.now())
    client.get("/")
    with CaptureQueriesContext(connection) as shown:
        client.get("/")
    User.objects.filter(pk=alice.pk).update(hides_first_steps=True)
    with CaptureQueriesContext(connection) as away:
        client.get("/")
    assert len(shown) == len(away) + 1
    assert len(shown) <= 8
